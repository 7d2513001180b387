"""Where a curve should bend: evolution strategies on the return itself (docs/landscape.md §6).

The mean return over a curve, E_{t ~ U(0, 1)} J(theta(t)), is maximised over the bends w with antithetic
perturbations (Salimans et al. 2017): for pairs i = 1..n, t_i stratified over [0, 1], Gaussian e_i and the
same episodes for both signs, g = sum_i w_i [(J(theta(t_i; w + s e_i)) - J(theta(t_i; w - s e_i))) / sd] e_i.
Adam follows g with a rate that falls linearly to 0. With a `focus` the weights w_i are a softmax of minus the
pair's return over it, the gradient of a soft minimum over t; without one all are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from landscape.geometry import Curve, Vector
from smac.errors import UserError
from smac.files import write_atomically
from smac.streams import derive_seed

MOMENTUM, SQUARES, TINY = 0.9, 0.99, 1e-12
AVERAGED = 0.25  # the share of steps, the last ones, over which the bends are averaged

# Points [n] of a curve -> mean return of each on the episodes of a step; NaN where an episode failed
Play = Callable[[Iterator[Vector], int, int], np.ndarray]


@dataclass(frozen=True)
class Search:
    """How the bends of a curve are optimised (evolution strategies)."""

    steps: int = 150
    """Optimisation steps."""
    pairs: int = 16
    """Antithetic pairs of perturbed curves per step, each evaluated at one point of the curve."""
    step_episodes: int = 2
    """Episodes per perturbed policy and step, with other seeds than those of the reported result."""
    noise: float = 0.1
    """Standard deviation of the perturbations, as a share of the distance between the ends."""
    rate: float = 0.05
    """Learning rate: length of the first steps, as a share of the distance between the ends."""
    focus: float | None = None
    """Temperature, in units of return, of a soft minimum over the curve; default: the mean over the curve."""

    def __post_init__(self) -> None:
        for name in ("steps", "pairs", "step_episodes"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        for name in ("noise", "rate", "focus"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"--{name} must be above 0, got {value}")


@dataclass
class _State:
    """Of a search that may be killed: everything the next step depends on."""

    key: str  # a digest of what is searched for
    bends: Vector
    first: Vector  # Adam's moments
    second: Vector
    total: Vector  # sum of the bends of the last steps
    history: list[float] = field(default_factory=list)  # mean return over the pairs, by step

    def save(self, path: Path) -> None:
        arrays: dict[str, Any] = vars(self)
        write_atomically(path, lambda temporary: np.savez(temporary, **arrays))

    @classmethod
    def load(cls, path: Path) -> _State:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return cls(**arrays | {"history": arrays["history"].tolist(), "key": str(arrays["key"])})


def bend(
    curve: Curve,
    search: Search,
    play: Play,
    *,
    seed: int,
    state: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Curve, list[float]]:
    """The curve with the bends that were found, and the mean return over the perturbed curves by step.

    `play(points, count, step)` evaluates policies on the episodes of a step. All randomness comes from
    `seed` and the number of the step, so a search that continues from the file `state` is the same search.
    """
    chord = float(np.linalg.norm(curve.control[-1] - curve.control[0]))
    if not chord:
        raise UserError("the two checkpoints are equal; there is no curve between them")
    unit = chord / np.sqrt(curve.control.shape[1])  # per entry of the parameter vector
    key = _key(curve, search, seed)
    found = _State.load(state) if state is not None and state.exists() else _begin(key, curve.bends)
    if found.key != key:
        raise UserError(f"{state}: is of another search: other checkpoints, another kind, or other options")
    averaged_from = search.steps - max(1, round(AVERAGED * search.steps))
    for step in range(len(found.history), search.steps):
        gradient, value = _gradient(curve.with_bends(found.bends), search, unit, play, seed, step)
        rate = search.rate * unit * (1 - step / search.steps)
        found.first = MOMENTUM * found.first + (1 - MOMENTUM) * gradient
        found.second = SQUARES * found.second + (1 - SQUARES) * gradient**2
        m = found.first / (1 - MOMENTUM ** (step + 1))
        v = found.second / (1 - SQUARES ** (step + 1))
        found.bends = found.bends + rate * m / (np.sqrt(v) + TINY)
        found.total = found.total + (found.bends if step >= averaged_from else 0.0)
        found.history.append(value)
        if state is not None:
            found.save(state)
        if progress:
            progress(step + 1, search.steps)
    return curve.with_bends(found.total / (search.steps - averaged_from)), found.history


def _key(curve: Curve, search: Search, seed: int) -> str:
    digest = hashlib.sha256(f"{curve.kind} {search} {seed}".encode())
    digest.update(curve.control.tobytes())
    return digest.hexdigest()


def _begin(key: str, bends: Vector) -> _State:
    return _State(key, bends.copy(), np.zeros_like(bends), np.zeros_like(bends), np.zeros_like(bends))


def _gradient(
    curve: Curve, search: Search, unit: float, play: Play, seed: int, step: int
) -> tuple[Vector, float]:
    """The direction of ascent [bends, d], and the mean return of the perturbed policies."""
    rng = np.random.default_rng(derive_seed(seed, "curve", step))
    ts = (np.arange(search.pairs) + rng.random(search.pairs)) / search.pairs
    shares = curve.coefficients(ts)[:, 1:-1]  # how much of each bend the point at t takes

    def directions() -> Iterator[Vector]:
        draws = np.random.default_rng(derive_seed(seed, "perturbation", step))
        return (draws.standard_normal(curve.bends.shape) for _ in range(search.pairs))

    def perturbed() -> Iterator[Vector]:
        for t, share, direction in zip(ts, shares, directions(), strict=True):
            middle, moved = curve.point(float(t)), search.noise * unit * (share @ direction)
            yield middle + moved
            yield middle - moved

    returns = play(perturbed(), 2 * search.pairs, step).reshape(search.pairs, 2)
    usable = np.isfinite(returns.sum(axis=1))
    weights = _weights(returns.mean(axis=1), usable, search.focus)
    differences = np.where(usable, returns[:, 0] - returns[:, 1], 0.0)
    spread = float(differences.std()) or 1.0
    gradient = np.zeros_like(curve.bends)
    for weight, difference, direction in zip(weights, differences, directions(), strict=True):
        gradient += weight * difference / spread * direction
    return gradient, float(returns[usable].mean()) if usable.any() else float("nan")


def _weights(values: np.ndarray, usable: np.ndarray, focus: float | None) -> np.ndarray:
    """The share of every pair in the gradient; none for a pair of which an episode failed."""
    weights = usable.astype(float)
    if focus is not None and usable.any():
        lowest = values[usable].min()
        weights[usable] = np.exp((lowest - values[usable]) / focus)
    return weights / (weights.sum() or 1.0)
