"""Whether a simulator lost its state: MuJoCo then resets it silently and goes on with finite numbers."""

from __future__ import annotations

import logging

import gymnasium
import mujoco

# MuJoCo would write them to a file in whatever directory the user is in
mujoco.set_mju_user_warning(logging.getLogger(__name__).info)

# The counters that MuJoCo raises before it resets its state by itself; a new episode sets them to 0
_BAD = [int(kind) for kind in (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL,
                               mujoco.mjtWarning.mjWARN_BADQACC)]  # fmt: skip
_INNER = ("ant_env", "point_env", "robot_env")  # where the mazes and the kitchen keep their simulator


def diverged(env: gymnasium.Env) -> bool:
    """True if the simulation became unstable since the last reset; False where no MuJoCo is inside."""
    base = env.unwrapped
    inner = next((getattr(base, name).unwrapped for name in _INNER if hasattr(base, name)), base)
    warning = getattr(getattr(inner, "data", None), "warning", None)
    return warning is not None and bool(warning.number[_BAD].any())
