"""Methods compared over training seeds: means with intervals, from finished run directories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from smac.files import read_json
from smac.training.run import read_metrics
from smac.training.summary import curve

OFFLINE_NUMBERS = ("return", "score", "success")
ONLINE_NUMBERS = (
    "final_return", "final_score", "final_success", "switch/dip", "switch/evaluated_every", "switch/gain",
    "switch/recovery_steps", "regret/eval", "regret/train",
)  # fmt: skip


@dataclass(frozen=True)
class Mean:
    """The mean of one number over training seeds; NaN where it does not exist."""

    mean: float
    low: float  # 95 % interval by Student's t over seeds; NaN for a single seed
    high: float
    seeds: int  # that have the number

    def text(self, digits: int, of: int) -> str:
        """`0.93 [0.88, 0.98]`, as for a table; with the number of seeds if not all `of` have the number."""
        interval = "" if np.isnan(self.low) else f" [{self.low:.{digits}f}, {self.high:.{digits}f}]"
        share = "" if self.seeds == of else f" ({self.seeds} of {of})"
        return f"{self.mean:.{digits}f}{interval}{share}"


def over_seeds(values: Sequence[float], confidence: float = 0.95) -> Mean:
    """Mean and t interval of independent seeds; values that are NaN are left out and not counted."""
    x = np.array([v for v in values if np.isfinite(v)], dtype=float)
    if len(x) < 2:
        return Mean(float(x[0]) if len(x) else np.nan, np.nan, np.nan, len(x))
    half = stdtrit(len(x) - 1, 0.5 + confidence / 2) * x.std(ddof=1) / np.sqrt(len(x))
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
    """What a fine-tuning run amounts to: per seed and over seeds."""
    final = last_evaluation(directory, "online")
    summary: Mapping[str, Mapping[str, float]] = read_json(directory / "summary.json")
    seeds = {
        seed: {f"final_{name}": value for name, value in numbers.items()} | dict(summary[str(seed)])
        for seed, numbers in final.items()
    }
    return _both(seeds, ONLINE_NUMBERS)


def evaluated(results: Mapping[int, Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Per seed and over seeds, from `evaluate_checkpoint` of each seed; a seed's number is its mean."""
    means = {seed: {name: x["mean"] for name, x in result.items()} for seed, result in results.items()}
    return _both(means, list(next(iter(means.values()))))


def _both(seeds: Mapping[int, Mapping[str, float]], names: Sequence[str]) -> dict[str, Any]:
    means = {name: over_seeds([numbers.get(name, np.nan) for numbers in seeds.values()]) for name in names}
    return {
        "seeds": {str(seed): dict(numbers) for seed, numbers in seeds.items()},
        "over_seeds": {name: asdict(mean) for name, mean in means.items() if mean.seeds},
    }
