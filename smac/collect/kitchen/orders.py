"""Which sub-tasks an episode attempts, in which order: mixtures after the three D4RL kitchen datasets."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from smac.collect.kitchen.skills import SKILLS
from smac.errors import UserError

LAST = "hinge cabinet"  # its open door bars the way to the slide cabinet, and the arm would brush it shut


@dataclass(frozen=True)
class Mixture:
    """A distribution over orders.

    Episodes attempt `attempted` sub-tasks of all seven, uniformly over subsets and their orders (but for the
    hinge cabinet, which comes last), leaving out the subset of all targets unless `whole`; or, with
    `attempted` None, the targets as they stand.
    """

    targets: tuple[str, ...]
    attempted: int | None = None
    whole: bool = True

    def subsets(self) -> list[tuple[str, ...]]:
        """The equally likely subsets that an episode attempts."""
        if self.attempted is None:
            return [self.targets]
        subsets = list(combinations(SKILLS, self.attempted))
        return [s for s in subsets if self.whole or not set(self.targets) <= set(s)]

    @property
    def mean_targets(self) -> float:
        """Mean number of target sub-tasks that an episode attempts."""
        return float(np.mean([len(set(s) & set(self.targets)) for s in self.subsets()]))

    @property
    def whole_share(self) -> float:
        """Share of episodes that attempt all target sub-tasks."""
        return float(np.mean([set(self.targets) <= set(s) for s in self.subsets()]))

    def draw(self, rng: np.random.Generator) -> tuple[str, ...]:
        """One episode's order."""
        if self.attempted is None:
            return self.targets
        subsets = self.subsets()
        subset = subsets[rng.integers(len(subsets))]
        order = [subset[i] for i in rng.permutation(len(subset))]
        return tuple(sorted(order, key=lambda subtask: subtask == LAST))


_FOUR = ("microwave", "kettle", "light switch", "slide cabinet")

# After D4RL (Fu et al. 2020): `complete` does the four targets in order; in `partial` some episodes do all of
# them, in `mixed` none does. Mean number of targets attempted: 4, 16/7 = 2.29 and 38/17 = 2.24; share of
# episodes with all four: 1, 1/35 and 0.
MIXTURES = {
    "complete": Mixture(_FOUR),
    "partial": Mixture(_FOUR, attempted=4),
    "mixed": Mixture(("microwave", "kettle", "bottom burner", "light switch"), attempted=4, whole=False),
}


def draw_order(mixture: str, rng: np.random.Generator) -> tuple[str, ...]:
    """An episode's order of sub-tasks from the mixture called `mixture`."""
    if mixture not in MIXTURES:
        raise UserError(
            f"unknown mixture {mixture!r} of kitchen sub-tasks; mixtures are {', '.join(MIXTURES)}"
        )
    return MIXTURES[mixture].draw(rng)
