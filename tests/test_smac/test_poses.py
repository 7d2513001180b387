import mujoco
import numpy as np
import pytest

from smac.envs import make_env
from smac.errors import UserError
from smac.poses import _turning, pose, simulator
from smac.tasks import get_task

EXACT = ["pointmaze-umaze", "antmaze-umaze", "door-binary", "relocate-binary", "hammer-binary"]


def shaken(name):
    """An environment away from its start, all positions up to date, and its simulator's data."""
    env = make_env(get_task(name))
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
    model, data = simulator(env)
    mujoco.mj_forward(model, data)
    return env, data


def observed(env):
    """The flat observation of the state as it is, with no step in between."""
    inner = env.unwrapped
    if hasattr(inner, "maze"):
        body = getattr(inner, "point_env", None) or inner.ant_env
        observation = inner._get_obs(body._get_obs()[0] if hasattr(inner, "point_env") else body._get_obs())
    else:
        observation = inner._get_obs()
    while not hasattr(env, "keys"):
        env = env.env
    return env.observation(observation)


@pytest.mark.parametrize("name", EXACT)
def test_the_observation_puts_every_body_where_it_was(name):
    env, data = shaken(name)
    other = make_env(get_task(name))
    other.reset(seed=99)  # goal, door or board elsewhere
    pose(get_task(name), other, observed(env))
    _, drawn = simulator(other)
    np.testing.assert_allclose(drawn.xpos, data.xpos, atol=1e-5)
    np.testing.assert_allclose(drawn.site_xpos, data.site_xpos, atol=1e-5)
    env.close()
    other.close()


def test_a_pen_lies_in_its_place_and_direction():
    env, data = shaken("pen-binary")
    other = make_env(get_task("pen-binary"))
    other.reset(seed=99)
    pose(get_task("pen-binary"), other, observed(env))
    _, drawn = simulator(other)
    inner = env.unwrapped
    np.testing.assert_allclose(drawn.xpos[inner.obj_body_id], data.xpos[inner.obj_body_id], atol=1e-5)
    for top, bottom in (
        (inner.obj_t_site_id, inner.obj_b_site_id),
        (inner.tar_t_site_id, inner.tar_b_site_id),
    ):
        np.testing.assert_allclose(
            drawn.site_xpos[top] - drawn.site_xpos[bottom], data.site_xpos[top] - data.site_xpos[bottom],
            atol=1e-5,
        )  # fmt: skip
    env.close()
    other.close()


def test_a_runner_stands_at_0_in_its_own_posture():
    env, data = shaken("hopper")
    other = make_env(get_task("hopper"))
    other.reset(seed=99)
    pose(get_task("hopper"), other, observed(env))
    _, drawn = simulator(other)
    assert drawn.qpos[0] == 0.0
    np.testing.assert_allclose(drawn.qpos[1:], data.qpos[1:], atol=1e-6)
    env.close()
    other.close()


@pytest.mark.slow
def test_kitchen_is_right_up_to_the_noise_of_its_observations():
    task = get_task("kitchen-complete")
    env, other = make_env(task), make_env(task)
    env.reset(seed=3)
    observation, *_ = env.step(np.ones(9, np.float32))
    other.reset(seed=99)
    pose(task, other, observation)
    # noise: 0.0005 of amplitudes of at most 0.1 for the arm, 0.005 for objects
    np.testing.assert_allclose(simulator(other)[1].qpos, simulator(env)[1].qpos, atol=0.02)
    env.close()
    other.close()


@pytest.mark.parametrize(
    ("a", "b"), [([0, 0, 2], [0, 3, 0]), ([1, 2, 3], [1, 2, 3]), ([1, 2, 3], [-1, -2, -3])]
)
def test_the_smallest_turn_takes_one_direction_to_another(a, b):
    a, b = np.array(a, float), np.array(b, float)
    turn = _turning(a, b)
    np.testing.assert_allclose(turn.apply(a / np.linalg.norm(a)), b / np.linalg.norm(b), atol=1e-12)
    angle = np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))
    assert turn.magnitude() == pytest.approx(angle, abs=1e-7)


def test_an_environment_without_a_rule_is_refused():
    task = get_task("Pendulum-v1")
    with pytest.raises(UserError, match="cannot be drawn from data"):
        pose(task, make_env(task), np.zeros(3))
