"""Episodes where they are needed: points are settled one by one, and only the open ones are played on.

Successive elimination (Even-Dar, Mannor and Mansour 2006). Stage k plays every open point t and both ends up
to episode N_k. Its bounds on the depths min(J_0, J_1) - J_t hold with probability 1 - alpha_k, and the
alpha_k sum to 1 - confidence, so by the union bound those of all stages hold with `confidence`, whenever the
stages end. A point is settled when its upper bound is within the margin. The path
is

* connected, when every point is settled;
* a valley, as soon as the lower bound of one depth is above the margin;
* undecided, when the episodes are used up.

Which points are open depends on the same episodes, so the two sides differ.

* "Valley" asks whether *some* point is deep, and those still open are the ones that luck made look deep.
  While all are open, the lower bound is the cross-fitted one of `smac.statistics.depth`. Then lower bounds
  must not get higher because few are left: with q of m points open, the simultaneous bound is taken at
  alpha_k q / m, as if the others had spent their share too (for one point, Bonferroni's over all m).
* "Connected" is wrong only if the deepest point is settled, which is one point whatever the others do, and
  V is its depth. So upper bounds need to hold point by point (an intersection-union test, Berger 1982). They
  are those of `smac.statistics.rare`: a point is settled for good, so not before enough episodes have been
  played that a failure of the size that matters would have been seen there.

Lower bounds spend alike at every stage. Upper bounds have half of 1 - confidence for themselves, and spend
nine tenths of it at the stages that have episodes enough to settle anything. There is no coarser first stage
of every second point: a point that was never played cannot be settled, so in the end all have played `first`
episodes anyway.

Measured on `truths.TRUTHS` (21 points, 6 samples each, margins 7 and 14, 10 to 200 episodes, nominal 5 %): of
216 samples none had a wrong verdict, a V outside of its interval or a curve outside of its band. Episodes
needed, of the 4200 that 200 at every point are, and verdicts reached, next to those of 200 at every point:

    noise                        margin 14                    margin 7
    paired               1426, all decided (all)      1335, all decided (all)
    independent          2252, 44 % (64 %)            2229, 39 % (42 %)
    success or failure   2377, 36 % (42 %)            2400, 28 % (42 %)

Of these a path without a valley needs about 108 at every point, which is what excluding a failure of one
episode in twenty takes; rare failures are in `landscape.statistics.calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from landscape.statistics.numbers import inside, path_numbers
from landscape.statistics.path import PathReport, analyse_path, limits, limits_with, lowest_means
from smac.errors import UserError
from smac.statistics.bounds import Bounds, Interval, pointwise, resampling_weights, simultaneous
from smac.statistics.contrasts import Array, Family, lower_end
from smac.statistics.depth import crossfit_lower, valley_candidates
from smac.statistics.rare import (
    FAILURE,
    TAIL,
    draws_for,
    excluded_rate,
    joint_upper_limits,
    losses,
    worst_case_means,
    worst_case_weights,
)

Play = Callable[[Sequence[int], int], Array]
"""From rows of the grid and a number of episodes n to returns [rows, n] on the first n episode seeds."""

SETTLING = 0.9  # share of the level of upper bounds for the stages that can settle a point


@dataclass(frozen=True)
class Adaptive:
    """How many episodes the stages play."""

    first: int = 10
    """Episodes that every point plays."""
    most: int = 200
    """Episodes after which an open point stays undecided."""
    growth: float = 2.2
    """By how much the episodes grow from stage to stage."""

    def __post_init__(self) -> None:
        if not 2 <= self.first <= self.most:
            raise UserError(
                f"adaptive evaluation needs 2 <= first <= most episodes, got {self.first} and {self.most}"
            )
        if not (math.isfinite(self.growth) and self.growth > 1):
            raise UserError(f"the growth of the stages must be a finite number above 1, got {self.growth}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Episodes per point after each stage: first, first * growth, ..., most."""
        sizes = [self.first]
        while sizes[-1] < self.most:
            sizes.append(min(self.most, max(sizes[-1] + 1, math.ceil(sizes[-1] * self.growth))))
        return tuple(sizes)


@dataclass(frozen=True)
class Stage:
    """What one stage played and settled."""

    episodes: int
    """Per point, those of the stages before included."""
    points: tuple[float, ...]
    """Alphas that were played: the open points and both ends; at the first stage all."""
    level: float
    """alpha_k, the probability of an error that this stage may spend."""
    open: tuple[float, ...]
    """Alphas that are open after it."""


@dataclass(frozen=True)
class AdaptiveReport(PathReport):
    """A `PathReport` whose points have played different numbers of episodes.

    V, the verdict, `means` and `band` use every episode. The others need all points on the same episodes, so
    they are of the first stage: DD, B_chord, B_mean, D_0, W, area, both p-values, the cross-fitted depth, and
    the verdict on monotonicity; no later stage is asked about them, and they hold with `confidence` as ever.

    `means` correct for luck: a point that stopped early shares its episodes' luck with the ends, which played
    on, so it is moved by what the ends moved since, times its regression on them (a control variate). The
    band of a point is that of the stage at which it was last played, around its own mean of that stage.
    """

    stages: tuple[Stage, ...]
    episodes: tuple[int, ...]
    """Episodes played by each point."""
    episodes_total: int


def analyse_stages(
    play: Play,
    alphas: Array,
    *,
    margin: float,
    failure: float | None = None,
    adaptive: Adaptive | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> AdaptiveReport:
    """Play a path stage by stage until there is a verdict on its valley, and report it.

    `play` is asked for ever more episodes at ever fewer points. The result is a function of the returns and
    the options; a matrix that holds what was played gives the same report again. Raises what `analyse_path`
    raises, on the first stage.
    """
    alphas, adaptive = np.asarray(alphas, np.float64), adaptive or Adaptive()
    sizes = adaptive.sizes
    everywhere = list(range(len(alphas)))
    R = np.asarray(play(everywhere, sizes[0]), np.float64)
    base = analyse_path(
        R, alphas, margin=margin, failure=failure, confidence=confidence, draws=draws, seed=seed
    )
    race = _Race(alphas, base, sizes, FAILURE * margin if failure is None else failure)
    for k, episodes in enumerate(sizes):
        rows = everywhere if k == 0 else race.contenders
        returns = R if k == 0 else np.asarray(play(rows, episodes), np.float64)
        race.run(rows, returns)
        if race.found:
            break
    return race.report()


def upper_levels(sizes: Sequence[int], level: float, rate: float) -> list[float]:
    """What the upper bounds of each stage may spend of `level`: most of it where a stage can settle a point.

    It can where failures of a share `rate` would have been seen, at the level it then has.
    """
    first = next((k for k in range(len(sizes)) if _settles(sizes, k, level, rate)), len(sizes) - 1)
    late = len(sizes) - first
    if first == 0:
        return [level / late] * late
    return [(1 - SETTLING) * level / first] * first + [SETTLING * level / late] * late


def _settles(sizes: Sequence[int], k: int, level: float, rate: float) -> bool:
    return excluded_rate(sizes[k], SETTLING * level / (len(sizes) - k)) < rate


class _Race:
    """The state of the stages: bounds of every depth, means and bands of every point."""

    def __init__(self, alphas: Array, base: PathReport, sizes: tuple[int, ...], failure: float) -> None:
        self.alphas, self.base, self.sizes, self.failure = alphas, base, sizes, failure
        rate = base.margin / failure if failure > 0 else 1.0
        self.upper_levels = upper_levels(sizes, (1 - base.confidence) / 2, rate)
        self.path = inside(alphas)
        self.start, self.end = self.path.start, self.path.stop - 1
        inner = range(self.start + 1, self.end)
        self.open = [row for row in inner if alphas[row] not in base.failed]
        self.inner = len(self.open)
        self.level = (1 - base.confidence) / len(sizes)
        self.lower, self.upper = np.full(len(alphas), -np.inf), np.full(len(alphas), np.inf)
        self.upper[[row for row in range(len(alphas)) if row not in self.open]] = -np.inf
        self.means, self.slopes, self.luck, self.band_width, self.single_width, self.least = np.full(
            (6, len(alphas)), np.nan
        )
        self.played = np.zeros(len(alphas), np.int64)
        self.dropped, self.stages, self.found = 0, list[Stage](), ""
        self.last: tuple[Bounds, Family] | None = None

    @property
    def contenders(self) -> list[int]:
        return [self.start, *self.open, self.end]

    def run(self, rows: Sequence[int], returns: Array) -> None:
        """Take the returns [rows, episodes] of a stage into account."""
        index = {row: i for i, row in enumerate(rows)}
        mine = returns[[index[row] for row in self.contenders]]
        finished = np.isfinite(mine).all(axis=0)
        self.dropped = max(self.dropped, int(np.count_nonzero(~finished)))
        level = self.level * len(self.open) / self.inner
        rng = np.random.default_rng([self.base.seed, len(self.stages)])
        draws = max(self.base.draws, math.ceil(TAIL / level))
        weights = resampling_weights(int(finished.sum()), draws, rng)
        smallest = min(self.upper_levels[len(self.stages)], self.level / 2 / len(self.alphas))
        draws = draws_for(smallest, self.base.draws)
        seldom = worst_case_weights(int(finished.sum()), draws, rng)
        self._curve(rows, np.compress(finished, returns, axis=1), weights, seldom)
        self._settle(np.compress(finished, mine, axis=1), weights, seldom, rng)
        self.played[list(rows)] = returns.shape[1]
        self._judge(rows, returns.shape[1])

    def _settle(self, R: Array, weights: Array, seldom: Array, rng: np.random.Generator) -> None:
        """Bound the depth of every open point; R [start, open points, end]."""
        J = np.eye(len(R))
        family = Family(np.concatenate([J[0] - J[1:-1], J[-1] - J[1:-1]]), lower_end)
        bounds = simultaneous(R, family.contrasts, weights, 1 - self.level * len(self.open) / self.inner)
        means = worst_case_means(family.contrasts @ R, losses(R, family.contrasts, self.failure), seldom)
        from_start, from_end = np.split(means, 2, axis=1)
        upper = np.minimum(*joint_upper_limits(from_start, from_end, self.upper_levels[len(self.stages)]))
        silent = bool(np.ptp(R) == 0)  # one number everywhere: nothing is known of what was not seen
        half, upper = (math.inf, np.full(len(upper), math.inf)) if silent else (bounds.half_width, upper)
        lower = self._lower(R, bounds, half, rng)
        self.lower[self.open] = np.maximum(self.lower[self.open], lower)
        self.upper[self.open] = np.minimum(self.upper[self.open], upper)
        self.last = (bounds, family) if math.isfinite(half) else None

    def _lower(self, R: Array, bounds: Bounds, half: float, rng: np.random.Generator) -> Array:
        """Lower bounds of the depths of the open points, or of the deepest while all are open.

        The cross-fitted one is tighter, but for points that were left open by the same episodes it is wrong.
        """
        if len(self.open) < self.inner or math.isinf(half):
            return np.asarray(np.minimum(*np.split(bounds.estimates, 2)) - half)
        low = crossfit_lower(R, valley_candidates(len(R)), self.level / 2, rng)
        return np.full(len(self.open), low)

    def _curve(self, rows: Sequence[int], R: Array, weights: Array, seldom: Array) -> None:
        """Mean, band and regression on the ends of the points of a stage; R holds its finished episodes."""
        at = list(rows)
        shown = [i for i, row in enumerate(at) if np.isfinite(R[i]).all()]
        kept, ends = [at[i] for i in shown], R[[at.index(self.start), at.index(self.end)]].mean(axis=0)
        level = self.level * len(kept) / len(self.alphas)
        band = simultaneous(R[shown], np.eye(len(shown)), weights, 1 - level).half_width
        band = math.inf if np.ptp(R[shown]) == 0 else band
        centred = ends - ends.mean()
        spread = float(centred @ centred)
        self.means[kept] = R[shown].mean(axis=1)
        self.slopes[kept] = np.clip(R[shown] @ centred / spread, 0, 1) if spread > 0 else 0.0
        self.luck[kept] = ends.mean()
        self.band_width[kept] = band
        self.least[kept] = lowest_means(R[shown], self.failure, level / 2, seldom)
        self.single_width[kept] = pointwise(R[shown], weights, 1 - self.level, band)

    def _judge(self, rows: Sequence[int], episodes: int) -> None:
        margin = self.base.margin
        found = "valley" if self.lower.max() > margin else ""
        self.open = [row for row in self.open if self.upper[row] > margin]
        if not found and not self.open:
            hidden = self.dropped or self.base.failed
            found = "undecided" if hidden else "connected"
        if not found and episodes == self.sizes[-1]:
            found = "undecided"
        self.found = found
        self.stages.append(Stage(episodes, self._at(rows), self.level, self._at(self.open)))

    def _at(self, rows: Sequence[int]) -> tuple[float, ...]:
        return tuple(self.alphas[list(rows)].tolist())

    def report(self) -> AdaptiveReport:
        base = self.base
        now = self.luck[self.start]
        means = self.means + self.slopes * np.where(np.isfinite(self.luck), now - self.luck, 0.0)
        rows = [row for row in range(self.path.start, self.path.stop) if np.isfinite(means[row])]
        numbers = path_numbers(means[rows], self.alphas[rows], base.margin)
        lower, upper = max(0.0, float(self.lower.max())), max(0.0, float(self.upper.max()))
        V = Interval(float(np.clip(numbers.V, lower, upper)), lower, upper)
        changed = {
            "means": tuple(means.tolist()),
            "band": limits_with(self.means, self.band_width, self.least),
            "pointwise": limits(self.means, self.single_width),
            "numbers": numbers,
            "V": V,
            "verdict": self.found,
            "reason": self._reason(V),
            "extra_episodes": self._extra(),
            "excluded_failure_rate": excluded_rate(
                int(self.played[rows].min()), (1 - base.confidence) / len(self.sizes), len(rows)
            ),
            "episodes_dropped": self.dropped,
        }
        kept = {f.name: getattr(base, f.name) for f in fields(PathReport)}
        return AdaptiveReport(
            **(kept | changed),
            stages=tuple(self.stages),
            episodes=tuple(self.played.tolist()),
            episodes_total=int(self.played.sum()),
        )

    def _extra(self) -> int | None:
        if self.found != "undecided" or not self.open or self.last is None:
            return None
        bounds, family = self.last
        return bounds.units_for(family, self.base.margin)

    def _reason(self, V: Interval) -> str:
        margin, episodes = f"the margin of {self.base.margin:.4g}", self.stages[-1].episodes
        if self.found == "connected":
            return f"the upper bound of the valley depth, {V.upper:.4g}, is within {margin} at every point"
        if self.found == "valley":
            return f"the lower bound of the valley depth, {V.lower:.4g}, is above {margin}"
        if not self.open:
            return "failed episodes were dropped, and they may hide a valley"
        if self.last is None:
            return "every return is the same number, so the episodes carry no information"
        count = len(self.open)
        points = "1 point is" if count == 1 else f"{count} points are"
        return (
            f"after {episodes} episodes {points} still open: {margin} lies inside the interval of the valley "
            f"depth, {V.lower:.4g} to {V.upper:.4g}"
        )
