"""How pictures are written: for the screen or for a paper, how wide, and in which formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.figure import Figure
from matplotlib.text import Text

from figures.latex import check_latex
from smac.errors import UserError

StyleName = Literal["screen", "paper"]
Format = Literal["png", "pdf", "svg"]

PAPER: Any = {
    "font.family": "STIXGeneral",  # Times-like, as most papers are set; ships with matplotlib
    "mathtext.fontset": "stix",
    "axes.linewidth": 0.5,
    "lines.linewidth": 1.3,
}
INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}  # pt as in LaTeX
WIDTHS = (1.5, 40.0)  # inches
SPANS = 1.7  # columns that a picture is wide from which it gets two
GAP = 0.25  # inches between columns
LEAST_SHRINK = 0.8  # of letters: below it they could not be read, however narrow the picture


@dataclass(frozen=True)
class Output:
    """What `save` writes of a matplotlib figure."""

    style: StyleName = "screen"
    width: float | None = None
    """Of a column, in inches; pictures of many panels span two. None for each picture's own."""
    formats: tuple[Format, ...] = ("png", "pdf")
    latex: bool = False
    """Whether LaTeX sets the letters."""

    @property
    def rc(self) -> Any:
        """What differs from the house style."""
        return PAPER if self.style == "paper" else {}


USUAL = Output()
_CURRENT: ContextVar[Output] = ContextVar("output", default=USUAL)


def current() -> Output:
    """How pictures are written now."""
    return _CURRENT.get()


@contextmanager
def written_as(output: Output) -> Iterator[None]:
    """Within it pictures are written this way."""
    token = _CURRENT.set(output)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def inches(text: str) -> float:
    """`3.25in`, `8.2cm`, `82mm`, `234pt` (LaTeX's points) or `3.25`, in inches; else UserError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(in|cm|mm|pt)?\s*", text)
    if match is None:
        raise UserError(f"{text!r} is no width (--width): write it as 3.25in, 8.2cm, 82mm or 234pt")
    width = float(match[1]) * INCHES[match[2] or "in"]
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        low, high = WIDTHS
        raise UserError(
            f"a width (--width) of {text} is {width:.2f} inches; it must be from {low:g} to {high:g}"
        )
    return width


def asked_for(
    style: StyleName, width: str | None, formats: tuple[Format, ...], latex: bool = False
) -> Output:
    """What a command's options of pictures say; UserError where they say nothing, or LaTeX is missing."""
    if not formats:
        raise UserError("no format is named (--formats): name at least one of png, pdf, svg")
    if latex:
        if style != "paper":
            raise UserError("letters of LaTeX (--latex) are for the style of a paper (--style): give both")
        check_latex()
    return Output(style, None if width is None else inches(width), formats, latex)


def fit(fig: Figure, column: float | None) -> None:
    """Make a figure one column wide, or two with the gap between where it is much wider than one of its own.

    Its proportions stay; letters shrink with it, but no further than to 0.8. Lines and markers keep their
    sizes.
    """
    own, height = fig.get_size_inches()
    if column is None:
        return
    width = column if own <= SPANS * column else 2 * column + GAP
    ratio = width / own
    letters = min(1.0, max(ratio, LEAST_SHRINK))
    fig.set_size_inches(width, height * max(ratio, (ratio + letters) / 2))
    for text in fig.findobj(Text):
        text.set_fontsize(text.get_fontsize() * letters)
