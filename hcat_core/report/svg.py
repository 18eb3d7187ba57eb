"""Figures as inline SVG text in one style; the same data gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hcat_core.text.quoting import printable

# The palette of Okabe and Ito, which colour-blind readers can distinguish.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#767676",
)  # fmt: skip
COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.parse_math": False,  # names come from users: $ is a dollar
    "lines.linewidth": 1.6,
}
WIDTH, HEIGHT = 4.3, 3.4  # inches: as wide as a phone shows without shrinking the text


@dataclass(frozen=True)
class Captioned:
    """A figure as SVG, and its caption."""

    svg: str
    caption: str = ""


def draw(
    name: str, paint: Callable[[Axes], None], *, label: str, width: float = WIDTH, height: float = HEIGHT
) -> str:
    """Draw one pair of axes as inline SVG.

    Args:
        name: of the figure; prefixes its inner ids, so that figures on one page do not share any.
        paint: draws on the axes.
        label: the description for screen readers.
        width: in inches.
        height: in inches.
    """
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'\b(id="|url\(#|xlink:href="#|href="#)', rf"\g<1>{name}-", text)
    description = printable(label).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{description}"', 1)


def shortened(text: str, most: int = 18) -> str:
    """A name cut to at most ``most`` characters, with invisible characters spelled out."""
    text = printable(text)
    return text if len(text) <= most else text[: most - 1] + "…"
