"""The return matrix R[point, episode] of many policies on shared episode seeds, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from landscape.backends import Backend, Cluster, check, connect
from landscape.elsewhere import play_all
from landscape.jobs import EPISODES_PER_JOB, POINTS_PER_STACK, Job, Place, Played, Point, keep, play
from landscape.store import Store, fill, point_key, scene_key
from landscape.workers import workers
from smac.errors import UserError
from smac.policies import ActorSpec
from smac.rollout import Rollouts, episode_seeds
from smac.tasks import Task

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """How policies are evaluated. The first five say what is played, the others only how it is computed."""

    episodes: int = 20
    """Episodes per point; every point plays the same ones."""
    seed: int = 0
    """Seed of the episodes, and of the bootstrap."""
    stochastic: bool = False
    """Sample actions instead of taking the mean."""
    time_limit: float = float("inf")
    """Seconds that the simulation of one episode may take; a longer one counts as timed out. Processes of
    their own play, even with one worker, and are ended if a step hangs."""
    task: str | None = None
    """Task, or environment id, of policies whose files do not say."""
    action_units: Literal["env", "unit"] | None = None
    """Units of the actions of policies whose files do not say: the environment's, or [-1, 1]."""
    normaliser: str | None = None
    """Of such policies' observations: the file of a VecNormalize, or `none`."""
    workers: int = 1
    """Processes; the result does not depend on their number. With one, this process plays by itself."""
    backend: Backend | None = None
    """Of a cluster whose workers play instead, as many as it has; default: processes of this machine, which
    are started again where an environment ends them."""
    address: str | None = None
    """HOST:PORT of the scheduler of that cluster."""
    store: Path | None = None
    """Directory of episodes: those it holds are not played again, new ones are added."""
    shard: tuple[int, int] | None = None
    """(k, n): play only the k-th of n shares of the points, 1 <= k <= n; to be merged with the others."""

    def __post_init__(self) -> None:
        for name in ("episodes", "workers"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} must be at least 1, got {getattr(self, name)}")
        check(self.backend, self.address)
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
    def first(self) -> int:
        """The number of the first episode, among all that there may ever be of this seed."""
        return 0

    @property
    def actions(self) -> str:
        return "sampled" if self.stochastic else "mean"


DEFAULT = Evaluation()


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
    cluster = connect(evaluation.backend, evaluation.address) if evaluation.backend else None
    total = count * evaluation.episodes
    result = Rollouts.empty(count, evaluation.episodes)
    planner = _Planner(spec, task, evaluation, result)
    store = evaluation.store and evaluation.store.absolute()  # another process may be elsewhere
    done = 0

    def take(played: Played) -> None:
        nonlocal done
        for place, episode in played:
            fill(result, place.row, place.episode, episode)
        done += len(played)
        if progress:
            progress(done + planner.reused, total)

    def keep_and_take(played: Played) -> None:
        keep(store, played)
        take(played)

    jobs = planner.jobs(points)
    if cluster is not None:
        _play_elsewhere(jobs, cluster, planner.scene, keep_and_take)
    elif evaluation.workers > 1 or isfinite(evaluation.time_limit):
        workers(evaluation.workers).run(jobs, keep_and_take)
    else:
        for job in jobs:
            play(job, keep_and_take)
    if progress and not done:
        progress(planner.reused, total)
    return result


def _play_elsewhere(
    jobs: Iterable[Job], cluster: Cluster, scene: bytes, take: Callable[[Played], None]
) -> None:
    """Have jobs played by the workers of a cluster."""
    for played, wrong in cluster.each(play_all, ((job, scene) for job in jobs), lambda job, _: str(job)):
        take(played)
        if wrong is not None:
            raise UserError(wrong)


class _Planner:
    """Cuts what is still to be played into jobs, and takes the rest from the store."""

    def __init__(self, spec: ActorSpec, task: Task, evaluation: Evaluation, result: Rollouts) -> None:
        self.spec, self.task, self.evaluation, self.result = spec, task, evaluation, result
        self.seeds = evaluation.seeds
        self.reused = 0
        self.store = Store(evaluation.store) if evaluation.store else None
        if self.store is not None or evaluation.backend is not None:
            self.scene = scene_key(spec, task, evaluation.stochastic, evaluation.time_limit)

    def jobs(self, points: Iterable[Point]) -> Iterator[Job]:
        """One job per stack of points that lack episodes of the same block, the blocks being those of all
        episodes that there may ever be, from number 0 on."""
        waiting: dict[int, list[tuple[Point, list[Place]]]] = {}
        for row, point in enumerate(points):
            if not self._ours(row):
                continue
            key = "" if self.store is None else point_key(self.scene, point)
            for block, places in self._missing(row, key).items():
                stack = waiting.setdefault(block, [])
                stack.append((point, places))
                if len(stack) == POINTS_PER_STACK:
                    yield self._job(waiting.pop(block))
        for stack in waiting.values():
            yield self._job(stack)

    def _ours(self, row: int) -> bool:
        share = self.evaluation.shard
        return share is None or row % share[1] == share[0] - 1

    def _missing(self, row: int, key: str) -> dict[int, list[Place]]:
        """Fill in what the store holds of a point; what is left, by block."""
        known = {} if self.store is None else self.store.of(key)
        missing: dict[int, list[Place]] = {}
        for episode, seed in enumerate(self.seeds):
            if seed in known:
                fill(self.result, row, episode, known[seed])
                self.reused += 1
            else:
                block, column = divmod(self.evaluation.first + episode, EPISODES_PER_JOB)
                missing.setdefault(block, []).append(Place(0, column, row, episode, seed, key))
        return missing

    def _job(self, stack: list[tuple[Point, list[Place]]]) -> Job:
        return Job(
            self.spec,
            self.task,
            tuple(point for point, _ in stack),
            tuple(
                place._replace(member=member) for member, (_, places) in enumerate(stack) for place in places
            ),
            self.evaluation.stochastic,
            self.evaluation.time_limit,
        )
