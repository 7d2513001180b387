"""Wrappers of every task: flat observations, sparse or own reward, the ending that goes with it.

Wrappers record their constructor arguments, so `env.spec` serialises and a Minari dataset written with it
recovers the same environment (`MinariDataset.recover_environment()`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import RescaleAction

from smac.errors import UserError


def own_copy(info: Mapping[str, Any]) -> dict[str, Any]:
    """`info` with copies of its lists and arrays: some environments hand out objects they go on changing."""
    return {k: v.copy() if isinstance(v, (list, np.ndarray)) else v for k, v in info.items()}


def one_number(reward: Any) -> float:
    """A reward as a float: some environments give arrays of one number."""
    values = np.asarray(reward, dtype=np.float64)
    if values.size != 1:
        raise UserError(f"the environment's reward has shape {values.shape}; it must be one number")
    return float(values.item())


class FlatObservation(gymnasium.ObservationWrapper, RecordConstructorArgs):
    """Concatenates entries of a dict observation (or takes a Box as it is) into one float32 vector.

    Args:
        env: environment with a Dict of vectors, or a Box, as observation space.
        keys: entries to keep, in this order; empty for a Box.
    """

    def __init__(self, env: gymnasium.Env, keys: Sequence[str]):
        RecordConstructorArgs.__init__(self, keys=list(keys))
        gymnasium.ObservationWrapper.__init__(self, env)
        self.keys = tuple(keys)
        space: Any = env.observation_space
        dim = sum(space[key].shape[0] for key in keys) if keys else space.shape[0]
        self.observation_space = Box(-np.inf, np.inf, (dim,), np.float32)

    def observation(self, observation: Any) -> np.ndarray:
        """Flat float32 copy of `observation`, shape [obs]."""
        if not self.keys:
            return np.array(observation, dtype=np.float32)
        return np.concatenate([observation[key] for key in self.keys], dtype=np.float32, casting="same_kind")


class UnitAction(RescaleAction):
    """Actions in [-1, 1] for a bounded box; the specification of an environment with it can be written.

    That of `RescaleAction` cannot: it records its bounds, and these have to be NumPy's, of the box's type.
    """

    def __init__(self, env: gymnasium.Env):
        RecordConstructorArgs.__init__(self)  # what is recorded first stays
        number: Any = env.action_space.dtype
        RescaleAction.__init__(self, env, number.type(-1), number.type(1))


class ScaledAction(gymnasium.ActionWrapper, RecordConstructorArgs):
    """Actions in [-1, 1] reach an environment with the same box after they are multiplied by `scale` <= 1."""

    def __init__(self, env: gymnasium.Env, scale: float):
        RecordConstructorArgs.__init__(self, scale=scale)
        gymnasium.ActionWrapper.__init__(self, env)
        self.scale = np.float32(scale)

    def action(self, action: np.ndarray) -> np.ndarray:
        """What the environment gets."""
        return self.scale * action


class SuccessReward(gymnasium.Wrapper, RecordConstructorArgs):
    """Reward = success - 1, and the episode terminates at the first success.

    A success on the last step the time limit allows is a termination and not a truncation. `info` is a copy
    and holds `success` as a bool, after reset too.
    """

    def __init__(self, env: gymnasium.Env):
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, own_copy(info) | {"success": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """One step; see `gymnasium.Env.step`."""
        observation, _, _, truncated, info = self.env.step(action)
        if "success" not in info:
            raise UserError("the reward `success` needs an environment that reports info['success']")
        success = bool(info["success"])
        info = own_copy(info) | {"success": success}
        return observation, 0.0 if success else -1.0, success, bool(truncated) and not success, info


class OwnReward(gymnasium.Wrapper, RecordConstructorArgs):
    """The environment's own reward and ending. `info` is a copy; a step that terminates is no truncation."""

    def __init__(self, env: gymnasium.Env):
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, own_copy(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """One step; see `gymnasium.Env.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        truncated = bool(truncated) and not terminated
        return observation, one_number(reward), bool(terminated), truncated, own_copy(info)
