"""The return matrix R[point, episode] of many policies on shared episode seeds, in parallel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import joblib
import numpy as np
import torch
from torch import Tensor

from landscape.store import Store, append, fill, point_key, scene_key
from smac.envs import make_env
from smac.errors import UserError
from smac.nets import Actor
from smac.policies import ActorSpec, stack_actor
from smac.rollout import LockStep, Rollouts, episode_seeds, joined
from smac.tasks import Task

Point = Mapping[str, np.ndarray]
Progress = Callable[[int, int], None]

# Every stack has this many members, padded if need be, so that the shapes of the matrix products, and with
# them the last bits of the actions, depend neither on the number of workers nor on the number of points.
POINTS_PER_STACK = 8
EPISODES_PER_JOB = 4

_local = threading.local()  # per process (and thread): environments are built once and reused


@dataclass(frozen=True)
class Evaluation:
    """How policies are evaluated. The first five say what is played, the others only how it gets done."""

    episodes: int = 20
    """Episodes per point; every point plays the same ones."""
    seed: int = 0
    """Seed of the episodes, and of the bootstrap."""
    stochastic: bool = False
    """Sample actions instead of taking the mean."""
    time_limit: float = float("inf")
    """Seconds that the simulation of one episode may take; a longer one counts as timed out."""
    task: str | None = None
    """Task, or environment id, of policies whose files do not say."""
    action_units: Literal["env", "unit"] | None = None
    """Units of the actions of policies whose files do not say: the environment's, or [-1, 1]."""
    normaliser: str | None = None
    """Of such policies' observations: the file of a VecNormalize, or `none`."""
    workers: int = 1
    """Processes; the result does not depend on their number."""
    backend: str | None = None
    """A registered joblib backend, such as loky (the default), threading, or one of a cluster."""
    store: Path | None = None
    """Directory of episodes: those it holds are not played again, new ones are added."""
    shard: tuple[int, int] | None = None
    """(k, n): play only the k-th of n shares of the points, 1 <= k <= n; to be merged with the others."""

    def __post_init__(self) -> None:
        for name in ("episodes", "workers"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise UserError(f"--seed must be at least 0, got {self.seed}")
        if not self.time_limit > 0:
            raise UserError(f"--time-limit must be a number of seconds above 0, got {self.time_limit}")
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise UserError(f"--shard must be K/N with K from 1 to N, got {self.shard[0]}/{self.shard[1]}")

    @property
    def seeds(self) -> list[int]:
        """The environment seed of every episode."""
        return episode_seeds(self.seed, self.episodes)

    @property
    def actions(self) -> str:
        return "sampled" if self.stochastic else "mean"


DEFAULT = Evaluation()


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


@dataclass(frozen=True)
class _Job:
    """Some episodes of up to POINTS_PER_STACK points, for one worker."""

    spec: ActorSpec
    task: Task
    rows: tuple[int, ...]
    points: tuple[Point, ...]
    columns: tuple[int, ...]
    seeds: tuple[int, ...]
    stochastic: bool
    time_limit: float
    store: Path | None
    keys: tuple[str, ...]


def evaluate(
    spec: ActorSpec,
    task: Task,
    points: Iterable[Point],
    count: int,
    evaluation: Evaluation,
    *,
    progress: Progress | None = None,
) -> Rollouts:
    """Play the episodes of an evaluation with each of `count` points; results are [count, episodes].

    Points are drawn from the iterable a few stacks ahead of the workers, so memory does not grow with their
    number. `progress` is called with (episodes done, episodes in all). The result depends neither on the
    number of workers, nor on the order in which they finish, nor on what a store already held. Points of
    another shard stay `NOT_PLAYED`.
    """
    total = count * evaluation.episodes
    result = Rollouts.empty(count, evaluation.episodes)
    planner = _Planner(spec, task, evaluation, result)
    try:
        parallel = joblib.Parallel(
            n_jobs=evaluation.workers,
            backend=evaluation.backend,
            return_as="generator_unordered",
            pre_dispatch=2 * evaluation.workers,
        )
    except (ValueError, ImportError) as error:
        raise UserError(f"--backend {evaluation.backend}: {error}") from None
    done = 0
    for rows, columns, part in parallel(joblib.delayed(_play)(job) for job in planner.jobs(points)):
        result.put(rows, columns, part)
        done += part.returns.size
        if progress:
            progress(done + planner.reused, total)
    if progress and not done:
        progress(planner.reused, total)
    return result


class _Planner:
    """Cuts what is still to be played into jobs, and takes the rest from the store."""

    def __init__(self, spec: ActorSpec, task: Task, evaluation: Evaluation, result: Rollouts) -> None:
        self.spec, self.task, self.evaluation, self.result = spec, task, evaluation, result
        self.seeds = evaluation.seeds
        self.reused = 0
        self.store = Store(evaluation.store) if evaluation.store else None
        self.scene = scene_key(spec, task, evaluation.stochastic, evaluation.time_limit)

    def jobs(self, points: Iterable[Point]) -> Iterator[_Job]:
        """One job per stack of points that lack the same episodes, and block of these episodes."""
        waiting: dict[tuple[int, ...], list[tuple[int, str, Point]]] = {}
        for row, point in enumerate(points):
            if not self._ours(row):
                continue
            key = "" if self.store is None else point_key(self.scene, point)
            missing = self._take(row, key)
            if not missing:
                continue
            stack = waiting.setdefault(missing, [])
            stack.append((row, key, point))
            if len(stack) == POINTS_PER_STACK:
                yield from self._cut(missing, waiting.pop(missing))
        for missing, stack in waiting.items():
            yield from self._cut(missing, stack)

    def _ours(self, row: int) -> bool:
        share = self.evaluation.shard
        return share is None or row % share[1] == share[0] - 1

    def _take(self, row: int, key: str) -> tuple[int, ...]:
        """Fill in what the store holds of a point; the columns that are left."""
        known = {} if self.store is None else self.store.of(key)
        missing = []
        for column, seed in enumerate(self.seeds):
            if seed in known:
                fill(self.result, row, column, known[seed])
                self.reused += 1
            else:
                missing.append(column)
        return tuple(missing)

    def _cut(self, missing: Sequence[int], stack: list[tuple[int, str, Point]]) -> Iterator[_Job]:
        rows, keys, points = zip(*stack, strict=True)
        for first in range(0, len(missing), EPISODES_PER_JOB):
            columns = tuple(missing[first : first + EPISODES_PER_JOB])
            yield _Job(
                self.spec,
                self.task,
                rows,
                points,
                columns,
                tuple(self.seeds[column] for column in columns),
                self.evaluation.stochastic,
                self.evaluation.time_limit,
                self.evaluation.store,
                keys,
            )


def _play(job: _Job) -> tuple[tuple[int, ...], tuple[int, ...], Rollouts]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one process per core, not one core per matrix
    try:
        padding = [job.points[-1]] * (POINTS_PER_STACK - len(job.points))
        policy = _Padded(stack_actor(job.spec, [*job.points, *padding]))
        lock_step = _lock_step(job.task)
        lock_step.time_limit = job.time_limit
        parts = []
        for seed in job.seeds:
            part = lock_step.play(policy, len(job.points), [seed], stochastic=job.stochastic)
            if job.store is not None:
                append(job.store, job.keys, seed, part)
            parts.append(part)
    finally:
        torch.set_num_threads(threads)
    return job.rows, job.columns, joined(parts)


def _lock_step(task: Task) -> LockStep:
    """The environments of this process for a task."""
    built: dict[str, LockStep] = _local.__dict__.setdefault("lock_steps", {})
    if task.name not in built:
        built[task.name] = LockStep(lambda: make_env(task), task.horizon)
    return built[task.name]
