"""Who plays an episode: waypoint controllers, the scripted kitchen controller, a policy, or chance."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium
import numpy as np

from smac.collect.controllers import Cell, WaypointController
from smac.collect.kitchen import KitchenController, draw_order
from smac.collect.recipes import Recipe
from smac.errors import UserError
from smac.policies.acting import ANT_BODY, FilePolicy, load_policy
from smac.tasks import Task
from smac.tasks.antmaze import GOAL, POSITION, TORQUE

DETOUR_STEPS = 50  # longest detour
GAIN = 5.0  # half the reference controller's: actions at the bound fall from 31 % to 16 % at noise 0.3
WALKING_TORQUE = 30.0  # limit of the motors that the ant's policy was trained with (D4RL's ant)
DIRECTION_LENGTH = 10.0  # of the vector towards the waypoint that the ant's policy sees, m
JITTER = 0.5  # greatest shift of the ant's waypoints along x and y, m; without it all ways are alike


class Player(Protocol):
    """Plays one episode after the other.

    Before noise is added, actions lie in [-1, 1]; `scale` makes them the task's actions after it.
    """

    scale: float

    def reset_options(self, rng: np.random.Generator) -> dict[str, Any] | None:
        """What the environment's reset gets."""

    def begin(self, observation: np.ndarray, rng: np.random.Generator) -> None:
        """Takes note of a new episode, whose draws come from `rng`."""

    def action(self, observation: np.ndarray) -> np.ndarray | None:
        """Action [act] before noise, or None to end the recording here."""


def make_player(recipe: Recipe, task: Task, env: gymnasium.Env) -> Player:
    """The player of a recipe in `env`, which is the environment of `task`."""
    if recipe.collector == "waypoint":
        return _Wanderer(env, recipe.wander)
    if recipe.collector == "kitchen":
        return _Cook(task, env, targets=recipe.targets)
    if recipe.collector == "random":
        return _Chance(env, recipe.any_cells)
    assert recipe.policy is not None
    policy = load_policy(recipe.policy, task, recipe.action_units, recipe.normaliser)
    if recipe.collector == "ant":
        return _Walker(policy, task, env, stochastic=recipe.stochastic, any_cells=recipe.any_cells)
    return _Follower(policy, env, stochastic=recipe.stochastic, any_cells=recipe.any_cells)


class _Base:
    scale = 1.0

    def __init__(self, env: gymnasium.Env, any_cells: bool = False):
        self.maze_map = env.unwrapped.maze.maze_map if any_cells else None  # type: ignore[attr-defined]

    def reset_options(self, rng: np.random.Generator) -> dict[str, Any] | None:
        """Two different free cells for start and goal, or None for the task's own."""
        if self.maze_map is None:
            return None
        free = [(i, j) for i, row in enumerate(self.maze_map) for j, cell in enumerate(row) if cell != 1]
        start, goal = rng.choice(len(free), size=2, replace=False)
        return {"reset_cell": np.array(free[start]), "goal_cell": np.array(free[goal])}

    def begin(self, observation: np.ndarray, rng: np.random.Generator) -> None:
        self.rng = rng


class _Follower(_Base):
    """Does what a policy says."""

    def __init__(self, policy: FilePolicy, env: gymnasium.Env, *, stochastic: bool, any_cells: bool):
        super().__init__(env, any_cells)
        self.policy, self.stochastic = policy, stochastic

    def action(self, observation: np.ndarray) -> np.ndarray | None:
        return self.policy.action(observation, self.rng if self.stochastic else None)


class _Chance(_Base):
    """Uniform actions."""

    def __init__(self, env: gymnasium.Env, any_cells: bool):
        super().__init__(env, any_cells)
        assert env.action_space.shape is not None
        self.dim = env.action_space.shape[0]

    def action(self, observation: np.ndarray) -> np.ndarray | None:
        return self.rng.uniform(-1.0, 1.0, self.dim)


class _Cook(_Base):
    """The scripted controller, each episode in an order that it draws from the task's mixture of orders.

    With `targets` it does the task's own sub-tasks, in their order, and then waits for the episode's end.
    """

    def __init__(self, task: Task, env: gymnasium.Env, *, targets: bool):
        super().__init__(env)
        self.mixture = task.name.partition("@")[0].removeprefix("kitchen-")
        self.targets = task.subtasks if targets else None
        self.env = env

    def begin(self, observation: np.ndarray, rng: np.random.Generator) -> None:
        order = self.targets or draw_order(self.mixture, rng)
        self.controller = KitchenController(self.env.unwrapped, order, rng)

    def action(self, observation: np.ndarray) -> np.ndarray | None:
        action = self.controller.action(observation)
        return None if self.controller.done and not self.targets else action


class _Walker(_Base):
    """Sends the ant's walking policy along the cells of a shortest path (as D4RL's antmaze was made).

    Waypoints are centres of cells, shifted at random once a cell. The policy's actions fill [-1, 1] in the
    task with the option `torque=30`; else they, noise included, are scaled down to that torque.
    """

    def __init__(
        self, policy: FilePolicy, task: Task, env: gymnasium.Env, *, stochastic: bool, any_cells: bool
    ):
        super().__init__(env, any_cells)
        self.policy, self.stochastic = policy, stochastic
        self.scale = WALKING_TORQUE / (TORQUE * task.action_scale)
        if self.scale > 1.0:
            raise UserError(f"task {task.name} has too weak motors for the walking policy: use torque=30")
        maze = env.unwrapped.maze  # type: ignore[attr-defined]
        self.ways = WaypointController(maze.maze_map, cell_size=maze.maze_size_scaling)

    def begin(self, observation: np.ndarray, rng: np.random.Generator) -> None:
        self.rng = rng
        self.cell: Cell | None = None
        self.jitter = np.zeros(2)

    def action(self, observation: np.ndarray) -> np.ndarray | None:
        position, goal = observation[POSITION].astype(float), observation[GOAL].astype(float)
        offset = self._target(position, goal) - position
        direction = DIRECTION_LENGTH * offset / max(float(np.linalg.norm(offset)), 1e-6)
        seen = np.concatenate([observation[ANT_BODY], direction])
        return self.policy.action(seen, self.rng if self.stochastic else None)

    def _target(self, position: np.ndarray, goal: np.ndarray) -> np.ndarray:
        cell = self.ways.cell(position)
        if cell != self.cell:
            self.cell, self.jitter = cell, self.rng.uniform(-JITTER, JITTER, 2)
        target = self.ways.waypoint(position, goal)
        return target if target is goal else target + self.jitter


class _Wanderer(_Base):
    """Heads for PointMaze's goal, now and then for a random cell by a way that keeps out of the goal's."""

    def __init__(self, env: gymnasium.Env, wander: float):
        super().__init__(env)
        self.direct = WaypointController(env.unwrapped.maze.maze_map, gain=GAIN)  # type: ignore[attr-defined]
        self.wander = wander

    def begin(self, observation: np.ndarray, rng: np.random.Generator) -> None:
        self.rng = rng
        self.goal = observation[4:6].astype(np.float64)
        self.aside = self.direct.without(self.direct.cell(self.goal))
        self.detour = self.goal
        self.steps_left = 0

    def action(self, observation: np.ndarray) -> np.ndarray | None:
        """Force [2] towards the goal, or towards the cell of the detour under way."""
        here = self.direct.cell(observation)
        if self.steps_left > 0 and self.direct.cell(self.detour) != here:
            self.steps_left -= 1
            return self.aside.action(observation, self.detour)
        self.steps_left = 0
        if self.rng.random() < self.wander:
            self._start_detour(here)
        return self.direct.action(observation, self.goal)

    def _start_detour(self, here: Cell) -> None:
        cells = [cell for cell in self.aside.connected_cells(here) if cell != here]
        if cells:
            self.detour = self.direct.centre(cells[self.rng.integers(len(cells))])
            self.steps_left = DETOUR_STEPS
