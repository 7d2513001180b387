"""The two intervals of textbooks: Student's of a mean, and Wilson's of a share."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Array = NDArray[np.float64]


def student_half_width(values: Array, confidence: float = 0.95) -> Array:
    """Half of Student's interval of the mean over the last axis [..., n] of independent values, n >= 2."""
    n = values.shape[-1]
    half: Array = stdtrit(n - 1, 0.5 + confidence / 2) * values.std(axis=-1, ddof=1) / np.sqrt(n)
    return half


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share; unlike the plain one it has a width at 0 and at 1."""
    z = ndtri(0.5 + confidence / 2)
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    # at the ends the limit is exact; rounding would move it
    return (
        0.0 if successes == 0 else float(centre - half),
        1.0 if successes == trials else float(centre + half),
    )
