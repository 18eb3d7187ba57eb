"""Codes for "not measured" among numbers are told; honest data is not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcat_builtin.readers.tables.reader import TableReader

FEATURES = Path(__file__).resolve().parents[5] / "shared/data/hancock/features"
RNG = np.random.default_rng(0)
AGES = RNG.integers(40, 92, 60).astype(float)


def findings(path, **columns):
    frame = pd.DataFrame({"pid": [f"p{n}" for n in range(len(next(iter(columns.values()))))], **columns})
    frame.to_csv(path, index=False)
    return [text for table in TableReader(path=path).read() for text in table.findings]


def with_code(values, code, times=3):
    values = np.array(values, dtype=float)
    values[:times] = code
    return values


@pytest.mark.parametrize(
    ("values", "code", "times"),
    [
        (AGES, -999, 3),
        (AGES, -999, 1),
        (AGES, 9999, 2),
        (AGES, -9, 4),
        (AGES, -1, 4),
        (AGES, 999, 2),
        (RNG.integers(20, 30, 60), 99, 3),
        (RNG.normal(5, 1, 60).round(2), -99, 2),
        (RNG.random(60), -1, 5),
        (RNG.integers(0, 2, 60), 99, 3),
        (RNG.integers(1, 4, 60), 888, 3),
        (RNG.integers(60, 4000, 60), -32768, 2),
        (np.r_[np.full(50, np.nan), AGES[:10]], 9999, 2),
    ],
)
def test_a_code_far_outside_the_rest_is_told_with_its_count_and_the_key(tmp_path, values, code, times):
    path = tmp_path / "t.csv"
    (finding,) = findings(path, a=with_code(values, code, times), age=AGES)
    assert f"a: {times} times {code} (others" in finding
    assert f'missing = ["{code}"]' in finding
    assert "age" not in finding
    for table in TableReader(path=path, missing=[str(code)]).read():
        assert table.findings == ()
        assert np.isnan(table.values[:times, 0]).all()


def test_several_codes_and_columns_are_told_at_once(tmp_path):
    two = with_code(with_code(AGES, -999, 5), -888, 2)
    (finding,) = findings(tmp_path / "t.csv", a=two, b=with_code(AGES, 999), c=AGES)
    assert "a: 2 times -888" in finding
    assert "3 times -999" in finding
    assert "b: 3 times 999" in finding
    assert '"-999"' in finding.split("missing")[1] and '"999"' in finding.split("missing")[1]


def test_a_code_is_counted_over_the_whole_of_a_long_file(tmp_path):
    values = RNG.integers(40, 92, 40_000).astype(float)
    values[[3, 20_000, 39_999]] = -999
    (finding,) = findings(tmp_path / "t.csv", a=values)
    assert "3 times -999" in finding


@pytest.mark.parametrize(
    "values",
    [
        np.r_[AGES, 99, 99],  # two very old patients
        np.r_[np.zeros(40), RNG.integers(60, 71, 20)],  # dose in Gy, and no radiotherapy
        np.r_[np.zeros(53), 3, 9, 21, 99, 240, 99, 88],  # a count with few large values
        RNG.integers(0, 2, 60),
        RNG.choice([-1, 0, 1], 60),  # copy number: loss, neutral, gain
        RNG.choice([-1, 1], 60),
        RNG.choice([7, 8, 9], 60),
        np.r_[np.full(30, 0.01), RNG.lognormal(0, 1, 30)],  # below the detection limit
        np.r_[RNG.lognormal(5, 1, 58), 2000, 2000],  # an assay's cap
        RNG.normal(0, 1, 60),
        np.r_[RNG.normal(0, 3, 58), -9, -9],
        np.full(60, 99.0),
        np.r_[np.full(58, 1.0), 99, 99],  # only two values: nothing to compare with
        RNG.integers(150, 999, 60),  # platelets
        np.r_[RNG.integers(8000, 9000, 58), 8888, 8888],  # codes of histology
        RNG.choice([-1, 0, 1, 2, 3], 60),
        np.r_[AGES, 9999],  # once: an outlier, not a code
    ],
)
def test_honest_numbers_are_not_told(tmp_path, values):
    assert findings(tmp_path / "t.csv", a=values) == []


@pytest.mark.skipif(not FEATURES.exists(), reason="the HANCOCK files are not here")
@pytest.mark.parametrize("name", ["blood", "clinical", "icd_codes", "pathological", "tma_cell_density"])
def test_the_files_of_hancock_have_no_findings(name):
    tables = list(TableReader(path=FEATURES / f"{name}.csv").read())
    assert sum(len(table.ids) for table in tables) > 600
    assert [text for table in tables for text in table.findings] == []
