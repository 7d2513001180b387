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
