"""Types of component parameters: what a recipe may set them to.

A parameter annotated with one of these is checked before any data is read; other pydantic types work too.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
"""A whole number, 1 or more."""

CountOrZero = Annotated[int, Field(ge=0)]
"""A whole number, 0 or more."""

LayerCount = Annotated[int, Field(ge=1, le=100)]
"""A number of layers or steps of a network, 1 to 100; with far more, making the network would not end."""

FoldCount = Annotated[int, Field(ge=2)]
"""A number of folds, 2 or more."""

Positive = Annotated[float, Field(gt=0)]
"""A number above 0."""

NonNegative = Annotated[float, Field(ge=0)]
"""A number, 0 or more."""

Fraction = Annotated[float, Field(ge=0, lt=1)]
"""A number from 0 to below 1, such as a dropout rate or the share of patients in a split."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""

PositiveShare = Annotated[float, Field(gt=0, le=1)]
"""A number above 0, at most 1."""

TailShare = Annotated[float, Field(ge=0, lt=0.5)]
"""The share of a feature's values at either end that is winsorised: set to the quantile."""


class Table(BaseModel):
    """A recipe table: unknown keys are problems, values never change once read.

    The text below a key describes it, in ``hcat show`` and in the schema for editors.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
