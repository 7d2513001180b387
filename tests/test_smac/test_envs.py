import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env

from smac.envs import FlatObservation, SuccessReward, check_mujoco, env_spec, make_env
from smac.errors import UserError
from smac.tasks import get_task, task_names

DIMS = {
    "pen-binary": (45, 24),
    "door-binary": (39, 28),
    "relocate-binary": (39, 30),
    "hammer-binary": (46, 26),
    "kitchen-complete": (59, 9),
    "kitchen-partial": (59, 9),
    "kitchen-mixed": (59, 9),
    "antmaze-umaze": (31, 8),
    "antmaze-medium": (31, 8),
    "antmaze-large": (31, 8),
    "pointmaze-umaze": (6, 2),
    "pointmaze-medium": (6, 2),
    "pointmaze-large": (6, 2),
    "hopper": (11, 3),
    "walker2d": (17, 6),
    "halfcheetah": (17, 6),
}
FAMILIES = ("pen-binary", "kitchen-mixed@flags=true", "antmaze-umaze@torque=30", "pointmaze-large", "hopper")


class Scripted(gymnasium.Env):
    """Dict observations, one shared `info` object, success at step `solved_at`."""

    observation_space = gymnasium.spaces.Dict({"a": Box(-9, 9, (1,)), "b": Box(-9, 9, (2,))})
    action_space = Box(-1, 1, (1,))

    def __init__(self, solved_at: int):
        self.solved_at = solved_at
        self.info: dict = {}

    def reset(self, *, seed=None, options=None):
        self.time = 0
        return self._observation(), self.info

    def step(self, action):
        self.time += 1
        self.info["success"] = np.bool_(self.time == self.solved_at)
        return self._observation(), 10.0, False, False, self.info

    def _observation(self):
        return {"a": np.array([self.time], dtype=np.float64), "b": np.array([1.0, 2.0])}


def scripted(solved_at, limit):
    env = gymnasium.wrappers.TimeLimit(Scripted(solved_at), limit)
    return SuccessReward(FlatObservation(env, ("b", "a")))


def play(env):
    observation, info = env.reset()
    steps = [(observation, 0.0, False, False, info)]
    while not (steps[-1][2] or steps[-1][3]):
        steps.append(env.step(np.zeros(1, dtype=np.float32)))
    return steps


def test_reward_and_termination_at_success():
    steps = play(scripted(solved_at=3, limit=10))
    assert [s[1] for s in steps[1:]] == [-1.0, -1.0, 0.0]
    assert [s[2:4] for s in steps[1:]] == [(False, False), (False, False), (True, False)]
    assert [s[4]["success"] for s in steps] == [False, False, False, True]
    assert all(type(s[4]["success"]) is bool for s in steps)
    np.testing.assert_array_equal(steps[2][0], np.array([1, 2, 2], dtype=np.float32))
    assert steps[2][0].dtype == np.float32


def test_time_limit_truncates_and_success_on_the_last_step_terminates():
    assert play(scripted(solved_at=99, limit=3))[-1][2:4] == (False, True)
    assert play(scripted(solved_at=3, limit=3))[-1][2:4] == (True, False)


def test_infos_are_copies():
    env = scripted(solved_at=2, limit=5)
    env.reset()
    _, _, _, _, first = env.step(np.zeros(1))
    env.step(np.zeros(1))
    assert first["success"] is False


@pytest.mark.parametrize("name", task_names())
def test_sizes(name):
    dims = env_spec(get_task(name))
    assert (dims.observation_dim, dims.action_dim) == DIMS[name]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FAMILIES)
def test_spaces_and_checker(name):
    task = get_task(name)
    env = make_env(task)
    assert env.observation_space.dtype == np.float32
    assert np.all(env.action_space.low == -1.0)
    assert np.all(env.action_space.high == 1.0)
    assert env.spec.max_episode_steps == task.horizon
    check_env(env, skip_render_check=True)
    env.close()


def test_pointmaze_layout_and_model_file():
    env = make_env(get_task("pointmaze-umaze"))
    observation, _ = env.reset(seed=0)
    raw = env.unwrapped._get_obs(env.unwrapped.point_env._get_obs()[0])
    np.testing.assert_allclose(observation[:4], raw["observation"], rtol=1e-6)
    np.testing.assert_allclose(observation[4:], raw["desired_goal"], rtol=1e-6)
    assert not Path(env.unwrapped.tmp_xml_file_path).exists()
    env.close()


@pytest.mark.parametrize("name", [*FAMILIES, "AdroitHandRelocate-v1@reward=corrected"])
def test_spec_rebuilds_the_same_environment(name):
    env = make_env(get_task(name))
    twin = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    first, second = env.reset(seed=3)[0], twin.reset(seed=3)[0]
    np.testing.assert_array_equal(first, second)
    action = np.full(env.action_space.shape, 0.5, dtype=np.float32)
    for _ in range(5):
        (a, r, *_), (b, s, *_) = env.step(action), twin.step(action)
        np.testing.assert_array_equal(a, b)
        assert r == s
    env.close()
    twin.close()


def test_reset_with_a_seed_repeats_after_use():
    env = make_env(get_task("door-binary"))
    first, _ = env.reset(seed=1)
    for _ in range(3):
        env.step(np.ones(28, dtype=np.float32))
    np.testing.assert_array_equal(env.reset(seed=1)[0], first)
    assert np.any(env.reset(seed=2)[0] != first)


def test_import_notice_is_not_printed():
    code = (
        "from smac.envs import env_spec; from smac.tasks import get_task\n"
        "for name in ('door-binary', 'antmaze-umaze'): env_spec(get_task(name))"  # v4 is out of date
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == ""
    assert result.stderr == ""


def test_mujoco_too_new():
    check_mujoco("3.10.0")
    for version in ("3.11.0", "4.0.0"):
        with pytest.raises(UserError, match=f"mujoco {version} is too new .* 'mujoco<3.11'"):
            check_mujoco(version)


def test_own_reward_keeps_the_environments_and_actions_are_rescaled():
    env, raw = make_env(get_task("Pendulum-v1")), gymnasium.make("Pendulum-v1")
    env.reset(seed=3)
    raw.reset(seed=3)
    for value in (-1.0, 0.25, 1.0):
        ours, theirs = env.step(np.array([value], np.float32)), raw.step(np.array([2 * value], np.float32))
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
        assert ours[1] == pytest.approx(float(theirs[1]))
    assert (env.action_space.low, env.action_space.high) == (-1.0, 1.0)
    env.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPole-v1", "actions must be"),
        ("CliffWalking-v1@horizon=9", "observations"),
        ("pointmaze-umaze@keys=observation+colour", "its observation has .* but not .*colour"),
    ],
)
def test_spaces_that_are_not_vectors_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        make_env(get_task(name))
