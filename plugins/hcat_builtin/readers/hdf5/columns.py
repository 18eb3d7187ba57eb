"""Outcome and group columns of an HDF5 file, beside the ids or in each patient's group."""

from __future__ import annotations

from collections.abc import Mapping

import h5py
import numpy as np

from hcat_builtin.readers.hdf5.layouts import DatasetInfo
from hcat_builtin.readers.hdf5.row_metadata import row_ids
from hcat_builtin.readers.hdf5.safety import find_object, read_attribute, read_small
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable
from hcat_core.text.spelling import did_you_mean


def flat_columns(
    file: h5py.File,
    datasets: Mapping[str, DatasetInfo],
    ids_name: str,
    names: list[str],
) -> ColumnTable:
    """Columns beside the ids of a file with one row per patient.

    Raises:
        DataError: naming the column that the file lacks and those it has.
    """
    ids_node = find_object(file, ids_name)
    rows = datasets[ids_name].shape[0] if isinstance(ids_node, h5py.Dataset) else 0
    ids = row_ids(file, ids_name, rows)
    columns = {}
    for name in names:
        node = find_object(file, name)
        if not isinstance(node, h5py.Dataset):
            columns_there = [n for n, info in datasets.items() if info.shape[:1] == (len(ids),)]
            raise DataError(f'{file.filename}: has no column "{name}".{did_you_mean(name, columns_there)}')
        values = read_small(node)
        if values.size != len(ids):
            raise DataError(
                f"{file.filename}: {name} holds {values.size} values for {len(ids)} ids; "
                "one per id is needed."
            )
        columns[name] = values.reshape(-1)
    return ColumnTable(ids, columns)


def group_columns(file: h5py.File, groups: Mapping[str, str], names: list[str]) -> ColumnTable:
    """Columns of one value per patient's group: a dataset or an attribute of the group; NaN for neither.

    Raises:
        DataError: naming the column that no group has.
    """
    columns: dict[str, list[object]] = {name: [] for name in names}
    exists = [False] * len(names)
    for embedding in groups.values():
        prefix = embedding.rpartition("/")[0]
        group = find_object(file, prefix)
        for place, name in enumerate(names):
            node = find_object(file, f"{prefix}/{name}")
            value: object = np.nan
            if isinstance(node, h5py.Dataset) and node.size == 1:
                value = read_small(node).reshape(-1)[0]
                exists[place] = True
            elif group is not None and (attribute := read_attribute(group, name)) is not None:
                value = attribute
                exists[place] = True
            columns[name].append(value)
    for place, name in enumerate(names):
        if not exists[place]:
            raise DataError(
                f'{file.filename}: no patient\'s group has a value "{name}", '
                "neither as a dataset nor as an attribute."
            )
    return ColumnTable(
        np.array(list(groups), dtype=object),
        {name: np.array(values) for name, values in columns.items()},
    )
