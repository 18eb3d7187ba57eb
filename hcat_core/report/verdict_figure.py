"""The picture below the verdicts: the model's AUC beside those of the simple models."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.scores import TaskScores
from hcat_core.report.formatting import interval
from hcat_core.report.inputs import few
from hcat_core.report.svg import BLUE, GREY, draw, shortened

THIS = "this model"


def auc_figure(
    scores: Mapping[str, TaskScores], baselines: Mapping[str, Mapping[str, BaselineScores]]
) -> str:
    """Draw the AUC of test patients with its 95 % interval, by task and model.

    An empty string where no task has ten patients of either outcome.
    """
    rows: list[tuple[str, TaskScores | None]] = []
    for task, own in scores.items():
        if few(own):
            continue
        rows.append((task, None))
        rows.append((THIS, own))
        rows += [(name, tasks[task]) for name, tasks in baselines.items() if task in tasks]
    if not rows:
        return ""

    def paint(axes: Axes) -> None:
        lowest = 0.5
        for place, (name, one) in enumerate(rows):
            if one is None or one.auc is None:
                axes.axhline(place + 0.5, color=GREY, linewidth=0.5)
                continue
            low, high = one.auc_95 or (one.auc, one.auc)
            lowest = min(lowest, low)
            colour = BLUE if name == THIS else GREY
            axes.plot([low, high], [place, place], color=colour)
            axes.plot([one.auc], [place], "o", color=colour, markersize=5)
            axes.annotate(
                f"{one.auc:.2f} {interval(one.auc_95)}", (1.02, place), va="center", fontsize=8,
                xycoords=("axes fraction", "data"), annotation_clip=False,
            )  # fmt: skip
        axes.axvline(0.5, color=GREY, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(rows)), [shortened(name, 22) for name, _ in rows])
        for label, (_, one) in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if one is None else "normal")
        axes.set(ylim=(len(rows) - 0.5, -0.7), xlim=(lowest - 0.02, 1.0), xlabel="AUC of test patients")
        axes.grid(visible=False, axis="y")

    label = "AUC of this model and of the simple models, by task"
    return draw("verdict", paint, label=label, width=5.6, height=0.9 + 0.26 * len(rows))
