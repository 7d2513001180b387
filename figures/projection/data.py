"""What the picture of a projection shows, read from a result directory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from figures.files import Floats, damaged, read_as
from figures.plane.data import Scale, scale_over
from figures.style import Look, look, number
from landscape.results import ProjectionResult
from smac.errors import UserError

METHODS = {"tsne": "t-SNE", "pca": "PCA", "mds": "MDS"}
DASHES: dict[str, tuple[float, ...]] = {
    "sac": (),
    "td3": (5, 1.4),
    "td3_bc": (1.6, 1.1),
    "awr": (6, 1.2, 1.2, 1.2),
}
OTHERS = ("#7b5ea7", "#00827f", "#c2185b", "#5d6d00")  # where one method has several directories
ROOM = 0.07  # around the points, of the longer side
FLATTEST, TALLEST = 0.5, 1.0  # height over width of the map


@dataclass(frozen=True)
class Point:
    """One actor."""

    name: str
    x: float
    y: float
    own: float
    """Mean return; NaN where no episode finished, as are `low`, `high`."""
    low: float
    high: float
    success: float | None

    @property
    def own_text(self) -> str:
        """`−69 [−75, −63]`, or just the return where the interval is unknown."""
        if np.isfinite([self.low, self.high]).all():
            return f"{number(self.own)} [{number(self.low)}, {number(self.high)}]"
        return number(self.own)


@dataclass(frozen=True)
class Run:
    """One fine-tuning run, in the order of training."""

    name: str
    group: str
    offline: str
    online: str
    points: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def start(self) -> int:
        return self.points[0]

    @property
    def end(self) -> int:
        return self.points[-1]


@dataclass(frozen=True)
class Projection:
    """What is drawn."""

    result: ProjectionResult
    """What it was read from."""
    by: str
    points: tuple[Point, ...]
    runs: tuple[Run, ...]
    looks: dict[str, Look]
    """Of every group: colour of the offline method, dashes of the online one."""
    labels: tuple[str, str] | None
    """Of the axes; None where they mean nothing."""
    episodes: int

    @property
    def positions(self) -> Floats:
        return np.array([(point.x, point.y) for point in self.points])

    @property
    def scale(self) -> Scale:
        return scale_over(np.array([point.own for point in self.points]))

    @property
    def extent(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Limits of x and of y for equal scales: all points with room, in a box not too flat or tall."""
        low, high = self.positions.min(axis=0), self.positions.max(axis=0)
        room = ROOM * float((high - low).max())
        width, height = high - low + 2 * room
        tall = float(np.clip(height / width, FLATTEST, TALLEST))
        width, height = max(width, height / tall), max(height, width * tall)
        (x, y), half = (low + high) / 2, (width / 2, height / 2)
        return (x - half[0], x + half[0]), (y - half[1], y + half[1])

    @property
    def aspect(self) -> float:
        """Height over width of the map."""
        (left, right), (low, high) = self.extent
        return (high - low) / (right - left)

    def runs_of(self, group: str) -> list[Run]:
        return [run for run in self.runs if run.group == group]

    def group_text(self, group: str) -> str:
        """`SMAC → SAC`, with the number of its runs where it has several."""
        count = len(self.runs_of(group))
        return group if count == 1 else f"{group} ({count} runs)"


def read_projection(directory: Path) -> Projection:
    """Read `result.json` and `returns.npz` of a projection.

    Raises:
        UserError: a file is missing, unreadable or damaged, of another kind, or no episode of it finished.
    """
    result = read_as(ProjectionResult, directory)
    with damaged(directory):
        return projection_data(result)


def projection_data(found: ProjectionResult) -> Projection:
    """Gather what is drawn; UserError where no episode finished."""
    result = found.result
    points = tuple(_point(one) for one in result["points"])
    if not np.isfinite([point.own for point in points]).any():
        raise UserError("No episode of this projection finished; there is nothing to draw.")
    episodes = found.arrays["returns"].shape
    if episodes[0] != len(points):
        raise ValueError(f"returns of {episodes[0]} points, but there are {len(points)}")
    runs = tuple(
        Run(
            str(one["name"]), str(one["group"]), str(one["offline"]), str(one["online"]),
            tuple(one["points"]), tuple(one["steps"]),
        )
        for one in result["runs"]
    )  # fmt: skip
    for run in runs:
        if len(run.points) != len(run.steps) or not all(0 <= k < len(points) for k in run.points):
            raise ValueError(f"the run {run.name} does not fit the {len(points)} points")
    return Projection(
        result=found,
        by=str(result["embedding"]["by"]),
        points=points,
        runs=runs,
        looks=_looks(runs),
        labels=_labels(result["embedding"]),
        episodes=episodes[1],
    )


def summary_text(projection: Projection) -> str:
    """How the picture was made, and how true it is."""
    found = projection.result.result["embedding"]
    how = f"{METHODS[found['by']]} of the Euclidean distances between actors"
    if found["by"] == "tsne":
        how += f" (perplexity {number(found['perplexity'])}, seed {found['seed']})"
    return (
        f"{how}: stress-1 {found['stress']:.2f} (0 is a true picture), trustworthiness "
        f"{found['trustworthiness']:.2f} over {found['neighbours']} neighbours (1 is a true one)."
    )


def _point(one: dict[str, Any]) -> Point:
    measured = one["measured"]
    own, low, high = (_known(measured[name]) for name in ("return", "low", "high"))
    rate = measured.get("success")
    return Point(
        str(one["name"]), float(one["x"]), float(one["y"]), own, low, high,
        None if rate is None else float(rate),
    )  # fmt: skip


def _looks(runs: Sequence[Run]) -> dict[str, Look]:
    """Colours of the offline methods, dashes of the online ones; a pair met again has another colour."""
    found: dict[str, Look] = {}
    used: set[tuple[str, str]] = set()
    spare = iter(OTHERS * (1 + len(runs) // len(OTHERS)))
    for run in runs:
        if run.group in found:
            continue
        color = look(run.offline).color if (run.offline, run.online) not in used else next(spare)
        used.add((run.offline, run.online))
        dashes = DASHES.get(run.online, look(run.online).dashes)
        found[run.group] = replace(look(run.offline), name=run.group, color=color, dashes=dashes)
    return found


def _labels(embedding: dict[str, Any]) -> tuple[str, str] | None:
    if embedding["by"] == "tsne":
        return None
    if embedding["by"] == "mds":
        return "distance between actors", "distance between actors"
    first, second = (f"component {i + 1} ({100 * embedding['explained'][i]:.0f} %)" for i in range(2))
    return first, second


def _known(value: Any) -> float:
    return float("nan") if value is None else float(value)
