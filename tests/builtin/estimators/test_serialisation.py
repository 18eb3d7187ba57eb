"""A fitted estimator's files are those that it wrote, or are refused before they are used."""

import io
import json
import shutil
import zipfile

import numpy as np
import pytest
import skops.io
import torch
from safetensors.torch import load_file, save_file

from hcat_builtin.estimators.saved_models import check_nodes
from hcat_core.errors import DataError
from hcat_core.recipe.build import build_estimator

FORESTS = ("random_forest", "survival_forest")


@pytest.fixture(scope="module")
def saved(estimators, tmp_path_factory):
    """The folder of a fitted estimator, made once; a copy of it; and a function that loads the copy."""
    made = {}

    def give(name, tmp_path):
        if name not in made:
            found, recipe, context = estimators.fitted(name)
            made[name] = tmp_path_factory.mktemp(name) / "estimator", recipe, context
            made[name][0].mkdir()
            found.estimator.save(made[name][0])
        folder, recipe, context = made[name]
        copy = shutil.copytree(folder, tmp_path / "copy")

        def load():
            again = build_estimator(recipe, estimators.catalog, estimators.cohort.layout)
            again.load(copy, context)
            return again

        return copy, load

    return give


def change_model(folder, change):
    """Load a model without any check, change it, and write it again."""
    path = sorted(folder.glob("*.skops"))[0]
    model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    skops.io.dump(change(model) or model, path)


def node(**fields):
    """Change the first node of the first tree."""

    def change(model):
        tree = model.estimators_[0].tree_
        state = tree.__getstate__()
        nodes = state["nodes"].copy()
        for field, value in fields.items():
            nodes[field][0] = value
        tree.__setstate__({**state, "nodes": nodes})

    return change


def boosted(**fields):
    def change(model):
        for field, value in fields.items():
            model._predictors[0][0].nodes[field][0] = value

    return change


def attribute(name, value):
    return lambda model: setattr(model, name, value)


def of_first_tree(name, value):
    return lambda model: setattr(model.estimators_[0], name, value)


@pytest.mark.parametrize("name", FORESTS)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (node(left_child=0, right_child=0), "the node itself or one before it"),
        (node(left_child=10**12), "outside the tree"),
        (node(left_child=-7), "the node itself or one before it"),
        (node(left_child=2, right_child=2), "no parent, or several"),
        (node(feature=10**9), "a node compares none of"),
        (node(feature=-3), "a node compares none of"),
        (node(threshold=np.nan), "a threshold is not a number"),
        (attribute("n_features_in_", 3), "it takes 3 features"),
        (attribute("n_outputs_", 2), "another number of outcomes"),
        (attribute("predict", "x"), "it replaces predict"),
        (of_first_tree("predict_proba", [1]), "it replaces predict"),
        (lambda model: model.estimators_.pop() and None, "another number of trees"),
        (lambda model: model.estimators_[0], "it is a DecisionTree"),
    ],
)
def test_a_forest_that_is_not_the_recipes_is_refused(saved, tmp_path, name, change, told):
    folder, load = saved(name, tmp_path)
    load()
    if name == "survival_forest" and change.__qualname__.startswith("of_first_tree"):
        change = of_first_tree("predict", [1])
    change_model(folder, change)
    with pytest.raises(DataError, match=told) as caught:
        load()
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (boosted(left=0, right=0), "the node itself or one before it"),
        (boosted(left=10**9), "outside the tree"),
        (boosted(feature_idx=10**9), "a node compares none of"),
        (boosted(feature_idx=-1), "a node compares none of"),
        (boosted(is_categorical=1, bitset_idx=10**6), "categories"),
        (boosted(num_threshold=np.nan), "a threshold is not a number"),
        (attribute("_baseline_prediction", np.zeros((1, 5))), "its baseline"),
        (lambda m: m._predictors.__setitem__(0, m._predictors[0] * 2), "another number of trees"),
        (lambda m: setattr(m._bin_mapper, "is_categorical_", np.ones(9, np.uint8)), "categories"),
    ],
)
def test_boosted_trees_that_are_not_the_recipes_are_refused(saved, tmp_path, change, told):
    folder, load = saved("hist_gradient_boosting", tmp_path)
    load()
    change_model(folder, change)
    with pytest.raises(DataError, match=told):
        load()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: setattr(m, "coef_", m.coef_[:, :-1]), "its coefficients"),
        (lambda m: setattr(m, "coef_", m.coef_ * np.nan), "not finite"),
        (attribute("intercept_", np.zeros(7)), "its intercept"),
        (attribute("classes_", np.array([0, 1, 2])), "its classes"),
        (attribute("n_jobs", 10**6), None),  # the recipe's parameters are used, not the file's
    ],
)
def test_a_regression_that_is_not_the_recipes_is_refused(saved, tmp_path, change, told):
    folder, load = saved("logistic", tmp_path)
    change_model(folder, change)
    if told is None:
        assert {model.n_jobs for model in load().models.values()} == {None}
        return
    with pytest.raises(DataError, match=told):
        load()


def strange_object(path):
    from sklearn.svm import SVC

    skops.io.dump(SVC(), path)


def strange_function(path):
    skops.io.dump(np.sqrt, path)


def another_loader(path):
    """The right type, made by another function of skops."""
    schema = {
        "__class__": "ndarray", "__module__": "numpy", "__loader__": "FunctionNode", "protocol": 2,
        "__id__": 1, "content": {"module_path": "os", "function": "system"},
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))


def zeros(path):
    """20 MB that would be 1 GB."""
    content = io.BytesIO()
    np.save(content, np.zeros(2**20))
    with zipfile.ZipFile(path) as old:
        files = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in files.items():
            new.writestr(name, content.getvalue() if name.endswith(".npy") else data)


def again_and_again(path):
    """One array of 8 MB, of which a list has a thousand."""
    content = io.BytesIO()
    np.save(content, np.zeros(2**20))
    array = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy",
             "file": "1.npy", "__id__": 1}  # fmt: skip
    schema = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "protocol": 2,
              "__id__": 2, "content": [array] * 1000}  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.npy", content.getvalue())
        archive.writestr("schema.json", json.dumps(schema))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (strange_object, "contains the type sklearn.svm._classes.SVC"),
        (strange_function, "contains the type numpy"),
        (another_loader, r"contains the type numpy.ndarray \(FunctionNode\)"),
        (zeros, "is compressed"),
        (again_and_again, "again and again"),
        (lambda path: path.write_bytes(b"not a zip"), "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "damaged"),
    ],
)
def test_an_archive_that_hcat_did_not_write_is_refused(saved, tmp_path, make, told):
    folder, load = saved("logistic", tmp_path)
    load()
    make(sorted(folder.glob("*.skops"))[0])
    with pytest.raises(DataError, match=told):
        load()


@pytest.mark.parametrize("name", ["coxnet", "late_fusion", "evidence", "logistic", "survival_forest"])
@pytest.mark.parametrize("change", ["missing", "more", "wider", "single number", "whole numbers"])
def test_tensors_of_other_shapes_are_refused(saved, tmp_path, name, change):
    folder, load = saved(name, tmp_path)
    load()
    path = folder / "state.safetensors"
    state = load_file(path)
    first = max(state, key=lambda key: state[key].numel() * state[key].is_floating_point())
    tensor = state.pop(first)
    changed = {
        "missing": {},
        "more": {first: tensor, "zzz": tensor.clone()},
        "wider": {first: torch.cat([tensor, tensor])},
        "single number": {first: torch.ones(1)},
        "whole numbers": {first: torch.ones(tensor.shape, dtype=torch.int64)},
    }
    save_file({**state, **changed[change]}, path)
    with pytest.raises(DataError):
        load()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("child", lambda t: t * 0),
        ("child", lambda t: t + 10**6),
        ("feature", lambda t: t + 10**6),
        ("feature", lambda t: t * 0 - 1),
        ("threshold", lambda t: t * torch.nan),
        ("threshold", lambda t: t.clamp(max=0)),  # leaves that are left again
        ("value", lambda t: t[:-1]),
        ("number", lambda t: t * 0 + 2**40),
        ("number", lambda t: t * 0),
    ],
)
def test_the_forest_of_evidence_is_checked_too(saved, tmp_path, name, change):
    folder, load = saved("evidence", tmp_path)
    path = folder / "state.safetensors"
    state = load_file(path)
    key = next(key for key in state if key.startswith("forest.") and key.endswith(f".{name}"))
    save_file({**state, key: change(state[key]).contiguous()}, path)
    with pytest.raises(DataError, match="not the models of this run's recipe"):
        load()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"weights": [[1]], "thresholds": [0.5]}', '{"weights": 1e400, "thresholds": []}',
     '{"weights": [[NaN]], "thresholds": "ab"}', "[" * 100_000],
)  # fmt: skip
def test_a_stack_with_other_weights_is_refused(saved, tmp_path, text):
    folder, load = saved("stack", tmp_path)
    load()
    (folder / "stack.json").write_text(text)
    with pytest.raises(DataError, match=r"stack\.json: damaged, or not of this run's recipe"):
        load()


def test_trees_with_several_roots_and_leaves_of_any_order_are_trees():
    left, right = np.array([2, 4, 2, 3, 4, 5]), np.array([3, 5, 2, 3, 4, 5])
    is_leaf = np.array([False, False, True, True, True, True])
    feature, threshold = np.zeros(6, int), np.zeros(6)
    check_nodes((left, right), feature, threshold, is_leaf, 1, roots=2)
    for roots in (0, 1, 3, 7):
        with pytest.raises(ValueError, match=r"parent|no nodes"):
            check_nodes((left, right), feature, threshold, is_leaf, 1, roots=roots)
