"""Evaluation points of a training run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from smac.envs import make_env, tells_success
from smac.rollout import LockStep, Policy, Rollouts, episode_seeds, joined
from smac.tasks import Task

COLUMNS = 8  # episodes at a time, of every policy of a stack
ENVIRONMENTS = 64  # built at most for an evaluation: a hundred MuJoCo models take a gigabyte


class Evaluator:
    """Plays the same episodes, with mean actions, at every evaluation and for every seed of the stack."""

    def __init__(
        self, task: Task, stack: int, episodes: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.task, self.stack = task, stack
        self.seeds: Sequence[int] = episode_seeds(seed, episodes)
        self.lock_step = LockStep(lambda: make_env(task), task.horizon, device)

    def __call__(self, policy: Policy) -> dict[str, np.ndarray]:
        """`eval/return`, `eval/score`, `eval/success`, `eval/length`, each [stack]."""
        return summary(self.task, self.play(policy))

    def play(self, policy: Policy) -> Rollouts:
        """Every episode of every seed of the stack, [stack, episodes]."""
        at_once = max(1, ENVIRONMENTS // self.stack)
        chunks = [self.seeds[i : i + at_once] for i in range(0, len(self.seeds), at_once)]
        return joined([self.lock_step.play(policy, self.stack, c) for c in chunks])

    def close(self) -> None:
        self.lock_step.close()


def summary(task: Task, rollouts: Rollouts) -> dict[str, np.ndarray]:
    """Means over episodes, [points]; an episode that failed makes its point's return NaN, never hidden.

    Score and success are NaN for a task that has none.
    """
    returns = rollouts.returns.mean(axis=1)
    successes = rollouts.successes.mean(axis=1)
    return {
        "eval/return": returns,
        "eval/score": np.asarray(task.score(returns, rollouts.solved.mean(axis=1))),
        "eval/success": successes if tells_success(task, successes) else np.full_like(returns, np.nan),
        "eval/length": rollouts.lengths.mean(axis=1),
    }


def evaluate_policies(
    task: Task,
    policy: Policy,
    stack: int,
    *,
    episodes: int,
    seed: int,
    stochastic: bool,
    columns: int = COLUMNS,
) -> list[dict[str, dict[str, float]]]:
    """Mean and standard error over episodes of return, score, success, length; of what the task has.

    One mapping for each of the `stack` policies, which play the same episodes in one forward pass, `columns`
    at a time; a policy that acts on one observation only wants 1. Episode j always has column j modulo
    `columns`, whether its neighbours are played or not, so what it comes to does not depend on their number.
    """
    lock_step = LockStep(lambda: make_env(task), task.horizon)
    seeds, parts = episode_seeds(seed, episodes), []
    try:
        for first in range(0, episodes, columns):
            block = [*seeds[first : first + columns]]
            padded, wanted = block + [0] * (columns - len(block)), range(len(block))
            while wanted:
                count = lock_step.columns(stack)
                now, wanted = wanted[:count], wanted[count:]
                cells = [(p, j) for p in range(stack) for j in now]
                played = lock_step.play(policy, stack, padded, stochastic=stochastic, cells=cells)
                parts.append(played.part(columns=now))
    finally:
        lock_step.close()
    played = joined(parts)
    return [_told(task, played.part(rows=[p])) for p in range(stack)]


def _told(task: Task, played: Rollouts) -> dict[str, dict[str, float]]:
    """Of one policy, [1, episodes]."""
    fields = {
        "return": played.returns[0],
        "score": np.asarray(task.score(played.returns[0], played.solved[0])),
    }
    if tells_success(task, played.successes):
        fields["success"] = played.successes[0].astype(float)
    fields["length"] = played.lengths[0].astype(float)
    root = np.sqrt(max(played.returns.shape[1] - 1, 1))
    return {
        name: {"mean": float(x.mean()), "standard_error": float(x.std() / root)}
        for name, x in fields.items()
        if np.isfinite(x).any()
    }
