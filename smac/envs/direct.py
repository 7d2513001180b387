"""Steps of some simulators without the Python around them: the same numbers in less time.

Of a step of `Hopper-v5` through Gymnasium and our wrappers half is MuJoCo (results/benchmarks/stepping.md). A
`Direct` step calls it on the environment's own model and data, and computes what the task needs by the same
formulas, in the same order and precision; `reset` stays that of the environment. It is taken only where every
layer is one that it knows and where the first steps agree with the environment's, bit by bit; otherwise the
environment itself steps.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from smac.envs.wrappers import FlatObservation, OwnReward, SuccessReward

Stepped = tuple[np.ndarray, float, bool, bool, dict[str, Any]]
AGREEING = 20  # steps that are compared before one is taken


class Direct(ABC):
    """Steps of an environment; its observation is overwritten by the next one."""

    layers: ClassVar[tuple[type, ...]]
    """What is around the simulator, outermost first."""

    def __init__(self, env: gymnasium.Env, simulator: Any, limit: int) -> None:
        """`limit`: steps of an episode; `simulator` holds `model` and `data`."""
        from mujoco import mj_step

        self.limit, self.taken = limit, 0
        self.model, self.data, self.skip, self.mj_step = (
            simulator.model,
            simulator.data,
            simulator.frame_skip,
            mj_step,
        )
        self.qpos, self.qvel, self.ctrl = self.data.qpos, self.data.qvel, self.data.ctrl

    @staticmethod
    @abstractmethod
    def knows(base: Any, env: gymnasium.Env) -> bool:
        """Whether the options of an environment are ones that the step heeds."""

    def begin(self) -> None:
        """An episode, after the environment's `reset`."""
        self.taken = 0

    @abstractmethod
    def step(self, action: np.ndarray) -> Stepped:
        """As that of the environment. `info` holds what episodes are judged by."""


class Runner(Direct):
    """Hopper-v5, Walker2d-v5 and HalfCheetah-v5: speed and health are rewarded, control costs."""

    layers = (OwnReward, FlatObservation, TimeLimit, OrderEnforcing)

    def __init__(self, env: gymnasium.Env, limit: int) -> None:
        base: Any = env.unwrapped
        super().__init__(env, base, limit)
        self.dt, self.speed, self.control = base.dt, base._forward_reward_weight, base._ctrl_cost_weight
        self.healthy = _HEALTH[type(base).__name__](base)
        self.survival = getattr(base, "_healthy_reward", 0.0)
        self.mortal = getattr(base, "_terminate_when_unhealthy", False)
        self.clipped = self.healthy is not None  # the cheetah's velocities are not
        self.positions, self.velocities = len(self.qpos) - 1, np.empty(len(self.qvel))
        self.seen = np.empty(self.positions + len(self.qvel), np.float32)
        self.info: dict[str, Any] = {}

    @staticmethod
    def knows(base: Any, env: gymnasium.Env) -> bool:
        return bool(base._exclude_current_positions_from_observation)

    def step(self, action: np.ndarray) -> Stepped:
        qpos, qvel, seen = self.qpos, self.qvel, self.seen
        before = qpos[0]
        self.ctrl[:] = action
        self.mj_step(self.model, self.data, nstep=self.skip)
        reward = self.speed * ((qpos[0] - before) / self.dt)
        healthy = True
        if self.healthy is not None:
            healthy = self.healthy(qpos, qvel)
            reward = reward + healthy * self.survival
        reward = reward - self.control * np.sum(np.square(action))
        seen[: self.positions] = qpos[1:]
        if self.clipped:
            np.minimum(np.maximum(qvel, -10.0, out=self.velocities), 10.0, out=self.velocities)
            seen[self.positions :] = self.velocities
        else:
            seen[self.positions :] = qvel
        self.taken += 1
        dead = self.mortal and not healthy
        return seen, float(reward), dead, self.taken >= self.limit and not dead, self.info


Health = Callable[[np.ndarray, np.ndarray], bool]


def _hopper_health(base: Any) -> Health:
    """Height, angle, and every other position and velocity within their ranges."""
    (low, high), (least, most), (left, right) = (
        base._healthy_state_range,
        base._healthy_z_range,
        base._healthy_angle_range,
    )

    def healthy(qpos: np.ndarray, qvel: np.ndarray) -> bool:
        rest = qpos[2:]
        return bool(
            least < qpos[1] < most
            and left < qpos[2] < right
            and low < rest.min()
            and rest.max() < high
            and low < qvel.min()
            and qvel.max() < high
        )

    return healthy


def _walker_health(base: Any) -> Health:
    (least, most), (left, right) = base._healthy_z_range, base._healthy_angle_range
    return lambda qpos, qvel: bool(least < qpos[1] < most and left < qpos[2] < right)


_HEALTH: dict[str, Callable[[Any], Health | None]] = {
    "HopperEnv": _hopper_health,
    "Walker2dEnv": _walker_health,
    "HalfCheetahEnv": lambda base: None,
}


class Ball(Direct):
    """PointMaze_*-v3 where reaching the goal ends the episode, with the reward success - 1."""

    layers = (SuccessReward, FlatObservation, TimeLimit, OrderEnforcing)
    KEYS = ("observation", "desired_goal")
    RADIUS = 0.45

    def __init__(self, env: gymnasium.Env, limit: int) -> None:
        from mujoco import mj_forward

        base: Any = env.unwrapped
        super().__init__(env, base.point_env, limit)
        self.base = base
        self.mj_forward, self.seen = mj_forward, np.empty(6, np.float32)

    @staticmethod
    def knows(base: Any, env: gymnasium.Env) -> bool:
        plain = type(base.point_env).__module__ == "gymnasium_robotics.envs.maze.point"
        keys = next(layer.keys for layer in layers_of(env) if isinstance(layer, FlatObservation))
        return plain and not base.continuing_task and base.point_env.render_mode is None and keys == Ball.KEYS

    def begin(self) -> None:
        super().begin()
        self.goal = self.base.goal
        self.seen[4:] = self.goal

    def step(self, action: np.ndarray) -> Stepped:
        qpos, qvel, seen = self.qpos, self.qvel, self.seen
        qvel[:] = np.minimum(np.maximum(qvel, -5.0), 5.0)
        self.mj_forward(self.model, self.data)
        self.ctrl[:] = np.minimum(np.maximum(action, -1.0), 1.0)
        self.mj_step(self.model, self.data, nstep=self.skip)
        seen[:2], seen[2:4] = qpos, qvel
        away = qpos - self.goal
        success = math.sqrt(away.dot(away)) <= self.RADIUS
        self.taken += 1
        truncated = self.taken >= self.limit and not success
        return seen, 0.0 if success else -1.0, success, truncated, {"success": success}


KNOWN: dict[str, type[Any]] = {
    "gymnasium.envs.mujoco.hopper_v5:HopperEnv": Runner,
    "gymnasium.envs.mujoco.walker2d_v5:Walker2dEnv": Runner,
    "gymnasium.envs.mujoco.half_cheetah_v5:HalfCheetahEnv": Runner,
    "gymnasium_robotics.envs.maze.point_maze:PointMazeEnv": Ball,
}  # by the class of the simulator; one that is derived from it is another


def layers_of(env: gymnasium.Env) -> list[Any]:
    """The wrappers of an environment, outermost first."""
    found: list[Any] = []
    while isinstance(env, gymnasium.Wrapper):
        found.append(env)
        env = env.env
    return found


def direct(env: gymnasium.Env) -> Direct | None:
    """Direct steps of an environment; None where it has an option or a layer that they do not know."""
    base: Any = env.unwrapped
    kind = KNOWN.get(f"{type(base).__module__}:{type(base).__name__}")
    layers = layers_of(env)
    if kind is None or tuple(map(type, layers)) != kind.layers:
        return None
    patched = {"step", "do_simulation"} & {*vars(base)}
    if patched or getattr(base, "render_mode", None) is not None or not kind.knows(base, env):
        return None
    limit = next(layer._max_episode_steps for layer in layers if isinstance(layer, TimeLimit))
    return kind(env, limit)


def agrees(env: gymnasium.Env, stepper: Direct) -> bool:
    """Whether the steps of an episode are the environment's, to the last bit. It is reset for it."""
    from mujoco import mj_getState, mj_setState, mj_stateSize, mjtState

    whole, rng = mjtState.mjSTATE_INTEGRATION, np.random.default_rng(0)
    model, data = stepper.model, stepper.data
    before, after, ours = np.empty((3, mj_stateSize(model, whole)))
    dim = len(stepper.ctrl)
    env.reset(seed=0)
    stepper.begin()
    for _ in range(AGREEING):
        action = rng.uniform(-1, 1, dim).astype(np.float32)
        mj_getState(model, data, before, whole)
        observation, reward, terminated, truncated, info = env.step(action)
        mj_getState(model, data, after, whole)
        mj_setState(model, data, before, whole)
        found = stepper.step(action)
        mj_getState(model, data, ours, whole)
        same = np.array_equal(found[0], observation) and np.array_equal(ours, after)
        if not same or found[1:4] != (reward, terminated, truncated):
            return False
        if bool(found[4].get("success")) != bool(info.get("success")):
            return False
        if terminated or truncated:
            break
    return True
