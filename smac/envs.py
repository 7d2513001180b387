"""Building the environment of a task: flat float32 observations, the task's reward, its ending.

The wrappers record their constructor arguments, so `env.spec` serialises and a Minari dataset written with
it recovers the same environment (`MinariDataset.recover_environment()`).
"""

import contextlib
import importlib.metadata
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import RescaleAction

from smac.errors import UserError
from smac.tasks import Task

log = logging.getLogger(__name__)
MUJOCO_BELOW = (3, 11)  # gymnasium-robotics 1.4 models do not load in later versions


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


class SuccessReward(gymnasium.Wrapper, RecordConstructorArgs):
    """Reward = success - 1, and the episode terminates at the first success.

    A success on the last step the time limit allows is a termination and not a truncation. `info` is a copy
    (some environments hand out an object they go on changing) and holds `success` as a bool, after reset too.
    """

    def __init__(self, env: gymnasium.Env):
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "success": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """One step; see `gymnasium.Env.step`."""
        observation, _, _, truncated, info = self.env.step(action)
        if "success" not in info:
            raise UserError("the reward `success` needs an environment that reports info['success']")
        success = bool(info["success"])
        reward = 0.0 if success else -1.0
        return observation, reward, success, bool(truncated) and not success, {**info, "success": success}


class OwnReward(gymnasium.Wrapper, RecordConstructorArgs):
    """The environment's own reward and ending. `info` is a copy; a step that terminates is no truncation."""

    def __init__(self, env: gymnasium.Env):
        RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Starts an episode; see `gymnasium.Env.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, dict(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        """One step; see `gymnasium.Env.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward), bool(terminated), bool(truncated) and not terminated, dict(info)


REWARD_WRAPPERS = {"success": SuccessReward, "own": OwnReward}


@dataclass(frozen=True)
class EnvDims:
    """Sizes of a task's flat observation and action vectors."""

    observation_dim: int
    action_dim: int


def make_env(task: Task) -> gymnasium.Env:
    """The environment of `task`: flat float32 observations, actions in [-1, 1], the task's reward and limit.

    Randomness comes from `reset(seed=...)` alone. Raises UserError if the installed MuJoCo is too new, or if
    the environment's spaces are not vectors.
    """
    _check_mujoco(importlib.metadata.version("mujoco"))
    _register_robotics()
    try:
        env = gymnasium.make(
            task.env_id, max_episode_steps=task.horizon, disable_env_checker=True, **task.env_kwargs
        )
    except (gymnasium.error.Error, TypeError, ImportError) as error:
        raise UserError(f"task {task.name}: the environment cannot be made ({error})") from None
    _remove_model_file(env)
    env = REWARD_WRAPPERS[task.reward](FlatObservation(env, _keys(task, env)))
    return env if _unit_box(env.action_space) else RescaleAction(env, np.float32(-1), np.float32(1))


def _keys(task: Task, env: gymnasium.Env) -> tuple[str, ...]:
    """Entries of the observation to keep: the task's, else all of a Dict's; UserError if not vectors."""
    space = env.observation_space
    if isinstance(space, gymnasium.spaces.Dict):
        keys = task.observation_keys or tuple(space.spaces)
        missing = [key for key in keys if key not in space.spaces]
        if missing:
            raise UserError(f"task {task.name}: its observation has {list(space.spaces)} but not {missing}")
        parts = [space[key] for key in keys]
    else:
        keys, parts = (), [space]
    for part in parts:
        if not isinstance(part, Box) or len(part.shape) != 1:
            raise UserError(f"task {task.name}: observations must be vectors, its space is {space}")
    action = env.action_space
    if not isinstance(action, Box) or len(action.shape) != 1 or not action.is_bounded():
        raise UserError(f"task {task.name}: actions must be bounded vectors, their space is {action}")
    return keys


def _unit_box(space: gymnasium.Space) -> bool:
    return isinstance(space, Box) and bool((space.low == -1.0).all() and (space.high == 1.0).all())


def registered_horizon(env_id: str) -> int | None:
    """The time limit that an environment is registered with, if any; UserError if it is unknown."""
    _register_robotics()
    try:
        return gymnasium.spec(env_id).max_episode_steps
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"unknown environment {env_id!r}: {str(error).rstrip('.')}") from None


@cache
def env_spec(task: Task) -> EnvDims:
    """Sizes of the task's observation and action; the environment made to learn them is closed again."""
    env = make_env(task)
    try:
        assert env.observation_space.shape is not None
        assert env.action_space.shape is not None
        return EnvDims(env.observation_space.shape[0], env.action_space.shape[0])
    finally:
        env.close()


def _check_mujoco(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) >= MUJOCO_BELOW:
        limit = ".".join(map(str, MUJOCO_BELOW))
        raise UserError(f"mujoco {version} is too new for gymnasium-robotics: pip install 'mujoco<{limit}'")


@cache
def _register_robotics() -> None:
    """Registers the gymnasium-robotics environments; the notice it prints on import goes to the log."""
    notice = io.StringIO()
    with contextlib.redirect_stderr(notice):
        import gymnasium_robotics
    gymnasium.register_envs(gymnasium_robotics)
    if notice.getvalue():
        log.debug("gymnasium-robotics says: %s", notice.getvalue().strip())


def _remove_model_file(env: gymnasium.Env) -> None:
    """Maze environments leave the XML they generate in the temporary folder; MuJoCo has read it by now."""
    path = getattr(env.unwrapped, "tmp_xml_file_path", None)
    if path is not None:
        Path(path).unlink(missing_ok=True)
