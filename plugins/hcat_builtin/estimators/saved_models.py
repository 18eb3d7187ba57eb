"""Check loaded scikit-learn models: their compiled code follows the numbers in a tree without looking.

A tree whose child is its own parent is never left, and one whose child or feature lies outside the arrays
reads memory that is not its own. Each function raises ``ValueError`` for a model that is not one of the
recipe's, and sets the model's parameters to the recipe's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np


@contextlib.contextmanager
def named(task: str) -> Iterator[None]:
    """Begin the message of a check's error with the task."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{task}: {error}") from None


def check_forest(model: Any, fresh: Any, features: int, outputs: int, most_classes: int = 0) -> None:
    """Check a random forest.

    Args:
        model: as it was loaded.
        fresh: an unfitted one, made from the recipe.
        features: width of what it is given.
        outputs: numbers that a regression predicts, or 1 for a classification.
        most_classes: of a classification; it may know fewer. 0 of a regression.
    """
    _check_kind(model, fresh, features)
    classes = _check_classes(model, most_classes) if most_classes else 1
    _demand(isinstance(model.estimators_, list), "its trees are no list")
    _demand(len(model.estimators_) == fresh.n_estimators, "it has another number of trees")
    trees, kind = model.estimators_, type(fresh.estimator)
    for fitted in (model, *trees):
        _demand(int(fitted.n_outputs_) == outputs, "it predicts another number of outcomes")
        if most_classes:
            _demand(int(fitted.n_classes_) == classes, "it has another number of classes")
    for tree in trees:
        _demand(type(tree) is kind, f"a tree is a {type(tree).__name__}")
        _refuse_replaced_methods(tree)
        _check_tree(tree.tree_, features, outputs, classes)


def check_boosting(model: Any, fresh: Any, features: int, most_classes: int) -> None:
    """Check gradient boosting without categories; arguments are those of ``check_forest``."""
    from sklearn._loss.link import IdentityLink, LogitLink, MultinomialLogit
    from sklearn._loss.loss import HalfBinomialLoss, HalfMultinomialLoss, HalfSquaredError
    from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper

    _check_kind(model, fresh, features)
    classes = _check_classes(model, most_classes) if most_classes else 1
    loss, link = {
        1: (HalfSquaredError, IdentityLink),
        2: (HalfBinomialLoss, LogitLink),
    }.get(classes, (HalfMultinomialLoss, MultinomialLogit))
    at_once = classes if classes > 2 else 1
    _demand(model._preprocessor is None, "it changes the features")
    _demand(model.n_trees_per_iteration_ == at_once, "it has another number of classes")
    _demand(type(model._loss) is loss, "it has another loss")
    _demand(type(model._loss.link) is link, "it has another link")
    _demand(type(model._bin_mapper) is _BinMapper, "it bins in another way")
    for part in (model._loss, model._loss.link, model._bin_mapper):
        _refuse_replaced_methods(part)
    _check_array(model._baseline_prediction, (1, at_once), "its baseline")
    categorical = model._bin_mapper.is_categorical_
    _demand(isinstance(categorical, np.ndarray), "it does not know which features are categories")
    _demand(categorical.shape == (features,) and not categorical.any(), "it has categories")
    _demand(isinstance(model._predictors, list), "its trees are no list")
    for trees in model._predictors:
        _demand(isinstance(trees, list) and len(trees) == at_once, "it has another number of trees")
        for tree in trees:
            _check_predictor(tree, features)


def check_linear(model: Any, fresh: Any, features: int, most_classes: int) -> None:
    """Check a logistic or a linear regression; arguments are those of ``check_forest``."""
    _check_kind(model, fresh, features)
    if not most_classes:
        _check_array(model.coef_, (features,), "its coefficients")
        _demand(isinstance(model.intercept_, float | np.float64), "its intercept is no number")
        _demand(bool(np.isfinite(model.intercept_)), "its intercept is not finite")
        return
    classes = _check_classes(model, most_classes)
    rows = classes if classes > 2 else 1
    _check_array(model.coef_, (rows, features), "its coefficients")
    _check_array(model.intercept_, (rows,), "its intercept")


def check_nodes(
    children: tuple[np.ndarray, np.ndarray],
    feature: np.ndarray,
    threshold: np.ndarray,
    is_leaf: np.ndarray,
    features: int,
    roots: int = 1,
) -> None:
    """Check that nodes are trees: each but the roots is the child of one node that comes before it.

    Args:
        children: (n,) number of the left and of the right child.
        feature: (n,) that is compared.
        threshold: (n,) with which it is compared.
        is_leaf: (n,) bool; what leaves hold there is not looked at.
        features: width of what the trees are given.
        roots: how many of the first nodes are roots.

    Raises:
        ValueError: for anything else.
    """
    number = len(is_leaf)
    _demand(0 < roots <= number, "a tree has no nodes")
    inner = np.flatnonzero(~is_leaf)
    both = np.concatenate([side[inner].astype(np.int64, copy=False) for side in children])
    _demand(bool((both > np.tile(inner, 2)).all()), "a node's child is the node itself or one before it")
    _demand(bool((both < number).all()), "a node's child is outside the tree")
    parents = np.bincount(both, minlength=number)
    _demand(bool((parents[roots:] == 1).all()), "a node has no parent, or several")
    _demand(not parents[:roots].any(), "a root has a parent")
    compared = feature[inner]
    _demand(
        bool(((compared >= 0) & (compared < features)).all()),
        f"a node compares none of {features} features",
    )
    _demand(not bool(np.isnan(threshold[inner]).any()), "a threshold is not a number")


def _check_tree(tree: Any, features: int, outputs: int, classes: int) -> None:
    from sklearn.tree._tree import Tree

    _demand(type(tree) is Tree, f"a tree is a {type(tree).__name__}")
    _demand(tree.n_features == features, f"a tree was grown on {tree.n_features} features, not {features}")
    _demand(tree.n_outputs == outputs and tree.max_n_classes == classes, "a tree predicts something else")
    _demand(bool((tree.n_classes == classes).all()), "a tree predicts something else")
    state = tree.__getstate__()
    nodes, values = state["nodes"], state["values"]
    _demand(
        len(nodes) == tree.node_count == tree.capacity, "a tree has another number of nodes than it says"
    )
    left, right = nodes["left_child"], nodes["right_child"]
    is_leaf = left == -1
    _demand(bool((right[is_leaf] == -1).all()), "a leaf has a child")
    check_nodes((left, right), nodes["feature"], nodes["threshold"], is_leaf, features)
    _check_array(values, (len(nodes), outputs, classes), "a tree's predictions")


def _check_predictor(tree: Any, features: int) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    _demand(type(tree) is TreePredictor, f"a tree is a {type(tree).__name__}")
    _refuse_replaced_methods(tree)
    nodes = tree.nodes
    _demand(isinstance(nodes, np.ndarray) and nodes.ndim == 1, "a tree's nodes are no list")
    _demand(nodes.dtype == PREDICTOR_RECORD_DTYPE, "a tree's nodes are of another type")
    _demand(not bool(nodes["is_categorical"].any()), "a tree compares categories")
    is_leaf = nodes["is_leaf"] != 0
    check_nodes(
        (nodes["left"], nodes["right"]), nodes["feature_idx"], nodes["num_threshold"], is_leaf, features
    )
    _demand(bool(np.isfinite(nodes["value"]).all()), "a tree's prediction is not finite")


def _check_kind(model: Any, fresh: Any, features: int) -> None:
    _demand(type(model) is type(fresh), f"it is a {type(model).__name__}, not a {type(fresh).__name__}")
    _refuse_replaced_methods(model)
    _demand(model.n_features_in_ == features, f"it takes {model.n_features_in_} features, not {features}")
    model.set_params(**fresh.get_params(deep=False))  # the file's could ask for a million threads


def _check_classes(model: Any, most: int) -> int:
    """The number of classes, which are places among ``most``, and of an event 0 and 1."""
    found = model.classes_
    fits = isinstance(found, np.ndarray) and found.dtype.kind in "iu" and found.ndim == 1
    _demand(fits and len(found) >= 2, "its classes are not whole numbers")
    places = found.tolist()
    rising = places == sorted(set(places)) and 0 <= places[0] and places[-1] < most
    _demand(rising, f"its classes are not among 0 to {most - 1}")
    return len(places)


def _check_array(array: object, shape: tuple[int, ...], of: str) -> None:
    fits = isinstance(array, np.ndarray) and array.shape == shape and array.dtype == np.float64
    _demand(fits, f"{of} have another shape")
    assert isinstance(array, np.ndarray)
    _demand(bool(np.isfinite(array).all()), f"{of} are not finite")


def _refuse_replaced_methods(thing: object) -> None:
    """An attribute of the file may not stand in for a method of the class."""
    for name in vars(thing):
        _demand(not callable(getattr(type(thing), name, None)), f"it replaces {name}")


def _demand(fits: bool, otherwise: str) -> None:
    if not fits:
        raise ValueError(otherwise)
