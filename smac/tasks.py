"""Tasks: an environment, the reward it is given, when it counts as solved, and its reference returns.

Neither torch nor gymnasium is imported here, so listing tasks costs nothing.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smac.errors import UserError

SPARSE_CONVENTION = "success - 1 at each step; the episode terminates at the first success"
GOAL_RADIUS = 0.45  # gymnasium-robotics maze environments (D4RL: 0.5)
HINGE_INDEX, OPEN_ANGLE = 28, 1.35  # AdroitHandDoor: place of the hinge angle in the observation, radians


def goal_reached(observations: np.ndarray) -> np.ndarray:
    """Success of flat PointMaze observations [T, 6] (x, y, vx, vy, goal x, goal y) -> bool [T]."""
    return np.linalg.norm(observations[:, :2] - observations[:, 4:6], axis=-1) <= GOAL_RADIUS


def door_open(observations: np.ndarray) -> np.ndarray:
    """Success of AdroitHandDoor observations [T, 39] -> bool [T]: the hinge angle is at least 1.35."""
    return observations[:, HINGE_INDEX] >= OPEN_ANGLE


@dataclass(frozen=True)
class Task:
    """One environment with a fixed reward convention.

    Returns are undiscounted and in the task's own reward. `random_return` and `expert_return` are the
    references of the normalised score, measured as the comment above each entry of the registry says.
    """

    name: str
    family: str
    env_id: str
    env_kwargs: Mapping[str, Any] = field(hash=False)
    horizon: int
    observation_keys: tuple[str, ...]  # entries of a dict observation, concatenated in this order; () for Box
    reward_convention: str
    description: str
    random_return: float
    expert_return: float
    dataset: str  # dataset id used where none is named
    solved: Callable[[np.ndarray], np.ndarray] = field(repr=False)  # flat observations [T, obs] -> bool [T]
    # algorithm ("all" for every one) -> fields of its configuration that this task wants otherwise
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False, repr=False)

    @property
    def failure_reward(self) -> float:
        """The reward of a step that does not succeed: what an episode that always fails gets for ever."""
        return -1.0

    @property
    def margin(self) -> float:
        """Smallest difference of returns that matters: 5 % of the way from random to expert."""
        return 0.05 * (self.expert_return - self.random_return)

    def score(self, returns: float | np.ndarray) -> float | np.ndarray:
        """Normalised score: 0 for the random policy, 1 for the expert (may leave that range)."""
        return (returns - self.random_return) / (self.expert_return - self.random_return)


# IQL's AntMaze settings (Kostrikov et al. 2022): sparse rewards of -1 and 0
_POINTMAZE: Mapping[str, Mapping[str, Any]] = {
    "all": {"hidden": (128, 128), "batch_size": 128},
    "iql": {"expectile": 0.9, "inverse_temperature": 10.0},
}
# Adroit settings: Cal-QL (Nakamoto et al. 2023) for CQL and Cal-QL, WSRL (Zhou et al. 2025) for SAC,
# Kostrikov et al. (2022) for IQL; their actor is 512 x 2 and their critics 512 x 3
_CONSERVATIVE = {"cql_alpha": 1.0, "actor_lr": 1e-4, "temperature_lr": 1e-4}
_ADROIT: Mapping[str, Mapping[str, Any]] = {
    "all": {"hidden": (512, 512), "critic_hidden": (512, 512, 512)},
    "cql": _CONSERVATIVE,
    "cal_ql": _CONSERVATIVE,
    "iql": {"expectile": 0.7, "inverse_temperature": 0.5},
    "sac": {"actor_lr": 1e-4, "temperature_lr": 1e-4},
}

_TASKS = {
    task.name: task
    for task in (
        Task(
            name="pointmaze-umaze",
            family="pointmaze",
            env_id="PointMaze_UMaze-v3",
            env_kwargs={"continuing_task": False},
            horizon=300,
            observation_keys=("observation", "desired_goal"),
            reward_convention=SPARSE_CONVENTION,
            description="a force-driven ball finds a random goal in a U-shaped corridor",
            # 100 episodes (reset seeds 5000-5099): uniform actions, success 0.19; waypoint controller
            # (smac.data.controllers, gain 10, damping 1) without noise, success 1
            random_return=-274.7,
            expert_return=-52.2,
            dataset="smac/pointmaze-umaze-v0",
            solved=goal_reached,
            defaults=_POINTMAZE,
        ),
        Task(
            name="pointmaze-medium",
            family="pointmaze",
            env_id="PointMaze_Medium-v3",
            env_kwargs={"continuing_task": False},
            horizon=600,
            observation_keys=("observation", "desired_goal"),
            reward_convention=SPARSE_CONVENTION,
            description="a force-driven ball finds a random goal in an 8 x 8 maze",
            # as above: success 0.11 and 1
            random_return=-561.8,
            expert_return=-103.0,
            dataset="smac/pointmaze-medium-v0",
            solved=goal_reached,
            defaults=_POINTMAZE,
        ),
        Task(
            name="door-binary",
            family="adroit",
            env_id="AdroitHandDoorSparse-v1",
            env_kwargs={},
            horizon=200,
            observation_keys=(),
            reward_convention=SPARSE_CONVENTION,
            description="a 28-actuator hand undoes a latch and opens a door to 1.35 rad",
            # 100 episodes (reset seeds 5000-5099): uniform actions, success 0; mean actions of the policy
            # door-v0 of aravindr93/hand_dapg (Rajeswaran et al. 2018), clipped to the box, success 1
            random_return=-200.0,
            expert_return=-52.2,
            dataset="smac/door-human-v0",
            solved=door_open,
            defaults=_ADROIT,
        ),
    )
}


def task_names() -> tuple[str, ...]:
    """Names of all tasks."""
    return tuple(_TASKS)


def get_task(name: str) -> Task:
    """The task called `name`; an unknown name is a UserError that lists the names."""
    if name in _TASKS:
        return _TASKS[name]
    close = difflib.get_close_matches(name, _TASKS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UserError(f"unknown task {name!r}: {hint}tasks are {', '.join(_TASKS)}")
