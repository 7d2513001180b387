"""Units of actions: those of the environment's box, and [-1, 1], in which all tasks act."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from gymnasium.wrappers import RescaleAction

from smac.envs.make import make_env
from smac.envs.wrappers import ScaledAction
from smac.tasks import Task

Units = Literal["env", "unit"]


@dataclass(frozen=True)
class Box:
    """What -1 and 1 of a task become in its environment, for every action."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def is_unit(self) -> bool:
        return set(self.low) == {-1.0} and set(self.high) == {1.0}

    def same_as(self, other: Box) -> bool:
        """Up to the digits that a file prints."""
        ends = ((self.low, other.low), (self.high, other.high))
        return len(self.low) == len(other.low) and all(np.allclose(a, b, rtol=1e-5) for a, b in ends)

    @property
    def centre(self) -> np.ndarray:
        return (np.array(self.high) + np.array(self.low)) / 2

    @property
    def half(self) -> np.ndarray:
        return (np.array(self.high) - np.array(self.low)) / 2

    def __str__(self) -> str:
        low, high = set(self.low), set(self.high)
        return (
            f"[{self.low[0]:g}, {self.high[0]:g}]"
            if len(low) == len(high) == 1
            else f"{self.low} to {self.high}"
        )


@cache
def action_box(task: Task) -> Box:
    """The box of a task's environment; built for it and closed again."""
    env: Any = make_env(task)
    try:
        ends = [np.float32(sign) * np.ones(env.action_space.shape, np.float32) for sign in (-1, 1)]
        layer = env
        while hasattr(layer, "env"):
            if isinstance(layer, (RescaleAction, ScaledAction)):
                ends = [np.asarray(layer.action(end)) for end in ends]
            layer = layer.env
        low, high = (tuple(float(x) for x in end) for end in ends)
        return Box(low, high)
    finally:
        env.close()
