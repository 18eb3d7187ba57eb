"""What a loss receives, for the tests of heads and losses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from hcat_builtin.heads.binary import BinaryHead
from hcat_core.interfaces import Fused, Imputation, Outputs


@pytest.fixture
def outputs() -> Callable[..., Outputs]:
    """Makes the outputs of a model with one binary head, of a cohort's size."""

    def make(cohort, logits=None, first=None, second=None, losses=None):
        head = BinaryHead(cohort.layout, "survival", 8)
        head.prepare(cohort)
        n = len(cohort)
        pooled, tokens = torch.zeros(n, 8), torch.zeros(n, 3, 8)
        return Outputs(
            raw={"survival": torch.zeros(n) if logits is None else logits},
            heads={"survival": head},
            fused=Fused(pooled, tokens, first),
            imputation=Imputation(cohort.emb, cohort.emb * 0, ~cohort.measured, losses or {}),
            second_view=None if second is None else Fused(pooled, tokens, second),
        )

    return make
