"""Finding how much to disturb a recipe so that a stated share of its episodes succeeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from smac.errors import UserError

LARGEST = {"noise": 3.0, "wander": 1.0}
HALVINGS = 9


@dataclass(frozen=True)
class Calibration:
    """The disturbance found, and what it gave."""

    disturbance: str  # "noise" or "wander"
    amount: float
    rate: float  # measured on the episodes of the search, not on those of the dataset
    episodes: int

    @property
    def standard_error(self) -> float:
        """Of `rate`, with that of one episode as the least."""
        return sqrt(max(self.rate * (1.0 - self.rate), 1.0 / self.episodes) / self.episodes)


def calibrate(
    measure: Callable[[float], float], target: float, *, disturbance: str, episodes: int
) -> Calibration:
    """The amount of `disturbance` whose measured success rate is nearest to `target`.

    Bisection of the square root of the amount, which has most of its effect near 0. `measure` gives the rate
    at an amount, on the same `episodes` seeds each time: common random numbers, so that its noise hardly
    moves the search. It is taken to fall with the amount. Raises UserError if the nearest rate is more than
    two standard errors off.
    """
    if not 0.0 < target <= 1.0:
        raise UserError(f"success rate is a share above 0 and up to 1, got {target}")
    if episodes < 2:
        raise UserError(f"the search for a success rate needs at least 2 episodes, got {episodes}")
    largest = LARGEST[disturbance]
    found = {0.0: measure(0.0)}
    if found[0.0] > target:
        found[largest] = measure(largest)
        if found[largest] < target:
            _bisect(measure, target, largest, 0.5 / episodes, found)
    amount = min(found, key=lambda a: (abs(found[a] - target), a))
    nearest = Calibration(disturbance, amount, found[amount], episodes)
    if abs(nearest.rate - target) > 2.0 * nearest.standard_error:
        low, high = min(found.values()), max(found.values())
        raise UserError(
            f"success rate {target:g} cannot be reached by {disturbance}: from {max(found):g} to 0 of it, "
            f"rates between {low:.2f} and {high:.2f} were found ({episodes} episodes each)"
        )
    return nearest


def _bisect(
    measure: Callable[[float], float], target: float, largest: float, close: float, found: dict[float, float]
) -> None:
    """Adds amounts and their rates to `found` until one is close to the target."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        amount = largest * middle**2
        found[amount] = measure(amount)
        if abs(found[amount] - target) <= close:
            return
        low, high = (middle, high) if found[amount] > target else (low, middle)
