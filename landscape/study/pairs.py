"""What a report is made of: results on disk by pair of checkpoints, and runs whose pairs are to come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from landscape.statistics import Interval, falls
from landscape.study.complete import read_files
from smac.agents import method_label
from smac.errors import UserError
from smac.files import read_json
from smac.rollout import Status
from smac.statistics.rare import excluded_rate
from smac.training.comparison import MONOTONE_RUN

MOMENTS = ("offline", "online")  # of the two checkpoints of a fine-tuning run
LINES = {"demo": "*/interpolate", "report": "pairs/*", "compare": "pairs/*"}
"""Commands whose directories hold lines: where."""
BESIDE = ("trajectory", "curve", "align", "plane")
NEEDED = ("V", "DD", "V_crossfit", "p_monotone", "numbers", "means", "band", "verdict", "monotone", "reason")


@dataclass(frozen=True)
class Missing:
    """A pair that ought to be in the report and is not."""

    place: str
    reason: str


@dataclass(frozen=True)
class Pair:
    """The straight line of one pair of checkpoints: a finished result of `interpolate`."""

    directory: Path
    result: Mapping[str, Any]
    """The contents of `result.json`."""
    alphas: np.ndarray
    returns: np.ndarray
    """[points, episodes]; NaN where an episode failed or was not played."""
    episode_seeds: np.ndarray
    complete: int
    """So many first episodes were played at every point, whatever came of them before."""
    named: str = ""
    """What the method is called, if not by its algorithms."""

    @property
    def method(self) -> str:
        """Algorithm of the offline checkpoint -> that of the online one, unless it was given a name."""
        return self.named or " → ".join(method_label(self.result[end]["algorithm"]) for end in ("from", "to"))

    @property
    def seed(self) -> int | None:
        """The training seed."""
        return self.result["to"]["seed"]

    @property
    def name(self) -> str:
        return f"{self.method}, seed {self.seed}"

    @property
    def analysis(self) -> Mapping[str, Any]:
        return self.result["analysis"]

    @property
    def falls(self) -> bool:
        """Whether the online end lies below the offline one by more than the margin."""
        return falls_in(self.analysis, float(self.result["margin"]["delta"]))

    @property
    def excluded(self) -> float:
        """Failures more frequent than this at any point would have been seen, also in older results."""
        level = 1 - float(self.analysis.get("confidence", 0.95))
        given = self.analysis.get("excluded_failure_rate")
        return float(given) if given else excluded_rate(self.complete, level, len(self.alphas))

    @property
    def none_succeeded(self) -> bool:
        """Whether the task tells success and no episode at any point had it."""
        rates = self.result.get("fields", {}).get("success")
        return rates is not None and not any(rates)

    @property
    def adaptive(self) -> bool:
        return "stages" in self.analysis

    @property
    def training(self) -> str | None:
        """Whether the score ever fell while the run went from one end to the other, as `smac finetune` judged
        its evaluations: monotone | not monotone | undecided. None where these are not the ends of such a run.
        """
        ends = [Path(self.result[end].get("path") or "") for end in ("from", "to")]
        summary = ends[1].parent.parent / "summary.json"
        if ends != [ends[1].with_name(f"{moment}.safetensors") for moment in MOMENTS] or not summary.exists():
            return None
        told = _object(summary).get(str(self.seed), {})
        return told.get(MONOTONE_RUN)


@dataclass(frozen=True)
class Beside:
    """Another study of the same checkpoints."""

    kind: str
    directory: Path
    result: Mapping[str, Any]

    @property
    def checkpoints(self) -> set[str]:
        """The files that it is about."""
        ends = [self.result[end] for end in ("from", "to") if end in self.result]
        return {one["path"] for one in [*ends, *self.result.get("checkpoints", [])]}


@dataclass(frozen=True)
class Line:
    """A pair of checkpoints of a run whose straight line has yet to be evaluated."""

    run: Path
    seed: int
    start: Path
    end: Path


@dataclass
class Found:
    """What the inputs of a report turned out to be."""

    pairs: list[Pair] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


def bounded(interval: Mapping[str, float | None]) -> Interval:
    """An interval from its JSON, where an infinite upper bound is null."""
    lower, upper = interval["lower"], interval["upper"]
    return Interval(
        float(interval["estimate"] or 0.0), float(lower or 0.0), math.inf if upper is None else float(upper)
    )


def falls_in(analysis: Mapping[str, Any], margin: float) -> bool:
    """`falls` of an analysis as JSON; versions that did not say so have what it follows from."""
    numbers = analysis["numbers"]
    return falls(numbers["J_0"], numbers["J_1"], bounded(analysis["DD"]), margin)


def look_up(paths: Sequence[Path]) -> Found:
    """Sort directories into results, runs, and what is missing; UserError on one that is neither.

    A run is a directory of `smac finetune`, or of `smac transfer` with many of them.
    """
    found = Found()
    for path in paths:
        if (path / "result.json").exists():
            _add_result(path, found)
        elif (path / "study.json").exists():
            found.missing.append(_begun(path))
        elif (path / "config.json").exists():
            _add_run(path, found)
        elif (path / "plan.json").exists():
            _add_matrix(path, found)
        else:
            raise UserError(
                f"{path}: neither a result of `landscape interpolate` (no result.json) nor a run of `smac "
                "finetune` (no config.json)"
            )
    return found


def _begun(path: Path) -> Missing:
    """A study without its result; UserError for one that has none by itself, but many lines."""
    command = _object(path / "study.json").get("command")
    if command in LINES:
        lines = LINES[command]
        raise UserError(f"{path}: is what `landscape {command}` made; name the lines in it, {path / lines}")
    return Missing(str(path), "was begun and has not ended")


def _add_result(path: Path, found: Found) -> None:
    result = _object(path / "result.json")
    kind = result.get("kind")
    if kind == "interpolate":
        found.pairs.append(read_pair(path))
    elif kind in BESIDE:
        found.beside.append(Beside(str(kind), path, result))
    else:
        raise UserError(f"{path / 'result.json'}: is of kind {kind!r}, which has no place in a report")


def _add_run(path: Path, found: Found) -> None:
    config = _object(path / "config.json")
    if config.get("command") != "finetune":
        raise UserError(
            f"{path / 'config.json'}: is a run of `smac {config.get('command')}`; a report is about runs of "
            "`smac finetune`, which have an offline and an online checkpoint"
        )
    folders = sorted(path.glob("seed-*"), key=lambda folder: _number(folder.name))
    if not folders:
        found.missing.append(Missing(str(path), "the run has no checkpoints yet (no seed-* in it)"))
    for folder in folders:
        ends = [folder / f"{moment}.safetensors" for moment in MOMENTS]
        absent = [end.name for end in ends if not end.exists()]
        if absent:
            found.missing.append(
                Missing(str(folder), f"has no {' and no '.join(absent)}: the run has not ended")
            )
        else:
            found.lines.append(Line(path, _number(folder.name), *ends))


def _add_matrix(path: Path, found: Found) -> None:
    """The fine-tuning cells of a matrix of `smac transfer`."""
    cells = _object(path / "plan.json").get("cells")
    names = [name for name in cells if name.startswith("finetune/")] if isinstance(cells, Mapping) else []
    if not names:
        raise UserError(f"{path / 'plan.json'}: names no fine-tuning runs")
    for name in names:
        cell = path / name
        if (cell / "config.json").exists():
            _add_run(cell, found)
        else:
            found.missing.append(Missing(str(cell), "has not been trained yet"))


def _number(folder: str) -> int:
    digits = folder.partition("-")[2]
    return int(digits) if digits.isdigit() else -1


def read_pair(directory: Path) -> Pair:
    """A finished result of `interpolate`, whose missing statistics follow from its episodes.

    UserError that names the file if it is damaged.
    """
    if not (directory / "returns.npz").exists():
        _object(directory / "result.json")
        raise UserError(f"{directory / 'returns.npz'}: no such file; run `landscape interpolate` again")
    result, arrays, _ = read_files(directory)
    return pair_of(directory, result, arrays)


def pair_of(
    directory: Path, result: Mapping[str, Any], arrays: Mapping[str, np.ndarray], named: str = ""
) -> Pair:
    """The pair whose files hold these; UserError that names the file which lacks something."""
    path, archive = directory / "result.json", directory / "returns.npz"
    analysis = result.get("analysis")
    absent = [name for name in ("task", "from", "to", "margin", "analysis") if name not in result]
    absent += [
        f"analysis.{name}" for name in NEEDED if not isinstance(analysis, Mapping) or name not in analysis
    ]
    if absent or not isinstance(analysis, Mapping):
        raise UserError(f"{path}: lacks {', '.join(absent)}; run `landscape interpolate` again")
    lost = [name for name in ("alphas", "returns", "episode_seeds") if name not in arrays]
    if lost:
        raise UserError(f"{archive}: lacks {', '.join(lost)}; run `landscape interpolate` again")
    alphas, returns, seeds = (arrays[name] for name in ("alphas", "returns", "episode_seeds"))
    fits = returns.ndim == 2 and returns.shape == (len(alphas), len(seeds))
    if not (fits and len(analysis["means"]) == len(analysis["band"]) == len(alphas)):
        raise UserError(f"{archive}: its arrays do not fit {path}; run `landscape interpolate` again")
    complete = _complete(analysis, returns, arrays.get("statuses"))
    return Pair(directory, result, alphas, returns, seeds, complete, named)


def _complete(analysis: Mapping[str, Any], returns: np.ndarray, statuses: np.ndarray | None) -> int:
    """How many first episodes were planned for every point: with stages, those of the first alone."""
    if "stages" in analysis:  # later ones went where returns were low, so their choice is no accident
        return int(analysis["stages"][0]["episodes"])
    if statuses is None:
        return returns.shape[1]
    return int((statuses != Status.NOT_PLAYED).all(axis=0).sum())


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path}: does not hold a JSON object")
    return value
