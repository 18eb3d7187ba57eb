from dataclasses import replace

import pytest
import torch

from hcat_core.errors import DataError


def test_a_task_of_which_no_outcome_is_known_is_an_error(estimators):
    targets = estimators.train.targets
    unknown = replace(
        targets, event=torch.full_like(targets.event, -1), labels=torch.full_like(targets.labels, -1)
    )
    nobody = estimators.validation[slice(0, 0)]
    with pytest.raises(DataError, match="no outcome of the task survival is known .*: check its columns"):
        estimators.fitted("survival_forest", replace(estimators.train, targets=unknown), nobody)
