"""What the picture of a path shows, read from a result directory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figures.files import Floats, damaged, floats, read_as
from figures.line.axis import PathAxis, path_axis
from figures.style import Look, interval_text, look, monotone_words
from landscape.results import PathResult

OWN_LABELS = {"curve": "curve", "align": "aligned"}
BEHIND_LABELS = {"curve": "straight line", "align": "as trained"}
FIELD_LABELS = {"return": "mean return", "score": "normalised score", "success": "success rate"}


@dataclass(frozen=True)
class Behind:
    """The line that a path is compared with, drawn in grey behind it."""

    label: str
    own_label: str
    """What the path itself is called beside it."""
    xs: Floats
    means: Floats
    lower: Floats
    upper: Floats
    success: Floats | None
    depth: str
    verdict: str


@dataclass(frozen=True)
class Line:
    """What is drawn, as arrays over the points of the path."""

    result: PathResult
    """What it was read from."""
    alphas: Floats
    xs: Floats
    """Where the points are drawn: alpha, or training steps, or a distance; see `axis`."""
    axis: PathAxis
    means: Floats
    lower: Floats
    upper: Floats
    success: Floats | None
    """Rate among the episodes that finished, NaN where none did; None for a task that tells no success."""
    finished: NDArray[np.int64]
    episodes: NDArray[np.int64]
    """Played at each point; adaptive evaluation plays more where it is needed."""
    floor: float
    """The lower of the two ends."""
    level: float
    """The floor minus the margin: a valley counts below it."""
    bottom: int
    """Index of the lowest point inside the path."""
    depth: float
    depth_words: str
    look: Look
    behind: Behind | None

    @property
    def failed(self) -> NDArray[np.int64]:
        """Indices of the points with at least one failed episode."""
        return np.flatnonzero(self.finished < self.episodes)

    @property
    def failed_runs(self) -> list[NDArray[np.int64]]:
        """The same, neighbours together, so that one note can speak for all of them."""
        return [
            run for run in np.split(self.failed, np.flatnonzero(np.diff(self.failed) > 1) + 1) if len(run)
        ]

    @property
    def dead(self) -> NDArray[np.int64]:
        """Indices of the points where every episode failed."""
        return np.flatnonzero(self.finished == 0)

    @property
    def ends(self) -> tuple[int, int]:
        """Indices of the two checkpoints."""
        return int(np.argmin(np.abs(self.alphas))), int(np.argmin(np.abs(self.alphas - 1)))

    @property
    def roomy_end(self) -> int:
        """0 or 1: the end that lies higher, where there is room for words under the level.

        Where another path is drawn behind this one, the end farther from the lowest point.
        """
        start, end = self.ends
        if self.behind is not None:
            return int(self.alphas[self.bottom] < 0.5)
        return int(self.means[end] >= self.means[start])


def read_line(directory: Path) -> Line:
    """Read `result.json` and `returns.npz` of one path.

    Raises:
        UserError: a file is missing or unreadable, or it is not the result of a path.
    """
    result = read_as(PathResult, directory)
    with damaged(directory):
        return line_data(result)


def line_data(result: PathResult) -> Line:
    """Gather what is drawn; ValueError or KeyError where the two files do not fit each other."""
    analysis, arrays = result.analysis, result.arrays
    alphas, means = result.alphas, result.means
    lower, upper = result.band.T
    if len(arrays["alphas"]) != len(alphas):
        raise ValueError("result.json and returns.npz have different numbers of points")
    done = np.isfinite(arrays["returns"])
    finished = done.sum(axis=1)
    axis = path_axis(result)
    start, end = np.argmin(np.abs(alphas)), np.argmin(np.abs(alphas - 1))
    floor = float(min(means[start], means[end]))
    return Line(
        result=result,
        alphas=alphas,
        xs=axis.place(alphas),
        axis=axis,
        means=means,
        lower=lower,
        upper=upper,
        success=success_rates(arrays["successes"], done) if result.tells_success else None,
        finished=finished,
        episodes=(arrays["statuses"] != 0).sum(axis=1)
        if "statuses" in arrays
        else len(done.T) + 0 * finished,
        floor=floor,
        level=floor - result.margin,
        bottom=int(np.argmin(np.abs(alphas - analysis["numbers"]["location"]))),
        depth=float(analysis["V"]["estimate"]),
        depth_words=interval_text(analysis["V"]),
        look=look(result.ends[0]["algorithm"]),
        behind=_behind(result, axis),
    )


def success_rates(successes: NDArray[np.bool_], finished: NDArray[np.bool_]) -> Floats:
    """Rates over the last axis among the finished episodes; NaN where none finished."""
    count = finished.sum(axis=-1)
    rates: Floats = (successes & finished).sum(axis=-1) / np.where(count, count, np.nan)
    return rates


def _behind(result: PathResult, axis: PathAxis) -> Behind | None:
    """The straight line behind a curve, or the line as trained behind an aligned one."""
    straight, arrays = result.straight, result.arrays
    if straight is None:
        return None
    analysis = straight["analysis"]
    lower, upper = floats(analysis["band"]).T
    return Behind(
        label=straight.get("label", BEHIND_LABELS.get(result.kind, "straight line")),
        own_label=OWN_LABELS.get(result.kind, "path"),
        xs=axis.place(floats(analysis["alphas"])),
        means=floats(analysis["means"]),
        lower=lower,
        upper=upper,
        success=success_rates(arrays["straight_successes"], np.isfinite(arrays["straight_returns"]))
        if result.tells_success and "straight_successes" in arrays
        else None,
        depth=f"V = {interval_text(analysis['V'])}",
        verdict=analysis["verdict"],
    )


def field_label(result: PathResult) -> str:
    """What the y axis shows, in words."""
    return FIELD_LABELS[result.field]


def end_label(end: Mapping[str, Any]) -> str:
    """A checkpoint in two words: "offline Cal-QL"."""
    return f"{end['moment']} {look(end['algorithm']).name}"


def ends_title(result: PathResult) -> str:
    """Both ends of a path: "Cal-QL → SAC", with their moments where one algorithm made both."""
    names = [look(end["algorithm"]).name for end in result.ends]
    if names[0] == names[1]:
        if result.ends[0]["moment"] == result.ends[1]["moment"]:
            return f"{names[0]}, two {result.ends[0]['moment']} ends"
        names = [f"{names[0]}, {result.ends[0]['moment']}", result.ends[1]["moment"]]
    return " → ".join(names)


def depth_text(result: PathResult) -> str:
    """`V = 85.1 [62, 110]`, the depth with its simultaneous interval."""
    return f"V = {interval_text(result.analysis['V'])}"


def fall_text(result: PathResult) -> str:
    """`DD = 12.3 [4, 21]`, the largest fall on the way with its simultaneous interval."""
    return f"DD = {interval_text(result.analysis['DD'])}"


def monotone_text(result: PathResult) -> str:
    """`monotone`, `not monotone, falls`, `monotone undecided`."""
    return monotone_words(result.monotone, falls=result.falls)


def episodes_text(result: PathResult) -> str:
    """How many episodes a number rests on, and how many were left out because they failed somewhere."""
    used, dropped = (result.analysis[f"episodes_{name}"] for name in ("used", "dropped"))
    played = result.analysis.get("episodes", [used])  # where evaluation was adaptive, of every point
    amount = f"{min(played)} to {max(played)}" if min(played) < max(played) else f"{max(played)}"
    return f"{amount} episodes per point" + (f" ({dropped} failed and left out)" if dropped else "")


def failed_text(line: Line, run: NDArray[np.int64]) -> str:
    """`2 of 8 failed` at one point, `2 to 8 of 8 failed` at neighbouring ones."""
    counts = line.episodes[run] - line.finished[run]
    least, most = int(counts.min()), int(counts.max())
    return f"{least}{f' to {most}' if most > least else ''} of {line.episodes[run].max()} failed"


def y_range(line: Line) -> tuple[float, float]:
    """Limits that hold the band, the level and the words under both."""
    curves = [line.means, line.lower, line.upper]
    if line.behind:
        curves += [line.behind.means, line.behind.lower, line.behind.upper]
    values = np.concatenate([*curves, [line.level]])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    room = (high - low) or 1.0
    return low - 0.13 * room, high + 0.06 * room


def common_range(lines: Sequence[Line]) -> tuple[float, float]:
    """Limits that hold every landscape."""
    ranges = np.array([y_range(line) for line in lines])
    return float(ranges[:, 0].min()), float(ranges[:, 1].max())


def depth_path(line: Line) -> tuple[list[float], list[float]]:
    """From the lower end level to above the bottom, then straight down: the second stretch is V long."""
    start, end = line.ends
    x_end = line.xs[start if line.means[start] <= line.means[end] else end]
    x_bottom = line.xs[line.bottom]
    return [x_end, x_bottom, x_bottom], [line.floor, line.floor, line.means[line.bottom]]


def neighbourhood(xs: Floats, index: int) -> tuple[float, float]:
    """Half-way to the neighbours of a point on either side."""
    edges = np.concatenate([xs[:1], (xs[1:] + xs[:-1]) / 2, xs[-1:]])
    return float(edges[index]), float(edges[index + 1])
