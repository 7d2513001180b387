"""Kitchen's traps: four reward conventions, completions that go on changing, three meanings of success.

The scripted episodes run in the real simulator: before every step its objects are put where they are wanted.
"""

import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit
from gymnasium_robotics.envs.franka_kitchen import kitchen_env

from smac.envs import CompletionFlags, FlatObservation, KitchenReward, OwnReward, make_env
from smac.errors import UserError
from smac.tasks import get_task, kitchen

TASK = get_task("kitchen-complete")
STILL = np.zeros(9, dtype=np.float32)
M, K, L, S = TASK.subtasks

# What is satisfied after each step; the microwave falls shut at step 5. So the sub-tasks satisfied are
# 0 0 1 1 1 2 3 3, and those solved so far 0 0 1 1 2 3 4 4
SCRIPT = [(), (), (M,), (M,), (K,), (K, L), (K, L, S), (K, L, S)]
EXPECTED = {
    "remaining": [-4, -4, -3, -3, -2, -1, 0],
    "solved": [0, 0, 1, 1, 2, 3, 4],
    "completion": [0, 0, 1, 0, 1, 1, 1],
    "satisfied": [0, 0, 1, 1, 1, 2, 3, 3],
}


@pytest.fixture(scope="module")
def made():
    """The task's environment, built once; each test wraps its inner part anew."""
    env = make_env(TASK)
    env.reset(seed=0)
    env.unwrapped.first = env.unwrapped.data.qpos.copy()
    yield env
    env.close()


@pytest.fixture
def base(made):
    """The flat environment without a reward convention."""
    made.unwrapped.remove_task_when_completed = False
    return made.env


def arrange(env, satisfied) -> None:
    """Put every object where its sub-task is satisfied, or where it was at first."""
    sim = env.unwrapped
    for name in TASK.subtasks:
        place = kitchen_env.OBS_ELEMENT_INDICES[name]
        goal = kitchen_env.OBS_ELEMENT_GOALS[name]
        sim.data.qpos[place] = goal if name in satisfied else sim.first[place]
    sim.data.qvel[9:] = 0.0


def play(env, script):
    """Steps [(observation, reward, terminated, truncated, info), ...] until script or episode ends."""
    steps = []
    env.reset(seed=0)
    for satisfied in script:
        arrange(env, satisfied)
        steps.append(env.step(STILL))
        if steps[-1][2] or steps[-1][3]:
            break
    return steps


@pytest.mark.parametrize("convention", kitchen.REWARDS)
def test_the_four_reward_conventions_on_one_scripted_episode(base, convention):
    steps = play(KitchenReward(base, convention), SCRIPT)
    assert [step[1] for step in steps] == EXPECTED[convention]
    ends = [step[2] for step in steps]
    assert ends == [False] * (len(steps) - 1) + [convention != "satisfied"]
    assert not any(step[3] for step in steps)


def test_completion_and_satisfied_are_the_environments_own_rewards_with_and_without_removal(base):
    """What gymnasium-robotics pays by default, and what Minari's datasets were recorded with."""
    assert [step[1] for step in play(base, SCRIPT)] == EXPECTED["satisfied"]
    base.unwrapped.remove_task_when_completed = True
    assert [step[1] for step in play(base, SCRIPT[:7])] == EXPECTED["completion"]


@pytest.mark.parametrize("convention", kitchen.REWARDS)
def test_rewards_of_a_recording_are_the_wrappers(base, convention):
    """From observations alone, as for a dataset that was recorded under another convention."""
    steps = play(KitchenReward(base, "satisfied"), SCRIPT)
    observations = np.stack([step[0] for step in steps])
    satisfied = kitchen.satisfied(observations, TASK.subtasks)
    assert [set(np.array(TASK.subtasks)[row]) for row in satisfied] == [set(names) for names in SCRIPT]
    rewards = kitchen.rewards(satisfied, convention)
    assert rewards.dtype == np.float32
    assert rewards.tolist()[: len(EXPECTED[convention])] == EXPECTED[convention]
    assert TASK.solved(observations).tolist() == [False] * 6 + [True] * 2


def test_success_definitions_are_told_apart(base):
    """Success needs all four at any time, the score counts those solved, `satisfied` can be below both."""
    infos = [step[4] for step in play(KitchenReward(base, "satisfied"), SCRIPT)]
    assert [info["success"] for info in infos] == [False] * 6 + [True] * 2
    assert [info["solved"] for info in infos] == [0, 0, 1, 1, 2, 3, 4, 4]
    assert [info["satisfied"] for info in infos] == [0, 0, 1, 1, 1, 2, 3, 3]
    assert TASK.score(-1.0, infos[4]["solved"]) == 0.5
    assert infos[4]["tasks_to_complete"] == [L, S]


def test_aliased_completions_trap(base):
    """The environment's list goes on changing and is emptied by reset (gymnasium-robotics issue 336)."""
    first = play(base, SCRIPT[:3])[-1][4]["episode_task_completions"]
    assert first == [M]
    base.reset(seed=1)
    assert first == []
    for wrapped in (KitchenReward(base, "remaining"), OwnReward(base)):
        infos = [step[4]["episode_task_completions"] for step in play(wrapped, SCRIPT[:5])]
        wrapped.reset(seed=1)
        assert infos == [[], [], [M], [M], [M, K]]


def test_completions_of_one_step_keep_the_tasks_order(base):
    """The environment iterates over a set of words, whose order changes from process to process."""
    steps = play(KitchenReward(base, "solved"), [(S, K, M)])
    assert steps[0][4]["episode_task_completions"] == [M, K, S]
    assert steps[0][4]["step_task_completions"] == [M, K, S]


def test_time_limit_truncates_and_the_last_sub_task_on_the_last_step_terminates(base):
    limited = TimeLimit(base.unwrapped, 2)
    env = KitchenReward(FlatObservation(limited, ("observation",)), "remaining")
    assert play(env, [(), ()])[-1][2:4] == (False, True)
    assert play(env, [(), TASK.subtasks])[-1][2:4] == (True, False)
    never = KitchenReward(FlatObservation(limited, ("observation",)), "satisfied")
    assert play(never, [(), TASK.subtasks])[-1][2:4] == (False, True)


def test_reset_forgets_what_was_solved(base):
    env = KitchenReward(base, "remaining")
    play(env, [(M, K)])
    assert env.reset(seed=0)[1]["solved"] == 0
    arrange(env, ())
    assert env.step(STILL)[1] == -4


def test_flags_remember_a_sub_task_that_was_undone(base):
    env = CompletionFlags(KitchenReward(base, "remaining"))
    assert env.observation_space.shape == (63,)
    assert env.reset(seed=0)[0][59:].tolist() == [0, 0, 0, 0]
    last = play(env, SCRIPT[:5])[-1][0]
    assert last.dtype == np.float32
    assert last[59:].tolist() == [1, 1, 0, 0]
    assert not kitchen.satisfied(last[None], (M,)).any()
    assert get_task("kitchen-complete@flags=true").wrappers == ("flags",)


def test_places_and_goals_are_the_environments(made):
    assert kitchen.THRESHOLD == kitchen_env.BONUS_THRESH
    rng = np.random.default_rng(0)
    for name, indices in kitchen_env.OBS_ELEMENT_INDICES.items():
        observation = rng.normal(size=(1, 59))
        place = indices + 9  # joint 9, the objects' first, comes after 9 positions and 9 velocities
        for distance, answer in ((0.29, True), (0.31, False)):
            observation[0, place] = kitchen_env.OBS_ELEMENT_GOALS[name]
            observation[0, place[0]] += distance
            assert kitchen.satisfied(observation, (name,)).tolist() == [[answer]]
    made.reset(seed=0)
    joints = made.unwrapped.data.qpos
    np.testing.assert_allclose(made.step(STILL)[0][18:39], joints[9:], atol=1e-3)


def test_counting_twice_is_refused(base):
    base.unwrapped.remove_task_when_completed = True
    with pytest.raises(UserError, match=r"leave out env\.remove_task_when_completed"):
        KitchenReward(base, "remaining")


def test_sub_tasks_are_those_of_d4rl():
    assert get_task("kitchen-partial").subtasks == TASK.subtasks
    assert get_task("kitchen-partial").env_kwargs == TASK.env_kwargs
    assert get_task("kitchen-mixed").subtasks == (M, K, "bottom burner", L)
