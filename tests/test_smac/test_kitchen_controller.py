from collections import Counter

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from smac.collect.kitchen import MIXTURES, SKILLS, KitchenController, draw_order
from smac.collect.kitchen.arm import (
    HAND,
    JOINTS,
    Move,
    Scene,
    Servos,
    bounded_least_squares,
    capped,
    joint_speed_bounds,
    rotation_error,
)
from smac.collect.kitchen.skills import POSTURE_ALONE, STEPS_TO_WAIT, LightSwitch, Patience, turned
from smac.envs import make_env
from smac.errors import UserError
from smac.tasks import get_task

TASK = get_task("kitchen-complete")
FREE = np.full(3, 1e3)


@pytest.fixture(scope="module")
def env():
    env = make_env(TASK)
    yield env
    env.close()


def drive(env, order, *, seed=0, noise=0.0, jitter=0.0, limit=TASK.horizon):
    """One episode: actions, steps until each sub-task was first solved, and the controller."""
    observation, _ = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    if jitter > 0:
        observation = jittered(env, jitter, rng)
    controller = KitchenController(env.unwrapped, order, np.random.default_rng(seed))
    actions, solved = [], {}
    while len(actions) < limit and len(solved) < len(order):
        action = controller.action(observation)
        actions.append(np.clip(action + noise * rng.standard_normal(9), -1, 1))
        observation, *_ = env.step(actions[-1])
        controller.scene.see(observation)
        for subtask in order:
            if controller.scene.satisfied(subtask):
                solved.setdefault(subtask, len(actions))
    return np.array(actions), solved, controller


def jittered(env, scale, rng):
    """Moves the start state: joints by a normal of this deviation (rad), the kettle within +-scale (m)."""
    robot = env.unwrapped.robot_env
    positions = robot.init_qpos.copy()
    positions[:JOINTS] += scale * rng.standard_normal(JOINTS)
    positions[23:25] += rng.uniform(-scale, scale, 2)
    robot.set_state(positions, robot.init_qvel)
    return env.unwrapped._get_obs(robot._get_obs())["observation"].astype(np.float32)


def share_complete(env, order, episodes, **options):
    return np.mean([len(drive(env, order, seed=seed, **options)[1]) == 4 for seed in range(episodes)])


# --- the pure parts ---


def test_free_bounds_give_damped_least_squares():
    rng = np.random.default_rng(0)
    matrix, wanted = rng.normal(size=(2, 3)), rng.normal(size=2)
    damped = matrix.T @ np.linalg.solve(matrix @ matrix.T + 0.1**2 * np.eye(2), wanted)
    np.testing.assert_allclose(
        bounded_least_squares(matrix, wanted, np.zeros(3), 0.1, -FREE, FREE), damped, rtol=1e-9
    )


def test_the_preferred_solution_settles_what_the_rows_leave_open():
    solution = bounded_least_squares(
        np.array([[2.0, 0.0]]), np.ones(1), np.array([0.0, 0.3]), 1e-4, -FREE[:2], FREE[:2]
    )
    np.testing.assert_allclose(solution, [0.5, 0.3], atol=1e-7)


def test_a_bounded_joint_leaves_its_work_to_the_others():
    solution = bounded_least_squares(
        np.ones((1, 2)), np.array([2.0]), np.zeros(2), 1e-4, -FREE[:2], np.array([0.5, 9.0])
    )
    np.testing.assert_allclose(solution, [0.5, 1.5], atol=1e-6)


def test_rotation_error_is_axis_times_sine():
    current = Rotation.from_rotvec([0.3, -0.5, 1.1]).as_matrix()
    axis, angle = np.array([2.0, -1.0, 2.0]) / 3, 0.7
    reference = Rotation.from_rotvec(angle * axis).as_matrix() @ current
    np.testing.assert_allclose(rotation_error(current, reference), np.sin(angle) * axis, atol=1e-12)


def test_a_joint_at_its_limit_may_only_leave_it():
    positions = np.array([0.0, 0.98, 1.2, -1.0])
    lower, upper = joint_speed_bounds(positions, -np.ones(4), np.ones(4), 0.8 * np.ones(4), time=0.1)
    np.testing.assert_allclose(lower, [-0.8, -0.8, -0.8, 0.0], atol=2e-6)
    np.testing.assert_allclose(upper, [0.8, 0.2, 0.0, 0.8], atol=2e-6)
    assert (lower < upper).all()


def test_capped():
    np.testing.assert_allclose(capped(np.array([3.0, 4.0]), 1.0), [0.6, 0.8])
    np.testing.assert_array_equal(capped(np.array([0.3, 0.4]), 1.0), [0.3, 0.4])


def test_turned_is_counter_clockwise_about_the_vertical():
    np.testing.assert_allclose(
        turned(np.array([2.0, 1.0, 5.0]), np.array([1.0, 1.0, 0.0]), np.pi / 2), [1.0, 2.0, 5.0]
    )


def test_servos_invert_their_equation():
    servos = Servos(np.array([870.0, 120.0]), np.array([100.0, 10.0]), period=0.08, speed_at_one=2.0)
    speeds, load = np.array([0.3, -0.5]), np.array([-20.0, 1.0])
    setpoint = servos.actions(speeds, load) * 2.0 * 0.08
    q, dt = np.zeros(2), 1e-5
    for _ in range(8000):
        q += dt * (servos.gain * (setpoint - q) - load) / servos.damping
    np.testing.assert_allclose(q / 0.08, speeds, rtol=1e-3)


def test_patience_ends_without_progress():
    patience = Patience()
    shrinking = [patience.lasts(distance) for distance in np.arange(1.0, 0.5, -0.006)]
    assert all(shrinking)
    creeping = [patience.lasts(0.5 - 0.0001 * step) for step in range(STEPS_TO_WAIT + 2)]
    assert creeping.index(False) in (STEPS_TO_WAIT, STEPS_TO_WAIT + 1)


# --- orders ---


def test_complete_is_the_four_targets_in_order():
    assert draw_order("complete", np.random.default_rng(0)) == TASK.subtasks


@pytest.mark.parametrize(("mixture", "mean", "whole"), [("partial", 16 / 7, 1 / 35), ("mixed", 38 / 17, 0.0)])
def test_mixtures_state_their_mean(mixture, mean, whole):
    rng = np.random.default_rng(0)
    assert MIXTURES[mixture].targets == get_task(f"kitchen-{mixture}").subtasks
    targets = set(MIXTURES[mixture].targets)
    orders = [draw_order(mixture, rng) for _ in range(4000)]
    attempted = np.array([len(targets & set(order)) for order in orders])
    assert MIXTURES[mixture].mean_targets == pytest.approx(mean)
    assert MIXTURES[mixture].whole_share == pytest.approx(whole)
    assert attempted.mean() == pytest.approx(mean, abs=4 * attempted.std() / np.sqrt(4000))
    assert (attempted == 4).mean() == pytest.approx(whole, abs=0.011)
    assert {len(set(order)) for order in orders} == {4}


def test_the_hinge_cabinet_comes_last():
    rng = np.random.default_rng(0)
    orders = [draw_order("partial", rng) for _ in range(500)]
    assert all(order.index("hinge cabinet") == 3 for order in orders if "hinge cabinet" in order)
    first = Counter(order[0] for order in orders)
    assert first.keys() == SKILLS.keys() - {"hinge cabinet"}
    assert min(first.values()) > 50  # of 500 / 6 = 83 expected


# --- in the kitchen ---


def test_the_scene_agrees_with_the_simulation(env):
    observation, _ = env.reset(seed=3)
    for _ in range(5):
        observation, *_ = env.step(np.array([0.3, 0.2, -0.3, 0.1, 0.2, 0.1, 0.2, 0.5, 0.5]))
    kitchen, scene = env.unwrapped, Scene(env.unwrapped)
    scene.see(observation)
    np.testing.assert_allclose(scene.hand, kitchen.data.site(HAND).xpos, atol=2e-3)
    np.testing.assert_allclose(scene.site("kettle_site"), kitchen.data.site("kettle_site").xpos, atol=1e-3)
    np.testing.assert_allclose(scene.gravity_load(), kitchen.data.qfrc_bias[:JOINTS], atol=1.5)  # of 20 Nm
    for subtask, goal in kitchen.goal.items():
        achieved = kitchen._get_obs(np.zeros(18))["achieved_goal"][subtask]
        assert scene.distance(subtask) == pytest.approx(np.linalg.norm(achieved - goal), abs=1e-3)


def test_joints_move_as_fast_as_they_are_told(env):
    """The servos' equation, against gravity and without an integral term, in the simulation itself."""
    speeds = np.array([0.3, 0.25, -0.3, 0.3, 0.4, -0.3, 0.5])
    observation, _ = env.reset(seed=0)
    controller = KitchenController(env.unwrapped, ["kettle"], np.random.default_rng(0))
    trace = []
    for _ in range(6):
        controller.scene.see(observation)
        arm = controller.arm.servos.actions(speeds, controller.scene.gravity_load())
        observation, *_ = env.step(np.append(arm, [0.0, 0.0]))
        trace.append(env.unwrapped.data.qpos[:JOINTS].copy())
    np.testing.assert_allclose((trace[-1] - trace[1]) / (4 * 0.08), speeds, rtol=0.08)


def test_reach_arrives_or_notices_that_it_is_stuck(env):
    env.reset(seed=0)
    skill = LightSwitch(Scene(env.unwrapped), np.zeros(3))
    here, right = skill.scene.hand, np.array([0.3, 0.0, 0.0])
    assert outcome(skill.reach(lambda: here + right / 30, tolerance=0.02)) == ([], True)
    moves, arrived = outcome(skill.reach(lambda: here + right, tolerance=0.02))
    assert len(moves) == STEPS_TO_WAIT + 1  # the first sets the distance to beat
    assert not arrived
    np.testing.assert_allclose(moves[0].target - here, right)


def test_a_heavy_posture_leaves_all_else_aside(env):
    observation, _ = env.reset(seed=0)
    observation[:JOINTS] += np.array([0.3, 0.2, -0.3, 0.1, 0.2, 0.0, -0.4], np.float32)
    controller = KitchenController(env.unwrapped, ["kettle"], np.random.default_rng(0))
    controller.scene.see(observation)
    speeds = controller.arm.joint_speeds(Move(np.zeros(3), posture_weight=POSTURE_ALONE))
    np.testing.assert_allclose(speeds, controller.scene.rest_joints - observation[:JOINTS], atol=0.03)


def outcome(reach) -> tuple[list[Move], bool]:
    moves = []
    while True:
        try:
            moves.append(next(reach))
        except StopIteration as end:
            return moves, end.value


@pytest.mark.parametrize(("subtask", "steps"), [("light switch", 40), ("kettle", 40)])
def test_one_subtask(env, subtask, steps):
    actions, solved, controller = drive(env, [subtask])
    assert solved[subtask] <= steps
    assert controller.subtask == subtask
    assert not controller.done
    assert np.abs(actions).max() <= 1.0
    assert (np.abs(actions) < 0.95).mean() > 0.97  # room for noise
    assert controller.action(np.zeros(59, np.float32)).dtype == np.float32


def test_episodes_repeat_with_their_seeds(env):
    runs = [drive(env, ["light switch"], seed=seed, limit=8)[0] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 0.05


def test_nothing_is_read_but_the_observation(env):
    observation, _ = env.reset(seed=0)
    first, second = (KitchenController(env.unwrapped, ["kettle"], np.random.default_rng(0)) for _ in range(2))
    action = first.action(observation)
    for _ in range(5):
        env.step(np.ones(9))
    np.testing.assert_array_equal(second.action(np.append(observation, [7.0, 7.0])), action)


def test_what_is_satisfied_is_not_attempted(env):
    observation, _ = env.reset(seed=0)
    observation[32:39] = env.unwrapped.goal["kettle"]
    controller = KitchenController(env.unwrapped, ["kettle"], np.random.default_rng(0))
    controller.action(observation)
    assert controller.done
    assert controller.subtask is None


@pytest.mark.parametrize(
    ("order", "options", "message"),
    [
        ([], {}, "made of the sub-tasks microwave, kettle"),
        (["toaster"], {}, r"got \['toaster'\]"),
        (["kettle"], {"pace": (1.0, 0.5)}, "pace is a range"),
        (["kettle"], {"scatter": float("nan")}, "scatter must not be negative"),
        (["kettle"], {"attempts": 0}, "must be at least 1"),
    ],
)
def test_wrong_options(env, order, options, message):
    with pytest.raises(UserError, match=message):
        KitchenController(env.unwrapped, order, np.random.default_rng(0), **options)


def test_wrong_environment_observation_and_mixture(env):
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="needs FrankaKitchen, unwrapped"):
        KitchenController(env, ["kettle"], rng)
    with pytest.raises(UserError, match=r"at least 59 numbers, got shape \(30,\)"):
        KitchenController(env.unwrapped, ["kettle"], rng).action(np.zeros(30))
    with pytest.raises(UserError, match="mixtures are complete, partial, mixed"):
        draw_order("full", rng)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "least"), [(0.0, 0.95), (0.1, 0.9), (0.2, 0.9)])
def test_all_four_within_the_horizon(env, noise, least):
    assert TASK.horizon == 280
    assert share_complete(env, TASK.subtasks, 20, noise=noise, jitter=0.03) >= least


@pytest.mark.slow
@pytest.mark.parametrize("mixture", ["partial", "mixed"])
def test_nearly_all_that_a_mixture_attempts_is_solved(env, mixture):
    rng = np.random.default_rng(0)
    orders = [draw_order(mixture, rng) for _ in range(20)]
    solved = [len(drive(env, order, seed=seed)[1]) for seed, order in enumerate(orders)]
    assert np.mean(solved) >= 3.8


@pytest.mark.slow
def test_all_seven_in_one_episode(env):
    _, solved, _ = drive(env, list(SKILLS), limit=500)
    assert solved.keys() == SKILLS.keys()
