"""AntMaze: a four-legged ant walks through a maze to a goal (gymnasium-robotics).

Start and goal are those of D4RL's evaluation, far apart and moved at random by up to 1 m; the walls are those
that Minari's data were recorded between (the evaluation environment that Minari's umaze datasets carry has
them mirrored). For data of many ways, `reset(options={"reset_cell": (row, column), "goal_cell": ...})` begins
an episode elsewhere, or the option `cells=any` does at every reset.

The ant is version v4, that of Minari's data, with 27 numbers; v5 has 78 contact forces more.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from smac.tasks.task import Task

GOAL_RADIUS = 0.45  # gymnasium-robotics maze environments (D4RL: 0.5)
POSITION, GOAL = slice(0, 2), slice(-2, None)  # places in the flat observation
TORQUE = 150.0  # limit of the ant's motors as Gymnasium has them; D4RL's is 30

# Seen from above: north is up, # is a wall, s the start and g the goal
_MAPS = {
    "UMaze": """
        #####
        #g  #
        ### #
        #s  #
        #####""",
    "Medium": """
        ########
        #s ##  #
        #  #   #
        ##   ###
        #  #   #
        # #  # #
        #   # g#
        ########""",
    "Large": """
        ############
        #s   #     #
        # ## # # # #
        #      #   #
        # #### ### #
        #  # #     #
        ## # # # ###
        #  #   # g #
        ############""",
}
_CELLS: Mapping[str, int | str] = {"#": 1, " ": 0, "s": "r", "g": "g"}  # as gymnasium-robotics has them


def maze_map(size: str, *, any_cell: bool = False) -> list[list[int | str]]:
    """Rows of cells as `gymnasium.make` takes them; with `any_cell`, any free one may be start or goal."""
    rows = [[_CELLS[cell] for cell in row.strip()] for row in _MAPS[size].split("\n") if row.strip()]
    return [[0 if any_cell and cell != 1 else cell for cell in row] for row in rows]


def goal_reached(observations: np.ndarray) -> np.ndarray:
    """Success of flat observations [T, 31 or 109] (x, y, ..., goal x, goal y) -> bool [T]."""
    offset = observations[:, POSITION] - observations[:, GOAL]
    return np.linalg.norm(offset, axis=-1) <= GOAL_RADIUS


# Cal-QL (Nakamoto et al. 2023) for CQL and Cal-QL, WSRL (Zhou et al. 2025) for SAC, with an actor of 256 x 2
# and critics of 256 x 4; Kostrikov et al. (2022) for IQL. Cal-QL and WSRL scale rewards to -5 and 5, ten
# times ours; the multiplier that holds the penalty at `cql_gap` takes up the difference
_CONSERVATIVE = {"cql_alpha": 5.0, "cql_gap": 0.8, "actor_lr": 1e-4, "temperature_lr": 1e-4}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "all": {"hidden": (256, 256), "critic_hidden": (256, 256, 256, 256)},
    "cql": _CONSERVATIVE,
    "cal_ql": _CONSERVATIVE,
    "iql": {"expectile": 0.9, "inverse_temperature": 10.0},
    "sac": {"actor_lr": 1e-4, "temperature_lr": 1e-4},
}


def _task(
    size: str,
    *,
    horizon: int,
    description: str,
    expert: float,
    random_any: float,
    expert_any: float,
    minari: tuple[str, ...],
) -> Task:
    name, nothing = f"antmaze-{size.lower()}", -float(horizon)
    body = "x and y, then 13 more positions and 14 velocities of the ant (these 29 are D4RL's)"
    goal = "x and y of the goal"
    return Task(
        name=name,
        family="antmaze",
        env_id=f"AntMaze_{size}-v4",
        env_kwargs={"continuing_task": False, "reset_target": False, "maze_map": maze_map(size)},
        horizon=horizon,
        observation_keys=("achieved_goal", "observation", "desired_goal"),
        observes=f"{body}, {goal}",
        description=description,
        success="the ant's centre is within 0.45 m of the goal",
        random_return=nothing,
        expert_return=expert,
        references=(
            "reset seeds from 5000: uniform actions, 20 episodes; 100 of the goal-reaching policy of "
            "Asap7772/antmaze_gen, sampled and times 0.2, sent along the cells of a shortest path"
        ),
        dataset=f"smac/{name}-v0",
        minari=minari,
        solved=goal_reached,
        defaults=_DEFAULTS,
        options={
            "version": {
                "v4": {},
                "v5": {"env_id": f"AntMaze_{size}-v5", "observes": f"{body}, 78 contact forces, {goal}"},
            },
            "cells": {"corners": {}, "any": {"env_kwargs": {"maze_map": maze_map(size, any_cell=True)}}},
            "torque": {"150": {}, "30": {"action_scale": 30.0 / TORQUE}},
        },
        # with any cell: 50 episodes of uniform actions
        option_references={
            "version=v5": (nothing, expert),  # the same episodes, step for step (umaze, medium)
            "cells=any": (random_any, expert_any),
            "torque=30": (nothing, expert),
        },
    )


TASKS = (
    _task(
        "UMaze",
        horizon=700,
        description="an ant walks from one end of a U-shaped corridor to the other",
        expert=-418.1,  # success 0.67
        random_any=-700.0,
        expert_any=-183.6,  # success 0.91
        minari=("D4RL/antmaze/umaze-v1", "D4RL/antmaze/umaze-diverse-v1"),
    ),
    _task(
        "Medium",
        horizon=1000,
        description="an ant walks from corner to corner of an 8 x 8 maze",
        expert=-595.6,  # success 0.76
        random_any=-983.2,
        expert_any=-345.3,  # success 0.87
        minari=("D4RL/antmaze/medium-play-v1", "D4RL/antmaze/medium-diverse-v1"),
    ),
    _task(
        "Large",
        horizon=1000,
        description="an ant walks from corner to corner of a 9 x 12 maze",
        expert=-771.3,  # success 0.69
        random_any=-1000.0,
        expert_any=-460.3,  # success 0.80
        minari=("D4RL/antmaze/large-play-v1", "D4RL/antmaze/large-diverse-v1"),
    ),
)
