"""Everything about one path: from the return matrix to numbers, intervals and verdicts."""

import math
from dataclasses import dataclass

import numpy as np

from landscape.statistics.numbers import PathNumbers, inside, path_numbers
from landscape.statistics.valley import CrossfitValley, crossfit, width_and_area
from smac.errors import UserError
from smac.statistics.bounds import (
    Bounds,
    Interval,
    pointwise,
    resampling_weights,
    simultaneous,
    verdict,
)
from smac.statistics.contrasts import Array, Family, families
from smac.statistics.depth import depth_interval, fall_candidates, upper, valley_candidates
from smac.statistics.monotonicity import monotone_p_value, trend_p_value
from smac.statistics.rare import (
    FAILURE,
    draws_for,
    episodes_to_see,
    excluded_rate,
    failure_loss,
    fall_p_value,
    upper_limits,
    worst_case_means,
    worst_case_weights,
)
from smac.statistics.results import Result

Limits = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PathReport(Result):
    """Everything `analyse_path` found out. Arrays follow `alphas`, which may reach beyond [0, 1]."""

    alphas: tuple[float, ...]
    means: tuple[float, ...]
    """Over the episodes used; nan at an extrapolated point where one of them failed."""
    band: Limits
    """Simultaneous lower and upper bounds: all mean returns lie inside at once with `confidence`.

    The lower ones reach further, by what failures that no episode showed may cost.
    """
    pointwise: Limits
    """The same for one point at a time; not for claims about a minimum."""
    numbers: PathNumbers
    V: Interval
    DD: Interval
    B_chord: Interval
    B_mean: Interval
    D_0: Interval
    W: Interval
    """Width of the valley at the margin; from the simultaneous bounds behind V, as is `area`."""
    area: Interval
    V_crossfit: float
    """Nearly unbiased valley depth; may be slightly negative where there is none. nan with one episode."""
    crossfit: CrossfitValley
    """The same with its interval, which is narrower than that of V but not simultaneous."""
    p_monotone: float
    """p-value of the hypothesis that the return never falls along the path. nan with one episode."""
    p_trend: float
    """p-value of the hypothesis of no trend, against an overall rise (Page); no evidence of monotonicity."""
    margin: float
    verdict: str
    """connected | valley | undecided, for V against the margin."""
    reason: str
    extra_episodes: int | None
    """If undecided: rough number of further episodes per point that would decide it; None if unknown."""
    monotone: str
    """monotone | not monotone | undecided, for DD against the margin."""
    monotone_extra_episodes: int | None
    excluded_failure_rate: float
    """Failures more frequent than this at any point of the path would have been seen, with `confidence`."""
    failure_loss: float
    """Return that one failure is taken to cost: what was said of it, or more where returns fell further."""
    episodes_used: int
    episodes_dropped: int
    failed: tuple[float, ...]
    """Alphas in [0, 1] where not one episode finished; every number above is of the other points."""
    confidence: float
    draws: int
    seed: int


def analyse_path(
    returns: Array,
    alphas: Array,
    *,
    margin: float,
    failure: float | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> PathReport:
    """Numbers, intervals and verdicts for returns [points, episodes] on shared episode seeds.

    `margin` (>= 0, in units of return) is the depth that does not matter: delta for the valley and epsilon
    for monotonicity. `failure` is the return that a failed episode loses, which no episode may have shown,
    such as the score range of a task; without it, 20 margins (see `smac.statistics.rare`). All randomness
    comes from `seed`; the same call gives the same report. Each interval holds with `confidence` by itself. A
    point between the ends where no episode finished at all is left out, and then no verdict is "connected" or
    "monotone". Raises UserError on a wrong shape or grid, if no episode of an end finished, or if none
    finished at all the other points.
    """
    R, alphas = np.asarray(returns, np.float64), np.asarray(alphas, np.float64)
    if R.ndim != 2 or alphas.shape != R.shape[:1]:
        raise UserError(f"returns must be [points, episodes] for {alphas.size} alphas, got shape {R.shape}")
    check_options(margin, confidence, draws)
    rows, dead = _living(R, alphas)
    finished = np.isfinite(R[rows]).all(axis=0)
    dropped = int(np.count_nonzero(~finished))
    R = np.compress(finished, R, axis=1)
    path, episodes = R[rows], R.shape[1]
    if episodes == 0:
        raise UserError(
            "no episode finished at every point of the path; look at the statuses of the failed ones"
        )

    rng = np.random.default_rng(seed)
    weights = resampling_weights(episodes, draws, rng)
    level, least = (1 - confidence) / 2, FAILURE * margin if failure is None else float(failure)
    seldom = worst_case_weights(episodes, draws_for(level / len(R), draws), rng)
    means, band, single = _mean_curve(R, weights, seldom, least, confidence)
    family = families(alphas[rows])
    bounds = {name: simultaneous(path, f.contrasts, weights, confidence) for name, f in family.items()}
    depth = _depths(path, family, bounds, seldom, least, confidence, rng)
    loss = failure_loss(path, least)
    width, area = width_and_area(path.mean(axis=1), alphas[rows], bounds["V"], margin)
    fitted = crossfit(path, rng, confidence=confidence)

    silent = bool(np.all(path == path[0, 0]))
    if silent:  # nothing varied, so nothing bounds what was not seen
        depth = {name: Interval(found.estimate, 0.0, math.inf) for name, found in depth.items()}
        width, area = Interval(0.0, 0.0, 1.0), Interval(0.0, 0.0, math.inf)
    unseen = excluded_rate(episodes, level)  # at one point: what "connected" and "monotone" must exclude
    valley = "undecided" if silent else verdict(depth["V"], margin)
    monotone = "undecided" if silent else verdict(depth["DD"], margin, "monotone", "not monotone")
    settled = bounds["V"].interval(family["V"]).upper <= margin  # by what was seen
    cost = unseen * loss if settled else 0.0
    reason = _reason(valley, depth["V"], margin, silent, episodes, unseen, cost)
    if (dropped or dead) and valley == "connected":
        valley, reason = "undecided", _hidden(dead)
    if (dropped or dead) and monotone == "monotone":
        monotone = "undecided"

    def extra(name: str) -> int | None:
        if silent or verdict(depth[name], margin) != "undecided":
            return None
        return _further(
            bounds[name].units_for(family[name], margin), depth[name], margin, loss, level, episodes
        )

    return PathReport(
        alphas=tuple(alphas.tolist()),
        means=tuple(means.tolist()),
        band=band,
        pointwise=single,
        numbers=path_numbers(path.mean(axis=1), alphas[rows], margin),
        **depth,
        W=width,
        area=area,
        V_crossfit=fitted.estimate,
        crossfit=fitted,
        p_monotone=float(np.maximum(monotone_p_value(path, weights), fall_p_value(path, least, seldom))),
        p_trend=trend_p_value(path),
        margin=float(margin),
        verdict=valley,
        reason=reason,
        extra_episodes=extra("V"),
        monotone=monotone,
        monotone_extra_episodes=extra("DD"),
        excluded_failure_rate=excluded_rate(episodes, 1 - confidence, len(path)),
        failure_loss=loss,
        episodes_used=episodes,
        episodes_dropped=dropped,
        failed=dead,
        confidence=confidence,
        draws=draws,
        seed=seed,
    )


def _depths(
    path: Array,
    family: dict[str, Family],
    bounds: dict[str, Bounds],
    seldom: Array,
    failure: float,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """V and DD, which verdicts are of, with both bounds of `depth`; the others with its upper one."""
    candidates = {"V": valley_candidates(len(path)), "DD": fall_candidates(len(path))}
    level, found = (1 - confidence) / 2, {}
    for name, of in family.items():
        plain = bounds[name].interval(of)
        if name in candidates:
            plain = depth_interval(path, of, candidates[name], failure, level, seldom, rng)
        else:
            most = upper(path, of, failure, level, seldom)
            plain = Interval(plain.estimate, plain.lower, max(plain.estimate, most))
        found[name] = plain
    return found


def _further(
    planned: int | None, depth: Interval, margin: float, loss: float, level: float, episodes: int
) -> int | None:
    """Further episodes to expect: never fewer than it takes to see a failure of the rate that matters."""
    if depth.estimate >= margin or planned is None:
        return planned
    return max(planned, episodes_to_see(margin / loss, level) - episodes) if margin > 0 else planned


def _living(R: Array, alphas: Array) -> tuple[np.ndarray, tuple[float, ...]]:
    """The rows of [0, 1] with a finished episode, and the alphas of the others; both ends must have one."""
    rows = np.arange(len(alphas))[inside(alphas)]
    living = np.isfinite(R[rows]).any(axis=1)
    dead = alphas[rows][~living]
    for end in (0.0, 1.0):
        if end in dead:
            raise UserError(
                f"no episode of the checkpoint at alpha {end:g} finished; look at the episodes' statuses"
            )
    return rows[living], tuple(dead.tolist())


def _hidden(dead: tuple[float, ...]) -> str:
    if dead:
        where = ", ".join(f"{alpha:.2f}" for alpha in dead)
        return f"every episode failed at alpha {where}, and the valley may be there"
    return "failed episodes were dropped, and they may hide a valley"


def check_options(margin: float, confidence: float, draws: int) -> None:
    """Raise a UserError for a margin, confidence or number of draws that makes no sense."""
    if not (math.isfinite(margin) and margin >= 0):
        raise UserError(f"margin must be a finite number >= 0, got {margin}")
    if not 0 < confidence < 1 or draws < 1:
        raise UserError(
            f"confidence must lie between 0 and 1 and draws be positive, got {confidence} and {draws}"
        )


def limits(means: Array, half_widths: Array) -> Limits:
    """Lower and upper bounds as plain numbers."""
    return tuple(zip((means - half_widths).tolist(), (means + half_widths).tolist(), strict=True))


def _mean_curve(
    R: Array, weights: Array, seldom: Array, failure: float, confidence: float
) -> tuple[Array, Limits, Limits]:
    """Means [points] with simultaneous and point-wise limits; nan where an episode failed."""
    shown = np.isfinite(R).all(axis=1)
    means, wide, narrow, least = np.full((4, len(R)), np.nan)
    means[shown] = R[shown].mean(axis=1)
    wide[shown] = simultaneous(R[shown], np.eye(int(shown.sum())), weights, confidence).half_width
    if np.ptp(R[shown]) == 0:  # one repeated number says nothing of what was not seen
        wide[shown] = np.inf
    narrow[shown] = pointwise(R[shown], weights, confidence, wide[shown][0])
    least[shown] = lowest_means(R[shown], failure, (1 - confidence) / 2, seldom)
    return means, limits_with(means, wide, least), limits(means, narrow)


def limits_with(means: Array, half_widths: Array, least: Array) -> Limits:
    """`limits` whose lower ones are no higher than `least`."""
    return tuple(
        zip(np.minimum(means - half_widths, least).tolist(), (means + half_widths).tolist(), strict=True)
    )


def lowest_means(R: Array, failure: float, level: float, seldom: Array) -> Array:
    """Lower bounds [points] of all means at once, should failures that few or no episodes showed come."""
    means = R.mean(axis=1)
    fallen = np.maximum(means - R.min(), failure)
    return -upper_limits(worst_case_means(-R, fallen - means, seldom), level / len(R))


def _reason(
    outcome: str, V: Interval, margin: float, silent: bool, episodes: int, unseen: float, cost: float
) -> str:
    if silent:
        return "every return is the same number, so the episodes carry no information"
    if outcome == "connected":
        return f"the upper bound of the valley depth, {V.upper:.4g}, is within the margin of {margin:.4g}"
    if outcome == "valley":
        return f"the lower bound of the valley depth, {V.lower:.4g}, is above the margin of {margin:.4g}"
    if not math.isfinite(V.upper):
        return f"{episodes} episode{'s' if episodes > 1 else ''} cannot show how much returns vary"
    if cost > margin:
        return (
            f"{episodes} episodes do not exclude failures of {100 * unseen:.2g} % at a point, which would "
            f"cost {cost:.4g}, more than the margin of {margin:.4g}"
        )
    interval = f"{V.lower:.4g} to {V.upper:.4g}"
    return f"the margin of {margin:.4g} lies inside the interval of the valley depth, {interval}"


def falls(J_0: float, J_1: float, DD: Interval, margin: float) -> bool:
    """Whether *to* lies below *from* by more than the margin, by the bounds behind DD, of which it is one.

    A path is "monotone" if the return never falls from *from* to *to* (docs/landscape.md §4): "reward changes
    monotonically" in SMAC's paper is about ends of which the fine-tuned one is the better. So a path that
    falls all the way is not monotone here, and this says why.
    """
    return J_0 - J_1 - (DD.estimate - DD.lower) > margin


PAPER_SENSE = "linearly connected in the paper's sense"


def monotone_sentence(report: PathReport, *, straight: bool, later: str = "point") -> str:
    """The verdict on monotonicity as one English sentence with its numbers.

    `straight`: whether the path is a straight line, so that "monotone" is what SMAC's paper calls linearly
    connected; `later` names the points of the path.
    """
    DD, numbers = report.DD, report.numbers
    paper = f" ({PAPER_SENSE})" if straight else ""
    words = {
        "monotone": f"Monotone within the margin{paper}",
        "not monotone": "Not monotone" + (f" (not {PAPER_SENSE})" if straight else ""),
        "undecided": f"Undecided whether it is monotone{paper}",
    }
    if falls(numbers.J_0, numbers.J_1, DD, report.margin):
        words["not monotone"] += f", since it falls and ends {numbers.J_0 - numbers.J_1:.1f} below its start"
    upper = f"{DD.upper:.1f}" if math.isfinite(DD.upper) else "∞"
    p = report.p_monotone
    chance = f", p = {p:.2g} for a return that never falls" if math.isfinite(p) else ""
    text = (
        f"{words[report.monotone]}: the largest fall to a later {later} is {DD.estimate:.1f} "
        f"({100 * report.confidence:g} % interval {DD.lower:.1f} to {upper}{chance})"
    )
    if report.monotone == "undecided" and report.monotone_extra_episodes:
        text += f"; about {report.monotone_extra_episodes} more episodes per point would decide it"
    return f"{text}."


def sentence(report: PathReport, from_name: str, to_name: str, where: str = "on the straight line") -> str:
    """The verdict on the valley as one English sentence with its numbers; `where` names the path."""
    V, margin = report.V, f"the margin of {report.margin:.1f}"
    interval = f"{100 * report.confidence:g} % interval {V.lower:.1f} to {V.upper:.1f}"
    if report.verdict == "valley":
        found = f"the return falls {V.estimate:.1f} ({interval}) below the lower end, more than {margin}"
        found += f", at alpha {report.numbers.location:.2f}"
    elif report.verdict == "connected":
        found = f"the return falls at most {V.upper:.1f} ({interval}) below the lower end, within {margin}"
    else:
        found = report.reason
        if report.extra_episodes:
            found += f"; about {report.extra_episodes} more episodes per point would decide it"
    left_out = f" ({report.episodes_dropped} failed episodes left out)" if report.episodes_dropped else ""
    line = f"{where} from {from_name} to {to_name}"
    return f"{report.verdict.capitalize()}: {line}, {found}{left_out}. {rare_sentence(report)}"


def rare_sentence(report: PathReport) -> str:
    """What episodes of which none failed cannot exclude."""
    rate = 100 * report.excluded_failure_rate
    return f"Failures of up to {rate:.2g} % of the episodes at some point may have gone unseen."
