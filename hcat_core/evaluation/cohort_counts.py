"""Counts of a cohort that a user wants to see before training: presence, patterns, outcomes, gaps."""

from __future__ import annotations

from collections.abc import Mapping

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ReadReport
from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.evaluation.summary import competing_counts, label_counts
from hcat_core.reading import DescribingReader, Reader


def found_layouts(readers: Mapping[str, Reader]) -> dict[str, str]:
    """What each reader that can say found in its file, and by what it knew it."""
    return {name: r.describe() for name, r in readers.items() if isinstance(r, DescribingReader)}


def inspect_cohort(cohort: Cohort, report: ReadReport, layouts: Mapping[str, str]) -> dict[str, object]:
    """Everything ``hcat inspect`` shows, as plain values; no patient ids."""
    n = len(cohort)
    counts = label_counts(cohort)
    return {
        "patients": n,
        "fingerprint": cohort.fingerprint(),
        "complete": int(cohort.present.all(dim=1).sum()),
        "patients_without_modality": report.patients_without_modality,
        "modality_names": list(cohort.layout.names),
        "absent": list(cohort.layout.absent),
        "modalities": [
            {
                "name": m.name,
                "source": m.source,
                "layout": layouts.get(m.name),
                "width": m.width,
                "patients": m.patients,
                "share": m.patients / n,
                "rows": m.rows,
                "cells_not_measured": m.cells_not_measured,
                "share_not_measured": m.cells_not_measured / max(1, m.rows * m.width),
                "within_variance": m.within_variance,
            }
            for m in report.modalities
        ],
        "patterns": [
            {"present": list(pattern), "patients": patients}
            for pattern, patients in count_patterns(cohort.present)
        ],
        "tasks": [
            {"name": task.name, "horizon_days": task.horizon_days, **counts[task.name]}
            for task in cohort.layout.tasks
        ],
        "competing_first": competing_counts(cohort),
        "targets_source": report.targets_source,
    }
