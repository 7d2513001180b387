import numpy as np
import pytest
from PIL import Image
from support import run, small_agent

from analysis_cli import smac
from smac.checkpoint import save_checkpoint
from smac.data.minari_io import write_dataset
from smac.data.transitions import sparse_episode
from smac.errors import UserError
from smac.rendering import backend
from smac.tasks import get_task

TASK = "pointmaze-umaze@horizon=7"


@pytest.fixture
def gl():
    try:
        backend()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture
def checkpoint(tmp_path):
    agent, description = small_agent(TASK)
    return save_checkpoint(tmp_path / "a.safetensors", agent.tensors(0), description)


@pytest.fixture
def data(tmp_path):
    """Two episodes of a ball on its way along x, 7 and 4 steps long."""
    made = []
    for length in (7, 4):
        observations = np.zeros((length + 1, 6), np.float32)
        observations[:, 0] = np.linspace(-1, 1, length + 1)
        observations[:, 1], observations[:, 5] = 1.0, -1.0
        made.append(sparse_episode(observations, np.zeros((length, 2)), np.zeros(length, bool)))
    write_dataset(
        made, task=get_task("pointmaze-umaze"), dataset_id="test/line-v0", root=tmp_path, provenance={}
    )
    return tmp_path


def test_render_draws_the_episode_that_evaluate_plays(gl, checkpoint, tmp_path, capsys):
    line = "render --episode 1 --every 3 --size 32 --out"
    assert run(smac, line, tmp_path / "a.gif", checkpoint) == 0
    assert "return -7.0, length 7, no success, 4 pictures" in capsys.readouterr().out
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (32, 32)
    assert run(smac, line, tmp_path / "a.gif", checkpoint) == 2  # nothing is overwritten
    assert "already exists" in capsys.readouterr().err


def test_render_data_draws_a_recorded_episode(gl, data, capsys):
    line = f"data render test/line-v0 --episode 1 --every 2 --size 48 --data-root {data} --out"
    assert run(smac, line, data / "a.gif") == 0
    assert "return -4.0, length 4, no success, 3 pictures" in capsys.readouterr().out
    with Image.open(data / "a.gif") as gif:
        assert gif.n_frames == 3
        assert gif.size == (48, 48)


def test_info_draws_the_dataset(data, capsys):
    assert run(smac, f"data info test/line-v0 --out {data} --figure", data / "look.png") == 0
    assert (data / "look.png").is_file()
    assert (data / "look.pdf").is_file()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("data render test/line-v0 --episode 2", "holds 2"),
        ("data render test/line-v0 --episode -1", "counted from 0"),
        ("data render test/none-v0", "no dataset"),
        ("data render test/line-v0 --task nothing", "unknown task"),
        ("data render test/line-v0 --every 0", "--every"),
        ("data render test/line-v0 --size 9", "--size"),
        ("data render test/line-v0 --out a.mp4", ".gif"),
    ],
)
def test_wrong_input_is_told_in_one_line(data, capsys, line, named):
    assert run(smac, f"{line} --data-root {data}") == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1


def test_a_missing_checkpoint_is_told_in_one_line(tmp_path, capsys):
    assert run(smac, "render", tmp_path / "none.safetensors") == 2
    assert "no such checkpoint" in capsys.readouterr().err


def test_a_directory_is_no_policy(tmp_path, capsys):
    assert run(smac, "render", tmp_path) == 2
    assert f"{tmp_path}: is a directory; name the policy's file in it" in capsys.readouterr().err
