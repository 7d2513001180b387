"""Collecting episodes with the waypoint controller, spread over processes."""

from collections.abc import Callable, Iterable, Sequence

import gymnasium
import joblib
import numpy as np

from smac.data.controllers import Cell, WaypointController
from smac.data.transitions import Episode
from smac.envs import make_env
from smac.errors import UserError
from smac.tasks import Task

CHUNK = 10  # episodes per piece of work
DETOUR_STEPS = 50  # longest detour
GAIN = 5.0  # half the reference controller's: actions at the bound fall from 31 % to 16 % at noise 0.3


def collect(
    task: Task,
    *,
    episodes: int,
    noise: float,
    wander: float,
    seed: int,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[Episode]:
    """Episodes of the waypoint controller, disturbed so that they cover states and actions.

    Args:
        task: a PointMaze task.
        episodes: how many.
        noise: standard deviation of the Gaussian noise added to every action (clipped to [-1, 1]).
        wander: probability per step of leaving for a random cell on this side of the goal, for at most 50
            steps; 0 gives the controller's own paths, 1 nearly always fails. Success at noise 0.3 and
            wander 0, 0.003, 0.01, 0.02, 0.05, 0.1, 0.3: on umaze 1, 0.995, 0.95, 0.85, 0.55, 0.31, 0.06;
            on medium 1, 0.995, 0.94, 0.78, 0.31, 0.12, 0.01 (200 episodes each). Noise alone hardly lowers
            it: 1 at noise 2, 0.9 at 5.
        seed: of everything random; the result does not depend on `workers`.
        workers: processes.
        progress: called with (episodes done, episodes) as pieces of work end.
    """
    _check_options(task, episodes, noise, wander, seed, workers)
    seeds = np.random.SeedSequence(seed).spawn(episodes)
    chunks = [seeds[i : i + CHUNK] for i in range(0, episodes, CHUNK)]
    done: list[Episode] = []
    for part in _parts(task, chunks, noise, wander, workers):
        done.extend(part)
        if progress is not None:
            progress(len(done), episodes)
    return done


def _parts(
    task: Task, chunks: Sequence[Sequence[np.random.SeedSequence]], noise: float, wander: float, workers: int
) -> Iterable[list[Episode]]:
    """The chunks' episodes in order, from this process or from `workers` others."""
    if workers == 1:
        return (collect_chunk(task, chunk, noise, wander) for chunk in chunks)
    parallel = joblib.Parallel(n_jobs=workers, backend="loky", return_as="generator")
    return parallel(joblib.delayed(collect_chunk)(task, chunk, noise, wander) for chunk in chunks)


def collect_chunk(
    task: Task, seeds: Sequence[np.random.SeedSequence], noise: float, wander: float
) -> list[Episode]:
    """One episode per seed, one after the other in one environment."""
    env = make_env(task)
    controller = WaypointController(env.unwrapped.maze.maze_map, gain=GAIN)  # type: ignore[attr-defined]
    try:
        return [_episode(env, controller, seed, noise, wander) for seed in seeds]
    finally:
        env.close()


def _episode(
    env: gymnasium.Env,
    controller: WaypointController,
    seed: np.random.SeedSequence,
    noise: float,
    wander: float,
) -> Episode:
    env_seed, policy_seed = seed.spawn(2)
    rng = np.random.default_rng(policy_seed)
    observation, _ = env.reset(seed=int(env_seed.generate_state(1)[0]))
    wanderer = _Wanderer(controller, observation[4:6].astype(np.float64), wander, rng)
    observations, actions, rewards, success = [observation], [], [], []
    terminated = truncated = False
    while not (terminated or truncated):
        force = wanderer.action(observation) + noise * rng.standard_normal(2)
        action = np.clip(force, -1.0, 1.0).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        success.append(info["success"])
    return Episode(
        observations=np.stack(observations),
        actions=np.stack(actions),
        rewards=np.array(rewards, dtype=np.float32),
        success=np.array(success, dtype=bool),
        terminated=terminated,
        truncated=truncated,
    )


class _Wanderer:
    """Heads for the goal, and now and then for a random cell by a way that keeps out of the goal's cell."""

    def __init__(
        self, controller: WaypointController, goal: np.ndarray, wander: float, rng: np.random.Generator
    ):
        self.direct, self.goal, self.wander, self.rng = controller, goal, wander, rng
        self.aside = controller.without(controller.cell(goal))
        self.detour = goal
        self.steps_left = 0

    def action(self, observation: np.ndarray) -> np.ndarray:
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


def _check_options(task: Task, episodes: int, noise: float, wander: float, seed: int, workers: int) -> None:
    if task.family != "pointmaze":
        raise UserError(f"task {task.name} has no controller: bring its data with `smac data import`")
    if episodes < 1:
        raise UserError(f"episodes must be at least 1, got {episodes}")
    if not noise >= 0.0:
        raise UserError(f"noise must not be negative, got {noise}")
    if not 0.0 <= wander <= 1.0:
        raise UserError(f"wander is a probability in [0, 1], got {wander}")
    if seed < 0:
        raise UserError(f"seed must not be negative, got {seed}")
    if workers < 1:
        raise UserError(f"workers must be at least 1, got {workers}")
