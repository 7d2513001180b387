"""Adroit: a 24-joint hand does dexterous things (gymnasium-robotics), in the sparse binary convention.

The environments' sparse reward is 10 or -0.1; the benchmark of AWAC, Cal-QL and WSRL has 0 or -1 and ends at
the first success, and so have these tasks. The dense rewards of door, hammer and relocate in version v1
reward being far from what the hand should reach, see `reach`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from smac.tasks.task import Task

HINGE_INDEX, OPEN_ANGLE = 28, 1.35  # AdroitHandDoor: place of the hinge angle in the observation, radians
NAIL_GOAL = (
    0.04067961,
    -0.00362358,
)  # AdroitHandHammer: x, y of the nail's head once driven in; z is its own


def door_open(observations: np.ndarray) -> np.ndarray:
    """Success of AdroitHandDoor observations [T, 39] -> bool [T]: the hinge angle is at least 1.35."""
    return observations[:, HINGE_INDEX] >= OPEN_ANGLE


def nail_driven(observations: np.ndarray) -> np.ndarray:
    """Success of AdroitHandHammer observations [T, 46] -> bool [T]: the nail's head within 0.01 of its goal.

    The observation holds the head's place but not the goal. The board moves up and down only, and the nail
    only level, so the goal's x and y are constants and its z is the head's.
    """
    return np.linalg.norm(observations[:, 42:44] - np.array(NAIL_GOAL), axis=-1) < 0.01


def pen_aligned(observations: np.ndarray) -> np.ndarray:
    """Success of AdroitHandPen observations [T, 45] -> bool [T]: within 0.075 of its place and aligned.

    Aligned is a cosine above 0.95 between the directions of the pen and of the target.
    """
    near = np.linalg.norm(observations[:, 39:42], axis=-1) < 0.075
    cosine = np.sum(observations[:, 33:36] * observations[:, 36:39], axis=-1)
    return near & (cosine > 0.95)


def ball_at_target(observations: np.ndarray) -> np.ndarray:
    """Success of AdroitHandRelocate observations [T, 39] -> bool [T]: the ball within 0.1 of its target."""
    return np.linalg.norm(observations[:, 36:39], axis=-1) < 0.1


# Environments whose dense reward has a term +0.1 |offset| where D4RL and mj_envs have -0.1 |offset| (since
# gymnasium-robotics 1.2.1; their v2 will be right), and that offset of the palm in the observation
_OFFSETS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "AdroitHandDoor-v1": lambda observation: observation[..., 35:38],
    "AdroitHandHammer-v1": lambda observation: observation[..., 33:36] - observation[..., 36:39],
    "AdroitHandRelocate-v1": lambda observation: observation[..., 30:33],
}
WRONG_SIGN = tuple(_OFFSETS)


def reach(env_id: str, observations: np.ndarray) -> np.ndarray:
    """Distance of the palm to the handle, tool or ball after each step, [..., obs] -> [...].

    The dense reward of the environments `WRONG_SIGN` minus 0.2 times this is D4RL's.
    """
    return np.linalg.norm(_OFFSETS[env_id](observations), axis=-1)


# Cal-QL (Nakamoto et al. 2023) for CQL and Cal-QL, WSRL (Zhou et al. 2025) for SAC, Kostrikov et al. (2022)
# for IQL; their actor is 512 x 2 and their critics 512 x 3. Their rewards are -5 and 5, and the weights below
# are for those
_TENFOLD = {"reward_scale": 10.0, "reward_bias": 5.0}
_CONSERVATIVE = {"cql_alpha": 1.0, "actor_lr": 1e-4, "temperature_lr": 1e-4} | _TENFOLD
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "all": {"hidden": (512, 512), "critic_hidden": (512, 512, 512)},
    "cql": _CONSERVATIVE,
    "cal_ql": _CONSERVATIVE,
    "iql": {"expectile": 0.7, "inverse_temperature": 0.5} | _TENFOLD,
    # Observations differ in scale: without it no clone of the door demonstrations succeeded (results/binary)
    "bc": {"actor_layer_norm": True},
    "sac": {"actor_lr": 1e-4, "temperature_lr": 1e-4},
}


def _task(
    thing: str,
    *,
    horizon: int,
    description: str,
    observes: str,
    success: str,
    random: float,
    expert: float,
    data: str,
    solved: Callable[[np.ndarray], np.ndarray],
) -> Task:
    return Task(
        name=f"{thing}-binary",
        family="adroit",
        env_id=f"AdroitHand{thing.capitalize()}Sparse-v1",
        horizon=horizon,
        description=description,
        observes=observes,
        success=success,
        random_return=random,
        expert_return=expert,
        references=(
            "100 episodes each, reset seeds 5000-5099: uniform actions; mean actions, clipped to the box, of "
            f"the policy {thing}-v0 of aravindr93/hand_dapg (Rajeswaran et al. 2018)"
        ),
        dataset=f"smac/{thing}-{data}-v0",
        minari=tuple(f"D4RL/{thing}/{kind}-v2" for kind in ("human", "cloned", "expert")),
        solved=solved,
        defaults=_DEFAULTS,
    )


TASKS = (
    _task(
        "pen",
        horizon=100,  # as in D4RL; the environment is registered with 200
        description="a hand turns a pen to a target orientation",
        observes="24 hand joints, the pen's velocity, place, direction, the target's direction, differences",
        success="the pen within 0.075 of its place, the cosine of its and the target's direction above 0.95",
        random=-89.7,  # success 0.13
        expert=-51.8,  # success 0.77
        data="expert",
        solved=pen_aligned,
    ),
    _task(
        "door",
        horizon=200,
        description="a hand undoes a latch and opens a door to 1.35 rad",
        observes="27 arm and hand joints, latch, hinge, palm, handle, their difference, whether it is open",
        success="the hinge's angle is at least 1.35 rad",
        random=-200.0,  # success 0
        expert=-52.2,  # success 1
        data="human",
        solved=door_open,
    ),
    _task(
        "relocate",
        horizon=200,
        description="a hand takes a ball to a target in the air",
        observes="30 arm and hand joints, and the differences of palm, ball and target",
        success="the ball is within 0.1 of its target",
        random=-199.4,  # success 0.01
        expert=-47.7,  # success 1
        data="human",
        solved=ball_at_target,
    ),
    _task(
        "hammer",
        horizon=200,
        description="a hand takes a hammer and drives a nail into a board",
        observes="26 arm and hand joints, nail, the hammer's velocity, palm, hammer, nail's head, impact",
        success="the nail's head is within 0.01 of its goal",
        random=-200.0,  # success 0
        expert=-38.7,  # success 1
        data="expert",
        solved=nail_driven,
    ),
)
