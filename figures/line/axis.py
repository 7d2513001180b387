"""The x axis of a path: alpha, the share of a curve's length, or the training that a trajectory follows."""

from dataclasses import dataclass

import numpy as np

from figures.files import Floats, floats
from figures.style import steps
from landscape.results import PathResult

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
ROOM = 0.08  # of the axis, that the words at one tick need


@dataclass(frozen=True)
class PathAxis:
    """Where the points of a path are drawn, and what is written there."""

    label: str
    symbol: str
    """What stands before a position in a hover text, such as `α = `."""
    knots: Floats
    """Alphas of the ticks [k], which are the checkpoints of a trajectory."""
    positions: Floats
    """Where these are drawn [k]."""
    words: tuple[str, ...]
    """What is written at them [k]; empty where there is no room."""
    checkpoints: bool = False
    """Whether the ticks between the ends are checkpoints, too."""

    def place(self, alphas: Floats) -> Floats:
        """Positions of points of the path, linear between two ticks."""
        if np.array_equal(self.knots, self.positions):
            return alphas
        return np.interp(alphas, self.knots, self.positions)


def path_axis(result: PathResult) -> PathAxis:
    """The axis that fits a result's kind."""
    if result.kind == "trajectory":
        return _trajectory_axis(result)
    quarters = floats(QUARTERS)
    words = tuple(f"{alpha:g}" for alpha in QUARTERS)
    if result.kind == "curve":
        return PathAxis("t, share of the curve's length", "t = ", quarters, quarters, words)
    return PathAxis("α", "α = ", quarters, quarters, words)


def _trajectory_axis(result: PathResult) -> PathAxis:
    """Training steps, in proportion or spaced by distance, with every checkpoint a tick.

    Steps that do not rise, as where two phases count from 0 each, leave the points where their alphas are.
    """
    checkpoints, along = result.result["checkpoints"], result.result["along"]
    alphas = floats([one["alpha"] for one in checkpoints])
    positions = floats([one["step" if along == "steps" else "distance"] for one in checkpoints])
    if not (np.diff(positions) > 0).all():
        positions = alphas
    label = "training step" if along == "steps" else "training step (spaced by distance)"
    symbol = "α = " if positions is alphas else {"steps": "step "}.get(along, "distance ")
    words = ["–" if one["step"] is None else steps(one["step"]) for one in checkpoints]
    shown = roomy(positions)
    words = [word if keep else "" for word, keep in zip(words, shown, strict=True)]
    return PathAxis(label, symbol, alphas, positions, tuple(words), checkpoints=True)


def roomy(positions: Floats, room: float = ROOM) -> list[bool]:
    """Which of increasing positions can carry words: both ends, and between them each with enough room."""
    gap = room * float(np.ptp(positions))
    shown = [True] + [False] * (len(positions) - 1)
    last = positions[0]
    for i in range(1, len(positions) - 1):
        if positions[i] - last >= gap and positions[-1] - positions[i] >= gap:
            shown[i], last = True, positions[i]
    shown[-1] = True
    return shown
