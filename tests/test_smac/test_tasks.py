import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

import smac
from smac.agents import AGENTS, default_config
from smac.envs import env_spec
from smac.errors import UserError
from smac.tasks import REWARDS, Task, get_task, task_names
from smac.tasks.explain import explain
from smac.tasks.registry import TASKS

HORIZONS = {
    "pen-binary": 100,
    "door-binary": 200,
    "relocate-binary": 200,
    "hammer-binary": 200,
    "kitchen-complete": 280,
    "kitchen-partial": 280,
    "kitchen-mixed": 280,
    "antmaze-umaze": 700,
    "antmaze-medium": 1000,
    "antmaze-large": 1000,
    "pointmaze-umaze": 300,
    "pointmaze-medium": 600,
    "pointmaze-large": 800,
    "hopper": 1000,
    "walker2d": 1000,
    "halfcheetah": 1000,
}


@pytest.fixture
def swing():
    """A task of one's own, known for as long as a test goes."""
    task = Task(
        name="swing-up", family="mine", env_id="Pendulum-v1", horizon=50, description="a pole swings up",
        reward="own", rewards=("own", "success"), expert_return=-20.0, random_return=-400.0,
        defaults={"sac": {"actor_lr": 0.01}},
    )  # fmt: skip
    yield smac.register_task(task)
    TASKS.pop("swing-up", None)


def test_a_task_of_ones_own_is_like_ours(swing):
    task = get_task("swing-up")
    assert "swing-up" in task_names()
    assert (task, task.margin, task.score(-20.0)) == (swing, 19.0, 1.0)
    assert get_task("swing-up@horizon=9").horizon == 9
    assert default_config("sac", task).actor_lr == 0.01
    smac.register_task(swing_elsewhere := replace(swing, name="elsewhere", env_id="not_there:Swing-v0"))
    assert get_task("elsewhere") == swing_elsewhere  # it can be listed; to be played it needs its environment
    with pytest.raises(UserError, match="module 'not_there'"):
        env_spec(get_task("elsewhere"))
    TASKS.pop("elsewhere")
    assert smac.register_task(swing) is swing  # a module that is imported again
    with pytest.raises(UserError, match="did you mean 'swing-up'"):
        get_task("swing-u")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "hopper"}, "'hopper' is that of Hopper-v5: take another name"),
        ({"name": "Swing"}, "lower-case letters"),
        ({"name": "swing-v1"}, "has no version"),
        ({"name": "s", "reward": "sparse", "rewards": ("sparse",)}, "reward 'sparse'"),
        ({"name": "s", "reward": "own", "rewards": ("success",)}, r"'own' of \('success',\)"),
    ],
)
def test_tasks_that_cannot_be(swing, changes, message):
    with pytest.raises(UserError, match=message):
        smac.register_task(replace(swing, **changes))


def test_names_and_horizons():
    assert {name: get_task(name).horizon for name in task_names()} == HORIZONS
    assert all(get_task(name).name == name for name in task_names())


@pytest.mark.parametrize("name", task_names())
def test_every_task_states_what_a_number_depends_on(name):
    task = get_task(name)
    assert task.description
    assert task.observes
    assert task.references
    assert task.dataset
    assert task.minari
    assert task.reward in task.rewards
    assert set(task.rewards) <= set(REWARDS)
    assert bool(task.success) == task.has_success == (task.solved is not None)
    assert task.random_return < task.expert_return
    assert (task.failure_reward == -1.0) == (task.reward == "success")


@pytest.mark.parametrize("name", task_names())
def test_defaults_name_fields_of_the_algorithms(name):
    """A default under a misspelt name would silently do nothing, or stop a run."""
    task = get_task(name)
    known = {f.name for kind in AGENTS.values() for f in fields(kind.Config)}
    assert set(task.defaults["all"]) | set(task.defaults.get("finetune", {})) <= known
    assert set(task.defaults) - {"all", "finetune"} <= set(AGENTS)
    for algorithm in AGENTS:
        config = default_config(algorithm, task)
        for key, value in task.defaults.get(algorithm, {}).items():
            assert getattr(config, key) == value


def test_score_and_margin():
    task = get_task("door-binary")
    assert task.score(task.random_return) == 0.0
    assert task.score(task.expert_return) == 1.0
    assert task.margin == pytest.approx(0.05 * (200.0 - 52.2))
    middle = (task.random_return + task.expert_return) / 2
    np.testing.assert_allclose(task.score(np.array([middle, task.expert_return])), [0.5, 1.0])


def test_score_of_the_kitchen_counts_sub_tasks_and_not_the_return():
    for reward in ("remaining", "solved", "completion", "satisfied"):
        task = get_task(f"kitchen-mixed@reward={reward}")
        returns = np.array([-1120.0, -600.0, 3.0])
        assert task.score(returns, np.array([0, 2, 4])).tolist() == [0.0, 0.5, 1.0]
        assert np.isnan(task.score(returns)).all()  # unknown, and not made of returns
    assert get_task("kitchen-mixed").margin == pytest.approx(0.2 * 280)  # a fifth of a sub-task per step


def test_locomotion_scores_are_d4rls():
    assert get_task("hopper").score(3234.3) == 1.0
    assert get_task("walker2d").score(np.array([1.629008])) == 0.0
    assert get_task("halfcheetah").score(5927.4105235) == pytest.approx(0.5, abs=1e-9)


def test_unknown_task_suggests_a_name():
    with pytest.raises(UserError, match=r"unknown task 'pointmaze-umase': did you mean 'pointmaze-umaze'\?"):
        get_task("pointmaze-umase")
    with pytest.raises(UserError, match=r"tasks are pen-binary, door-binary, .*, halfcheetah, or the id of"):
        get_task("kitchen")


def test_listing_tasks_imports_no_heavy_package():
    code = "import sys, smac.tasks; print([m for m in ('torch', 'gymnasium', 'minari') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_any_environment_is_a_task_and_its_name_carries_the_options():
    task = get_task("Pendulum-v1@horizon=50,random=-1200,expert=-150,env.g=9.5")
    assert (task.horizon, task.reward, dict(task.env_kwargs)) == (50, "own", {"g": 9.5})
    assert task.score(np.array([-1200.0, -150.0])).tolist() == [0.0, 1.0]
    assert get_task(task.name) == task
    listed = get_task('FrankaKitchen-v1@env.tasks_to_complete=["kettle","microwave"],keys=observation')
    assert listed.env_kwargs == {"tasks_to_complete": ["kettle", "microwave"]}
    assert listed.observation_keys == ("observation",)
    plain = get_task("Pendulum-v1")
    assert plain.horizon == 200
    assert np.isnan(plain.score(np.array([-1200.0]))).all()
    assert not plain.has_success
    assert plain.failure_reward is None
    with pytest.raises(UserError, match="the margin must be stated"):
        _ = plain.margin
    with pytest.raises(UserError, match="name one with --dataset"):
        plain.data(None)


def test_the_name_carries_a_convention_that_is_not_the_default():
    task = get_task("kitchen-complete@reward=completion")
    assert task.name == "kitchen-complete@reward=completion"
    assert "1 for each sub-task at the step that first solves it" in task.reward_convention
    assert task != get_task("kitchen-complete")
    assert get_task(task.name) == task


def test_references_do_not_outlive_a_change_of_what_they_were_measured_on():
    assert get_task("pointmaze-umaze@horizon=100").random_return is None
    assert get_task("pointmaze-umaze@horizon=300").random_return == -274.7
    assert get_task("pointmaze-umaze@expert=-50").random_return == -274.7
    assert get_task("kitchen-complete@reward=satisfied").random_return is None
    assert get_task("kitchen-complete@flags=true").random_return == -1120.0
    assert get_task("antmaze-umaze@version=v5").expert_return == get_task("antmaze-umaze").expert_return
    assert get_task("antmaze-umaze@cells=any").expert_return > get_task("antmaze-umaze").expert_return
    both = get_task("antmaze-umaze@version=v5,cells=any")  # measured with either, not with both
    assert both.expert_return is None
    assert get_task("antmaze-umaze@version=v5,cells=any,expert=-180,random=-690").margin == 25.5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Pendulum-v9", "unknown environment 'Pendulum-v9'"),
        ("Blackjack-v1", "state one, as in Blackjack-v1@horizon=1000"),
        ("pointmaze-umaze@reward=own", "unknown reward 'own'; rewards are success"),
        ("kitchen-mixed@reward=wsrl", "rewards are remaining, solved, completion, satisfied"),
        ("antmaze-large@version=v3", "option version cannot be 'v3'; it can be v4, v5"),
        ("Pendulum-v1@horizon=x", "option horizon cannot be 'x'"),
        ("Pendulum-v1@horizon=0", "horizon must be at least 1"),
        ("Pendulum-v1@colour=red", "unknown option 'colour'"),
        ("antmaze-umaze@colour=red", "options are version, cells, torque, horizon"),
        ("Pendulum-v1@horizon", "not of the form KEY=VALUE"),
    ],
)
def test_wrong_options_name_what_is_wrong(name, message):
    with pytest.raises(UserError, match=message):
        get_task(name)


def test_explanation_says_all_that_a_number_depends_on():
    rows = dict(
        explain(
            get_task("kitchen-complete@reward=solved"),
            observation_dim=59,
            action_dim=9,
            package="gymnasium-robotics 1.4.2",
            wrappers=("FlatObservation", "KitchenReward"),
        )
    )
    assert rows["environment"] == "FrankaKitchen-v1 of gymnasium-robotics 1.4.2"
    assert rows["  with tasks_to_complete"] == "microwave, kettle, light switch, slide cabinet"
    assert rows["observation"].startswith("59 numbers (entries observation): 9 joint positions")
    assert rows["horizon"].startswith("280 steps, then truncated")
    assert rows["reward"] == "`solved`: sub-tasks solved so far, at each step (Cal-QL's fork of D4RL)"
    assert rows["ends"] == "the episode terminates when all sub-tasks have been solved"
    assert rows["score"] == "sub-tasks solved at any time / 4"
    assert rows["  reward"] == "remaining or solved or completion or satisfied"
    assert rows["datasets of others"] == "D4RL/kitchen/complete-v2"
    assert "importance_sampling false" in rows["defaults, cal_ql"]
    assert "margin" not in rows  # measured for another reward
