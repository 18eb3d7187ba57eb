"""Figures of the cohort and of the training."""

import re

from hcat_core.report.cohort_figures import learning_figures
from hcat_core.training.checkpoints import Epoch


def lines(figure):
    """How many strokes the coloured line of a figure has: a gap begins a new one."""
    paths = re.findall(r'<path d="([^"]*)"[^>]*stroke: #0072b2', figure.svg)
    return max(path.count("M") for path in paths)


def epochs(member, number):
    val = {"survival": {"auc": 0.6 + 0.01 * number}}
    return [Epoch(n + 1, 9, 1e-3, 1 / (n + 1), {}, val, best=False, member=member) for n in range(number)]


def test_the_curves_of_two_members_are_two_lines():
    for figure in learning_figures([*epochs(1, 5), *epochs(2, 4)]):
        assert lines(figure) == 2
    for figure in learning_figures(epochs(1, 5)):
        assert lines(figure) == 1
