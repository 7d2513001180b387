"""What MuJoCo does not tell by itself: that it lost its state, and what it takes in memory.

It resets a state that it lost silently, and goes on with finite numbers.
"""

from __future__ import annotations

import logging
from functools import cache

import gymnasium

_INNER = ("ant_env", "point_env", "robot_env")  # where the mazes and the kitchen keep their simulator


def diverged(env: gymnasium.Env) -> bool:
    """True if the simulation became unstable since the last reset; False where no MuJoCo is inside."""
    warning = getattr(getattr(_simulator(env), "data", None), "warning", None)
    return warning is not None and bool(warning.number[_bad()].any())


@cache
def _bad() -> list[int]:
    """The counters that MuJoCo raises before it resets its state by itself; a new episode sets them to 0."""
    from mujoco import mjtWarning as kind  # which whoever asks has; others need not load it

    return [int(kind.mjWARN_BADQPOS), int(kind.mjWARN_BADQVEL), int(kind.mjWARN_BADQACC)]


@cache
def log_warnings() -> None:
    """Let MuJoCo log its warnings, which it would write to a file in whatever directory the user is in."""
    import mujoco

    mujoco.set_mju_user_warning(logging.getLogger(__name__).info)


def bytes_of(env: gymnasium.Env) -> int:
    """What the model and the data of its MuJoCo take; 0 where none is inside."""
    inner = _simulator(env)
    model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    sizes = (getattr(model, "nbuffer", 0), getattr(data, "nbuffer", 0), getattr(data, "narena", 0))
    return sum(map(int, sizes))


def _simulator(env: gymnasium.Env) -> gymnasium.Env:
    base = env.unwrapped
    return next((getattr(base, name).unwrapped for name in _INNER if hasattr(base, name)), base)
