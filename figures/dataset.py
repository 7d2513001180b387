"""What a dataset holds, at one look: returns, lengths, success, actions, and in a maze where it has been."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from figures.style import GREY, PALETTE, paper, save, steps
from smac.data.transitions import Episode
from smac.errors import UserError
from smac.tasks import Task

BINS = 24  # of returns and of lengths
ACTION_BINS = 25  # odd, so that a bin lies about zero
CELLS = 60  # of the longer side of a map
MAZES = ("pointmaze", "antmaze")  # families whose observations begin with x and y
BLUE = PALETTE["smac"].color


@dataclass(frozen=True)
class Coverage:
    """What is drawn of N episodes with D-dimensional actions."""

    name: str
    returns: NDArray[np.float64]  # [N], undiscounted
    lengths: NDArray[np.int64]  # [N], steps
    solved: NDArray[np.bool_] | None  # [N]; None for a task that tells no success
    actions: NDArray[np.float64]  # [D, ACTION_BINS], share of the steps in each bin of [-1, 1]
    visited: tuple[NDArray, NDArray, NDArray] | None  # states per cell [x, y], edges of x, edges of y


def coverage(name: str, episodes: Sequence[Episode], task: Task) -> Coverage:
    """Counts of a dataset; UserError if it holds no episode."""
    if not episodes:
        raise UserError(f"dataset {name} holds no episode to draw")
    solved = np.array([episode.success.any() for episode in episodes])
    return Coverage(
        name=name,
        returns=np.array([episode.rewards.sum(dtype=np.float64) for episode in episodes]),
        lengths=np.array([len(episode) for episode in episodes]),
        solved=solved if task.has_success else None,
        actions=action_shares(np.concatenate([episode.actions for episode in episodes])),
        visited=visits(np.concatenate([episode.observations[:, :2] for episode in episodes]))
        if task.family in MAZES
        else None,
    )


def action_shares(actions: np.ndarray) -> NDArray[np.float64]:
    """Share of the steps in each of ACTION_BINS bins of [-1, 1], per dimension: [T, D] -> [D, bins]."""
    edges = np.linspace(-1.0, 1.0, ACTION_BINS + 1)
    counts = [np.histogram(np.clip(column, -1.0, 1.0), edges)[0] for column in actions.T]
    return np.array(counts) / len(actions)


def visits(places: np.ndarray) -> tuple[NDArray, NDArray, NDArray]:
    """Places [T, 2] counted in square cells: counts [x, y], edges of x, edges of y."""
    low, high = places.min(axis=0).astype(np.float64), places.max(axis=0).astype(np.float64)
    cell = max(float((high - low).max()) / CELLS, 1e-6)
    edges = [a + cell * np.arange(int((b - a) / cell) + 2) for a, b in zip(low, high, strict=True)]
    counts, xs, ys = np.histogram2d(places[:, 0], places[:, 1], bins=edges)
    return counts, xs, ys


def draw_dataset(found: Coverage, stem: Path) -> list[Path]:
    """Draws a dataset: `stem.png` and `stem.pdf`; UserError if one of them exists."""
    for suffix in (".png", ".pdf"):
        if stem.with_name(stem.name + suffix).exists():
            raise UserError(f"{stem}{suffix}: already exists; choose another --figure")
    return save(dataset_still(found), stem)


def dataset_still(found: Coverage) -> Figure:
    """The figure: returns, lengths, actions, and the map where there is one."""
    panels = 3 if found.visited is None else 4
    with paper():
        fig = Figure(figsize=(2.35 * panels, 2.5), layout="constrained")
        axes = fig.subplots(1, panels)
        _histogram(axes[0], found.returns, found.solved, "return")
        _histogram(axes[1], found.lengths, found.solved, "length (steps)")
        axes[0].set_ylabel("episodes")
        _actions(axes[2], found.actions)
        if found.visited is not None:
            _map(axes[3], *found.visited)
        fig.suptitle(_title(found), x=0.01, ha="left", fontsize=9, fontweight="bold", parse_math=False)
        if found.solved is not None and 0 < found.solved.mean() < 1:
            axes[0].legend(frameon=False, fontsize=7, loc="best", handlelength=1.2)
    return fig


def _title(found: Coverage) -> str:
    words = f"{found.name}: {len(found.returns)} episodes, {found.lengths.sum():,} steps"
    return words if found.solved is None else f"{words}, success {found.solved.mean():.2f}"


def _histogram(ax: Axes, values: np.ndarray, solved: np.ndarray | None, label: str) -> None:
    """Episodes per bin; those that failed stand hatched on those that succeeded."""
    edges = np.histogram_bin_edges(values, BINS)
    good = np.ones(len(values), bool) if solved is None else solved
    below = np.histogram(values[good], edges)[0]
    above = np.histogram(values[~good], edges)[0]
    width = np.diff(edges)
    if good.any():
        ax.bar(edges[:-1], below, width, align="edge", color=BLUE, label="success")
    if not good.all():
        ax.bar(
            edges[:-1], above, width, bottom=below, align="edge", color="white", edgecolor=GREY,
            hatch="//////", linewidth=0.5, label="failure",
        )  # fmt: skip
    ax.set_xlabel(label)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(steps))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _actions(ax: Axes, shares: np.ndarray) -> None:
    """A row per dimension, the first at the top: the darker, the more steps."""
    dims = len(shares)
    image = ax.imshow(
        shares, cmap="Greys", vmin=0, aspect="auto", interpolation="none", extent=(-1, 1, dims - 0.5, -0.5)
    )
    ax.set_xlabel("action")
    ax.set_ylabel("dimension")
    ax.set_xticks([-1, 0, 1], ["−1", "0", "1"])
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.spines[["top", "right"]].set_visible(True)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.03, fraction=0.07)
    bar.set_label("share of steps", fontsize=7)
    bar.outline.set_linewidth(0.6)
    bar.locator = MaxNLocator(3)
    bar.update_ticks()


def _map(ax: Axes, counts: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> None:
    """States per cell, on a logarithmic scale; north up, cells never visited white."""
    seen = np.ma.masked_equal(counts.T, 0)
    mesh = ax.pcolormesh(
        xs, ys, seen, cmap="Greys", norm=LogNorm(0.3, max(counts.max(), 2)), rasterized=True, linewidth=0
    )
    ax.set_aspect("equal")
    ax.set_xlabel("x (m)")
    ax.set_ylabel("y (m)")
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.03, fraction=0.07)
    bar.set_label("states", fontsize=7)
    bar.outline.set_linewidth(0.6)
