"""PointMaze: a force-driven ball finds a goal in a maze (gymnasium-robotics)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from smac.tasks.task import Task

GOAL_RADIUS = 0.45  # gymnasium-robotics maze environments (D4RL: 0.5)


def goal_reached(observations: np.ndarray) -> np.ndarray:
    """Success of flat PointMaze observations [T, 6] (x, y, vx, vy, goal x, goal y) -> bool [T]."""
    return np.linalg.norm(observations[:, :2] - observations[:, 4:6], axis=-1) <= GOAL_RADIUS


# Small networks that learn fast; the runs behind them are in results/smac-study.md. IQL's expectile and
# temperature are those for AntMaze (Kostrikov et al. 2022), which has the same rewards of -1 and 0
_CONSERVATIVE = {"temperature_lr": 1e-3, "initial_temperature": 0.1, "cql_alpha": 0.3, "cql_actions": 4}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "all": {
        "hidden": (64, 64), "batch_size": 128, "actor_lr": 1e-3, "critic_lr": 1e-3, "target_rate": 0.01,
    },
    "iql": {"expectile": 0.9, "inverse_temperature": 10.0, "value_lr": 1e-3},
    "cql": _CONSERVATIVE,
    "cal_ql": _CONSERVATIVE,
    "smac": {"temperature_lr": 1e-3, "diffusion_steps": 4_000, "diffusion_hidden": (64, 64)},
    "sac": {"temperature_lr": 1e-3},
}  # fmt: skip


def _task(size: str, *, horizon: int, description: str, random_return: float, expert_return: float) -> Task:
    name = f"pointmaze-{size.lower()}"
    return Task(
        name=name,
        family="pointmaze",
        env_id=f"PointMaze_{size}-v3",
        env_kwargs={"continuing_task": False},
        horizon=horizon,
        observation_keys=("observation", "desired_goal"),
        observes="x, y and velocity of the ball, x and y of the goal",
        description=description,
        success="the ball's centre is within 0.45 of the goal",
        random_return=random_return,
        expert_return=expert_return,
        references=(
            "100 episodes each, reset seeds 5000-5099: uniform actions; the waypoint controller "
            "(gain 10, damping 1) without noise"
        ),
        dataset=f"smac/{name}-v0",
        minari=(f"D4RL/{name.replace('-', '/')}-v2",),
        solved=goal_reached,
        defaults=_DEFAULTS,
    )


TASKS = (
    _task(
        "UMaze",
        horizon=300,
        description="a force-driven ball finds a random goal in a U-shaped corridor",
        random_return=-274.7,  # success 0.19
        expert_return=-52.2,  # success 1
    ),
    _task(
        "Medium",
        horizon=600,
        description="a force-driven ball finds a random goal in an 8 x 8 maze",
        random_return=-561.8,  # success 0.11
        expert_return=-103.0,  # success 1
    ),
    _task(
        "Large",
        horizon=800,
        description="a force-driven ball finds a random goal in a 9 x 12 maze",
        random_return=-746.2,  # success 0.09
        expert_return=-156.8,  # success 1
    ),
)
