"""Forest plots: estimates with their 95 % intervals, one line each, and the numbers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hcat_core.report.formatting import number, signed
from hcat_core.report.svg import BLUE, GREY, draw, shortened
from hcat_core.text.numbers import percent, percent_range

LABEL, HEADING = 22, 30  # characters


@dataclass(frozen=True)
class ForestRow:
    """One line of a forest plot.

    Attributes:
        label: what was estimated; that of a row without a ``mean`` is a heading.
        mean: the estimate.
        interval: its 95 % interval, where there is one.
        emphasised: drawn in colour; the others are grey.
    """

    label: str
    mean: float | None = None
    interval: Sequence[float] | None = None
    emphasised: bool = False


@dataclass(frozen=True)
class ForestScale:
    """What a forest plot measures.

    Attributes:
        axis: its name.
        reference: where the dashed line is.
        signed: numbers have a sign.
        ends: of the axis; None for as wide as the intervals are.
        digits: of the numbers.
        share: they are shares, shown as whole per cent.
    """

    axis: str
    reference: float
    signed: bool = False
    ends: tuple[float | None, float | None] = (None, None)
    digits: int = 2
    share: bool = False

    def in_words(self, row: ForestRow) -> str:
        """The estimate with its interval, as text."""
        if self.share and row.mean is not None:
            return percent(row.mean) + (f" ({percent_range(row.interval)})" if row.interval else "")
        form = signed if self.signed else number
        values = [value for value in (row.mean, *(row.interval or ())) if value is not None]
        text, *ends = (form(value, self.digits) for value in values)
        return f"{text} ({' to '.join(ends)})" if ends else text


def forest_figure(name: str, rows: Sequence[ForestRow], scale: ForestScale, label: str) -> str:
    """Draw a forest plot as inline SVG; an empty string without any estimate.

    Args:
        name: of the figure; prefixes its inner ids.
        rows: from top to bottom.
        scale: what is measured.
        label: the description for screen readers.
    """
    drawn = [row for row in rows if row.mean is not None]
    if not drawn:
        return ""

    def paint(axes: Axes) -> None:
        for place, row in enumerate(rows):
            if row.mean is None:
                axes.axhline(place + 0.5, color=GREY, linewidth=0.5)
                continue
            colour = BLUE if row.emphasised else GREY
            if row.interval is not None:
                axes.plot(row.interval, [place, place], color=colour)
            axes.plot([row.mean], [place], "o", color=colour, markersize=5)
            axes.annotate(
                scale.in_words(row), (1.02, place), va="center", fontsize=8,
                xycoords=("axes fraction", "data"), annotation_clip=False,
            )  # fmt: skip
        axes.axvline(scale.reference, color=GREY, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(rows)), list(map(_label, rows)))
        for text, row in zip(axes.get_yticklabels(), rows, strict=True):
            text.set_fontweight("bold" if row.mean is None else "normal")
        axes.set(ylim=(len(rows) - 0.5, -0.7), xlim=_ends(drawn, scale), xlabel=scale.axis)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))  # 0.025 is 3 %, rounded
        if scale.share:
            axes.xaxis.set_major_formatter(lambda value, _: percent(value))

    return draw(name, paint, label=label, width=5.2, height=0.9 + 0.26 * len(rows))


def _label(row: ForestRow) -> str:
    return shortened(row.label, LABEL if row.mean is not None else HEADING)


def _ends(rows: Sequence[ForestRow], scale: ForestScale) -> tuple[float, float]:
    """The ends of the axis: those of the scale, or a little beyond every interval and the reference."""
    values = [scale.reference]
    for row in rows:
        values += [value for value in (row.mean, *(row.interval or ())) if value is not None]
    margin = 0.05 * max(max(values) - min(values), 1e-3)
    low, high = scale.ends
    return (
        min(values) - margin if low is None else low,
        max(values) + margin if high is None else high,
    )
