"""Synthetic landscapes whose every number is known, to measure how often the statistics are right.

Returns are negative, between -200 (never solved) and -60, as with a reward of -1 per step; luck is shared by
all points of an episode, as it is with common random numbers (docs/landscape.md §9).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from landscape.statistics.numbers import PathNumbers, path_numbers
from smac.statistics.contrasts import Array
from smac.statistics.monotonicity import drawdown

LOW, HIGH = -200.0, -60.0


class Noise(Protocol):
    """How the returns of single episodes scatter about their mean."""

    @property
    def name(self) -> str: ...

    def sample(self, means: Array, episodes: int, rng: np.random.Generator) -> Array:
        """Returns [points, episodes] with these means [points]; columns are episodes."""


@dataclass(frozen=True)
class Gaussian:
    """Normal noise: an effect of the episode common to all points, and one of every point's own."""

    name: str
    shared: float
    own: float

    def sample(self, means: Array, episodes: int, rng: np.random.Generator) -> Array:
        common = self.shared * rng.normal(size=episodes)
        return means[:, None] + common + self.own * rng.normal(size=(len(means), episodes))


@dataclass(frozen=True)
class SuccessOrFailure:
    """Returns that are HIGH or LOW; a share `common` of the luck belongs to the episode, not to the point."""

    name: str
    common: float

    def sample(self, means: Array, episodes: int, rng: np.random.Generator) -> Array:
        success = (means - LOW) / (HIGH - LOW)
        shape = (len(means), episodes)
        luck = np.where(rng.random(shape) < self.common, rng.random(episodes), rng.random(shape))
        return np.where(luck < success[:, None], HIGH, LOW)


@dataclass(frozen=True)
class Truth:
    """A landscape along a path and the noise of its episodes."""

    name: str
    alphas: tuple[float, ...]
    means: tuple[float, ...]
    noise: Noise

    @property
    def monotone(self) -> bool:
        return float(drawdown(np.array(self.means))) == 0

    def numbers(self, margin: float) -> PathNumbers:
        return path_numbers(np.array(self.means), np.array(self.alphas), margin)

    def sample(self, episodes: int, rng: np.random.Generator) -> Array:
        """A return matrix [points, episodes]."""
        return self.noise.sample(np.array(self.means), episodes, rng)


def shapes(alphas: Array) -> dict[str, Array]:
    """Curves of mean returns [points] in [LOW, HIGH]: three monotone, three not."""
    bump = np.exp(-(((alphas - 0.4) / 0.15) ** 2))
    levels = {
        "flat": np.full(len(alphas), 0.6),
        "rise": 0.2 + 0.7 * alphas**2,
        "stairs": 0.3 + 0.2 * np.floor(3.999 * alphas),
        "fall": 0.9 - 0.6 * alphas,
        "valley": 0.6 + 0.3 * alphas - 0.3 * bump,
        "chasm": 0.9 - 0.8 * bump,
    }
    return {name: LOW + (HIGH - LOW) * level for name, level in levels.items()}


NOISES: tuple[Noise, ...] = (
    Gaussian("paired", shared=50.0, own=10.0),
    Gaussian("independent", shared=0.0, own=50.0),
    SuccessOrFailure("success or failure", common=0.7),
)


def truths(points: int = 21) -> dict[str, Truth]:
    """Every shape with every noise, by name: "flat, paired", "valley, success or failure", ..."""
    alphas = np.linspace(0, 1, points)
    curves = {
        f"{shape}, {noise.name}": (means, noise)
        for shape, means in shapes(alphas).items()
        for noise in NOISES
    }
    return {
        name: Truth(name, tuple(alphas.tolist()), tuple(means.tolist()), noise)
        for name, (means, noise) in curves.items()
    }


TRUTHS = truths()
