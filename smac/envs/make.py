"""Building the environment of a task: flat float32 observations, the task's reward, its ending."""

import contextlib
import importlib.metadata
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from smac.envs.adroit import CorrectedReward
from smac.envs.kitchen import CompletionFlags, KitchenReward
from smac.envs.stability import log_warnings
from smac.envs.wrappers import FlatObservation, OwnReward, ScaledAction, SuccessReward, UnitAction
from smac.errors import UserError
from smac.tasks import Task, is_own, kitchen
from smac.tasks.environments import specification

log = logging.getLogger(__name__)
PROBED = 1000  # steps at most, to see whether an environment reports success
MUJOCO_BELOW = (3, 11)  # gymnasium-robotics 1.4 models do not load in later versions

Wrapper = Callable[[gymnasium.Env], gymnasium.Env]
REWARD_WRAPPERS: Mapping[str, Wrapper] = {
    "success": SuccessReward,
    "own": OwnReward,
    "corrected": CorrectedReward,
    **{reward: partial(KitchenReward, reward=reward) for reward in kitchen.REWARDS},
}
WRAPPERS: Mapping[str, Wrapper] = {"flags": CompletionFlags}  # of Task.wrappers


@dataclass(frozen=True)
class EnvDims:
    """Sizes of a task's flat observation and action vectors."""

    observation_dim: int
    action_dim: int


@dataclass(frozen=True)
class EnvFacts:
    """What there is to say of a task's environment once it has been built."""

    observation_dim: int
    action_dim: int
    package: str  # that the environment comes from, with versions
    wrappers: tuple[str, ...]  # innermost first


def make_env(task: Task) -> gymnasium.Env:
    """The environment of `task`: flat float32 observations, actions in [-1, 1], the task's reward and limit.

    Randomness comes from `reset(seed=...)` alone. Raises UserError if the installed MuJoCo is too new, or if
    the environment's spaces are not vectors.
    """
    check_mujoco(importlib.metadata.version("mujoco"))
    spec = specification(task)
    try:
        with warnings.catch_warnings():
            # a task names its version on purpose: AntMaze's data are of v4
            warnings.filterwarnings("ignore", message=".*is out of date")
            env = gymnasium.make(
                spec, max_episode_steps=task.horizon, disable_env_checker=True, **task.env_kwargs
            )
    except (gymnasium.error.Error, TypeError, ValueError, ImportError) as error:
        raise UserError(f"task {task.name}: the environment cannot be made ({error})") from None
    if "mujoco" in sys.modules:
        log_warnings()
    _remove_model_file(env)
    env = REWARD_WRAPPERS[task.reward](FlatObservation(env, _keys(task, env)))
    for name in task.wrappers:
        env = WRAPPERS[name](env)
    if not _unit_box(env.action_space):
        env = UnitAction(env)
    return env if task.action_scale == 1.0 else ScaledAction(env, task.action_scale)


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
    real = isinstance(action, Box) and np.issubdtype(action.dtype, np.floating)
    if not isinstance(action, Box) or not real or len(action.shape) != 1 or not action.is_bounded():
        raise UserError(f"task {task.name}: actions must be bounded real vectors, their space is {action}")
    return keys


def _unit_box(space: gymnasium.Space) -> bool:
    return isinstance(space, Box) and bool((space.low == -1.0).all() and (space.high == 1.0).all())


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


@cache
def reports_success(task: Task) -> bool:
    """Whether an episode of the task can be told to have succeeded.

    By its reward, or because its environment gives `info["success"]`, at any step of one episode with actions
    of zero; of this package's tasks the first step tells. See `tells_success` for what was played.
    """
    if task.has_success:
        return True
    env = make_env(task)
    try:
        _, first = env.reset(seed=0)
        assert isinstance(env.action_space, Box)
        if "success" in first:
            return True
        for _ in range(1 if is_own(task) else min(task.horizon, PROBED)):
            _, _, terminated, truncated, info = env.step(np.zeros_like(env.action_space.low))
            if "success" in info:
                return True
            if terminated or truncated:
                break
        return False
    except Exception as error:  # whoever plays it will say so
        log.debug("task %s: its environment raised %r", task.name, error)
        return False
    finally:
        env.close()


def tells_success(task: Task, successes: np.ndarray) -> bool:
    """Whether results of a task have successes: it reports them, or one was seen, whenever it was told."""
    return bool(np.any(successes)) or reports_success(task)


def describe_env(task: Task) -> EnvFacts:
    """Sizes, origin and wrappers of the task's environment, which is built for it and closed again."""
    dims, env = env_spec(task), make_env(task)
    env.close()
    assert env.spec is not None
    made_by = env.spec.entry_point
    package = str(getattr(made_by, "__module__", made_by)).split(".")[0].split(":")[0].replace("_", "-")
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        package += f" {importlib.metadata.version(package)}"
    wrappers = tuple(wrapper.name for wrapper in env.spec.additional_wrappers)
    return EnvFacts(
        observation_dim=dims.observation_dim,
        action_dim=dims.action_dim,
        package=f"{package}, mujoco {importlib.metadata.version('mujoco')}",
        wrappers=wrappers,
    )


def check_mujoco(version: str) -> None:
    """UserError that names the fix if this version of MuJoCo is too new."""
    if tuple(int(part) for part in version.split(".")[:2]) >= MUJOCO_BELOW:
        limit = ".".join(map(str, MUJOCO_BELOW))
        raise UserError(f"mujoco {version} is too new for gymnasium-robotics: pip install 'mujoco<{limit}'")


def _remove_model_file(env: gymnasium.Env) -> None:
    """Maze environments leave the XML they generate in the temporary folder; MuJoCo has read it by now."""
    path = getattr(env.unwrapped, "tmp_xml_file_path", None)
    if path is not None:
        Path(path).unlink(missing_ok=True)
