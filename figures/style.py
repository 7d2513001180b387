"""How every figure looks: one palette, one matplotlib style, and files that are never half written."""

import base64
import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures.latex import latex_errors, set_by_latex
from figures.output import current, fit
from smac.files import write_atomically

NO_BREAK = "\N{NO-BREAK SPACE}"
INK = "#1a1a1a"
GREY = "#6b6b6b"

RC: Any = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so a figure looks the same on every machine
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": False,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # TrueType, not Type 3: journals and preprint servers ask for it
    "ps.fonttype": 42,
    "savefig.dpi": 200,
    "svg.hashsalt": "figures",
}

PLOTLY_FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif", "color": INK}


@dataclass(frozen=True)
class Look:
    """One method's line. Colours differ in lightness too, and dashes and markers differ, for grey print."""

    name: str
    color: str
    marker: str
    dashes: tuple[float, ...] = ()

    @property
    def linestyle(self) -> str | tuple[float, tuple[float, ...]]:
        """The line style as matplotlib takes it."""
        return (0, self.dashes) if self.dashes else "-"

    @property
    def plotly_dash(self) -> str:
        """The same dashes as plotly takes them, for a line about two pixels wide."""
        return ",".join(f"{2 * length:g}px" for length in self.dashes) or "solid"

    @property
    def plotly_marker(self) -> str:
        """The same marker in plotly's words."""
        return {"o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down"}[
            self.marker
        ]


PALETTE: dict[str, Look] = {
    "smac": Look("SMAC", "#00508f", "o"),
    "cal_ql": Look("Cal-QL", "#d1560b", "s", (4.5, 1.4)),
    "sac": Look("SAC", "#009e73", "D", (1.2, 1.2)),
    "td3": Look("TD3", "#56b4e9", "^", (6, 1.4, 1.2, 1.4)),
    "cql": Look("CQL", "#e69f00", "v", (3, 1.2)),
    "iql": Look("IQL", "#b0538a", "^", (6, 1.4)),
    "td3_bc": Look("TD3+BC", "#4d9221", "D", (3, 1.2, 1.2, 1.2)),
    "awr": Look("AWR", "#8c564b", "v", (4.5, 1.2, 1.2, 1.2)),
    "bc": Look("BC", "#7a7a7a", "v", (1.2, 2)),
}

VARIANT_COLOR = "#6a8fc7"  # of a method's variants beside it

VERDICT_COLORS = {
    "connected": "#00663f", "valley": "#a3260c", "undecided": "#5c5c5c",
    "monotone": "#00663f", "not monotone": "#a3260c",
}  # fmt: skip


def monotone_words(verdict: str, *, falls: bool = False, short: bool = False) -> str:
    """The verdict on monotonicity where it stands beside that on the valley; `short` for narrow panels."""
    if verdict == "undecided":
        return "monotone?" if short else "monotone undecided"
    if short and falls:
        return "falls"
    return f"{verdict}, falls" if falls and verdict == "not monotone" else verdict


def look(algorithm: str) -> Look:
    """The look of a method's line; one we do not know is drawn in ink under its own name.

    A variant, as in `smac.paper`, is drawn lighter and in broken lines.
    """
    name, _, variant = algorithm.lower().replace("-", "_").partition(".")
    if name not in PALETTE:
        return Look(algorithm, "#333333", "s", (2, 1))
    own = PALETTE[name]
    if not variant:
        return own
    return Look(f"{own.name} ({variant})", VARIANT_COLOR, own.marker, (2, 1))


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits without exponent where possible, and a real minus sign."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    text = f"{value:.{decimals}f}" if decimals < 7 else f"{value:.{digits - 1}e}"
    if "." in text and "e" not in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def interval_text(interval: Mapping[str, float | None] | None, seeds: int | None = None) -> str:
    """`85.1 [62, 110]`, an infinite bound, which is null in a file, as ∞; `–` where there is no interval.

    Without any bounds `85.1 (n = 3: no interval)`, n being seeds.
    """
    if interval is None:
        return "–"
    low, high = interval["lower"], interval["upper"]
    if low is None and high is None:
        return number(interval["estimate"]) + ("" if seeds is None else f" (n = {seeds}: no interval)")
    upper = "∞" if high is None else number(high)
    return f"{number(interval['estimate'])} [{number(low)}, {upper}]"


def counted(count: int, what: str) -> str:
    """`1 episode`, `8 episodes`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def tick_words(values: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Ticks with as many decimals as tell all of them, the same for each, and a real minus sign."""
    scale = float(np.max(np.abs(values))) or 1.0
    decimals = next(
        (d for d in range(9) if np.allclose(np.round(values, d), values, rtol=0, atol=1e-6 * scale)), 9
    )
    return [f"{value:.{decimals}f}".replace("-", "−") for value in values]


def nested_widths(count: int, widest: float = 3.2, thinnest: float = 1.3) -> list[float]:
    """Widths of curves in the order in which they are drawn: of equal ones each shows around the next."""
    return [float(width) for width in np.linspace(widest, thinnest, count)] if count > 1 else [1.6]


def steps(value: float, _position: int | None = None) -> str:
    """A step count on an axis: 0, 500, 20k, 1.5M (the second argument is matplotlib's tick index)."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}".replace("-", "−")
    return f"{value:g}".replace("-", "−")


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """Move labels apart until neighbours are at least `gap` away, keeping their order and their centre."""
    order = np.argsort(positions, kind="stable")
    placed = np.asarray(positions, dtype=float)[order]
    clusters = [[i] for i in range(len(placed))]
    centres = list(placed)
    i = 0
    while i + 1 < len(clusters):
        reach = gap * (len(clusters[i]) + len(clusters[i + 1])) / 2
        if centres[i + 1] - centres[i] >= reach - 1e-12:
            i += 1
            continue
        clusters[i : i + 2] = [clusters[i] + clusters[i + 1]]
        centres[i : i + 2] = [float(np.mean(placed[clusters[i]]))]
        i = max(i - 1, 0)
    result = [0.0] * len(placed)
    for members, centre in zip(clusters, centres, strict=True):
        for rank, member in enumerate(members):
            result[order[member]] = centre + gap * (rank - (len(members) - 1) / 2)
    return result


def between(positions: Sequence[float], bottom: float, top: float, gap: float) -> list[float]:
    """Move labels down until none is above `top`, then up until none is below `bottom`, `gap` apart."""
    result = list(positions)
    for sign, limit in ((1, top), (-1, bottom)):
        for i in sorted(range(len(result)), key=lambda i: -sign * result[i]):
            result[i] = sign * min(sign * result[i], sign * limit)
            limit = result[i] - sign * gap
    return result


@contextmanager
def paper() -> Iterator[None]:
    """The house style for matplotlib, undone afterwards."""
    with mpl.rc_context(RC | current().rc):
        yield


METADATA: Mapping[str, dict[str, None]] = {
    "png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None},
}  # fmt: skip


def save(fig: Figure, stem: Path) -> list[Path]:
    """Write `stem.png` (200 dpi) and `stem.pdf` (fonts embedded as TrueType) and return both paths.

    `figures.output.written_as` gives other formats, and a width.
    """
    output, paths = current(), []
    with paper(), latex_errors() if output.latex else nullcontext():
        fit(fig, output.width)
        if output.latex:
            set_by_latex(fig)
        for kind in output.formats:
            path = stem.with_name(f"{stem.name}.{kind}")
            write_atomically(path, partial(fig.savefig, format=kind, metadata=METADATA[kind]))
            paths.append(path)
    return paths


def plain(text: str) -> str:
    """Text from a file, made safe for plotly, which reads a subset of HTML in every label."""
    return html.escape(text, quote=False)


def tint(color: str, alpha: float = 0.2) -> str:
    """A colour made translucent, as plotly takes it."""
    red, green, blue = (round(255 * channel) for channel in mpl.colors.to_rgb(color))
    return f"rgba({red},{green},{blue},{alpha:g})"


def y_title(figure: Any, axis: str, text: str) -> None:
    """Name a plotly y axis at a fixed distance: plotly's own titles wander onto long tick labels."""
    figure.add_annotation(
        text=text, x=0, xref="paper", xanchor="right", xshift=-48, y=0.5, yref=f"{axis} domain",
        textangle=-90, showarrow=False,
    )  # fmt: skip


def x_title(figure: Any, axis: str, text: str, *, lines: int = 1) -> None:
    """Name a plotly x axis of the bottom row, below tick labels of so many lines."""
    figure.add_annotation(
        text=text, x=0.5, xref=f"{axis} domain", y=0, yref="paper", yanchor="top", yshift=-7 - 17 * lines,
        showarrow=False,
    )  # fmt: skip


def embed(figure: Any, div_id: str, *, height: str = "") -> Markup:
    """A plotly figure as a piece of HTML; the page loads plotly.js itself, once.

    `height` in the words of CSS is for figures without a height of their own, which fill what they get.
    """
    return Markup(
        figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=div_id,
            default_height=height or f"{figure.layout.height}px",
            config={"displaylogo": False, "responsive": True, "displayModeBar": False},
        )
    )


def still(fig: Figure) -> str:
    """A matplotlib figure as base64 SVG, for paper and for browsers without scripts."""
    buffer = io.BytesIO()
    with paper():
        fig.savefig(buffer, format="svg", metadata={"Date": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def unbroken(text: object) -> str:
    """Text whose short brackets, percentages and equations are not broken over lines: `[62, 110]`, `95 %`."""
    whole = re.sub(r"\[[^]]{,24}\]|\([^)]{,24}\)", lambda part: part[0].replace(" ", NO_BREAK), str(text))
    return whole.replace(" %", f"{NO_BREAK}%").replace(" = ", f"{NO_BREAK}={NO_BREAK}")


def render(template: str, **values: Any) -> str:
    """Fill a template of `figures/templates`, for `library.write_page`. Embedded figures are not escaped."""
    environment = Environment(
        loader=PackageLoader("figures"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"number": number, "unbroken": unbroken}
    return environment.get_template(template).render(**values)
