"""What a landscape picture shows, read from a result directory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from figures.style import Look, look, number
from smac.errors import UserError

Result = dict[str, Any]
Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

FIELD_LABELS = {"return": "mean return", "score": "normalised score", "success": "success rate"}


@dataclass(frozen=True)
class Line:
    """What is drawn, as arrays over the points of the path."""

    alphas: Floats
    means: Floats
    lower: Floats
    upper: Floats
    success: Floats
    """Rate among the episodes that finished; NaN where none did."""
    finished: NDArray[np.int64]
    episodes: int
    floor: float
    """The lower of the two ends."""
    level: float
    """The floor minus the margin: a valley counts below it."""
    bottom: int
    """Index of the lowest point inside the path."""
    depth: float
    look: Look

    @property
    def failed(self) -> NDArray[np.int64]:
        """Indices of the points with at least one failed episode."""
        return np.flatnonzero(self.finished < self.episodes)

    @property
    def ends(self) -> tuple[int, int]:
        """Indices of the two checkpoints."""
        return int(np.argmin(np.abs(self.alphas))), int(np.argmin(np.abs(self.alphas - 1)))

    @property
    def roomy_end(self) -> int:
        """0 or 1: the end that lies higher, where there is room for words under the level."""
        start, end = self.ends
        return int(self.means[end] >= self.means[start])


def read_line(directory: Path) -> tuple[Result, dict[str, NDArray[Any]]]:
    """Read `result.json` and `returns.npz` of one path.

    Raises:
        UserError: a file is missing or unreadable, or it is not the result of an interpolation.
    """
    try:
        result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
        with np.load(directory / "returns.npz", allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing: {directory} is not a finished landscape.") from None
    except (ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"A file in {directory} cannot be read ({error}); run the landscape again.") from None
    if result.get("kind") != "interpolate":
        raise UserError(f"{directory / 'result.json'} is of kind {result.get('kind')!r}, not 'interpolate'.")
    if len(arrays["alphas"]) != len(result["analysis"]["alphas"]):
        raise UserError(f"result.json and returns.npz in {directory} have different numbers of points.")
    return result, arrays


def line_data(result: Result, arrays: Arrays) -> Line:
    """Gather what is drawn from the two files' contents."""
    analysis = result["analysis"]
    alphas, means = _floats(analysis["alphas"]), _floats(analysis["means"])
    lower, upper = _floats(analysis["band"]).T
    returns, successes = arrays["returns"], arrays["successes"]
    done = np.isfinite(returns)
    finished = done.sum(axis=1)
    with np.errstate(invalid="ignore"):
        success = (successes & done).sum(axis=1) / np.where(finished, finished, np.nan)
    start, end = np.argmin(np.abs(alphas)), np.argmin(np.abs(alphas - 1))
    floor = float(min(means[start], means[end]))
    return Line(
        alphas=alphas,
        means=means,
        lower=lower,
        upper=upper,
        success=success,
        finished=finished,
        episodes=returns.shape[1],
        floor=floor,
        level=floor - result["margin"]["delta"],
        bottom=int(np.argmin(np.abs(alphas - analysis["numbers"]["location"]))),
        depth=float(analysis["V"]["estimate"]),
        look=look(result["from"]["algorithm"]),
    )


def end_label(end: Result) -> str:
    """A checkpoint in two words: "offline Cal-QL"."""
    return f"{end['moment']} {look(end['algorithm']).name}"


def depth_text(result: Result) -> str:
    """`V = 85.1 [62, 110]`, the depth with its simultaneous interval."""
    return f"V = {interval_text(result['analysis']['V'])}"


def interval_text(interval: dict[str, float | None]) -> str:
    """`85.1 [62, 110]`; a bound that the episodes do not give is null in the file and infinite here."""
    upper = "∞" if interval["upper"] is None else number(interval["upper"])
    return f"{number(interval['estimate'])} [{number(interval['lower'])}, {upper}]"


def episodes_text(result: Result) -> str:
    """How many episodes a number rests on, and how many were left out because they failed somewhere."""
    used, dropped = (result["analysis"][f"episodes_{name}"] for name in ("used", "dropped"))
    return f"{used} episodes per point" + (f" ({dropped} failed and left out)" if dropped else "")


def y_range(line: Line) -> tuple[float, float]:
    """Limits that hold the band, the level and the words under both."""
    values = np.concatenate([line.means, line.lower, line.upper, [line.level]])
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
    x_end = line.alphas[start if line.means[start] <= line.means[end] else end]
    x_bottom = line.alphas[line.bottom]
    return [x_end, x_bottom, x_bottom], [line.floor, line.floor, line.means[line.bottom]]


def neighbourhood(alphas: Floats, index: int) -> tuple[float, float]:
    """Half-way to the neighbours of a point on either side."""
    edges = np.concatenate([alphas[:1], (alphas[1:] + alphas[:-1]) / 2, alphas[-1:]])
    return float(edges[index]), float(edges[index + 1])


def _floats(values: list[Any]) -> Floats:
    """Numbers from JSON, where an unknown value is null."""
    return np.array(values, dtype=np.float64)
