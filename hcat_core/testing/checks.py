"""The checks of each kind of component, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from hcat_core.errors import RecipeError
from hcat_core.recipe.component_tables import check_component, default_table
from hcat_core.recipe.parameters import required_parameters
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import KINDS, Kind
from hcat_core.testing.estimator_checks import ESTIMATOR_CHECKS
from hcat_core.testing.fusion_checks import FUSION_CHECKS
from hcat_core.testing.harness import FIT_EPOCHS, MISSING_FILE, Check, CheckFailed, Subject
from hcat_core.testing.imputer_checks import IMPUTER_CHECKS
from hcat_core.testing.other_checks import HEAD_CHECKS, LOSS_CHECKS, READER_CHECKS
from hcat_core.testing.training_checks import HEAD_TRAINING_CHECKS, IMPUTER_TRAINING_CHECKS

NEEDED_COMPONENTS: Mapping[Kind, Mapping[str, Any]] = {
    "imputer": {"use": "gaussian"},
    "estimator": {"use": "logistic"},
}
NEEDED_VALUES: Mapping[Kind, Mapping[str, Any]] = {
    "loss": {"head": "survival"},
    "reader": {"path": MISSING_FILE},
}


@dataclass(frozen=True)
class Result:
    """The result of one check.

    ``status`` is ``passed``, ``failed``, ``expected`` (it failed as the component announces) or
    ``surprise`` (it was announced to fail, and passed).
    """

    check: str
    status: str
    message: str

    @property
    def good(self) -> bool:
        """True for a result that leaves the exit code at 0."""
        return self.status in ("passed", "expected")


def checks_of(kind: Kind) -> list[Check]:
    """Every check of a kind."""
    checks = {
        "reader": READER_CHECKS,
        "imputer": [*IMPUTER_CHECKS, *IMPUTER_TRAINING_CHECKS],
        "fusion": FUSION_CHECKS,
        "head": [*HEAD_CHECKS, *HEAD_TRAINING_CHECKS],
        "loss": LOSS_CHECKS,
        "estimator": ESTIMATOR_CHECKS,
    }
    assert set(checks) == set(KINDS)
    return checks[kind]


def subject_of(
    catalog: Catalog, kind: Kind, name: str, parameters: Mapping[str, Any] | None = None
) -> Subject:
    """A component with a table to build it from.

    A network is fitted by itself, and then goes on learning with the predictor; an imputer that refines
    another starts from ``gaussian``.

    Raises:
        RecipeError: for parameters that the component does not have.
        UsageError: for a component that cannot be loaded.
    """
    names = required_parameters(catalog.find(kind, name)).names
    values = {"fit_epochs": FIT_EPOCHS, "frozen": False, **NEEDED_VALUES.get(kind, {})}
    table = default_table(catalog, kind, name, NEEDED_COMPONENTS)
    table |= {key: value for key, value in values.items() if key in names}
    table |= parameters or {}
    checked = check_component(catalog, kind, table, name)
    if checked.table is None:
        raise RecipeError(name, checked.problems)
    return Subject(catalog, kind, name, checked.table)


def run_checks(
    catalog: Catalog,
    kind: Kind,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run every check of a component; ``done`` is called with each result."""
    subject = subject_of(catalog, kind, name, parameters)
    expected = catalog.find(kind, name).expected_failures
    results = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the cohort is small: several threads would be slower
    try:
        for check in checks_of(kind):
            result = _run_check(check, subject, expected.get(check.name))
            results.append(result)
            done(result)
    finally:
        torch.set_num_threads(threads)
    return results


def _run_check(check: Check, subject: Subject, announced: str | None) -> Result:
    try:
        check.function(subject)
        status, message = "passed", ""
    except CheckFailed as failure:
        status, message = "failed", str(failure)
    except Exception as error:  # a third-party component may raise anything
        status, message = "failed", f"{type(error).__name__}: {error}"
    if announced is not None:
        status = "expected" if status == "failed" else "surprise"
        message = announced if status == "expected" else "announced to fail, and passed"
    return Result(check.name, status, message)
