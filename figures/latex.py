"""Letters of a figure set by LaTeX: the same texts, with all that TeX would read as a command escaped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator

from smac.errors import UserError

NEEDED = ("latex", "dvipng")  # matplotlib calls both
INSTALL = "install LaTeX (Debian, Ubuntu: apt-get install texlive-latex-extra cm-super dvipng)"
RC = {"text.usetex": True, "font.family": "serif"}
ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "→": r"$\to$", "−": "$-$",
    "∞": r"$\infty$", "–": "--", "≤": r"$\leq$", "≥": r"$\geq$", "±": r"$\pm$", "×": r"$\times$",
    "·": r"$\cdot$",
    "…": r"\dots{}", "½": r"$\frac{1}{2}$", "¼": r"$\frac{1}{4}$", "¾": r"$\frac{3}{4}$", "α": r"$\alpha$",
    "β": r"$\beta$", "δ": r"$\delta$", "Δ": r"$\Delta$", "κ": r"$\kappa$", "ρ": r"$\rho$", "θ": r"$\theta$",
    "‖": r"$\Vert$", "<": r"$<$", ">": r"$>$", "|": r"$|$", "\N{NO-BREAK SPACE}": "~",
}  # fmt: skip
LATIN = 0x180  # letters below it, accents among them, are read as they are


def tex(text: str) -> str:
    """Plain text as LaTeX reads it."""
    return "".join(ESCAPES.get(one, one) for one in text)


def drawable(text: str) -> str:
    """The same, with letters that pdfLaTeX has not without further packages as question marks."""
    return tex("".join(one if one in ESCAPES or ord(one) < LATIN else "?" for one in text))


def check_latex() -> None:
    """UserError where a program is missing that setting letters needs."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        names = " and ".join(missing)
        raise UserError(f"letters of LaTeX (--latex) need {names}, which this machine has not: {INSTALL}")


@contextmanager
def latex_errors() -> Iterator[None]:
    """What goes wrong in LaTeX, or in reading its fonts, as a UserError."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"LaTeX could not set the letters ({reason}): {INSTALL}, or leave out --latex"
        ) from None


def set_by_latex(fig: Figure) -> None:
    """Have LaTeX set every text of a figure that is about to be written.

    Ticks are fixed where they are: matplotlib would format them anew, as mathematics of its own.
    """
    fig.draw_without_rendering()  # which is when ticks get their words
    ticks = [(axis, *_shown_ticks(axis)) for axes in fig.get_axes() for axis in axes._axis_map.values()]
    for axis, places, words, offset in ticks:
        axis.labelpad = max(0.0, axis.labelpad)  # lines of TeX are too close for a label between them
        if any(words):  # axes that share their ticks with others that show them have none
            formatter = FixedFormatter(words)  # whose words are taken anew whenever it is drawn
            formatter.set_offset_string(offset)
            axis.set_major_locator(FixedLocator(places))
            axis.set_major_formatter(formatter)
    for text in fig.findobj(Text):
        text.set_text(_words(text))
        text.set_usetex(True)


def _shown_ticks(axis: Axis) -> tuple[list[float], list[str], str]:
    """Where the ticks in view are, what they say, and the offset beside them; as LaTeX sets them."""
    low, high = sorted(axis.get_view_interval())
    labels = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
    shown = [(float(place), _words(label)) for place, label in labels if low <= place <= high]
    return [place for place, _ in shown], [word for _, word in shown], axis.get_offset_text().get_text()


def _words(text: Text) -> str:
    """A text as LaTeX sets it, bold where matplotlib would, which has no say in TeX."""
    bold = text.get_fontweight() in ("bold", 700)
    rows = [drawable(row) for row in text.get_text().split("\n")]
    return "\n".join(rf"\textbf{{{row}}}" if bold and row else row for row in rows)
