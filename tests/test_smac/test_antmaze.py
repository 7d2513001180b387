"""AntMaze's traps: two sizes of observation, mazes that differ, episodes that go on at the goal."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from smac.envs import env_spec, make_env
from smac.tasks import antmaze, get_task

SIZES = ("UMaze", "Medium", "Large")


@pytest.fixture(scope="module")
def env():
    env = make_env(get_task("antmaze-umaze"))
    yield env
    env.close()


def walls(cells) -> list[list[bool]]:
    return [[cell == 1 for cell in row] for row in cells]


def test_observations_of_v4_have_27_numbers_and_of_v5_105():
    """Besides x, y and the goal. Minari's AntMaze datasets are v4's and do not fit a v5 environment."""
    assert env_spec(get_task("antmaze-umaze")).observation_dim == 2 + 27 + 2
    assert env_spec(get_task("antmaze-umaze@version=v5")).observation_dim == 2 + 105 + 2
    assert get_task("antmaze-large").env_id == "AntMaze_Large-v4"


@pytest.mark.parametrize("size", SIZES)
def test_the_evaluation_maze_is_the_data_maze(size):
    """Minari's data were recorded between the walls that AntMaze_*-v4 is registered with."""
    task = get_task(f"antmaze-{size.lower()}")
    registered = gymnasium.spec(f"AntMaze_{size}-v4").kwargs["maze_map"]
    env = make_env(task)
    assert walls(env.unwrapped.maze.maze_map) == walls(registered)
    assert env.spec.kwargs["maze_map"] == antmaze.maze_map(size)
    assert antmaze.maze_map(size, any_cell=True) == registered
    assert get_task(f"{task.name}@cells=any").env_kwargs["maze_map"] == registered
    assert env.spec.max_episode_steps == gymnasium.spec(task.env_id).max_episode_steps
    env.close()


def test_the_mirrored_evaluation_maze_of_minari_is_not_ours():
    """What recover_environment(eval_env=True) builds for D4RL/antmaze/umaze-* (Minari issue 304)."""
    theirs = [[1, 1, 1, 1, 1], [1, 0, 0, "r", 1], [1, 0, 1, 1, 1], [1, 0, 0, "g", 1], [1, 1, 1, 1, 1]]
    assert walls(theirs) == walls([row[::-1] for row in antmaze.maze_map("UMaze")])
    assert walls(theirs) != walls(antmaze.maze_map("UMaze"))


def test_start_and_goal_are_far_apart_and_jittered(env):
    """Cells are 4 m wide and the maze is centred on the origin, so corners are at (-4, -4) and (-4, 4)."""
    seen = np.stack([env.reset(seed=seed)[0] for seed in range(8)])
    assert np.abs(seen[:, antmaze.POSITION] - [-4, -4]).max() <= 1.0
    assert np.abs(seen[:, antmaze.GOAL] - [-4, 4]).max() <= 1.0
    assert np.unique(seen[:, antmaze.GOAL], axis=0).shape == (8, 2)
    np.testing.assert_array_equal(env.reset(seed=3)[0], seen[3])


def test_data_of_other_ways_come_from_the_same_environment(env):
    """Cells of the middle: row 2, column 3 is the U's bend, at (4, 0)."""
    cells = {"reset_cell": np.array([2, 3]), "goal_cell": np.array([3, 3])}
    observation, _ = env.reset(seed=0, options=cells)
    assert np.abs(observation[antmaze.POSITION] - [4, 0]).max() <= 1.0
    assert np.abs(observation[antmaze.GOAL] - [4, -4]).max() <= 1.0


def test_observation_begins_with_d4rls_29_numbers_and_ends_with_the_goal(env):
    observation, _ = env.reset(seed=0)
    ant = env.unwrapped.ant_env.data
    np.testing.assert_allclose(observation[:15], ant.qpos, rtol=1e-6)
    np.testing.assert_allclose(observation[15:29], ant.qvel, rtol=1e-6)
    np.testing.assert_allclose(observation[29:], env.unwrapped.goal, rtol=1e-6)


def test_the_episode_terminates_at_the_goal(env):
    """By default these environments go on at the goal and pay for ever; D4RL's evaluation ends there."""
    assert not env.unwrapped.continuing_task
    assert not env.unwrapped.reset_target
    observation, info = env.reset(seed=0)
    assert info["success"] is False
    still = np.zeros(8, dtype=np.float32)
    observation, reward, terminated, truncated, info = env.step(still)
    assert (reward, terminated, truncated, info["success"]) == (-1.0, False, False, False)
    assert antmaze.goal_reached(observation[None]).tolist() == [False]
    env.unwrapped.goal = observation[antmaze.POSITION] + np.array([0.3, 0.3])  # 0.42 m away
    observation, reward, terminated, truncated, info = env.step(still)
    assert (reward, terminated, truncated, info["success"]) == (0.0, True, False, True)
    assert antmaze.goal_reached(observation[None]).tolist() == [True]


def test_d4rls_torque_is_a_fifth_of_gymnasiums(env):
    """Gymnasium's ant has motors of 150 Nm where D4RL's has 30 (Minari issue 152)."""
    weak = make_env(get_task("antmaze-umaze@torque=30"))
    assert weak.action_space == env.action_space
    env.reset(seed=1)
    weak.reset(seed=1)
    action = np.linspace(-1, 1, 8, dtype=np.float32)
    for _ in range(5):
        ours, theirs = weak.step(action)[0], env.step(np.float32(0.2) * action)[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert weak.unwrapped.ant_env.model.actuator_gear[0, 0] == antmaze.TORQUE
    weak.close()


def test_the_model_file_is_removed(env):
    assert not Path(env.unwrapped.tmp_xml_file_path).exists()
