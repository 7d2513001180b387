"""What a task gives to a random policy and to the best one at hand: the two ends of its score, measured."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from smac.collect.chunks import play
from smac.collect.collecting import check_counts
from smac.collect.recipes import Recipe, plain, recipe
from smac.data.summary import subtasks_solved
from smac.data.transitions import Episode
from smac.envs import make_env, reports_success
from smac.statistics.classical import student_half_width, wilson
from smac.tasks import Task

CONFIDENCE = 0.95  # of the intervals over episodes
DOUBT = 0.01  # a stated number and ours disagree if equal ones would differ so much with this probability
SPEED_SECONDS = 2.0
Interval = dict[str, float | None]  # mean, low, high


@dataclass(frozen=True)
class Stated:
    """What the source of a policy says of it: mean of `quantity` ("return" or "success") over `episodes`."""

    quantity: str
    mean: float
    episodes: int
    deviation: float = 0.0  # of a return, between episodes


@dataclass(frozen=True)
class Published:
    """A published policy: its file, below the folder of all of them, and what its README says."""

    file: str
    stated: Stated | None = None
    stochastic: bool = False


def _dapg(name: str, success: float) -> Published:
    return Published(f"hand_dapg/policy_{name}.npz", Stated("success", success, episodes=100))


def _zoo(name: str, mean: float, deviation: float) -> Published:
    return Published(f"rl_trained_agents/tqc-{name}-v3.npz", Stated("return", mean, 10, deviation))


def _ant(success: float | None) -> Published:
    stated = None if success is None else Stated("success", success, episodes=20)
    return Published("antmaze_gen/policy_ant_goal.npz", stated, stochastic=True)


AS_STATED = "version=v5,cells=any,horizon=1000"  # what the ant's README measured on; the tasks are harder

# By the task's name; tasks that are not here have a controller
PUBLISHED: Mapping[str, Published] = {
    "pen-binary": _dapg("pen", 0.77),
    "door-binary": _dapg("door", 1.0),
    "hammer-binary": _dapg("hammer", 1.0),
    "relocate-binary": _dapg("relocate", 1.0),
    "hopper": _zoo("Hopper", 3274, 586),
    "walker2d": _zoo("Walker2d", 4472, 42),
    "halfcheetah": _zoo("HalfCheetah", 12151, 112),
    **{f"antmaze-{size}": _ant(None) for size in ("umaze", "medium", "large")},
    f"antmaze-umaze@{AS_STATED}": _ant(0.95),
    f"antmaze-medium@{AS_STATED}": _ant(0.80),
    f"antmaze-large@{AS_STATED}": _ant(0.80),
}


def published(task: Task) -> Published | None:
    """The published policy for a task; with options, what is stated holds only if it was stated of them."""
    if task.name in PUBLISHED:
        return PUBLISHED[task.name]
    base = PUBLISHED.get(task.name.partition("@")[0])
    return None if base is None else replace(base, stated=None)


def best_recipe(task: Task, policies: Path | None) -> Recipe | str:
    """The best policy at hand, undisturbed: the task's controller or a published one; else what is missing.

    `policies` is the folder of the published ones.
    """
    known = published(task)
    if known is not None:
        if policies is None:
            return f"{known.file}: name its folder with --policies"
        if not (policies / known.file).is_file():
            return f"{known.file} is not in the folder of policies"
        return recipe(task, policy=policies / known.file, noise=0.0, stochastic=known.stochastic)
    if task.family == "kitchen":
        return replace(recipe(task), targets=True)
    if task.family == "pointmaze":
        return recipe(task, noise=0.0, wander=0.0)
    return "no policy is known for this environment"


def recipes_of(task: Task, policies: Path | None) -> list[Recipe]:
    """The policies that are measured: a random one, and the best at hand if there is one."""
    best = best_recipe(task, policies)
    return [Recipe("random")] + ([] if isinstance(best, str) else [best])


def settings(task: Task, policies: Path | None, *, episodes: int, seed: int) -> dict[str, Any]:
    """All that decides the numbers of `measure`, but for versions; JSON values."""
    check_counts(episodes, seed, workers=1)
    best = best_recipe(task, policies)
    return {
        "episodes": episodes,
        "seed": seed,
        "best": {"missing": best} if isinstance(best, str) else plain(best),
    }


def measure(
    task: Task,
    policies: Path | None,
    *,
    episodes: int,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The row of a task: its settings, the numbers of both policies, and steps per second.

    Both policies play the same episodes (start states), which do not depend on `workers`. JSON values; a
    number that does not exist is None. `best` and `stated` are None where the policy is missing or nothing is
    stated, and `agrees` where there is nothing to compare.
    """
    check_counts(episodes, seed, workers)
    recipes, known = recipes_of(task, policies), published(task)
    stated = None if known is None else known.stated
    seeds = np.random.SeedSequence(seed).spawn(episodes)
    played = []
    for i, made_by in enumerate(recipes):
        moved = None if progress is None else _part_of(progress, i * episodes, len(recipes) * episodes)
        played.append(play(task, [(child, made_by) for child in seeds], workers=workers, progress=moved))
    row = {
        "task": task.name,
        "settings": settings(task, policies, episodes=episodes, seed=seed),
        "random": numbers(task, played[0]),
        "best": None,
        "stated": None if stated is None else vars(stated),
        "agrees": None,
        "steps_per_second": steps_per_second(task, SPEED_SECONDS),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    if len(played) == 2:
        row["best"] = numbers(task, played[1])
        row["agrees"] = None if stated is None else agrees(stated, played[1])
    return row


def _part_of(progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int, int], None]:
    return lambda done, _: progress(before + done, total)


def numbers(task: Task, episodes: Sequence[Episode]) -> dict[str, Interval | None]:
    """Return, score, success and length over episodes; None for what the task does not have."""
    returns = returns_of(episodes)
    solved = np.array([subtasks_solved(task, e) for e in episodes], float) if task.subtasks else None
    scores = np.asarray(task.score(returns, solved))
    successes = [bool(e.success.any()) for e in episodes]
    return {
        "return": t_interval(returns),
        "score": t_interval(scores) if np.isfinite(scores).all() else None,
        "success": wilson_interval(sum(successes), len(successes)) if reports_success(task) else None,
        "length": t_interval(np.array([len(e) for e in episodes], float)),
    }


def returns_of(episodes: Sequence[Episode]) -> np.ndarray:
    """Undiscounted returns [episodes], float64."""
    return np.array([e.rewards.sum(dtype=np.float64) for e in episodes])


def t_interval(values: np.ndarray) -> Interval:
    """Mean and Student's t interval of independent episodes; no interval for a single one."""
    mean = float(values.mean())
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    half = float(student_half_width(values, CONFIDENCE))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def wilson_interval(successes: int, episodes: int) -> Interval:
    """Share of successes and Wilson's interval, which has a width at 0 and 1 too."""
    low, high = wilson(successes, episodes, CONFIDENCE)
    return {"mean": successes / episodes, "low": low, "high": high}


def agrees(stated: Stated, episodes: Sequence[Episode]) -> bool | None:
    """Whether a stated number and these episodes may be of one policy: no test rejects it at the level DOUBT.

    Successes by Fisher's exact test, returns by Welch's t test, which needs two episodes: None for one.
    """
    from scipy import stats  # slow to load

    n = len(episodes)
    if stated.quantity == "success":
        ours, theirs = sum(bool(e.success.any()) for e in episodes), round(stated.mean * stated.episodes)
        table = [[ours, n - ours], [theirs, stated.episodes - theirs]]
        return bool(stats.fisher_exact(table).pvalue >= DOUBT)
    if n < 2:
        return None
    returns = returns_of(episodes)
    other = (stated.mean, stated.deviation, stated.episodes)
    found = stats.ttest_ind_from_stats(returns.mean(), returns.std(ddof=1), n, *other, equal_var=False)
    return bool(found.pvalue >= DOUBT)


def steps_per_second(task: Task, seconds: float) -> float:
    """Environment steps per second of this process's own processor time, so that other work hardly matters.

    Actions are uniform, and resets are counted.
    """
    env = make_env(task)
    rng = np.random.default_rng(0)
    assert env.action_space.shape is not None
    actions = rng.uniform(-1.0, 1.0, (1000, *env.action_space.shape)).astype(np.float32)
    env.reset(seed=0)
    steps, start = 0, time.process_time()
    while (passed := time.process_time() - start) < seconds:
        _, _, terminated, truncated, _ = env.step(actions[steps % len(actions)])
        steps += 1
        if terminated or truncated:
            env.reset()
    env.close()
    return steps / passed
