"""Methods compared over training seeds: means with intervals, from finished run directories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smac.files import read_json
from smac.statistics.classical import student_half_width
from smac.statistics.curve import MONOTONE, NOT_MONOTONE, UNDECIDED
from smac.statistics.dip import dip_interval
from smac.statistics.seeds import ENOUGH, bounded_mean
from smac.training.episodes import read_evaluations
from smac.training.run import read_metrics, run_config
from smac.training.summary import UNIT, curve, monotone_mean

OFFLINE_NUMBERS = ("return", "score", "success")
ONLINE_NUMBERS = (
    "final_return", "final_score", "final_success", "switch/dip", "switch/dip_raw", "switch/evaluated_every",
    "switch/gain", "switch/recovery_steps", "switch/drawdown", "regret/eval", "regret/return", "regret/train",
)  # fmt: skip
RANGES = {
    **dict.fromkeys(
        ("score", "success", "final_score", "final_success", "regret/eval", "regret/train"), (0.0, 1.0)
    ),
    **dict.fromkeys(("switch/dip_raw", "switch/drawdown"), (0.0, 1.0)),
    "switch/gain": (-1.0, 1.0),
}  # of numbers over seeds; a score may leave it
RANGES_OF_RETURNS = {name: x for name, x in RANGES.items() if not name.startswith("switch/")}
REGRETS = ("regret/eval", "regret/return")
DIP, RAW_DIP, MONOTONE_RUN = "switch/dip", "switch/dip_raw", "switch/monotone"


@dataclass(frozen=True)
class Mean:
    """The mean of one number over training seeds; NaN where it does not exist."""

    mean: float
    low: float  # 95 % interval over seeds; NaN where so few seeds support none
    high: float
    seeds: int  # that have the number

    def text(self, digits: int, of: int) -> str:
        """`0.93 [0.88, 0.98]`, as for a table; with the number of seeds if not all `of` have the number."""
        none = f" (n = {self.seeds}: no interval)"
        interval = none if np.isnan(self.low) else f" [{self.low:.{digits}f}, {self.high:.{digits}f}]"
        share = "" if self.seeds == of else f" ({self.seeds} of {of})"
        return f"{self.mean:.{digits}f}{interval}{share}"


def over_seeds(
    values: Sequence[float], within: tuple[float, float] | None = None, confidence: float = 0.95
) -> Mean:
    """Mean and interval of independent seeds; values that are NaN are left out and not counted.

    `within` is the range of the number, and the interval that of `smac.statistics.seeds`; values that leave
    the range widen it. A number without one gets Student's t, with at least 5 seeds that differ.
    """
    x = np.array([v for v in values if np.isfinite(v)], dtype=float)
    if len(x) < 2:
        return Mean(float(x[0]) if len(x) else np.nan, np.nan, np.nan, len(x))
    if within:
        found = bounded_mean(x, min(within[0], x.min()), max(within[1], x.max()), confidence)
        return Mean(found.estimate, found.lower, found.upper, len(x))
    if len(x) < ENOUGH or np.ptp(x) == 0:
        return Mean(float(x.mean()), np.nan, np.nan, len(x))
    half = student_half_width(x, confidence)
    return Mean(float(x.mean()), float(x.mean() - half), float(x.mean() + half), len(x))


def last_evaluation(directory: Path, phase: str) -> dict[int, dict[str, float]]:
    """Seed -> return, score, success of a run's last evaluation."""
    rows = read_metrics(directory)
    found = {}
    for seed in sorted({int(row["seed"]) for row in rows}):
        own = [row for row in rows if int(row["seed"]) == seed]
        last = {name: curve(own, f"eval/{name}", phase)[1] for name in OFFLINE_NUMBERS}
        found[seed] = {name: float(values[-1]) for name, values in last.items() if len(values)}
    return found


def offline_numbers(directory: Path) -> dict[str, Any]:
    """The end of a pre-training run: per seed and over seeds."""
    return _both(last_evaluation(directory, "offline"), OFFLINE_NUMBERS)


def online_numbers(directory: Path) -> dict[str, Any]:
    """What a fine-tuning run amounts to: per seed and over seeds.

    `monotone`: how many seeds have each verdict on their learning curve after the switch, and the verdict on
    the mean curve; absent for a run of an older version, which kept no episodes.
    """
    final = last_evaluation(directory, "online")
    summary: Mapping[str, Mapping[str, Any]] = read_json(directory / "summary.json")
    seeds: dict[int, Mapping[str, Any]] = {
        seed: {f"final_{name}": value for name, value in numbers.items()} | told_raw(summary[str(seed)])
        for seed, numbers in final.items()
    }
    in_returns = any(UNIT in own for own in seeds.values())
    found = _both(seeds, ONLINE_NUMBERS, RANGES if not in_returns else RANGES_OF_RETURNS)
    dips = [(own[DIP], own[RAW_DIP]) for own in seeds.values() if DIP in own and RAW_DIP in own]
    if DIP in found["over_seeds"]:
        found["over_seeds"][DIP] = asdict(_mean_dip(np.array(dips)))
    verdicts = Counter(str(own[MONOTONE_RUN]) for own in seeds.values() if MONOTONE_RUN in own)
    if verdicts:
        found["monotone"] = {
            "seeds": {name: verdicts[name] for name in (MONOTONE, NOT_MONOTONE, UNDECIDED)},
            "mean": _monotone_mean(directory),
        }
    return found


def told_raw(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a run or cell, where a dip that an older version wrote has its present name.

    Until evaluations kept their episodes `switch/dip` was what is `switch/dip_raw` now: too large by the
    noise of a minimum. A number of a present version always comes with its raw one.
    """
    old = DIP in numbers and RAW_DIP not in numbers
    return {RAW_DIP if old and name == DIP else name: value for name, value in numbers.items()}


def common_dip(cells: Sequence[Mapping[str, Any]]) -> str:
    """Name of the dip to compare cells by: the raw one for all if a cell has no other, never a mixture."""
    return DIP if all(DIP in told_raw(cell["over_seeds"]) for cell in cells) else RAW_DIP


def min_max(values: Mapping[str, float]) -> dict[str, float]:
    """Values as shares of the way from the smallest to the largest; 0 for all where they are equal.

    As the paper's table does with regret, within a task and over all that are compared there: 0 is the best
    of them and 1 the worst, whatever they amount to, and a share changes with the company it is in.
    """
    if not values:
        return {}
    low, high = min(values.values()), max(values.values())
    return {name: (value - low) / (high - low) if high > low else 0.0 for name, value in values.items()}


def min_max_regret(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """`min_max` of the mean regret of every cell that has one: of the score, else of the return."""
    every = [cell["over_seeds"] for cell in cells.values()]
    known = next((name for name in REGRETS if any(name in means for means in every)), REGRETS[0])
    found = {name: cell["over_seeds"].get(known) for name, cell in cells.items()}
    return min_max({name: float(mean["mean"]) for name, mean in found.items() if mean})


def _mean_dip(dips: np.ndarray) -> Mean:
    """From the dip and the raw dip of every seed, [seeds, 2]."""
    found = dip_interval(dips[:, 0], dips[:, 1])
    return Mean(float(found.estimate), float(found.lower), float(found.upper), len(dips))


def _monotone_mean(directory: Path) -> dict[str, Any] | None:
    evaluations = read_evaluations(directory)
    online = run_config(directory).get("online", {})
    within, margin = online.get("dip_within"), online.get("dip_margin")
    judged = monotone_mean(evaluations, within, margin) if evaluations and within is not None else None
    return judged.to_json() if judged else None


def evaluated(results: Mapping[int, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Per seed and over seeds, from `evaluate_checkpoint` of each seed; a seed's number is its mean."""
    means = {seed: {name: x["mean"] for name, x in result.items()} for seed, result in results.items()}
    return _both(means, list(next(iter(means.values()))))


def _both(
    seeds: Mapping[int, Mapping[str, Any]],
    names: Sequence[str],
    ranges: Mapping[str, tuple[float, float]] = RANGES,
) -> dict[str, Any]:
    means = {
        name: over_seeds([numbers.get(name, np.nan) for numbers in seeds.values()], ranges.get(name))
        for name in names
    }
    return {
        "seeds": {str(seed): dict(numbers) for seed, numbers in seeds.items()},
        "over_seeds": {name: asdict(mean) for name, mean in means.items() if mean.seeds},
    }
