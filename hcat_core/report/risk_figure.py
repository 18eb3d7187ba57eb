"""The figure of groups of predicted risk: the share with the event over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from hcat_core.layout import Task
from hcat_core.report.svg import BLUE, GREY, ORANGE, RED, draw

GROUPS = ("lowest third", "middle third", "highest third")


@dataclass(frozen=True)
class TimeAxis:
    """A unit of time, and its days."""

    unit: str
    days: float


@dataclass(frozen=True)
class GroupCurve:
    """One group's share with the event over time.

    Attributes:
        name: of the group.
        days: (H,) of the curve.
        share: (H,) with the event by then.
        band: (2, H) ends of its pointwise 95 % interval, where there is one.
    """

    name: str
    days: np.ndarray
    share: np.ndarray
    band: np.ndarray | None


def risk_figure(name: str, task: Task, curves: Sequence[GroupCurve], axis: TimeAxis) -> str:
    """Draw the share with the event over time, for each group of predicted risk.

    Args:
        name: of the figure, for its inner ids.
        task: whose horizon is marked; with a competing event the shares are Aalen-Johansen estimates.
        curves: of the lowest, middle and highest third.
        axis: the unit of time.
    """
    kind = "Kaplan-Meier" if task.competing is None else "Aalen-Johansen"
    assert task.horizon_days is not None
    horizon = task.horizon_days

    def paint(axes: Axes) -> None:
        for colour, one in zip((BLUE, ORANGE, RED), curves, strict=True):
            at = one.days / axis.days
            if one.band is not None:
                low, high = one.band
                axes.fill_between(at, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
            axes.step(at, one.share, where="post", color=colour, label=one.name)
        axes.axvline(horizon / axis.days, color=GREY, linewidth=1, linestyle="--")
        tops = [one.share if one.band is None else one.band[1] for one in curves]
        top = min(1.01, 1.1 * max(float(values.max()) for values in tops) + 0.02)
        axes.set(xlim=(0, None), ylim=(0, top), title=f"By predicted risk ({kind})")
        axes.set(xlabel=axis.unit, ylabel="share with the event")
        axes.figure.legend(loc="outside lower center", ncols=3)  # inside, it would cover bands

    return draw(f"risk-{name}", paint, label=f"{kind} curves of {task.name} by predicted risk group")
