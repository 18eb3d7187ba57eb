"""A cohort in another layout is the same cohort, or there is no file."""

import h5py
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hcat_core.conversion import convert as conversion
from hcat_core.conversion.convert import LAYOUTS, convert
from hcat_core.errors import DataError, UsageError
from hcat_core.recipe.build import build_targets_reader
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.runs.recipe_cohort import read_recipe_cohort

CATALOG = load_catalog()
RECIPE = """
seed = 3
estimator = { use = "logistic" }
[cohort]
groups = "site"
[cohort.modalities.a]
use = "h5"
path = "a.h5"
weight = "w"
[cohort.modalities.b]
use = "h5"
path = "b.h5"
[cohort.targets]
path = "outcomes.h5"
[cohort.targets.tasks.death]
label = "dead"
time = "days"
event = "died"
horizon_days = 100
competing = "relapse"
[cohort.targets.tasks.relapse]
time = "relapse_days"
event = "relapsed"
horizon_days = 50
[split]
column = "side"
"""


def write(path, ids, **data):
    with h5py.File(path, "w") as file:
        file.create_dataset("patient_id", data=list(ids), dtype=h5py.string_dtype())
        for name, values in data.items():
            text = np.asarray(values).dtype.kind == "U"
            file.create_dataset(
                name, data=list(values) if text else values, dtype=h5py.string_dtype() if text else None
            )


def outcomes(ids, rng):
    days = rng.random(len(ids)) * 200
    died = rng.integers(0, 2, len(ids))
    return {
        "dead": np.where((died == 1) & (days <= 100), 1, np.where(days > 100, 0, -1)).astype(np.int8),
        "days": days,
        "died": died.astype(np.int8),
        "relapse_days": np.where(rng.random(len(ids)) < 0.2, np.nan, rng.random(len(ids)) * 90),
        "relapsed": rng.integers(-1, 2, len(ids)).astype(np.int8),
        "site": rng.choice(["north", "south"], len(ids)),
        "side": rng.choice(["train", "test", "validation"], len(ids)),
    }


def values(rng, rows, width, powers):
    """Of many sizes, with gaps, negative zeros and infinities."""
    made = (rng.uniform(-1, 1, (rows, width)) * 10.0 ** rng.integers(*powers, (rows, width))).astype("f4")
    made[rng.random(made.shape) < 0.2] = np.nan
    made[rng.random(made.shape) < 0.05] = -0.0
    made[rng.random(made.shape) < 0.02] = np.inf
    return made


def make(folder, seed, with_targets=True):
    """Two modalities that share some patients; rows without weight, rows of nothing, several a patient."""
    rng = np.random.default_rng(seed)
    people = np.array([f"P-{n}" for n in rng.permutation(9)] + ["17", "x y", "ü"])
    first = rng.choice(people, rng.integers(1, 14))
    others = rng.choice(people, rng.integers(1, 9), replace=False)
    second = np.append(others[others != first[0]], first[0])
    weight = rng.integers(0, 3, len(first))
    rows, cells = values(rng, len(first), 3, (-9, 9)), values(rng, len(second), 2, (-44, 39))
    cells[rng.random(len(second)) < 0.2] = np.nan
    weight[0] = rows[0, 0] = cells[-1, 0] = 1  # of the patient that both have
    write(folder / "a.h5", first, embedding=rows, w=weight, quality=rng.random(len(first)))
    write(folder / "b.h5", second, embedding=cells, feature_names=["age", "dose, mg"])
    known = rng.permutation(people)[: rng.integers(2, len(people))]
    known[0] = known[0] if first[0] in known else first[0]
    write(folder / "outcomes.h5", known, **outcomes(known, rng))
    text = RECIPE
    if not with_targets:
        text = text.split("[cohort.targets]")[0].replace('groups = "site"', "")
    (folder / "recipe.toml").write_text(text)
    return load_recipe(folder / "recipe.toml", CATALOG)[0]


def convert_to(recipe, place, to):
    return convert(recipe, CATALOG, place, to, lambda message: None)


def sides(recipe):
    table = build_targets_reader(recipe, CATALOG).read_columns(["side"])
    ids, column = table.ids.tolist(), table.columns["side"].tolist()
    text = [[v.decode() if isinstance(v, bytes) else v for v in values] for values in (ids, column)]
    return {str(patient): side for patient, side in zip(*text, strict=True)}


def assert_same(one, other):
    assert one.patient_ids == other.patient_ids
    assert one.layout.names == other.layout.names and one.layout.tasks == other.layout.tasks
    assert one.groups == other.groups
    pairs = [
        (getattr(one, n), getattr(other, n)) for n in ("emb", "measured", "present", "quality", "n_rows")
    ]
    if one.targets is not None:
        pairs += [(getattr(one.targets, n), getattr(other.targets, n)) for n in ("labels", "time", "event")]
    for a, b in pairs:
        assert a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()
    assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("to", LAYOUTS)
@settings(max_examples=15, deadline=None, phases=[Phase.generate])  # a smaller seed is no simpler cohort
@given(seed=st.integers(0, 10_000), with_targets=st.booleans())
def test_every_layout_gives_the_cohort_back_to_the_last_bit(tmp_path_factory, to, seed, with_targets):
    folder = tmp_path_factory.mktemp("cohort")
    recipe = make(folder, seed, with_targets)
    before, _ = read_recipe_cohort(recipe, CATALOG)
    place = folder / ("out.h5mu" if to == "h5mu" else "out")
    done = convert_to(recipe, place, to)
    again, _ = load_recipe(done.recipe, CATALOG)
    after, _ = read_recipe_cohort(again, CATALOG)
    assert_same(before, after)
    assert again.split == recipe.split and again.estimator == recipe.estimator and again.seed == 3
    if with_targets:
        assert sides(again).items() >= sides(recipe).items()
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]


def test_a_column_of_whole_numbers_keeps_its_negative_zeros_as_csv(tmp_path):
    cells = np.array([[-0.0, 16777217.0], [2.0, -0.0]], "f4")
    write(tmp_path / "a.h5", ["p", "q"], embedding=cells)
    (tmp_path / "recipe.toml").write_text(
        'estimator = { use = "logistic" }\n[cohort.modalities.a]\nuse = "h5"\npath = "a.h5"\n'
    )
    recipe, _ = load_recipe(tmp_path / "recipe.toml", CATALOG)
    assert convert_to(recipe, tmp_path / "out", "csv").cohort.emb[:, 0].numpy().tobytes() == cells.tobytes()


def test_patients_stay_in_order_where_the_rows_alone_would_not_keep_it(tmp_path):
    write(tmp_path / "a.h5", ["p", "q", "r"], embedding=np.ones((3, 3), "f4"), w=[1, 0, 1])
    write(tmp_path / "b.h5", ["r", "q", "s"], embedding=np.ones((3, 2), "f4"))
    write(tmp_path / "outcomes.h5", ["t", "s"], **outcomes(["t", "s"], np.random.default_rng(0)))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe, _ = load_recipe(tmp_path / "recipe.toml", CATALOG)
    before, _ = read_recipe_cohort(recipe, CATALOG)
    assert before.patient_ids == ("p", "q", "r", "s", "t")  # q is first named where its row weighs nothing
    assert before.n_rows[:, 0].tolist() == [1, 0, 1, 0, 0]
    done = convert_to(recipe, tmp_path / "all.h5mu", "h5mu")
    assert_same(before, read_recipe_cohort(load_recipe(done.recipe, CATALOG)[0], CATALOG)[0])


@pytest.fixture
def recipe(tmp_path):
    return make(tmp_path, 11)


def left_behind(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("to", LAYOUTS)
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_remains(recipe, tmp_path, monkeypatch, to, fault):
    def fail(*arguments):
        raise fault

    before = left_behind(tmp_path)
    monkeypatch.setattr(conversion, "_compare", fail)  # everything is written, and nothing has its name
    with pytest.raises(type(fault)):
        convert_to(recipe, tmp_path / ("out.h5mu" if to == "h5mu" else "out"), to)
    assert left_behind(tmp_path) == before


@pytest.mark.parametrize("to", LAYOUTS)
def test_a_layout_that_changes_a_bit_is_found_out(recipe, tmp_path, monkeypatch, to):
    whole = conversion.content_of

    def rounded(*arguments):
        content = whole(*arguments)
        content.modalities[0].quality[0] += np.float32(1e-6)
        return content

    before = left_behind(tmp_path)
    monkeypatch.setattr(conversion, "content_of", rounded)
    with pytest.raises(DataError, match="this cohort would change"):
        convert_to(recipe, tmp_path / ("out.h5mu" if to == "h5mu" else "out"), to)
    assert left_behind(tmp_path) == before


def test_names_that_a_layout_cannot_hold_are_an_error_and_no_file(tmp_path):
    """Blanks around the name of a column say nothing in a CSV: two features would have one name."""
    names = np.array([b"x", b" x", b"y"])
    write(tmp_path / "a.h5", ["NA", "p"], embedding=np.ones((2, 3), "f4"), feature_names=names)
    (tmp_path / "recipe.toml").write_text(
        'estimator = { use = "logistic" }\n[cohort.modalities.a]\nuse = "h5"\npath = "a.h5"\n'
    )
    recipe, _ = load_recipe(tmp_path / "recipe.toml", CATALOG)
    before = left_behind(tmp_path)
    with pytest.raises(DataError, match="as csv this cohort could not be read again.*another layout"):
        convert_to(recipe, tmp_path / "out", "csv")
    assert left_behind(tmp_path) == before
    assert convert_to(recipe, tmp_path / "out", "h5").cohort.patient_ids == ("NA", "p")


def test_a_patient_may_be_called_na_in_every_layout(tmp_path):
    write(tmp_path / "a.h5", ["NA", "p"], embedding=np.ones((2, 3), "f4"))
    (tmp_path / "recipe.toml").write_text(
        'estimator = { use = "logistic" }\n[cohort.modalities.a]\nuse = "h5"\npath = "a.h5"\n'
    )
    recipe, _ = load_recipe(tmp_path / "recipe.toml", CATALOG)
    assert convert_to(recipe, tmp_path / "out", "csv").cohort.patient_ids == ("NA", "p")


@pytest.mark.parametrize(
    ("name", "to", "says"),
    [
        ("a.h5", "h5", "writes a folder"),
        ("out.h5ad", "h5ad", "writes a folder"),
        ("out", "h5mu", "name it with the ending .h5mu"),
        ("b.h5mu", "h5mu", "exists already"),
        ("c.h5mu", "h5mu", "c.toml exists already"),
        ("folder", "csv", "exists already"),
        ("no/such/out", "h5", "no such folder"),
    ],
)
def test_a_destination_that_does_not_fit_is_refused(recipe, tmp_path, name, to, says):
    (tmp_path / "b.h5mu").touch()
    (tmp_path / "c.toml").touch()
    (tmp_path / "folder").mkdir()
    before = left_behind(tmp_path)
    with pytest.raises(UsageError, match=says):
        convert_to(recipe, tmp_path / name, to)
    assert left_behind(tmp_path) == before


def test_a_modality_of_the_outcomes_own_name_is_refused(recipe, tmp_path):
    text = (tmp_path / "recipe.toml").read_text()
    text = text.replace("[cohort.modalities.b]", "[cohort.modalities.outcomes]")
    (tmp_path / "recipe.toml").write_text(text)
    recipe, _ = load_recipe(tmp_path / "recipe.toml", CATALOG)
    with pytest.raises(UsageError, match="is the file of outcomes"):
        convert_to(recipe, tmp_path / "out", "h5")


def test_the_libraries_read_what_was_written(recipe, tmp_path):
    ad, md = pytest.importorskip("anndata"), pytest.importorskip("mudata")
    cohort = convert_to(recipe, tmp_path / "all.h5mu", "h5mu").cohort
    convert_to(recipe, tmp_path / "each", "h5ad")
    with md.set_options(pull_on_update=False):
        data = md.read_h5mu(tmp_path / "all.h5mu")
    labels = cohort.targets.labels[:, 0].tolist()
    together = ad.read_h5ad(tmp_path / "each" / "outcomes.h5ad")
    assert together.obs_names.tolist() == list(cohort.patient_ids)
    assert together.obs["dead"].tolist() == labels and together.obs["site"].tolist() == list(cohort.groups)
    some = (cohort.n_rows > 0).any(dim=1)  # mudata forgets who has no modality
    assert not some.all()
    assert data.obs_names.tolist() == [i for i, has in zip(cohort.patient_ids, some, strict=True) if has]
    assert data.obs["dead"].tolist() == cohort.targets.labels[some, 0].tolist()
    for column, name in enumerate(cohort.layout.names):
        has = cohort.n_rows[:, column].numpy() > 0
        assert ((data.obsmap[name] > 0) == has[some.numpy()]).all()
        own = ad.read_h5ad(tmp_path / "each" / f"{name}.h5ad")
        width = cohort.layout.widths[column]
        cells = np.where(cohort.measured[:, column], cohort.emb[:, column], np.nan)[has, :width]
        for found in (data[name], own):
            assert found.obs_names.tolist() == [
                i for i, h in zip(cohort.patient_ids, has, strict=True) if h
            ]
            np.testing.assert_array_equal(found.X, cells.astype(np.float32))
            assert found.obs["hcat_n_rows"].tolist() == cohort.n_rows[has, column].tolist()
    assert data["b"].var_names.tolist() == ["age", "dose, mg"]


CODED = """
estimator = { use = "logistic" }
cohort.modalities.a = { path = "a.h5" }
[cohort.targets]
path = "outcomes.csv"
time_unit = "months"
missing = ["NA"]
[cohort.targets.tasks.msi]
label = "msi"
label_values = { event = ["MSI-H"], none = ["MSS"] }
[cohort.targets.tasks.death]
time = "OS_MONTHS"
event = "status"
event_values = { event = [1], none = [0, 2] }
horizon_days = 1826
competing = "other"
[cohort.targets.tasks.death_2y]
time = "OS_MONTHS"
event = "status"
event_values = { event = [1], none = [0, 2] }
horizon_days = 730
competing = "other"
[cohort.targets.tasks.other]
time = "OS_MONTHS"
event = "status"
event_values = { event = [2], none = [0, 1] }
horizon_days = 1826
[cohort.targets.tasks.relapse]
time = "months_to_relapse"
time_unit = "months"
censored = "censorship"
horizon_days = 730
"""


@pytest.mark.parametrize("to", ["csv", "h5", "h5ad"])
def test_outcomes_in_another_unit_and_coding_stay_what_they_are(tmp_path, to):
    rows = [
        ("MSI-H", 30.5, 1, 12.25, 1),
        ("MSS", 70.0, 2, "", ""),
        ("NA", 80.125, 0, 40.0, 0),
        ("", 3.0, "NA", 3.0, 1),
    ]
    lines = ["patient_id,msi,OS_MONTHS,status,months_to_relapse,censorship"]
    lines += [",".join(map(str, (f"P{row}", *cells))) for row, cells in enumerate(rows)]
    (tmp_path / "outcomes.csv").write_text("\n".join(lines) + "\n")
    write(tmp_path / "a.h5", [f"P{row}" for row in range(4)], embedding=np.ones((4, 3), "f4"))
    (tmp_path / "recipe.toml").write_text(CODED)
    recipe = load_recipe(tmp_path / "recipe.toml", CATALOG)[0]
    written = convert_to(recipe, tmp_path / "new", to)
    again = load_recipe(tmp_path / "new" / "recipe.toml", CATALOG)[0]
    first, second = (read_recipe_cohort(one, CATALOG)[0] for one in (recipe, again))
    assert written and first.fingerprint() == second.fingerprint()
    assert first.targets.labels.tolist() == second.targets.labels.tolist() == [
        [1, 1, 0, -1, -1], [0, 0, 0, 0, -1], [-1, 0, 0, 0, 0], [-1, -1, -1, -1, -1]
    ]  # fmt: skip
    same = [[task.times == other.times for other in second.layout.tasks] for task in second.layout.tasks]
    assert same == [
        [task.times == other.times for other in first.layout.tasks] for task in first.layout.tasks
    ]
