"""Adroit: a 28-actuator hand does dexterous things (gymnasium-robotics), in the sparse binary convention."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from smac.tasks.task import Task

HINGE_INDEX, OPEN_ANGLE = 28, 1.35  # AdroitHandDoor: place of the hinge angle in the observation, radians


def door_open(observations: np.ndarray) -> np.ndarray:
    """Success of AdroitHandDoor observations [T, 39] -> bool [T]: the hinge angle is at least 1.35."""
    return observations[:, HINGE_INDEX] >= OPEN_ANGLE


# Cal-QL (Nakamoto et al. 2023) for CQL and Cal-QL, WSRL (Zhou et al. 2025) for SAC, Kostrikov et al. (2022)
# for IQL; their actor is 512 x 2 and their critics 512 x 3
_CONSERVATIVE = {"cql_alpha": 1.0, "actor_lr": 1e-4, "temperature_lr": 1e-4}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "all": {"hidden": (512, 512), "critic_hidden": (512, 512, 512)},
    "cql": _CONSERVATIVE,
    "cal_ql": _CONSERVATIVE,
    "iql": {"expectile": 0.7, "inverse_temperature": 0.5},
    "sac": {"actor_lr": 1e-4, "temperature_lr": 1e-4},
}

TASKS = (
    Task(
        name="door-binary",
        family="adroit",
        env_id="AdroitHandDoorSparse-v1",
        horizon=200,
        description="a 28-actuator hand undoes a latch and opens a door to 1.35 rad",
        # 100 episodes (reset seeds 5000-5099): uniform actions, success 0; mean actions of the policy
        # door-v0 of aravindr93/hand_dapg (Rajeswaran et al. 2018), clipped to the box, success 1
        random_return=-200.0,
        expert_return=-52.2,
        dataset="smac/door-human-v0",
        solved=door_open,
        defaults=_DEFAULTS,
    ),
)
