"""Collecting episodes with controllers and policies, spread over processes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from smac.collect.chunks import keep_folder, play
from smac.collect.recipes import Part, Recipe, assign, plain, recipe
from smac.collect.success_rate import Calibration, calibrate
from smac.data.transitions import Episode
from smac.envs import reports_success
from smac.envs.units import Units
from smac.errors import UserError
from smac.streams import derive_seed
from smac.tasks import Task

Progress = Callable[[int, int], None]


def collect(
    task: Task,
    *,
    episodes: int,
    seed: int,
    workers: int,
    noise: float | None = None,
    wander: float | None = None,
    policy: Path | str | None = None,
    action_units: Units | None = None,
    normaliser: str | None = None,
    stochastic: bool = False,
    any_cells: bool = False,
    progress: Progress | None = None,
) -> list[Episode]:
    """Episodes of the task's controller or of a policy, disturbed so that they cover states and actions.

    Args:
        task: the task; PointMaze and Kitchen have controllers, others need a policy.
        episodes: how many.
        seed: of everything random; the result does not depend on `workers`.
        workers: processes.
        noise: standard deviation of the Gaussian noise added to every action, which is clipped to [-1, 1];
            None is 0.3 for PointMaze's controller and 0 for all others.
        wander: PointMaze only: probability per step of leaving for a random cell on this side of the goal,
            for at most 50 steps; 0 gives the controller's own paths, 1 nearly always fails; None is 0.003.
            Success at noise 0.3 and wander 0, 0.003, 0.01, 0.02, 0.05, 0.1, 0.3: on umaze 1, 0.995, 0.95,
            0.85, 0.55, 0.31, 0.06; on medium 1, 0.995, 0.94, 0.78, 0.31, 0.12, 0.01 (200 episodes each).
            Noise alone hardly lowers it: 1 at noise 2, 0.9 at 5.
        policy: file of a policy, see `smac.policies`, or a function as package.module:name; the walking ant's
            is sent along waypoints.
        action_units: of the policy's actions, where its file does not say.
        normaliser: of its observations, likewise: the file of a VecNormalize, or `none`.
        stochastic: sample the policy's actions instead of taking the mean.
        any_cells: AntMaze only: start and goal in any two cells.
        progress: called with (episodes done, episodes) as pieces of work end.
    """
    check_counts(episodes, seed, workers)
    made_by = recipe(
        task,
        policy=None if policy is None else Path(policy),
        action_units=action_units,
        normaliser=normaliser,
        noise=noise,
        wander=wander,
        stochastic=stochastic,
        any_cells=any_cells,
    )
    return collect_parts(
        task, (Part("all", 1.0, made_by),), episodes=episodes, seed=seed, workers=workers, progress=progress
    )


def collect_parts(
    task: Task,
    parts: Sequence[Part],
    *,
    episodes: int,
    seed: int,
    workers: int,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> list[Episode]:
    """Episodes of a mixture of recipes. Finished pieces lie in the folder `keep` and are not played again.

    UserError if they cannot be written there.
    """
    check_counts(episodes, seed, workers)
    seeds = np.random.SeedSequence(seed).spawn(episodes)
    work = list(zip(seeds, assign(parts, episodes, seed), strict=True))
    try:
        return play(task, work, workers=workers, keep=keep, progress=progress)
    except OSError as error:
        if keep is None:
            raise
        raise UserError(f"the collection's pieces cannot be written to {keep} ({error})") from error


def find_disturbance(
    task: Task,
    made_by: Recipe,
    *,
    success_rate: float,
    episodes: int,
    seed: int,
    workers: int,
    progress: Progress | None = None,
) -> Calibration:
    """How much noise (PointMaze: wandering) gives a success rate, on seeds apart from the collection's."""
    check_counts(episodes, seed, workers)
    if not reports_success(task):
        raise UserError(f"task {task.name} does not tell success, so there is no success rate to aim at")
    seeds = np.random.SeedSequence(derive_seed(seed, "success rate")).spawn(episodes)

    def measure(amount: float) -> float:
        work = [(child, made_by.disturbed(amount)) for child in seeds]
        return success_share(play(task, work, workers=workers, progress=progress))

    return calibrate(measure, success_rate, disturbance=made_by.disturbance, episodes=episodes)


def success_share(episodes: Sequence[Episode]) -> float:
    """Share of episodes with a success at any step."""
    return float(np.mean([episode.success.any() for episode in episodes]))


def resumable_folder(root: Path, task: Task, parts: Sequence[Part], *, episodes: int, seed: int) -> Path:
    """Where the finished pieces of just this collection are kept until its dataset has been written."""
    recipes = [[part.name, part.share, plain(part.recipe)] for part in parts]
    return keep_folder(root, task=task.name, parts=recipes, episodes=episodes, seed=seed)


def forget(folder: Path) -> None:
    """Removes the pieces of a collection whose dataset has been written."""
    shutil.rmtree(folder, ignore_errors=True)


def check_counts(episodes: int, seed: int, workers: int) -> None:
    """UserError for numbers that make no collection."""
    if episodes < 1:
        raise UserError(f"episodes must be at least 1, got {episodes}")
    if seed < 0:
        raise UserError(f"seed must not be negative, got {seed}")
    if workers < 1:
        raise UserError(f"workers must be at least 1, got {workers}")
