"""Grow the forests of every estimator, in as many threads as torch may use."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

MOST_OF_A_TREE = 4096
"""Patients that one tree is grown on, where there are more.

They are drawn anew for each tree, so that the forest learns from all patients. It predicts no worse, and is
grown in less time (docs/how-to/scale.md).
"""


def grow(forest: Any, x: np.ndarray, outcome: np.ndarray, weight: np.ndarray | None = None) -> Any:
    """Fit a scikit-learn forest and return it; its trees are the same whatever the number of threads.

    Threads only grow it. Predictions are summed over trees in one thread: a sum in the order in which
    threads finish differs from run to run.

    Args:
        forest: unfitted; each tree draws its patients with replacement.
        x: (N, F) features.
        outcome: (N,) or (N, K).
        weight: (N,) of patients; 1 where None.
    """
    forest.set_params(
        n_jobs=torch.get_num_threads(), max_samples=MOST_OF_A_TREE if len(x) > MOST_OF_A_TREE else None
    )
    forest.fit(x, outcome, sample_weight=weight)
    return forest.set_params(n_jobs=1)
