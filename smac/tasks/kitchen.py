"""Franka Kitchen: an arm opens, moves and switches things (gymnasium-robotics), four sub-tasks an episode.

Four reward conventions for this environment are in use, and a Kitchen number means nothing without its own:

| reward | each step | ends | used by |
|---|---|---|---|
| `remaining` | sub-tasks solved so far - 4 | at 4 | WSRL; the default here |
| `solved` | sub-tasks solved so far | at 4 | Cal-QL's fork of D4RL |
| `completion` | 1 at the first completion of each | at 4 | environments of D4RL and gymnasium-robotics |
| `satisfied` | sub-tasks satisfied now, may fall | never | datasets of D4RL and Minari |

An episode's *return* is the sum of these, its *score* the share of sub-tasks it solved at any time, and it is
a *success* once all four have been; under each convention alike.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from smac.tasks.task import Task

Counts = TypeVar("Counts", float, np.ndarray)

THRESHOLD = 0.3  # a sub-task is satisfied within this distance of its goal
REWARDS = ("remaining", "solved", "completion", "satisfied")

# Sub-task -> its places in the 59-D observation (18 of the robot, then the objects' positions), and its goal
_PLACES: Mapping[str, tuple[slice, tuple[float, ...]]] = {
    "bottom burner": (slice(20, 22), (-0.88, -0.01)),
    "top burner": (slice(24, 26), (-0.92, -0.01)),
    "light switch": (slice(26, 28), (-0.69, -0.05)),
    "slide cabinet": (slice(28, 29), (0.37,)),
    "hinge cabinet": (slice(29, 31), (0.0, 1.45)),
    "microwave": (slice(31, 32), (-0.75,)),
    "kettle": (slice(32, 39), (-0.23, 0.75, 1.62, 0.99, 0.0, 0.0, -0.06)),
}


def satisfied(observations: np.ndarray, subtasks: Sequence[str]) -> np.ndarray:
    """Which sub-tasks flat observations [T, 59 or more] satisfy, bool [T, sub-tasks].

    The environment judges by positions without noise; the observation's noise of at most 0.0005 of each
    joint's range changes the answer only at the very threshold.
    """
    columns = []
    for name in subtasks:
        place, goal = _PLACES[name]
        columns.append(np.linalg.norm(observations[:, place] - np.array(goal), axis=-1) < THRESHOLD)
    return np.stack(columns, axis=1)


def solved_so_far(satisfied: np.ndarray) -> np.ndarray:
    """Sub-tasks that were satisfied at this step or before, from [T, sub-tasks] of one episode; int [T]."""
    return np.logical_or.accumulate(satisfied, axis=0).sum(axis=1)


def step_reward(convention: str, *, now: Counts, before: Counts, solved: Counts, total: int) -> Counts:
    """Reward of a step, or of many.

    Args:
        convention: one of `REWARDS`.
        now: sub-tasks satisfied after the step.
        before: sub-tasks solved so far, before the step.
        solved: sub-tasks solved so far, after the step.
        total: sub-tasks there are.
    """
    if convention == "remaining":
        return solved - total
    if convention == "solved":
        return solved
    if convention == "completion":
        return solved - before
    if convention == "satisfied":
        return now
    raise ValueError(f"no reward convention of the kitchen: {convention!r}")


def rewards(satisfied: np.ndarray, convention: str) -> np.ndarray:
    """Rewards of a recorded episode [T, sub-tasks] under a convention, float32 [T].

    The episode is not cut: under all conventions but `satisfied` it ends where `solved_so_far` reaches the
    number of sub-tasks.
    """
    solved = solved_so_far(satisfied)
    before = np.concatenate([[0], solved[:-1]])
    total = satisfied.shape[1]
    now = satisfied.sum(axis=1)
    return step_reward(convention, now=now, before=before, solved=solved, total=total).astype(np.float32)


def all_solved(observations: np.ndarray, subtasks: Sequence[str]) -> np.ndarray:
    """Success of one episode's observations [T, 59 or more] -> bool [T]: all have been solved by then."""
    return solved_so_far(satisfied(observations, subtasks)) == len(subtasks)


# Cal-QL's Kitchen branch (Nakamoto et al. 2023): 512 x 3 networks, alpha 5, no importance sampling; WSRL
# (Zhou et al. 2025) for SAC, with rewards that are ours as they stand; Kostrikov et al. (2022) for IQL
_CONSERVATIVE = {"cql_alpha": 5.0, "importance_sampling": False, "actor_lr": 1e-4, "temperature_lr": 1e-4}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "all": {"hidden": (512, 512, 512)},
    "cql": _CONSERVATIVE,
    "cal_ql": _CONSERVATIVE,
    "iql": {"expectile": 0.7, "inverse_temperature": 0.5},
    "sac": {"actor_lr": 1e-4, "temperature_lr": 1e-4},
}
_OBSERVES = (
    "9 joint positions and 9 velocities of the arm and gripper, 21 positions and 20 velocities of the "
    "objects, with sensor noise"
)
_FLAGS = "for each sub-task, 1 once it has been solved"
HORIZON = 280


def _task(name: str, subtasks: tuple[str, ...], description: str) -> Task:
    return Task(
        name=f"kitchen-{name}",
        family="kitchen",
        env_id="FrankaKitchen-v1",
        # the environment only counts; what a count is worth and when it ends is the wrapper's business
        env_kwargs={
            "tasks_to_complete": list(subtasks),
            "remove_task_when_completed": False,
            "terminate_on_tasks_completed": False,
        },
        horizon=HORIZON,
        observation_keys=("observation",),
        observes=_OBSERVES,
        description=description,
        reward="remaining",
        rewards=REWARDS,
        success="all four sub-tasks have been solved, each within 0.3 of its goal at some step",
        subtasks=subtasks,
        random_return=-4.0 * HORIZON,
        expert_return=0.0,
        references=(
            "by definition: none of the sub-tasks solved for the whole horizon, and all from the first step; "
            "the score does not use them"
        ),
        dataset=f"smac/kitchen-{name}-v0",
        minari=(f"D4RL/kitchen/{name}-v2",),
        solved=partial(all_solved, subtasks=subtasks),
        defaults=_DEFAULTS,
        options={"flags": {"true": {"wrappers": ("flags",), "observes": f"{_OBSERVES}; {_FLAGS}"}}},
    )


# The references are bounds of the return, so the margin of 5 % (56) is 0.2 sub-tasks at every step. Uniform
# actions solve 0.07 sub-tasks (30 episodes, reset seeds 5000-5029; complete and mixed alike), return -1110.9
_FOUR = ("microwave", "kettle", "light switch", "slide cabinet")
TASKS = (
    _task(
        "complete", _FOUR, "an arm opens the microwave, moves the kettle, switches the light, slides a door"
    ),
    _task("partial", _FOUR, "the same four, for data of many sub-tasks that solve these now and then"),
    _task(
        "mixed",
        ("microwave", "kettle", "bottom burner", "light switch"),
        "an arm opens the microwave, moves the kettle, turns a burner, switches the light",
    ),
)
