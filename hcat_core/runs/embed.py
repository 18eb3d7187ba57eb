"""The fused vectors of patients: what a neural run's heads see of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hcat_core.cohort import Cohort
from hcat_core.errors import UsageError
from hcat_core.interfaces import EmbeddingEstimator
from hcat_core.runs.predict import refuse_without_modality
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.storage.atomic_files import atomic_write
from hcat_core.storage.checkpoint import write_text
from hcat_core.storage.h5_file import write_h5

ENDINGS = (".csv", ".parquet", ".h5", ".hdf5")


def embed_patients(run: TrainedRun, cohort: Cohort) -> pd.DataFrame:
    """The fused vector of each patient, at the imputation's mean.

    Every member of a run has a space of its own, in which directions mean something else than in that of
    another: vectors of members stand side by side, and are not averaged. Distances and further models can
    use all columns, or those of one member. What the evidence of a run adds to its predictions is not in
    the vectors.

    Args:
        run: of the estimator ``neural``.
        cohort: N patients with at least one modality, in the run's layout.

    Returns:
        N rows by ``patient_id``, the spelling of the files; columns ``m1_0``, ``m1_1``, ... of the first
        member, then ``m2_0``, ... of the second; float32.

    Raises:
        UsageError: for a run whose estimator has no such vectors.
        DataError: for a patient without any modality.
    """
    estimator = run.fitted.estimator
    if not isinstance(estimator, EmbeddingEstimator):
        raise UsageError(
            f"{run.folder.path}: the estimator {run.recipe.estimator['use']!r} makes no vector of a "
            'patient. Train one that does: use = "neural", as in the recipes enhanced and hancock.'
        )
    refuse_without_modality(cohort)
    vectors = [part.numpy() for part in estimator.embed(cohort.without_targets())]
    names = [
        f"m{member}_{place}" for member, part in enumerate(vectors, 1) for place in range(part.shape[1])
    ]
    index = pd.Index(cohort.ids_as_written(), name="patient_id")
    return pd.DataFrame(np.concatenate(vectors, axis=1), index=index, columns=names)


def write_embeddings(vectors: pd.DataFrame, path: Path) -> None:
    """Write vectors as a file that hcat reads again: CSV, Parquet or HDF5, by the ending of its name.

    Raises:
        UsageError: for another ending, or Parquet without pyarrow.
        StorageError: when the disk is full or not writable.
    """
    refuse_ending(path)
    ending = path.suffix.lower()
    if ending == ".csv":
        write_text(path, vectors.to_csv(lineterminator="\n"))
    elif ending == ".parquet":
        with atomic_write(path) as temporary:
            vectors.reset_index().to_parquet(temporary, engine="pyarrow", index=False)
    else:
        ids, names = (np.array(values, dtype=object) for values in (vectors.index, vectors.columns))
        write_h5(path, {"patient_id": ids, "embedding": vectors.to_numpy(), "feature_names": names})


def refuse_ending(path: Path) -> None:
    """Refuse a file that ``write_embeddings`` cannot write, before anything is computed.

    Raises:
        UsageError: as ``write_embeddings`` does.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--output {path}: write {', '.join(ENDINGS)}.")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise UsageError(
                f'--output {path}: Parquet needs pyarrow: pip install "hcat-core[parquet]". Or write .csv.'
            ) from None
