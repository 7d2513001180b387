"""The picture of the README: three paths between policies, one for each verdict.

    python docs/pictures/verdicts.py

It draws committed results of `results/demo` and `results/landscape`, whose READMEs have the commands that
made them, judged from their episodes as `landscape interpolate` judges today.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import landscape
from figures.style import VERDICT_COLORS, monotone_words, number, paper
from landscape.statistics import PathReport, analyse_path

ROOT = Path(__file__).parents[2]
RESULTS, OUT = ROOT / "results", ROOT / "docs" / "images" / "verdicts.png"
MARGIN = "#e0a526"
MEANING = {
    "valley": "the depth is {low} at least,\nmore than the margin of {margin}",
    "connected": "the depth is {high} at most,\nwithin the margin of {margin}",
    "undecided": "the depth is {low} to {high}, on both\nsides of the margin of {margin}",
}


def panel(ax: Axes, path: str, report: PathReport) -> None:
    """One path with its band, the margin below its lower end, and what its verdict says."""
    color, means, margin = VERDICT_COLORS[report.verdict], report.means, report.margin
    lower_end = min(means[0], means[-1])
    ax.axhspan(
        lower_end - margin, lower_end, color=MARGIN, alpha=0.4, lw=0, label="margin below the lower end"
    )
    low, high = zip(*report.band, strict=True)
    ax.fill_between(
        report.alphas, low, high, color=color, alpha=0.25, lw=0, label="95 % band of the whole path"
    )
    ax.plot(report.alphas, means, color=color, marker="o", ms=2.5, label="mean return")
    told = {"low": report.V.lower, "high": report.V.upper, "margin": margin}
    meaning = MEANING[report.verdict].format(**{name: number(x) for name, x in told.items()})
    ax.set_title(report.verdict, color=color, fontweight="bold", fontsize=11)
    fall = f"largest fall {number(report.DD.estimate)}: {monotone_words(report.monotone)}"
    ax.set_xlabel(f"position on the path, α\n\n{path}:\n{meaning};\n{fall}")
    ax.set_xlim(0, 1)


def picture() -> Figure:
    """Three panels, each with its own scale."""
    demo, bent = landscape.load(RESULTS / "demo/smac"), landscape.load(RESULTS / "landscape/pendulum-curve")
    paths = (
        ("straight line, offline SMAC to online SAC", demo.arrays["returns"], demo),
        ("straight line, two independent SAC", bent.arrays["straight_returns"], bent),
        ("curve bent between the same two", bent.arrays["returns"], bent),
    )
    with paper():
        fig = Figure(figsize=(8.8, 3.9), layout="constrained")
        panels = fig.subplots(1, 3)
        for ax, (path, returns, result) in zip(panels, paths, strict=True):
            panel(
                ax,
                path,
                analyse_path(returns, result.arrays["alphas"], margin=result.result["margin"]["delta"]),
            )
        panels[0].set_ylabel("return per episode")
        shown = panels[0].get_legend_handles_labels()
        fig.legend(*shown, loc="outside upper center", ncols=3, frameon=False)
    return fig


if __name__ == "__main__":
    with paper():
        picture().savefig(OUT, dpi=160, metadata={"Software": None})
