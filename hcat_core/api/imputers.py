"""hcat's imputers as transformers of scikit-learn: modalities are groups of columns."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from hcat_core.api.catalogs import open_catalog
from hcat_core.api.column_groups import layout_of
from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.errors import DataError, RecipeError
from hcat_core.interfaces import FitContext
from hcat_core.layout import Layout
from hcat_core.recipe.component_tables import check_component, construct, default_table
from hcat_core.recipe.parameters import required_parameters

NAMED = {
    "GaussianImputer": "gaussian",
    "IterativeImputer": "iterative",
    "KnnImputer": "knn",
    "MeanImputer": "mean",
    "MiceImputer": "mice",
}
"""Classes by name, and the component of each."""

VALIDATION = 0.15  # share of the rows that choose and calibrate
ENOUGH = 40  # rows, with fewer all are fitted on
FIRST = {"use": "gaussian"}  # what an imputer refines that needs another one


class ModalityImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fills NaN in a table of samples by features with one of hcat's imputers.

    Features belong to modalities, which are missing for a sample as a whole or in single cells. Measured
    values stay as they are. The imputer is fitted on values in standard deviations, and what it fills is
    in the units of the table.

    Parameters are ``modalities``, columns by name of the modality (names of a DataFrame's columns, or
    places; None: all columns are one modality), ``random_state``, a whole number, and those of the
    component, which ``hcat show NAME`` lists.
    """

    component: ClassVar[str]
    modalities: Mapping[str, Sequence[Any]] | None
    random_state: int

    def fit(self, X: Any, y: object = None) -> Self:
        """Fit the imputer.

        Args:
            X: (N, F) numbers; NaN was not measured.
            y: not used.

        Raises:
            ValueError: for what is no table of numbers, and fewer than two rows.
            DataError: for columns without any measured value.
            UsageError: for modalities that are not the columns.
            RecipeError: for parameters that the component does not take.
        """
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=2
        )
        self.layout_, self.columns_ = layout_of(self._names(), self.modalities)
        self._refuse_unmeasured(values)
        cohort = _cohort(values, self.layout_, self.columns_)
        self.standardiser_ = Standardiser.fit(cohort)
        standard = self.standardiser_.apply(cohort)
        train, validation = _sides(standard, int(self.random_state))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.random_state))
            self.imputer_ = self._made(self.layout_)
            self.imputer_.fit(train, validation, FitContext(int(self.random_state)))
        if isinstance(self.imputer_, nn.Module):
            self.imputer_.eval()
        return self

    def transform(self, X: Any) -> Any:
        """Fill what is missing with what is expected, (N, F); measured values are returned as they are."""
        check_is_fitted(self)
        values = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False, copy=True
        )
        cohort = self.standardiser_.apply(_cohort(values, self.layout_, self.columns_))
        with torch.inference_mode():
            imputation = self.imputer_(cohort)
        filled = self.standardiser_.invert_imputed(imputation.emb).double().numpy()
        known = imputation.filled.numpy()
        for place, columns in enumerate(self.columns_):
            cells = values[:, columns]
            gaps = np.isnan(cells) & known[:, place, : len(columns)]
            cells[gaps] = filled[:, place, : len(columns)][gaps]
            values[:, columns] = cells
        return values

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def __reduce__(self) -> Any:
        return _unfitted, (self.component,), self.__getstate__()

    def _names(self) -> list[Any]:
        return list(getattr(self, "feature_names_in_", range(self.n_features_in_)))

    def _refuse_unmeasured(self, values: np.ndarray) -> None:
        empty = np.isnan(values).all(axis=0)
        if empty.any():
            names = [str(name) for name, one in zip(self._names(), empty, strict=True) if one]
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            raise DataError(
                f"columns without any measured value: {', '.join(names[:10])}{more}. There is nothing to "
                "impute them from: leave them out."
            )

    def _made(self, layout: Layout) -> Any:
        """The component, not yet fitted.

        Raises:
            RecipeError: for parameters that it does not take.
        """
        catalog = open_catalog()
        own = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in ("modalities", "random_state") and value is not None
        }
        table = default_table(catalog, "imputer", self.component, {"imputer": FIRST}) | own
        checked = check_component(catalog, "imputer", table, self.component)
        if checked.table is None:
            raise RecipeError(type(self).__name__, checked.problems)
        return construct(catalog, "imputer", checked.table, (layout,), Path.cwd())


def make_imputer(
    name: str, *, modalities: Mapping[str, Sequence[Any]] | None = None, **parameters: Any
) -> ModalityImputer:
    """A transformer of scikit-learn that fills NaN with an imputer of hcat, or of a plugin.

    Args:
        name: of the component, such as ``gaussian``; ``hcat list-components imputer`` lists them.
        modalities: columns by name of the modality.
        parameters: ``random_state``, and those of the component.

    Raises:
        UsageError: for a name that no component has.
        TypeError: for a parameter that it does not have.

    Example:
        >>> import numpy as np
        >>> X = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])
        >>> float(make_imputer("mean").fit_transform(X)[1, 1])
        4.0
    """
    made: ModalityImputer = imputer_class(name)(modalities=modalities, **parameters)
    return made


@cache
def imputer_class(component: str) -> type[ModalityImputer]:
    """The class of transformers of one component, whose parameters are keyword arguments.

    Raises:
        UsageError: for a name that no component has.
    """
    spec = required_parameters(open_catalog().find("imputer", component))
    defaults: dict[str, Any] = {"modalities": None, "random_state": 0}
    defaults |= {name: field.get_default() for name, field in spec.model.model_fields.items()}
    defaults |= {name: None if one.default is ... else one.default for name, one in spec.nested.items()}

    def __init__(self: ModalityImputer, **given: Any) -> None:
        unknown = given.keys() - defaults.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {', '.join(sorted(unknown))}")
        for name, value in (defaults | given).items():
            setattr(self, name, value)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    keywords = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
        for name, value in defaults.items()
    ]
    __init__.__signature__ = inspect.Signature([own, *keywords])  # type: ignore[attr-defined]
    name = next((name for name, one in NAMED.items() if one == component), "ModalityImputer")
    return type(
        name,
        (ModalityImputer,),
        {
            "__init__": __init__,
            "__doc__": ModalityImputer.__doc__,
            "__module__": __name__,
            "component": component,
        },
    )


def __getattr__(name: str) -> type[ModalityImputer]:
    if name not in NAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return imputer_class(NAMED[name])


def _unfitted(component: str) -> ModalityImputer:
    cls = imputer_class(component)
    return cls.__new__(cls)


def _cohort(values: np.ndarray, layout: Layout, columns: Sequence[np.ndarray]) -> Cohort:
    """The rows of a table as patients."""
    n, shape = len(values), (len(values), len(layout.modalities), layout.widest)
    largest = np.finfo(np.float32).max
    if (np.abs(values[np.isfinite(values)]) > largest).any():
        raise ValueError(f"a value is larger than {largest:.3g}, the largest that hcat computes with.")
    emb, measured = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    for place, own in enumerate(columns):
        cells = values[:, own]
        measured[:, place, : len(own)] = np.isfinite(cells)
        emb[:, place, : len(own)] = np.nan_to_num(cells)
    known = torch.from_numpy(measured)
    present = known.any(dim=2)
    return Cohort(
        tuple(map(str, range(n))),
        layout,
        torch.from_numpy(emb),
        known,
        present,
        present.float(),
        present.int(),
    )


def _sides(cohort: Cohort, seed: int) -> tuple[Cohort, Cohort]:
    """Rows to fit on, and rows that choose and calibrate: none of these where rows are few."""
    n = len(cohort)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    held_out = round(VALIDATION * n) if n >= ENOUGH else 0
    return cohort[order[held_out:].sort().values], cohort[order[:held_out].sort().values]
