"""What the picture of a path shows, read from a result directory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from figures.files import Arrays, Floats, Result, damaged, floats, read_result
from figures.line.axis import PathAxis, path_axis
from figures.style import Look, look, monotone_words, number
from landscape.study.pairs import falls_in
from smac.errors import UserError

KINDS = ("interpolate", "trajectory", "curve", "align")
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


def read_line(directory: Path) -> tuple[Result, Arrays]:
    """Read `result.json` and `returns.npz` of one path.

    Raises:
        UserError: a file is missing or unreadable, or it is not the result of a path.
    """
    result, arrays = read_result(directory, *KINDS)
    with damaged(directory):
        if len(arrays["alphas"]) != len(result["analysis"]["alphas"]):
            raise UserError(f"result.json and returns.npz in {directory} have different numbers of points.")
        line_data(result, arrays)
    return result, arrays


def line_data(result: Result, arrays: Arrays) -> Line:
    """Gather what is drawn from the two files' contents."""
    analysis = result["analysis"]
    alphas, means = floats(analysis["alphas"]), floats(analysis["means"])
    lower, upper = floats(analysis["band"]).T
    done = np.isfinite(arrays["returns"])
    finished = done.sum(axis=1)
    axis = path_axis(result)
    start, end = np.argmin(np.abs(alphas)), np.argmin(np.abs(alphas - 1))
    floor = float(min(means[start], means[end]))
    return Line(
        alphas=alphas,
        xs=axis.place(alphas),
        axis=axis,
        means=means,
        lower=lower,
        upper=upper,
        success=success_rates(arrays["successes"], done) if tells_success(result) else None,
        finished=finished,
        episodes=(arrays["statuses"] != 0).sum(axis=1)
        if "statuses" in arrays
        else len(done.T) + 0 * finished,
        floor=floor,
        level=floor - result["margin"]["delta"],
        bottom=int(np.argmin(np.abs(alphas - analysis["numbers"]["location"]))),
        depth=float(analysis["V"]["estimate"]),
        depth_words=interval_text(analysis["V"]),
        look=look(ends_of(result)[0]["algorithm"]),
        behind=_behind(result, arrays, axis),
    )


def tells_success(result: Result) -> bool:
    """Whether the task knows success; results of format version 1 are all of tasks that do."""
    return "fields" not in result or "success" in result["fields"]


def success_rates(successes: NDArray[np.bool_], finished: NDArray[np.bool_]) -> Floats:
    """Rates over the last axis among the finished episodes; NaN where none finished."""
    count = finished.sum(axis=-1)
    rates: Floats = (successes & finished).sum(axis=-1) / np.where(count, count, np.nan)
    return rates


def _behind(result: Result, arrays: Arrays, axis: PathAxis) -> Behind | None:
    """The straight line behind a curve, or the line as trained behind an aligned one."""
    straight = result.get("straight")
    if straight is None:
        return None
    analysis = straight["analysis"]
    lower, upper = floats(analysis["band"]).T
    return Behind(
        label=straight.get("label", BEHIND_LABELS.get(result["kind"], "straight line")),
        own_label=OWN_LABELS.get(result["kind"], "path"),
        xs=axis.place(floats(analysis["alphas"])),
        means=floats(analysis["means"]),
        lower=lower,
        upper=upper,
        success=success_rates(arrays["straight_successes"], np.isfinite(arrays["straight_returns"]))
        if tells_success(result) and "straight_successes" in arrays
        else None,
        depth=f"V = {interval_text(analysis['V'])}",
        verdict=analysis["verdict"],
    )


def ends_of(result: Result) -> tuple[Result, Result]:
    """The checkpoints at alpha = 0 and at alpha = 1."""
    if "from" in result:
        return result["from"], result["to"]
    return result["checkpoints"][0], result["checkpoints"][-1]


def field_label(result: Result) -> str:
    """What the y axis shows, in words."""
    return FIELD_LABELS[result.get("field", "return")]


def end_label(end: Result) -> str:
    """A checkpoint in two words: "offline Cal-QL"."""
    return f"{end['moment']} {look(end['algorithm']).name}"


def depth_text(result: Result) -> str:
    """`V = 85.1 [62, 110]`, the depth with its simultaneous interval."""
    return f"V = {interval_text(result['analysis']['V'])}"


def fall_text(result: Result) -> str:
    """`DD = 12.3 [4, 21]`, the largest fall on the way with its simultaneous interval."""
    return f"DD = {interval_text(result['analysis']['DD'])}"


def monotone_text(result: Result) -> str:
    """`monotone`, `not monotone, falls`, `monotone undecided`."""
    analysis = result["analysis"]
    return monotone_words(analysis["monotone"], falls=falls_in(analysis, result["margin"]["delta"]))


def interval_text(interval: dict[str, float | None]) -> str:
    """`85.1 [62, 110]`; a bound that the episodes do not give is null in the file and infinite here."""
    upper = "∞" if interval["upper"] is None else number(interval["upper"])
    return f"{number(interval['estimate'])} [{number(interval['lower'])}, {upper}]"


def episodes_text(result: Result) -> str:
    """How many episodes a number rests on, and how many were left out because they failed somewhere."""
    used, dropped = (result["analysis"][f"episodes_{name}"] for name in ("used", "dropped"))
    played = result["analysis"].get("episodes", [used])  # where evaluation was adaptive, of every point
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


def common_range(lines: Sequence[tuple[Result, Arrays]]) -> tuple[float, float]:
    """Limits that hold every landscape."""
    ranges = np.array([y_range(line_data(result, arrays)) for result, arrays in lines])
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
