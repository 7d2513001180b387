"""Letters of a figure set by LaTeX: the same texts, with all that TeX would read as a command escaped."""

from __future__ import annotations

import shutil

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, NullFormatter

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
        raise UserError(f"--latex needs {' and '.join(missing)}, which this machine has not: {INSTALL}")


def set_by_latex(fig: Figure) -> None:
    """Have LaTeX set every text of a figure that is about to be written.

    Ticks are fixed where they are: matplotlib would format them anew, as mathematics of its own.
    """
    fig.draw_without_rendering()
    for axes in fig.get_axes():
        for axis in axes._axis_map.values():  # x and y, and z where there is one
            _fix_ticks(axis)
    for text in fig.findobj(Text):
        if text.get_text():
            text.set_text(drawable(text.get_text()))
        text.set_usetex(True)


def _fix_ticks(axis: Axis) -> None:
    if isinstance(axis.get_major_formatter(), NullFormatter):
        return
    words = [label.get_text() for label in axis.get_majorticklabels()]
    offset = axis.get_offset_text().get_text()
    axis.set_ticks(axis.get_majorticklocs(), labels=words)
    formatter = axis.get_major_formatter()
    if isinstance(formatter, FixedFormatter) and offset:
        formatter.set_offset_string(offset)
