"""What a fine-tuning run amounts to: regret, and what the switch cost, per seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smac.statistics.curve import Monotone, finished, monotone_curve, monotone_mean_curve
from smac.statistics.dip import crossfit_dip
from smac.training.episodes import Evaluations
from smac.training.metrics import recovery_steps, regret, switch_dip

Row = Mapping[str, str]
Numbers = dict[str, float | str]

MARGIN = 0.05  # of the score: a fall that does not matter; the default margin of paths is the same


def summarise(
    rows: Sequence[Row], *, dip_within: int | None, evaluations: Evaluations | None = None
) -> dict[str, Numbers]:
    """Seed -> numbers, from metrics.csv and every episode; what cannot be computed is left out.

    `regret/eval`: mean shortfall 1 - score of the evaluations; `regret/eval_success` the same for success.
    `regret/train`: mean shortfall of the success of the training episodes, with their exploration; it is what
    CORL publishes under both names. Both by the trapezoid rule in environment steps.

    `switch/dip`: score at the switch minus the worst evaluation of the first `dip_within` steps, that one
    found on one half of the episodes and measured on the other (`smac.statistics.dip`); it may be negative.
    `switch/dip_raw`: the same found and measured on all episodes, which makes it too large; all there is
    without `evaluations`. `switch/monotone`: whether the score ever falls by more than MARGIN in these steps,
    with its largest fall, `switch/drawdown`, and `switch/p_monotone` of the hypothesis that it never falls.
    `switch/evaluated_every`: the longest time between two evaluations, as a shorter dip may not be seen;
    `switch/recovery_steps`: steps until the score is back, absent if it never is; `switch/gain`: the last
    score minus that at the switch; `switch/temperature`: SAC's before its first update. Without
    `dip_within` there was no switch.
    """
    seeds = sorted({row["seed"] for row in rows if row["phase"] == "online"}, key=int)
    numbers: dict[str, Numbers] = {}
    for seed in seeds:
        own = [row for row in rows if row["seed"] == seed]
        numbers[seed] = {**_numbers(own, dip_within)}
        if dip_within is None or "switch/dip_raw" not in numbers[seed]:
            continue
        if evaluations is not None and covers(evaluations, own):
            k = evaluations.seeds.tolist().index(int(seed))
            numbers[seed] |= _of_episodes(scores_of(evaluations, dip_within)[k])
    return numbers


def covers(evaluations: Evaluations, rows: Sequence[Row]) -> bool:
    """Whether these are all evaluations of a run; a run begun by an older version lacks the first ones."""
    logged = [int(row["step"]) for row in rows if row["phase"] == "online" and row.get("eval/length")]
    return sorted(set(logged)) == evaluations.steps.tolist()


def scores_of(evaluations: Evaluations, dip_within: int) -> np.ndarray:
    """Scores [seeds, evaluations, episodes] from the switch to `dip_within` steps after it."""
    return np.moveaxis(evaluations.scores[evaluations.steps <= dip_within], 0, 1)


def _of_episodes(scores: np.ndarray) -> Numbers:
    """What needs the single episodes of one seed, [evaluations, episodes]."""
    usable, _ = finished(scores)
    if not np.isfinite(scores[0]).any() or usable.shape[0] < 2 or usable.shape[1] < 2:
        return {}
    judged = monotone_curve(scores, MARGIN)
    numbers = {
        "switch/dip": float(crossfit_dip(usable)),
        "switch/drawdown": judged.DD.estimate,
        "switch/p_monotone": judged.p_value,
    }
    return {name: value for name, value in numbers.items() if np.isfinite(value)} | {
        "switch/monotone": judged.verdict
    }


def monotone_mean(evaluations: Evaluations, dip_within: int) -> Monotone | None:
    """The verdict on the mean curve over the seeds; None where there is none to judge."""
    scores = scores_of(evaluations, dip_within)
    usable, _ = finished(scores)
    if not np.isfinite(scores[:, 0]).any(axis=-1).all() or usable.shape[1] < 2 or usable.shape[2] < 1:
        return None
    return monotone_mean_curve(scores, MARGIN)


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
        numbers["switch/dip_raw"] = switch_dip(steps, scores, dip_within)
        numbers["switch/evaluated_every"] = float(np.diff(steps).max())
        numbers["switch/gain"] = float(scores[-1] - scores[0])
        numbers["switch/recovery_steps"] = recovery_steps(steps, scores, dip_within)
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


def curve(rows: Sequence[Row], metric: str, phase: str = "online") -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one metric, where it was logged."""
    found = [(int(r["step"]), float(r[metric])) for r in rows if r["phase"] == phase and r.get(metric)]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps, dtype=float), np.array(values)
