"""Adroit's traps: sparse values that are not the benchmark's, dense rewards of the wrong sign, success."""

import gymnasium
import numpy as np
import pytest

from smac.envs import make_env
from smac.errors import UserError
from smac.tasks import adroit, get_task


def still(env) -> np.ndarray:
    return np.zeros(env.action_space.shape, dtype=np.float32)


def site(sim, name: str) -> np.ndarray:
    return sim.data.site_xpos[getattr(sim, name)].ravel()


def open_door(sim, amount: float) -> None:
    sim.data.qpos[sim.door_hinge_addrs] = 1.5 * amount


def drive_nail(sim, amount: float) -> None:
    sim.data.qpos[26] = 0.09 * amount


def bring_target(sim, amount: float) -> None:
    """The target comes to the ball, which lies on the table."""
    ball = sim.data.xpos[sim.obj_body_id]
    sim.model.site_pos[sim.target_obj_site_id] = ball + (1.0 - amount) * np.array([0.0, 0.0, 0.3])


def align_target(sim, amount: float) -> None:
    """The target takes the pen's orientation; the pen starts at its place, upright in the hand."""
    if amount == 1.0:
        sim.model.body_quat[sim.target_obj_body_id] = sim.data.xquat[sim.obj_body_id]


SOLVE = {
    "pen-binary": align_target,
    "door-binary": open_door,
    "relocate-binary": bring_target,
    "hammer-binary": drive_nail,
}


@pytest.mark.parametrize("name", SOLVE)
def test_sparse_values_trap_and_success_from_the_observation(name):
    """The environment pays 10 or -0.1 and goes on; the benchmark 0 or -1, and ends at the first success."""
    task = get_task(name)
    env = make_env(task)
    raw = env.env.env  # below the reward and the flat observation
    seen = []
    for seed, amount in ((0, 0.0), (1, 0.3), (2, 1.0)):
        env.reset(seed=seed)
        SOLVE[name](env.unwrapped, amount)
        observation, reward, terminated, truncated, info = env.step(still(env))
        seen.append(info["success"])
        assert task.solved(observation[None]).tolist() == [info["success"]]
        assert (reward, terminated, truncated) == (float(info["success"]) - 1.0, info["success"], False)
        SOLVE[name](env.unwrapped, amount)
        _, paid, over, _, _ = raw.step(still(env))
        assert (paid, over) == (10.0 if info["success"] else -0.1, False)
    assert seen == [False, False, True]
    env.close()


def test_pen_has_d4rls_horizon():
    assert get_task("pen-binary").horizon == 100
    assert gymnasium.spec("AdroitHandPenSparse-v1").max_episode_steps == 200


def d4rl_reward(env_id: str, sim) -> float:
    """The dense reward as mj_envs and D4RL write it, far from any bonus, from the simulator's own places."""
    if env_id == "AdroitHandDoor-v1":
        hinge = sim.data.qpos[sim.door_hinge_addrs]
        palm = np.linalg.norm(site(sim, "grasp_site_id") - site(sim, "handle_site_id"))
        return float(-0.1 * palm - 0.1 * (hinge - 1.57) ** 2 - 1e-5 * np.sum(sim.data.qvel**2))
    palm = np.linalg.norm(site(sim, "S_grasp_site_id") - sim.data.xpos[sim.obj_body_id])
    if env_id == "AdroitHandRelocate-v1":
        return float(-0.1 * palm)
    head, nail, goal = (site(sim, n) for n in ("tool_site_id", "target_obj_site_id", "goal_site_id"))
    rest = np.linalg.norm(head - nail) + 10 * np.linalg.norm(nail - goal)
    return float(-0.1 * palm - rest - 1e-2 * np.linalg.norm(sim.data.qvel))


@pytest.mark.parametrize("env_id", adroit.WRONG_SIGN)
def test_dense_sign_error_trap(env_id):
    """gymnasium-robotics 1.2.1 to 1.4.2 pay for being far away; `reward=corrected` has D4RL's sign."""
    env = make_env(get_task(f"{env_id}@reward=corrected"))
    env.reset(seed=0)
    observation, reward, terminated, _, info = env.step(still(env))
    right = d4rl_reward(env_id, env.unwrapped)
    assert reward == pytest.approx(right, abs=1e-6)
    raw = env.env.env
    env.reset(seed=0)
    wrong = raw.step(still(env))[1]
    assert wrong == pytest.approx(right + 0.2 * adroit.reach(env_id, observation), abs=1e-6)
    assert wrong > right + 0.02  # the installed version has the error
    assert (terminated, info["success"]) == (False, False)
    env.close()


def test_the_wrong_dense_reward_is_never_taken_silently():
    for env_id in adroit.WRONG_SIGN:
        with pytest.raises(UserError, match=f"{env_id}@reward=corrected for D4RL's sign, or @reward=own"):
            get_task(env_id)
        assert get_task(f"{env_id}@reward=own").reward == "own"
    assert get_task("AdroitHandPen-v1").reward == "own"  # its dense reward has no such term
    with pytest.raises(UserError, match="unknown reward 'corrected'"):
        get_task("AdroitHandPen-v1@reward=corrected")
