import errno
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_core.data.assembly import assemble_cohort
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import StorageError, UsageError
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.other_outcomes import to_other_cohort
from hcat_core.synth.write import write_cohort

TARGETS = TargetsTable.model_validate(
    {
        "path": "clinical.h5",
        "tasks": {
            "survival": {
                "label": "surv_5yr_label",
                "time": "days_to_death_or_last_info",
                "event": "death_event",
                "horizon_days": 1826,
                "outcome": "death",
            },
            "recurrence": {
                "label": "rec_2yr_label",
                "time": "days_to_recurrence_or_last_info",
                "event": "recurrence_event",
                "horizon_days": 730,
            },
        },
    }
)


def cohort(**arguments):
    return generate(preset_spec("demo", **{"patients": 80, "width": 12, **arguments}))


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_cohort(tmp_path / name, cohort(seed=seed))
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert all(digests(tmp_path / "a")[n] != d for n, d in digests(tmp_path / "c").items())


def test_reading_the_files_gives_the_cohort_that_was_drawn(tmp_path):
    drawn = cohort()
    write_cohort(tmp_path / "a", drawn)
    readers = {name: H5Reader(path=tmp_path / "a" / f"{name}.h5") for name in drawn.spec.widths}
    read, report = assemble_cohort(readers, readers["clinical"], TARGETS)
    expected = to_cohort(drawn)
    assert read.patient_ids == expected.patient_ids
    assert (read.measured == expected.measured).all()
    assert (read.present == expected.present).all()
    np.testing.assert_allclose(read.emb, expected.emb, atol=1e-5)
    assert (read.targets.labels == expected.targets.labels).all()
    assert report.modalities[-1].rows > report.modalities[-1].patients


@pytest.mark.parametrize("noise_blocks", [0.0, 0.4])
def test_the_files_hold_the_quality_and_the_noise_of_the_cohort_in_memory(tmp_path, noise_blocks):
    drawn = generate(replace(preset_spec("demo", patients=80, width=12), noise_blocks=noise_blocks))
    write_cohort(tmp_path / "a", drawn)
    readers = {name: H5Reader(path=tmp_path / "a" / f"{name}.h5") for name in drawn.spec.widths}
    read, _ = assemble_cohort(readers, readers["clinical"], TARGETS)
    expected = to_cohort(drawn)
    np.testing.assert_allclose(read.emb, expected.emb, atol=1e-5)
    np.testing.assert_allclose(read.quality, expected.quality, atol=1e-6)
    low = (expected.quality < 0.3) & expected.present
    assert low.any() == bool(noise_blocks)
    with h5py.File(tmp_path / "a" / "truth.h5") as file:
        assert (file["noise"][...] == drawn.recorded.noise).all()


def test_the_truth_file_has_the_missing_cells(tmp_path):
    drawn = cohort()
    write_cohort(tmp_path / "a", drawn)
    with h5py.File(tmp_path / "a" / "truth.h5") as file:
        assert np.isfinite(file["embedding"][...]).all()
        assert file["embedding"].shape == (80, 5, 12)
        assert json.loads(file.attrs["spec"])["mechanism"] == "mcar"
        assert {"means", "loadings", "noise", "weights"} <= set(file["parameters"])


def test_a_folder_that_is_not_empty_is_refused_and_unchanged(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match="is not empty"):
        write_cohort(tmp_path / "a", cohort())
    assert [p.name for p in tmp_path.rglob("*")] == ["a", "mine.txt"]


def test_a_write_that_fails_halfway_leaves_no_file(tmp_path, monkeypatch):
    from hcat_core.synth import write

    def full(path, *given):
        raise OSError(errno.ENOSPC, "lines of what the library did")

    monkeypatch.setattr(write, "_write_truth", full)
    with pytest.raises(StorageError, match="a cannot be written: No space left on device. Free some"):
        write_cohort(tmp_path / "a", cohort())
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_or_a_link_to_one_is_filled(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    write_cohort(tmp_path / "link", cohort())
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    write_cohort(Path(), cohort())
    assert digests(Path()) == digests(tmp_path / "a")
    assert len(digests(Path())) == 6


def test_a_folder_that_cannot_be_written_is_named_in_the_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/a cannot be written"):
        write_cohort(tmp_path / "file" / "a", cohort())


def test_a_class_and_a_number_are_read_as_they_were_drawn_and_change_nothing_else(tmp_path):
    cohort = generate(preset_spec("demo", patients=60, width=8, seed=4))
    expected, drawn = to_other_cohort(cohort)
    write_cohort(tmp_path / "others", cohort, drawn)
    tasks = {
        **TARGETS.model_dump(exclude_none=True)["tasks"],
        "subtype": {"kind": "multiclass", "label": "subtype", "classes": ["A", "B", "C"]},
        "score": {"kind": "continuous", "value": "score", "unit": "points"},
    }
    table = TargetsTable(path="clinical.h5", tasks=tasks)
    readers = {name: H5Reader(path=tmp_path / "others" / f"{name}.h5") for name in cohort.spec.widths}
    found, _ = assemble_cohort(readers, H5Reader(path=tmp_path / "others" / "clinical.h5"), table)
    assert found.layout.tasks[2:] == expected.layout.tasks[2:]
    place = [found.patient_ids.index(patient) for patient in expected.patient_ids]
    assert torch.equal(found.targets.labels[place], expected.targets.labels)
    assert torch.equal(found.targets.values[place].nan_to_num(), expected.targets.values.nan_to_num())
    with h5py.File(tmp_path / "others" / "truth.h5") as file:
        assert file["class_probability"][:].sum(axis=1) == pytest.approx(np.ones(60))
