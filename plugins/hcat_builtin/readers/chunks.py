"""Chunks of rows of about 4 MiB: how many rows one holds, and small tables joined into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from hcat_core.reading import ModalityTable

CHUNK_BYTES = 4 << 20


def rows_per_chunk(row_bytes: int) -> int:
    """How many rows of ``row_bytes`` fill ``CHUNK_BYTES``; at least 1."""
    return max(1, CHUNK_BYTES // max(1, row_bytes))


def join_small_tables(tables: Iterable[ModalityTable]) -> Iterator[ModalityTable]:
    """The same rows in the same order, with small tables joined until a chunk is full.

    A file or group of one patient often has few rows; passing each on alone costs more than reading it.

    Args:
        tables: of one width.
    """
    pending: list[ModalityTable] = []
    size = 0
    for table in tables:
        large = table.values.nbytes >= CHUNK_BYTES // 2  # not worth a copy
        if pending and (large or size >= CHUNK_BYTES):
            yield _joined(pending)
            pending, size = [], 0
        if large:
            yield table
        else:
            pending.append(table)
            size += table.values.nbytes
    if pending:
        yield _joined(pending)


def findings_alone(findings: tuple[str, ...], width: int) -> Iterator[ModalityTable]:
    """A table without rows that says what was found in all files; none where nothing was found.

    Args:
        findings: one sentence each.
        width: of the tables before it.
    """
    if findings:
        empty = np.empty((0, width), np.float32)
        yield ModalityTable(ids=np.empty(0, dtype=object), values=empty, findings=findings)


def _joined(tables: list[ModalityTable]) -> ModalityTable:
    if len(tables) == 1:
        return tables[0]
    return ModalityTable(
        ids=np.concatenate([table.ids for table in tables]),
        values=np.concatenate([table.values for table in tables]),
        weights=_concatenated(tables, [table.weights for table in tables]),
        quality=_concatenated(tables, [table.quality for table in tables]),
        features=tables[0].features,
        n_rows=_concatenated(tables, [table.n_rows for table in tables]),
        patients=tables[0].patients,
        findings=tuple(dict.fromkeys(text for table in tables for text in table.findings)),
    )


def _concatenated(tables: list[ModalityTable], parts: list[np.ndarray | None]) -> np.ndarray | None:
    """One column of all tables, 1 in the rows of tables without it; None where no table has it."""
    if all(part is None for part in parts):
        return None
    columns = [np.ones(len(t.ids)) if part is None else part for t, part in zip(tables, parts, strict=True)]
    return np.concatenate(columns)
