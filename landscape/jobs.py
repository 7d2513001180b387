"""What one process plays at a time: some episodes of some points, as one stack in lock-step environments.

A stack has `POINTS_PER_STACK` members and `EPISODES_PER_JOB` columns, whatever is played in it: a point takes
any member, but episode number j of a study always column j modulo `EPISODES_PER_JOB`. So the shapes of the
matrix products, and an episode's row in them, and with these the last bits of its actions, depend neither on
the number of workers or points nor on which episodes were played before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from landscape.store import Episode, append, episode_of
from smac.envs import make_env
from smac.errors import UserError
from smac.policies import ActorSpec, flat, mean_actions, stack_actor
from smac.rollout import Cell, LockStep, Mark, Policy, Rollouts, Unplayable
from smac.tasks import Task

Point = Mapping[str, np.ndarray]

POINTS_PER_STACK = 8
EPISODES_PER_JOB = 4

_local = threading.local()  # per process (and thread): environments are built once and reused


class Place(NamedTuple):
    """An episode that is to be played: where in the stack, in the results, and in the store."""

    member: int  # of the job's points
    column: int  # of the stack
    row: int  # of the results: the point,
    episode: int  # and its episode
    seed: int
    key: str  # the point's, in the store

    def __str__(self) -> str:
        return f"point {self.row}, episode {self.episode} (seed {self.seed})"


Played = list[tuple[Place, Episode]]


@dataclass(frozen=True)
class Job:
    """Some episodes of up to POINTS_PER_STACK points, for one worker."""

    spec: ActorSpec
    task: Task
    points: tuple[Point, ...]
    places: tuple[Place, ...]
    stochastic: bool
    time_limit: float

    def __str__(self) -> str:
        rows, episodes = ({getattr(p, name) for p in self.places} for name in ("row", "episode"))
        return f"points {min(rows)} to {max(rows)}, episodes {min(episodes)} to {max(episodes)}"


def play(job: Job, told: Callable[[Played], None], mark: Mark | None = None) -> None:
    """Play a job. `told` is called with episodes as they end; UserError names one that cannot be played."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # one process per core, not one core per matrix
    try:
        spec, points = (job.spec, job.points) if job.stochastic else mean_actions(job.spec, job.points)
        padding = [points[-1]] * (POINTS_PER_STACK - len(points))
        actor = flat(stack_actor(spec, [*points, *padding]), spec)
        lock_step = environments(job.task)
        lock_step.time_limit, lock_step.mark = job.time_limit, mark or Mark()
        for places in _portions(job.places, lock_step):
            _play(actor, lock_step, places, job.stochastic, told)
    finally:
        torch.set_num_threads(threads)


def keep(store: Path | None, played: Played) -> None:
    if store is not None:
        append(store, [(place.key, place.seed, episode) for place, episode in played])


def place_of(job: Job, cell: int) -> Place:
    """The episode that is played in a cell of the stack, by the number that `Mark` has for it."""
    member, column = divmod(cell, EPISODES_PER_JOB)
    return next(place for place in job.places if (place.member, place.column) == (member, column))


def forget_environments() -> None:
    """Build anew what a fork has of its parent: an environment may hold what two processes cannot share."""
    _inherited.append(_local.__dict__.pop("lock_steps", None))


_inherited: list[object] = []  # never closed, as the parent's go on


def _play(
    actor: Policy,
    lock_step: LockStep,
    places: Sequence[Place],
    stochastic: bool,
    told: Callable[[Played], None],
) -> None:
    by_cell = {(place.member, place.column): place for place in places}
    seeds = [0] * EPISODES_PER_JOB
    for place in places:
        seeds[place.column] = place.seed

    def ended(cells: Sequence[Cell], played: Rollouts) -> None:
        told([(by_cell[cell], episode_of(played, *cell)) for cell in cells])

    try:
        lock_step.play(
            actor, POINTS_PER_STACK, seeds, stochastic=stochastic, cells=list(by_cell), told=ended
        )  # fmt: skip
    except Unplayable as error:
        raise UserError(f"{by_cell[error.point, error.column]}: {error.what}") from error


def _portions(places: Sequence[Place], lock_step: LockStep) -> Iterator[list[Place]]:
    """The places column by column, as many columns together as there should be environments for."""
    columns = sorted({place.column for place in places})
    while columns:
        together = lock_step.columns(POINTS_PER_STACK)
        now, columns = columns[:together], columns[together:]
        yield [place for place in places if place.column in now]


def environments(task: Task) -> LockStep:
    """The environments of this process; those of the task before are closed."""
    built: dict[str, LockStep] = _local.__dict__.setdefault("lock_steps", {})
    if task.name not in built:
        for other in list(built):
            built.pop(other).close()
        built[task.name] = LockStep(lambda: make_env(task), task.horizon)
    return built[task.name]
