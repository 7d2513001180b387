"""Landscapes as their two files hold them: what functions return, and what is read again from a directory.

A result is the contents of `result.json` and of `returns.npz`, so one that was just played and one that was
read are the same thing, whoever made it. It knows its numbers by name and shows itself in a notebook.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landscape.export import export_as
from landscape.statistics import Interval
from landscape.study.common import Study, write_files
from landscape.study.complete import PATHS, read_files
from landscape.study.pairs import Pair, bounded, falls_in, pair_of
from landscape.study.report import ConnectivityReport
from smac.agents import method_label
from smac.api import Place, drawn_by, frame
from smac.errors import UserError
from smac.files import new_directory, read_json, write_json

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False, eq=False)
class LandscapeResult(ABC):
    """What every kind has: what was asked and found, and every episode."""

    result: Mapping[str, Any]
    """The contents of `result.json`."""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The contents of `returns.npz`; {} where it is not there."""
    recomputed: tuple[str, ...] = ()
    """Statistics that the file of an older version lacked."""

    @property
    def kind(self) -> str:
        return str(self.result["kind"])

    @property
    def task(self) -> str:
        return str(self.result["task"])

    @property
    def sentence(self) -> str:
        """What was found, in words and numbers."""
        return str(self.result.get("sentence", ""))

    @property
    def tells_success(self) -> bool:
        """Whether the task knows success; results of format version 1 are all of tasks that do."""
        return "fields" not in self.result or "success" in self.result["fields"]

    def to_json(self) -> dict[str, Any]:
        """Everything but the episodes, as plain values; what `result.json` holds."""
        return dict(self.result)

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """One row per point."""

    def places(self) -> dict[str, np.ndarray]:
        """Where the points are, in the order of the arrays; empty for a result without points of its own."""
        return {}

    def to_frame(self) -> pandas.DataFrame:
        """`rows` as a pandas table."""
        return frame(self.rows())

    def to_csv(self, file: Place) -> Path:
        """Every episode as a CSV file, a row each; see `landscape.export.episodes`."""
        return export_as(self, file, ".csv")

    def to_parquet(self, file: Place) -> Path:
        """The same as a Parquet file, which needs pandas and pyarrow."""
        return export_as(self, file, ".parquet")

    def plot(self) -> Figure:
        """A matplotlib figure."""
        if not self.arrays:
            raise UserError(f"this {self.kind} has no returns.npz, so there is nothing to draw it from")
        return drawn_by("figures.draw:picture")(self)

    def save(self, directory: Place) -> list[Path]:
        """Write `result.json`, `returns.npz` and the pictures into a new directory, as the command does."""
        out = new_directory(Path(directory))
        self.write(out)
        return [out / "result.json", out / "returns.npz", *drawn_by("figures.draw:draw")(out)]

    def write(self, directory: Path) -> None:
        """Write `returns.npz` and `result.json`, and no pictures."""
        write_files(directory, self.result, self.arrays)

    @abstractmethod
    def numbers(self) -> dict[str, dict[str, Any]]:
        """The few numbers that a notebook shows: rows by name, and in them columns by name."""

    def __repr__(self) -> str:
        return f"<{self.kind} on {self.task}: {self.brief}>"

    @property
    @abstractmethod
    def brief(self) -> str:
        """What `repr` says of it."""

    def _repr_html_(self) -> str:
        picture = self.plot() if self.arrays else None
        return drawn_by("figures.notebook:card")(self.sentence, picture, self.numbers())


@dataclass(frozen=True, repr=False, eq=False)
class PathResult(LandscapeResult):
    """Returns along a path from one policy to another: `interpolate`, `trajectory`, `curve`, `align`."""

    @property
    def analysis(self) -> Mapping[str, Any]:
        """Every statistic, as JSON."""
        return self.result["analysis"]

    @property
    def verdict(self) -> str:
        """connected | valley | undecided."""
        return str(self.analysis["verdict"])

    @property
    def monotone(self) -> str:
        """monotone | not monotone | undecided: whether the return ever falls from *from* to *to*."""
        return str(self.analysis["monotone"])

    @property
    def falls(self) -> bool:
        """Whether *to* lies below *from* by more than the margin."""
        return falls_in(self.analysis, self.margin)

    @property
    def depth(self) -> Interval:
        """V: how far the return falls below the lower end."""
        return bounded(self.analysis["V"])

    @property
    def drawdown(self) -> Interval:
        """DD: the largest fall from any point to a later one."""
        return bounded(self.analysis["DD"])

    @property
    def margin(self) -> float:
        """The depth that does not matter."""
        return float(self.result["margin"]["delta"])

    @property
    def alphas(self) -> np.ndarray:
        """Where the points are, [points]; 0 is *from*, 1 is *to*."""
        return np.asarray(self.analysis["alphas"], np.float64)

    @property
    def means(self) -> np.ndarray:
        """Mean returns, [points]; nan where nothing is known."""
        return np.array(self.analysis["means"], np.float64)

    @property
    def band(self) -> np.ndarray:
        """Simultaneous lower and upper bounds of the mean returns, [points, 2]; nan where unbounded."""
        return np.array(self.analysis["band"], np.float64)

    @property
    def returns(self) -> np.ndarray:
        """Every episode's return, [points, episodes]; nan where it failed or was not played."""
        if "returns" not in self.arrays:
            raise UserError(f"this {self.kind} has no returns.npz, so its single episodes are not known")
        return self.arrays["returns"]

    @property
    def confidence(self) -> float:
        """Of the band, the intervals and the verdicts."""
        return float(self.analysis["confidence"])

    @property
    def field(self) -> str:
        """What the means are of: `return`, unless another field was asked for."""
        return str(self.result.get("field", "return"))

    @property
    def straight(self) -> Mapping[str, Any] | None:
        """The straight line that a curve or an aligned line is compared with: its `analysis`, `verdict`."""
        return self.result.get("straight")

    @property
    def ends(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """What is known of the checkpoints at alpha = 0 and at alpha = 1: path, algorithm, moment, ..."""
        if "from" in self.result:
            return self.result["from"], self.result["to"]
        return self.result["checkpoints"][0], self.result["checkpoints"][-1]

    @property
    def names(self) -> tuple[str, str]:
        """Both ends, such as `offline SMAC` and `online SAC`."""
        start, end = self.ends
        return _name(start), _name(end)

    @property
    def brief(self) -> str:
        return (
            f"{' to '.join(self.names)}, {self.verdict}, depth {_text(self.depth)} with margin "
            f"{self.margin:.3g}, {self.monotone}"
        )

    def places(self) -> dict[str, np.ndarray]:
        return {"alpha": self.alphas}

    def rows(self) -> list[dict[str, Any]]:
        """alpha, mean return, its bounds, and the other fields of every point."""
        more = {name: of for name, of in self.result.get("fields", {}).items() if name != "return"}
        columns = {"alpha": self.alphas.tolist(), "return": self.means.tolist()}
        columns |= {"low": self.band[:, 0].tolist(), "high": self.band[:, 1].tolist()} | more
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def numbers(self) -> dict[str, dict[str, Any]]:
        verdicts = {"depth": self.verdict, "largest fall": self.monotone}
        return {
            name: {
                "estimate": one.estimate,
                "lower": one.lower,
                "upper": one.upper,
                "verdict": verdicts[name],
            }
            for name, one in (("depth", self.depth), ("largest fall", self.drawdown))
        }


@dataclass(frozen=True, repr=False, eq=False)
class PlaneResult(LandscapeResult):
    """Returns over a plane, and of every checkpoint itself."""

    @property
    def xs(self) -> np.ndarray:
        return np.array(self.result["xs"], np.float64)

    @property
    def ys(self) -> np.ndarray:
        return np.array(self.result["ys"], np.float64)

    @property
    def surfaces(self) -> dict[str, np.ndarray]:
        """Every field by name, [ny, nx]; nan where nothing finished."""
        return {name: np.array(of, np.float64) for name, of in self.result["fields"].items()}

    @property
    def checkpoints(self) -> Sequence[Mapping[str, Any]]:
        """Where each is, what it reached itself, and what the surface shows there."""
        return self.result["checkpoints"]

    @property
    def brief(self) -> str:
        return f"{len(self.xs)} x {len(self.ys)} points, {len(self.checkpoints)} checkpoints"

    def places(self) -> dict[str, np.ndarray]:
        x, y = np.meshgrid(self.xs, self.ys)
        return {"x": x.ravel(), "y": y.ravel()}

    def rows(self) -> list[dict[str, Any]]:
        """x, y and every field of each point of the grid."""
        x, y = np.meshgrid(self.xs, self.ys)
        columns = {"x": x, "y": y} | self.surfaces
        return [
            dict(zip(columns, map(float, row), strict=True))
            for row in zip(*(of.ravel() for of in columns.values()), strict=True)
        ]

    def numbers(self) -> dict[str, dict[str, Any]]:
        return {
            one["name"]: {"own return": one["measured"]["return"], "surface": one["surface"]}
            for one in self.checkpoints
        }


@dataclass(frozen=True, repr=False, eq=False)
class ProjectionResult(LandscapeResult):
    """Checkpoints of many runs in two dimensions, each with its own return."""

    @property
    def positions(self) -> np.ndarray:
        """[points, 2]."""
        return np.array([[one["x"], one["y"]] for one in self.result["points"]], np.float64)

    @property
    def brief(self) -> str:
        return f"{len(self.result['points'])} checkpoints by {self.result['embedding']['by']}"

    def places(self) -> dict[str, np.ndarray]:
        rows = self.rows()
        return {name: np.array([row[name] for row in rows]) for name in ("name", "x", "y")}

    def rows(self) -> list[dict[str, Any]]:
        """Name, place and measured fields of every point."""
        return [
            {name: one[name] for name in ("name", "algorithm", "step", "seed", "x", "y")} | one["measured"]
            for one in self.result["points"]
        ]

    def numbers(self) -> dict[str, dict[str, Any]]:
        found = self.result["embedding"]
        return {found["by"]: {name: found[name] for name in ("stress", "trustworthiness")}}


@dataclass(frozen=True, repr=False, eq=False)
class ReportResult(LandscapeResult):
    """Methods compared by the lines of their training seeds; `result` is the contents of `report.json`."""

    lines: Mapping[str, PathResult] = field(default_factory=dict)
    """By the name of their folder: the lines that were played for this report."""

    @property
    def sentence(self) -> str:
        return str(self.result["headline"])

    @property
    def verdicts(self) -> dict[str, dict[str, int]]:
        """Method -> verdict -> training seeds."""
        return {method["name"]: dict(method["verdicts"]) for method in self.result["methods"]}

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader must know before believing the numbers."""
        return tuple(self.result["flags"])

    @property
    def brief(self) -> str:
        counts = (
            f"{name} {', '.join(f'{n} {word}' for word, n in of.items() if n)}"
            for name, of in self.verdicts.items()
        )
        return "; ".join(counts)

    def rows(self) -> list[dict[str, Any]]:
        """One row per pair of checkpoints."""
        names = ("method", "seed", "verdict", "monotone", "V_crossfit", "offline_return", "online_return")
        return [
            {name: pair[name] for name in names}
            | {f"{what}_{name}": x for what in ("V", "DD") for name, x in vars(bounded(pair[what])).items()}
            for pair in self.result["pairs"]
        ]

    def numbers(self) -> dict[str, dict[str, Any]]:
        return {
            name: {"seeds": str(sum(of.values())), **{word: str(n) for word, n in of.items()}}
            for name, of in self.verdicts.items()
        }

    def plot(self) -> Figure:
        return drawn_by("figures.draw:picture")(self)

    def save(self, directory: Place) -> list[Path]:
        """Write `report.json`, the page, the tables, the pictures, and the lines that were played."""
        out = new_directory(Path(directory))
        self.write(out)
        return [out / "report.json", *drawn_by("figures.draw:draw")(out)]

    def write(self, directory: Path) -> None:
        """Write `report.json`, and the lines that were played with their pictures."""
        for name, line in self.lines.items():
            line.save(directory / "pairs" / name)
        write_json(directory / "report.json", self.result)

    def _repr_html_(self) -> str:
        return drawn_by("figures.notebook:card")(self.sentence, self.plot(), self.numbers())


KINDS: Mapping[str, type[LandscapeResult]] = {
    **dict.fromkeys(PATHS, PathResult),
    "plane": PlaneResult,
    "project": ProjectionResult,
}


def load(directory: Place) -> LandscapeResult:
    """The result in a directory of a command or of `save`, of this version or an older one.

    A statistic that an older version did not have is computed from the episodes (`recomputed` names it).
    UserError where there is no result.
    """
    folder = Path(directory)
    if (folder / "report.json").exists():
        report = read_json(folder / "report.json")
        if not isinstance(report, dict) or report.get("kind") != "report":
            raise UserError(f"{folder / 'report.json'}: is not the result of `landscape report`")
        return ReportResult(report)
    result, arrays, recomputed = read_files(folder)
    if result["kind"] not in KINDS:
        raise UserError(
            f"{folder / 'result.json'}: is of kind {result['kind']!r}; known are {', '.join(KINDS)}"
        )
    return KINDS[result["kind"]](result, arrays, recomputed)


def result_of(study: Study, command: str) -> Any:
    """What a study found, as it would be read from its files."""
    contents = json.loads(json.dumps(study.contents(command), default=str))
    return KINDS[study.kind](contents, study.arrays())


def report_result(found: ConnectivityReport, command: str, lines: Mapping[str, PathResult]) -> ReportResult:
    """A report, as it would be read from its file."""
    contents = json.loads(json.dumps(found.to_json() | {"command": command}, default=str))
    return ReportResult(contents, lines=lines)


def as_pair(line: PathResult, place: Path, method: str) -> Pair:
    """A line as one pair of a report, which calls it of `method`."""
    if line.kind != "interpolate":
        raise UserError(f"a report compares lines of `landscape.interpolate`, not a result of {line.kind}")
    return pair_of(place, line.result, line.arrays, method)


def _name(end: Mapping[str, Any]) -> str:
    return f"{end['moment']} {method_label(end['algorithm'])}"


def _text(one: Interval) -> str:
    upper = f"{one.upper:.3g}" if math.isfinite(one.upper) else "∞"
    return f"{one.estimate:.3g} [{one.lower:.3g}, {upper}]"
