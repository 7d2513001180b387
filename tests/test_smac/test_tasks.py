import subprocess
import sys

import numpy as np
import pytest

from smac.errors import UserError
from smac.tasks import get_task, task_names


def test_names_and_fields():
    assert task_names() == ("pointmaze-umaze", "pointmaze-medium", "door-binary")
    assert [get_task(name).horizon for name in task_names()] == [300, 600, 200]
    assert all(get_task(name).name == name for name in task_names())


def test_score_and_margin():
    task = get_task("door-binary")
    assert task.score(task.random_return) == 0.0
    assert task.score(task.expert_return) == 1.0
    assert task.margin == pytest.approx(0.05 * (200.0 - 52.2))
    middle = (task.random_return + task.expert_return) / 2
    np.testing.assert_allclose(task.score(np.array([middle, task.expert_return])), [0.5, 1.0])


def test_success_rules():
    maze = get_task("pointmaze-umaze")
    observations = np.array([[0.0, 0, 9, 9, 0.44, 0], [0, 0, 0, 0, 0.46, 0]])
    assert maze.solved(observations).tolist() == [True, False]
    door = np.zeros((2, 39), dtype=np.float32)
    door[:, 28] = [1.3499, 1.3501]
    assert get_task("door-binary").solved(door).tolist() == [False, True]


def test_unknown_task_suggests_a_name():
    with pytest.raises(UserError, match=r"unknown task 'pointmaze-umase': did you mean 'pointmaze-umaze'\?"):
        get_task("pointmaze-umase")
    with pytest.raises(UserError, match="tasks are pointmaze-umaze, pointmaze-medium, door-binary"):
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
    plain = get_task("Pendulum-v1")
    assert plain.horizon == 200
    assert np.isnan(plain.score(np.array([-1200.0]))).all()
    assert not plain.has_success
    assert plain.failure_reward is None
    with pytest.raises(UserError, match="the margin must be stated"):
        _ = plain.margin
    with pytest.raises(UserError, match="name one with --dataset"):
        plain.data(None)


def test_references_do_not_outlive_a_change_of_what_they_were_measured_on():
    assert get_task("pointmaze-umaze@horizon=100").random_return is None
    assert get_task("pointmaze-umaze@expert=-50").random_return == -274.7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Pendulum-v9", "unknown environment 'Pendulum-v9'"),
        ("Blackjack-v1", "state one, as in Blackjack-v1@horizon=1000"),
        ("pointmaze-umaze@reward=own", "unknown reward 'own'; rewards are success"),
        ("Pendulum-v1@horizon=x", "option horizon cannot be 'x'"),
        ("Pendulum-v1@horizon=0", "horizon must be at least 1"),
        ("Pendulum-v1@colour=red", "unknown option 'colour'"),
        ("Pendulum-v1@horizon", "not of the form KEY=VALUE"),
    ],
)
def test_wrong_options_name_what_is_wrong(name, message):
    with pytest.raises(UserError, match=message):
        get_task(name)
