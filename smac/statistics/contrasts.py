"""Path numbers as the peak of a family of contrasts of the point means.

A contrast is a linear combination of the point means, such as J_0 - J_t. What is bounded for all contrasts of
a family at once is bounded for their peak, and so for a path number such as V or DD.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Family:
    """Contrasts [m, points] of the point means and their number, max(0, peak(contrasts @ means))."""

    contrasts: Array
    peak: Callable[[Array], float] = np.max


def falls(points: int) -> Family:
    """The drawdown: J_s - J_t for every point s and every later one t."""
    J = np.eye(points)
    s, later = np.triu_indices(points, k=1)
    return Family(J[s] - J[later])


def families(alphas: Array) -> dict[str, Family]:
    """The path numbers of §3 as contrasts, for a grid that runs from exactly 0 to exactly 1."""
    J = np.eye(len(alphas))
    inner, t = J[1:-1], alphas[1:-1, None]
    return {
        "V": Family(np.concatenate([J[0] - inner, J[-1] - inner]), lower_end),
        "DD": falls(len(alphas)),
        "B_chord": Family((1 - t) * J[0] + t * J[-1] - inner),
        "B_mean": Family((J[0] + J[-1]) / 2 - J),
        "D_0": Family(J[0] - J[1:]),
    }


def lower_end(differences: Array) -> float:
    """max_t min(J_0 - J_t, J_1 - J_t): how far the lowest point lies below the lower end."""
    below_from, below_to = np.split(differences, 2)
    return np.max(np.minimum(below_from, below_to))
