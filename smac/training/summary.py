"""What a fine-tuning run amounts to: regret, and what the switch cost, per seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smac.training.metrics import recovery_steps, regret, switch_dip

Row = Mapping[str, str]


def summarise(rows: Sequence[Row], *, dip_within: int | None) -> dict[str, dict[str, float]]:
    """Seed -> numbers, from the rows of metrics.csv; what cannot be computed is left out.

    `regret/eval`: mean shortfall 1 - score of the evaluations; `regret/eval_success` the same for success.
    `regret/train`: mean shortfall of the success of the training episodes, with their exploration; it is what
    CORL publishes under both names. Both by the trapezoid rule in environment steps. `switch/dip`: score at
    the switch minus the worst evaluation of the first `dip_within` steps; `switch/evaluated_every`: the
    longest time between two evaluations, as a shorter dip may not be seen;
    `switch/recovery_steps`: steps until the score is back, absent if it never is; `switch/gain`: the last
    score minus that at the switch; `switch/temperature`: SAC's before its first update. Without
    `dip_within` there was no switch.
    """
    seeds = sorted({row["seed"] for row in rows if row["phase"] == "online"}, key=int)
    return {seed: _numbers([r for r in rows if r["seed"] == seed], dip_within) for seed in seeds}


def _numbers(rows: Sequence[Row], dip_within: int | None) -> dict[str, float]:
    numbers = {}
    for name, metric in (
        ("regret/eval", "eval/score"),
        ("regret/eval_success", "eval/success"),
        ("regret/train", "train/episode_success"),
    ):
        steps, values = curve(rows, metric)
        if len(steps) > 1:
            numbers[name] = regret(steps, values)
    _, temperatures = curve(rows, "switch/temperature")
    if len(temperatures):
        numbers["switch/temperature"] = float(temperatures[0])
    steps, scores = curve(rows, "eval/score")
    if len(steps) > 1 and dip_within is not None:
        numbers["switch/dip"] = switch_dip(steps, scores, dip_within)
        numbers["switch/evaluated_every"] = float(np.diff(steps).max())
        numbers["switch/gain"] = float(scores[-1] - scores[0])
        numbers["switch/recovery_steps"] = recovery_steps(steps, scores, dip_within)
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


def curve(rows: Sequence[Row], metric: str, phase: str = "online") -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one metric, where it was logged."""
    found = [(int(r["step"]), float(r[metric])) for r in rows if r["phase"] == phase and r.get(metric)]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps, dtype=float), np.array(values)
