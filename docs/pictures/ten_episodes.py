"""The picture of `concepts.md`: ten independent episodes a point show a valley where the return only rises.

    python docs/pictures/ten_episodes.py

The truth is written down here, so nothing but noise can make a valley. Its noise is that of the truths on
which `landscape doctor` measures error rates: an episode's luck, above all where it starts, is the same for
all policies that play it.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.style import GREY, INK, VERDICT_COLORS, number, paper
from landscape.statistics import Gaussian, Truth, path_numbers

OUT = Path(__file__).parents[1] / "images" / "ten-episodes.png"
EPISODES, REPEATS, SEED = 10, 1000, 0
ALPHAS = np.linspace(0, 1, 21)
TRUTH = Truth(
    "gentle rise",
    tuple(ALPHAS.tolist()),
    tuple((-120 + 20 * ALPHAS).tolist()),
    Gaussian("paired", shared=50.0, own=10.0),
)


def paired(rng: np.random.Generator) -> np.ndarray:
    """Returns [points, episodes] where every point plays the same episodes."""
    return TRUTH.sample(EPISODES, rng)


def independent(rng: np.random.Generator) -> np.ndarray:
    """Returns [points, episodes] where every point plays episodes of its own."""
    return np.stack([TRUTH.sample(EPISODES, rng)[k] for k in range(len(ALPHAS))])


def depth(returns: np.ndarray) -> float:
    """How far the mean falls below the lower end; 0 is the truth."""
    return path_numbers(returns.mean(axis=1), ALPHAS, margin=0.0).V


def panel(ax: Axes, title: str, returns: np.ndarray, usual: float, color: str, *, lines: bool) -> None:
    """Single episodes, their means and the truth; `usual` is the mean depth of many such samples."""
    ax.plot(ALPHAS, returns, color=GREY, lw=0.5 if lines else 0, marker="o", ms=1.6, alpha=0.6)
    ax.plot(ALPHAS, TRUTH.means, color=INK, dashes=(4, 2), lw=1.2, label="truth, which only rises")
    ax.plot(ALPHAS, returns.mean(axis=1), color=color, label=f"mean of {EPISODES} episodes")
    ax.set_title(
        f"{title}\n“valley” of {number(depth(returns))}; {number(usual)} on average of {REPEATS} samples"
    )
    ax.set_xlabel("position on the path, α")
    ax.legend(frameon=False, loc="lower right")


def picture() -> Figure:
    """Independent episodes beside the same ten at every point, with one truth and one noise."""
    with paper():
        fig = Figure(figsize=(7.4, 3.4), layout="constrained")
        left, right = fig.subplots(1, 2, sharey=True)
        for ax, way, title, verdict in (
            (left, independent, "Ten independent episodes a point", "valley"),
            (right, paired, "The same ten episodes at every point", "connected"),
        ):
            usual = np.mean([depth(way(np.random.default_rng([SEED, k]))) for k in range(REPEATS)])
            drawn = way(np.random.default_rng([SEED, 0]))
            panel(ax, title, drawn, float(usual), VERDICT_COLORS[verdict], lines=way is paired)
        left.set_ylabel("return")
    return fig


if __name__ == "__main__":
    with paper():
        picture().savefig(OUT, dpi=160, metadata={"Software": None})
