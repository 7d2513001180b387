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
UNIT = "switch/unit"  # with numbers that are not of the score, for a task that has none


def summarise(
    rows: Sequence[Row],
    *,
    dip_within: int | None,
    evaluations: Evaluations | None = None,
    margin: float | None = None,
) -> dict[str, Numbers]:
    """Seed -> numbers, from metrics.csv and every episode; what cannot be computed is left out.

    `regret/eval`: mean shortfall 1 - score of the evaluations; `regret/eval_success` the same for success.
    `regret/train`: mean shortfall of the success of the training episodes, with their exploration; it is what
    CORL publishes under both names. Both by the trapezoid rule in environment steps.

    `switch/dip`: score at the switch minus the worst evaluation of the first `dip_within` steps, that one
    found on one half of the episodes and measured on the other (`smac.statistics.dip`); it may be negative.
    `switch/dip_raw`: the same found and measured on all episodes, which makes it too large; all there is
    without `evaluations`. `switch/monotone`: whether the score ever falls by more than `margin` in these
    steps (if None, MARGIN), with its largest fall, `switch/drawdown`, and `switch/p_monotone` of the
    hypothesis that it never falls.
    `switch/evaluated_every`: the longest time between two evaluations, as a shorter dip may not be seen;
    `switch/recovery_steps`: steps until the score is back, absent if it never is; `switch/gain`: the last
    score minus that at the switch; `switch/temperature`: SAC's before its first update. Without
    `dip_within` there was no switch.

    Of a task without reference returns there is no score, and the numbers of the switch are in units of
    return, which `switch/unit` says; `switch/monotone` then needs a margin. `regret/return` is minus the mean
    return of the evaluations: the regret up to the best return there is, which nobody stated, so that
    differences between methods are those of their regrets.
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
            numbers[seed] |= _of_episodes(values_of(evaluations, dip_within)[k], margin_for(own, margin))
    return numbers


def covers(evaluations: Evaluations, rows: Sequence[Row]) -> bool:
    """Whether these are all evaluations of a run; a run begun by an older version lacks the first ones."""
    logged = [int(row["step"]) for row in rows if row["phase"] == "online" and row.get("eval/length")]
    return sorted(set(logged)) == evaluations.steps.tolist()


def values_of(evaluations: Evaluations, dip_within: int) -> np.ndarray:
    """[seeds, evaluations, episodes] from the switch to `dip_within` steps after it.

    Scores; of a task that has none, returns.
    """
    scored = np.isfinite(evaluations.scores).any()
    values = evaluations.scores if scored else evaluations.returns
    return np.moveaxis(values[evaluations.steps <= dip_within], 0, 1)


def margin_for(rows: Sequence[Row], given: float | None) -> float | None:
    """The fall that does not matter: what was given, else MARGIN of a score; None for returns."""
    return MARGIN if given is None and _metric(rows) == "eval/score" else given


def _metric(rows: Sequence[Row]) -> str:
    """What the numbers of the switch are of."""
    return "eval/score" if any(row.get("eval/score") for row in rows) else "eval/return"


def _of_episodes(values: np.ndarray, margin: float | None) -> Numbers:
    """What needs the single episodes of one seed, [evaluations, episodes]; no verdict without a margin."""
    usable, _ = finished(values)
    if not np.isfinite(values[0]).any() or usable.shape[0] < 2 or usable.shape[1] < 2:
        return {}
    judged = monotone_curve(values, 0.0 if margin is None else margin)
    numbers = {
        "switch/dip": float(crossfit_dip(usable)),
        "switch/drawdown": judged.DD.estimate,
        "switch/p_monotone": judged.p_value,
    }
    verdict: Numbers = {} if margin is None else {"switch/monotone": judged.verdict}
    return {name: value for name, value in numbers.items() if np.isfinite(value)} | verdict


def monotone_mean(evaluations: Evaluations, dip_within: int, margin: float | None = None) -> Monotone | None:
    """The verdict on the mean curve over the seeds; None where there is none to judge, or no margin."""
    values = values_of(evaluations, dip_within)
    if margin is None and np.isfinite(evaluations.scores).any():
        margin = MARGIN
    usable, _ = finished(values)
    if not np.isfinite(values[:, 0]).any(axis=-1).all() or usable.shape[1] < 2 or usable.shape[2] < 1:
        return None
    return None if margin is None else monotone_mean_curve(values, margin)


def _numbers(rows: Sequence[Row], dip_within: int | None) -> Numbers:
    numbers: dict[str, float] = {}
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
    metric = _metric(rows)
    steps, values = curve(rows, metric)
    unit: Numbers = {}
    if metric == "eval/return" and len(steps) > 1:
        numbers["regret/return"] = regret(steps, values) - 1.0
    if len(steps) > 1 and dip_within is not None:
        unit = {UNIT: "return"} if metric == "eval/return" else {}
        numbers["switch/dip_raw"] = switch_dip(steps, values, dip_within)
        numbers["switch/evaluated_every"] = float(np.diff(steps).max())
        numbers["switch/gain"] = float(values[-1] - values[0])
        numbers["switch/recovery_steps"] = recovery_steps(steps, values, dip_within)
    return {name: value for name, value in numbers.items() if np.isfinite(value)} | unit


def curve(rows: Sequence[Row], metric: str, phase: str = "online") -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one metric, where it was logged."""
    found = [(int(r["step"]), float(r[metric])) for r in rows if r["phase"] == phase and r.get(metric)]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps, dtype=float), np.array(values)
