"""Numbers, error control and verdicts for the return along a path. NumPy and SciPy only.

Returns R [points, episodes] are measured on shared episode seeds (columns are paired), larger is better, and
alphas [points] increase with exactly 0 (*from*) and exactly 1 (*to*) among them. Every number is of the part
of the path with alpha in [0, 1]. Definitions: sections 4.3 (numbers), 4.4 (verdicts), 4.9 (noise), 4.10
(monotonicity) of the project's landscape definition; between grid points the return is taken to be linear.

An episode that failed (a non-finite return) anywhere in [0, 1] is dropped at every point, never averaged
over, and then no verdict of "connected" or "monotone" is given: what was dropped may be the valley.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from landscape.bounds import Array, Interval, families, pointwise, resampling_weights, simultaneous
from smac.errors import UserError

SPLITS = 20  # random halvings of the episodes behind the cross-fitted valley depth


@dataclass(frozen=True)
class PathNumbers:
    """Definition 4.3 for a curve of mean returns; depths are in units of return and never negative."""

    J_0: float
    J_1: float
    V: float
    """Valley depth: min(J_0, J_1) - min J, or 0."""
    DD: float
    """Drawdown: the largest fall from any point to any later one; 0 on a monotone path. V <= DD."""
    B_chord: float
    """Largest depth below the chord from J_0 to J_1; positive on a convex rise without any valley."""
    B_mean: float
    """(J_0 + J_1) / 2 - min J."""
    D_0: float
    """Initial dip: J_0 - min J, what the deployed *from* policy can lose on the way."""
    W: float
    """Length of the part of [0, 1] on which J < min(J_0, J_1) - margin."""
    area: float
    """Integral of max(0, min(J_0, J_1) - J) over [0, 1]."""
    location: float
    """The alpha of the lowest grid point (the first, if several are equal)."""


@dataclass(frozen=True)
class PathReport:
    """Everything `analyse_path` found out. Arrays follow `alphas`, which may reach beyond [0, 1]."""

    alphas: tuple[float, ...]
    means: tuple[float, ...]
    """Over the episodes used; nan at an extrapolated point where one of them failed."""
    band: tuple[tuple[float, float], ...]
    """Simultaneous lower and upper bounds: all mean returns lie inside at once with `confidence`."""
    pointwise: tuple[tuple[float, float], ...]
    """The same for one point at a time; not for claims about a minimum."""
    numbers: PathNumbers
    V: Interval
    DD: Interval
    B_chord: Interval
    B_mean: Interval
    D_0: Interval
    V_crossfit: float
    """Nearly unbiased valley depth; may be slightly negative where there is none. nan with one episode."""
    p_monotone: float
    """p-value of the hypothesis that the return never falls along the path. nan with one episode."""
    margin: float
    verdict: str
    """connected | valley | undecided, for V against the margin."""
    reason: str
    extra_episodes: int | None
    """If undecided: how many more episodes would decide it (rough); None if no number is known to."""
    monotone: str
    """monotone | not monotone | undecided, for DD against the margin."""
    monotone_extra_episodes: int | None
    episodes_used: int
    episodes_dropped: int
    confidence: float
    draws: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain Python values; nan and unbounded limits become None."""
        return _plain(asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def inside(alphas: Array) -> slice:
    """The rows with alpha in [0, 1]; raises unless alphas increase and hold 0, 1 and one between."""
    increasing = alphas.ndim == 1 and bool(np.all(np.diff(alphas) > 0))
    if not increasing or 0.0 not in alphas or 1.0 not in alphas:
        raise UserError("alphas must increase and contain exactly 0.0 and exactly 1.0")
    rows = slice(int(np.searchsorted(alphas, 0.0)), int(np.searchsorted(alphas, 1.0)) + 1)
    if rows.stop - rows.start < 3:
        raise UserError(
            "a path needs at least one point between alpha 0 and 1; its ends alone show no valley"
        )
    return rows


def drawdown(curves: Array) -> Array:
    """Largest fall to any later point, over the last axis: [..., points] -> [...] (4.3)."""
    return np.max(np.maximum.accumulate(curves, axis=-1) - curves, axis=-1)


def below(alphas: Array, means: Array, level: float) -> tuple[float, float]:
    """Length of the part of a piecewise linear curve below `level`, and the area between it and the level."""
    depth = level - means
    sunk = np.maximum(depth, 0)
    sunk, extent = sunk[:-1] + sunk[1:], np.abs(depth[:-1]) + np.abs(depth[1:])
    length = np.diff(alphas) * np.divide(sunk, extent, out=np.zeros_like(sunk), where=extent > 0)
    return float(length.sum()), float((length * sunk).sum() / 2)


def path_numbers(means: Array, alphas: Array, margin: float) -> PathNumbers:
    """The numbers of definition 4.3 for mean returns [points] on the grid `alphas` [points]."""
    rows = inside(alphas)
    J, t = means[rows], alphas[rows]
    values = {name: max(0.0, float(f.peak(f.contrasts @ J))) for name, f in families(t).items()}
    lower_end = min(J[0], J[-1])
    return PathNumbers(
        J_0=float(J[0]),
        J_1=float(J[-1]),
        W=below(t, J, lower_end - margin)[0],
        area=below(t, J, lower_end)[1],
        location=float(t[np.argmin(J)]),
        **values,
    )


def crossfit_valley(R: Array, rng: np.random.Generator, splits: int = SPLITS) -> float:
    """Valley depth without the bias of a minimum: found on one half of the episodes, measured on the other.

    R [points, episodes] from alpha 0 to 1. Halves are swapped and all averaged over random `splits` (4.9).
    """
    episodes = R.shape[1]
    if episodes < 2:
        return math.nan
    depths = []
    for _ in range(splits):
        order = rng.permutation(episodes)
        halves = R[:, order[: episodes // 2]].mean(axis=1), R[:, order[episodes // 2 :]].mean(axis=1)
        for found, measured in (halves, halves[::-1]):
            end = 0 if found[0] <= found[-1] else -1
            depths.append(measured[end] - measured[np.argmin(found)])
    return float(np.mean(depths))


def monotone_p_value(R: Array, weights: Array) -> float:
    """p-value of "the return never falls from alpha 0 to 1": isotonic-null bootstrap on the drawdown (4.10).

    R [points, episodes]; `weights` [draws, episodes] from `resampling_weights`. nan with one episode.
    """
    episodes = R.shape[1]
    if episodes < 2:
        return math.nan
    means = R.mean(axis=1)
    null = isotonic_regression(means).x
    residuals = (R - means[:, None]) * math.sqrt(episodes / (episodes - 1))
    rounding = 1e-12 * np.abs(R).max()
    as_deep = drawdown(null + weights @ residuals.T) >= drawdown(means) - rounding
    return float((1 + np.count_nonzero(as_deep)) / (len(weights) + 1))


def verdict(depth: Interval, margin: float, small: str = "connected", large: str = "valley") -> str:
    """`small` if even the upper bound is within the margin, `large` if even the lower is above it (4.4)."""
    if depth.upper <= margin:
        return small
    return large if depth.lower > margin else "undecided"


def analyse_path(
    returns: Array,
    alphas: Array,
    *,
    margin: float,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> PathReport:
    """Numbers, intervals and verdicts for returns [points, episodes] on shared episode seeds.

    `margin` (>= 0, in units of return) is the depth that does not matter: delta for the valley and epsilon
    for monotonicity. All randomness comes from `seed`; the same call gives the same report. Each interval
    holds with `confidence` by itself. Raises UserError on a wrong shape or grid, or if no episode finished at
    every point.
    """
    R, alphas = np.asarray(returns, np.float64), np.asarray(alphas, np.float64)
    if R.ndim != 2 or alphas.shape != R.shape[:1]:
        raise UserError(f"returns must be [points, episodes] for {alphas.size} alphas, got shape {R.shape}")
    if not (math.isfinite(margin) and margin >= 0):
        raise UserError(f"margin must be a finite number >= 0, got {margin}")
    if not 0 < confidence < 1 or draws < 1:
        raise UserError(
            f"confidence must lie between 0 and 1 and draws be positive, got {confidence} and {draws}"
        )
    rows = inside(alphas)
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
    means, band, single = _mean_curve(R, weights, confidence)
    family = families(alphas[rows])
    bounds = {name: simultaneous(path, f.contrasts, weights, confidence) for name, f in family.items()}
    depth = {name: bounds[name].interval(f) for name, f in family.items()}
    numbers = path_numbers(means, alphas, margin)

    silent = bool(np.all(path == path[0, 0]))
    if silent:  # nothing varied, so nothing bounds what was not seen
        depth = {name: Interval(found.estimate, 0.0, math.inf) for name, found in depth.items()}
    valley = "undecided" if silent else verdict(depth["V"], margin)
    monotone = "undecided" if silent else verdict(depth["DD"], margin, "monotone", "not monotone")
    reason = _reason(valley, depth["V"], margin, silent, episodes)
    if dropped and valley == "connected":
        valley, reason = "undecided", "failed episodes were dropped, and they may hide a valley"
    if dropped and monotone == "monotone":
        monotone = "undecided"

    def extra(name: str) -> int | None:
        open_question = not silent and verdict(depth[name], margin) == "undecided"
        return bounds[name].episodes_for(family[name], margin) if open_question else None

    return PathReport(
        alphas=tuple(alphas.tolist()),
        means=tuple(means.tolist()),
        band=band,
        pointwise=single,
        numbers=numbers,
        **depth,
        V_crossfit=crossfit_valley(path, rng),
        p_monotone=monotone_p_value(path, weights),
        margin=float(margin),
        verdict=valley,
        reason=reason,
        extra_episodes=extra("V"),
        monotone=monotone,
        monotone_extra_episodes=extra("DD"),
        episodes_used=episodes,
        episodes_dropped=dropped,
        confidence=confidence,
        draws=draws,
        seed=seed,
    )


Limits = tuple[tuple[float, float], ...]


def _mean_curve(R: Array, weights: Array, confidence: float) -> tuple[Array, Limits, Limits]:
    """Means [points] with simultaneous and point-wise limits; nan where an episode failed."""
    shown = np.isfinite(R).all(axis=1)
    means, wide, narrow = np.full((3, len(R)), np.nan)
    means[shown] = R[shown].mean(axis=1)
    wide[shown] = simultaneous(R[shown], np.eye(int(shown.sum())), weights, confidence).half_width
    narrow[shown] = pointwise(R[shown], weights, confidence, wide[shown][0])

    def limits(half: Array) -> Limits:
        return tuple(zip((means - half).tolist(), (means + half).tolist(), strict=True))

    return means, limits(wide), limits(narrow)


def _reason(outcome: str, V: Interval, margin: float, silent: bool, episodes: int) -> str:
    if silent:
        return "every return is the same number, so the episodes carry no information"
    if outcome == "connected":
        return f"the upper bound of the valley depth, {V.upper:.4g}, is within the margin of {margin:.4g}"
    if outcome == "valley":
        return f"the lower bound of the valley depth, {V.lower:.4g}, is above the margin of {margin:.4g}"
    if not math.isfinite(V.upper):
        return f"{episodes} episode{'s' if episodes > 1 else ''} cannot show how much returns vary"
    interval = f"{V.lower:.4g} to {V.upper:.4g}"
    return f"the margin of {margin:.4g} lies inside the interval of the valley depth, {interval}"


def sentence(report: PathReport, from_name: str, to_name: str) -> str:
    """The verdict on the valley as one English sentence with its numbers."""
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
            found += f"; about {report.extra_episodes} more episodes would decide it"
    left_out = f" ({report.episodes_dropped} failed episodes left out)" if report.episodes_dropped else ""
    line = f"on the straight line from {from_name} to {to_name}"
    return f"{report.verdict.capitalize()}: {line}, {found}{left_out}."
