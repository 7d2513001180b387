"""The return matrix R[point, episode] of many policies on shared episode seeds, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import joblib
import numpy as np
import torch
from torch import Tensor

from landscape.policies import ActorSpec, stack_actor
from smac.envs import make_env
from smac.nets import Actor
from smac.rollout import LockStep, Rollouts, joined
from smac.tasks import Task

Point = Mapping[str, np.ndarray]

# Every stack has this many members, padded if need be, so that the shapes of the matrix products, and with
# them the last bits of the actions, depend neither on the number of workers nor on the number of points.
POINTS_PER_STACK = 8
EPISODES_PER_JOB = 4

_lock_steps: dict[str, LockStep] = {}  # per process: environments are built once and reused


class _Padded:
    """A full stack of actors of which only the first rows have observations."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        points = len(observations)
        full = observations.new_zeros(POINTS_PER_STACK, *observations.shape[1:])
        full[:points] = observations
        if noise is not None:
            noise = noise[:1].expand(POINTS_PER_STACK, -1, -1)  # the same noise for every point
        return self.actor.act(full, noise)[:points]


def evaluate(
    spec: ActorSpec,
    task: Task,
    points: Iterable[Point],
    count: int,
    seeds: Sequence[int],
    *,
    stochastic: bool = False,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Rollouts:
    """Play one episode of each of `count` points on each seed; results are [count, len(seeds)].

    Points are drawn from the iterable a few stacks ahead of the workers, so memory does not grow with their
    number. `progress` is called with (episodes done, episodes in all). The result depends neither on the
    number of workers nor on the order in which they finish.
    """
    shape = (count, len(seeds))
    result = Rollouts.empty(*shape)
    jobs = _jobs(spec, task, points, seeds, stochastic)
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch=2 * workers)
    done = 0
    for rows, columns, part in parallel(jobs):
        result.put(rows, columns, part)
        done += part.returns.size
        if progress:
            progress(done, count * len(seeds))
    return result


def _jobs(
    spec: ActorSpec, task: Task, points: Iterable[Point], seeds: Sequence[int], stochastic: bool
) -> Iterator[tuple]:
    """One job per stack of points and block of episodes."""
    remaining, start = iter(points), 0
    while stack := list(islice(remaining, POINTS_PER_STACK)):
        rows = slice(start, start + len(stack))
        start += len(stack)
        for first in range(0, len(seeds), EPISODES_PER_JOB):
            columns = slice(first, min(first + EPISODES_PER_JOB, len(seeds)))
            yield joblib.delayed(_play)(spec, task, stack, rows, columns, list(seeds[columns]), stochastic)


def _play(
    spec: ActorSpec,
    task: Task,
    stack: list[Point],
    rows: slice,
    columns: slice,
    seeds: list[int],
    stochastic: bool,
) -> tuple[slice, slice, Rollouts]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one process per core, not one core per matrix
    try:
        if task.name not in _lock_steps:
            _lock_steps[task.name] = LockStep(lambda: make_env(task), task.horizon)
        padding = [stack[-1]] * (POINTS_PER_STACK - len(stack))
        policy = _Padded(stack_actor(spec, [*stack, *padding]))
        parts = [
            _lock_steps[task.name].play(policy, len(stack), [seed], stochastic=stochastic) for seed in seeds
        ]
    finally:
        torch.set_num_threads(threads)
    return rows, columns, joined(parts)
