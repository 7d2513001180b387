"""Does an environment repeat itself? Comparisons on the same episodes, and resumed runs, rest on it.

    repetition_of(task).notice  # None, or a sentence to print

Measured once a process: the same seed and actions, again in the same environment and in a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import gymnasium
import numpy as np

from smac.envs.make import env_spec, make_env
from smac.tasks import Task, is_own

STEPS, SEEDS = 10, (1, 2)


@dataclass(frozen=True)
class Repetition:
    """What the same seed and the same actions give."""

    start: bool
    """`reset(seed)` gives the same first observation every time."""
    steps: bool
    """The same actions then give the same observations, rewards and endings."""
    seeds_differ: bool
    """Episodes of different seeds differ, with the same actions."""

    @property
    def notice(self) -> str | None:
        """What does not hold, and what follows; None if all is well."""
        if not self.start:
            return (
                "reset(seed) does not give the same start twice: the environment draws from something other "
                "than its seed, so policies do not play the same episodes, and differences between them hold "
                "that noise"
            )
        if not self.steps:
            return (
                "the same seed and the same actions do not give the same episode twice: differences between "
                "policies hold that noise, and a resumed run does not continue bit for bit"
            )
        if not self.seeds_differ:
            return (
                "every seed gives the same episode: of one policy's mean actions one episode says all, and "
                "intervals over episodes say nothing"
            )
        return None


@cache
def repetition_of(task: Task, steps: int = STEPS) -> Repetition:
    """Measure it with `steps` random actions; raises whatever the environment raises."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (steps, env_spec(task).action_dim)).astype(np.float32)
    first, second = make_env(task), make_env(task)
    try:
        episodes = [_episode(env, SEEDS[0], actions) for env in (first, first, second)]
        other = _episode(second, SEEDS[1], actions)
    finally:
        first.close()
        second.close()
    one, *again = episodes
    return Repetition(
        start=all(np.array_equal(one[0], x[0], equal_nan=True) for x in again),
        steps=all(_same(one, x) for x in again),
        seeds_differ=not _same(one, other),
    )


def notice_of(task: Task) -> str | None:
    """What to print before episodes of a task are paired; nothing for this package's tasks, which are tested.

    An environment that cannot be played says so itself as soon as it is.
    """
    if is_own(task):
        return None
    try:
        found = repetition_of(task).notice
    except Exception:  # whatever an environment may raise
        return None
    return found and f"{task.name}: {found}"


def _episode(env: gymnasium.Env, seed: int, actions: np.ndarray) -> list[np.ndarray]:
    """The first observation; then after every action observation, reward and ending in one array."""
    observation, _ = env.reset(seed=seed)
    parts = [np.array(observation, np.float64)]
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        parts.append(np.append(np.asarray(observation, np.float64), [float(reward), terminated, truncated]))
        if terminated or truncated:
            break
    return parts


def _same(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b, strict=True))
