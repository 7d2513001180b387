"""Does the environment repeat a dataset? Recorded states are set, and where recorded actions lead compared.

Wrong units of actions, another version of the environment, or rows in another order show in one step. A state
can be set where the observation tells it:

| environment | from the observation |
|---|---|
| PointMaze, AntMaze | all positions and velocities |
| gymnasium's MuJoCo, version 5 | all but the distance run, which changes nothing |
| Hopper, Walker2d, HalfCheetah of older versions | the same |
| Pendulum, MountainCarContinuous | all |

Elsewhere (Adroit's hands and Kitchen, whose observations lack velocities or carry noise) nothing is replayed,
and the reason is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from smac.data.transitions import Episode
from smac.envs import make_env
from smac.errors import UserError
from smac.poses import simulator
from smac.tasks import Task

STEPS = 64  # replayed of a dataset, spread over it
FEWEST = 8  # of which a median says something
LARGEST = 0.05  # median error, as a share of what one step changes: 1e-7 where all is right, 0.1 to 0.5 with
# actions that are halved
FASTEST = 9.99  # velocities of Hopper and Walker2d are cut off at 10 in observations

State = tuple[np.ndarray, np.ndarray]  # qpos and qvel
SetState = Callable[[np.ndarray], bool]  # from a flat observation; whether it tells the state


@dataclass(frozen=True)
class Replay:
    """What came of it."""

    steps: int
    error: float
    """Median over steps of |where it led - what was recorded| / |what one step changed|; NaN without."""
    why_not: str = ""
    """Why nothing was replayed."""

    @property
    def text(self) -> str:
        """For a provenance and a terminal."""
        if self.why_not:
            return f"not replayed: {self.why_not}"
        return f"{self.steps} steps replayed, median error {self.error:.2g} of a step"


def replay(task: Task, episodes: Sequence[Episode], steps: int = STEPS) -> Replay:
    """Replay steps of episodes in the convention of `task`, spread over all of them."""
    env = make_env(task)
    try:
        rule = _rule(env)
        if isinstance(rule, str):
            return Replay(0, float("nan"), rule)
        set_state, compared = rule
        errors = [_error(env, set_state, compared, *row) for row in _rows(episodes, steps)]
    finally:
        env.close()
    errors = [error for error in errors if error >= 0]
    if len(errors) < FEWEST:
        return Replay(0, float("nan"), f"only {len(errors)} of its steps begin in a state that can be set")
    return Replay(len(errors), float(np.median(errors)))


def check_repeats(found: Replay, where: str, task: Task) -> None:
    """UserError if the environment led elsewhere than the data say."""
    if found.error > LARGEST:
        raise UserError(
            f"{where}: does not repeat itself in {task.name}: the median of {found.steps} steps leads "
            f"elsewhere by {found.error:.0%} of what it changes; wrong units of actions (--action-units), or "
            "another environment or version of it; --no-replay takes it as it is"
        )


def _rows(episodes: Sequence[Episode], steps: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Observation, action and next observation of steps that are spread over the episodes."""
    lengths = np.cumsum([len(episode) for episode in episodes])
    rows = []
    for k in np.unique(np.linspace(0, lengths[-1] - 1, min(steps, int(lengths[-1]))).astype(int)):
        i = int(np.searchsorted(lengths, k, side="right"))
        episode, t = episodes[i], int(k - (lengths[i - 1] if i else 0))
        rows.append((episode.observations[t], episode.actions[t], episode.observations[t + 1]))
    return rows


def _error(
    env: gymnasium.Env,
    set_state: SetState,
    compared: slice,
    observation: np.ndarray,
    action: np.ndarray,
    after: np.ndarray,
) -> float:
    """|where it leads - after| / |after - observation|; -1 where the state cannot be set or nothing moves."""
    change = float(np.linalg.norm((after - observation)[compared]))
    if change < 1e-6:
        return -1.0
    env.reset(seed=0)
    if not set_state(observation.astype(np.float64)):
        return -1.0
    led, *_ = env.step(np.asarray(action, env.action_space.dtype))
    return float(np.linalg.norm((led - after)[compared])) / change


def _rule(env: gymnasium.Env) -> tuple[SetState, slice] | str:
    """How to set its state and which entries of observations to compare; or why there is no way."""
    assert env.spec is not None
    name = env.spec.id.partition("-v")[0]
    inner: Any = env.unwrapped
    if name == "Pendulum":

        def pendulum(observation: np.ndarray) -> bool:
            inner.state = np.array([np.arctan2(observation[1], observation[0]), observation[2]])
            return True

        return pendulum, slice(0, 3)
    if name == "MountainCarContinuous":

        def car(observation: np.ndarray) -> bool:
            inner.state = observation
            return True

        return car, slice(0, 2)
    held = simulator(env)
    if held is None:
        return f"it is not known how to set the state of {env.spec.id}"
    model, _ = held
    skipped, bounded = _skipped(name, inner, tuple(env.get_wrapper_attr("keys")))
    if skipped is None:
        return f"observations of {env.spec.id} do not tell its simulator's state"
    seen = model.nq - skipped

    def body(observation: np.ndarray) -> bool:
        qpos, qvel = observation[:seen], observation[seen : seen + model.nv]
        if bounded and np.abs(qvel).max() >= FASTEST:
            return False
        _set(env, np.concatenate([np.zeros(skipped), qpos]), qvel)
        return True

    return body, slice(0, seen + model.nv)


def _skipped(name: str, inner: Any, keys: tuple[str, ...]) -> tuple[int | None, bool]:
    """How many first positions an observation leaves out, None if it has other parts; and whether its
    velocities are cut off."""
    if name.startswith(("PointMaze", "AntMaze")):  # whose dicts can be flattened in any order
        place = () if name.startswith("PointMaze") else ("achieved_goal",)
        return 0 if keys[: len(place) + 1] == (*place, "observation") else None, False
    if name in ("Hopper", "Walker2d", "HalfCheetah"):
        return 1, name != "HalfCheetah"
    parts = getattr(inner, "observation_structure", None) or {}
    if list(parts)[:3] == ["skipped_qpos", "qpos", "qvel"] and parts["qvel"] == inner.model.nv:
        return int(parts["skipped_qpos"]), False
    return None, False


def _set(env: gymnasium.Env, qpos: np.ndarray, qvel: np.ndarray) -> None:
    import mujoco  # slow to load

    held = simulator(env)
    assert held is not None
    model, data = held
    data.qpos[:], data.qvel[:] = qpos, qvel
    mujoco.mj_forward(model, data)
