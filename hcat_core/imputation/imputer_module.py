"""An imputer that is not a network, as a part of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from hcat_core.cohort import Cohort
from hcat_core.interfaces import FitContext, Imputation, Imputer, traceable_form
from hcat_core.storage.tensor_names import with_prefix, without_prefix


class ImputerModule(nn.Module):
    """Holds an imputer that is not an ``nn.Module``, so that a network's state includes its tensors.

    Their shapes may differ between a new imputer and a fitted one.

    Args:
        imputer: any imputer.
    """

    def __init__(self, imputer: Imputer) -> None:
        super().__init__()
        self.imputer = imputer

    def fit(self, train: Cohort, validation: Cohort, context: FitContext) -> None:
        """Fit the imputer."""
        self.imputer.fit(train, validation, context)

    def forward(self, batch: Cohort) -> Imputation:
        """Fill every gap as the imputer does."""
        return self.imputer(batch)

    def traceable(self) -> nn.Module:
        """The imputer in a form that can be traced, again as a part of a network."""
        return as_module(traceable_form(self.imputer))

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        destination.update(with_prefix(prefix, self.imputer.state_dict()))

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any, **keywords: Any
    ) -> None:
        self.imputer.load_state_dict(without_prefix(prefix, state_dict))


def as_module(imputer: Imputer) -> nn.Module:
    """The imputer itself where it is a network, otherwise an ``ImputerModule`` that holds it."""
    return imputer if isinstance(imputer, nn.Module) else ImputerModule(imputer)


def impute_quietly(imputer: nn.Module, batch: Cohort) -> Imputation:
    """The imputation without losses, whatever mode the imputer is in."""
    if not imputer.training:
        imputation: Imputation = imputer(batch)
        return imputation
    imputer.eval()
    try:
        imputation = imputer(batch)
    finally:
        imputer.train()
    return imputation
