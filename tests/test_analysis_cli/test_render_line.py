"""Films of a line: both ends and the lowest point, of one episode of the study, on its page."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import run, small_agent

from analysis_cli import landscape
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.rendering import backend

PENDULUM, MAZE = "Pendulum-v1@horizon=12", "pointmaze-umaze@horizon=7"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A finished line of three points and two episodes on a pendulum."""
    folder = tmp_path_factory.mktemp("pendulum")
    return made(folder, PENDULUM)


def made(folder: Path, task: str) -> Path:
    for seed in (0, 1):
        agent, about = small_agent(task, "td3", seed, hidden=(8, 8))
        save_checkpoint(folder / f"{seed}.safetensors", agent.tensors(0), about)
    ends = f"--from {folder}/0.safetensors --to {folder}/1.safetensors"
    line = f"interpolate {ends} --points 3 --episodes 2 --margin 5 --out {folder}/line"
    assert run(landscape, line) == 0
    return folder / "line"


@pytest.fixture
def copy(study, tmp_path) -> Path:
    return Path(shutil.copytree(study, tmp_path / "line"))


def test_films_are_of_the_study_s_own_episode(copy, capsys):
    pytest.importorskip("pygame")
    with np.load(copy / "returns.npz") as archive:
        returns, seeds = archive["returns"], archive["episode_seeds"]
    assert run(landscape, "render --episode 1 --every 4", copy) == 0
    told = capsys.readouterr().out
    assert "alpha 0.50 (lowest between)" in told
    assert "in the study" not in told
    listed = json.loads((copy / "videos/videos.json").read_text())
    assert listed["seed"] == seeds[1]
    assert [one["alpha"] for one in listed["videos"]] == [0, 0.5, 1]
    np.testing.assert_allclose([one["return"] for one in listed["videos"]], returns[:, 1], rtol=1e-4)
    pictures = []
    for name in ("from", "lowest", "to"):
        with Image.open(copy / f"videos/{name}.gif") as gif:
            assert gif.n_frames == 4  # after 0, 4, 8, 12 steps
            pictures.append(np.asarray(gif.convert("RGB")))
    np.testing.assert_array_equal(pictures[0], pictures[1])  # all begin alike
    np.testing.assert_array_equal(pictures[0], pictures[2])


def test_the_page_shows_them_and_keeps_them(copy, capsys):
    pytest.importorskip("pygame")
    assert "videos/" not in (copy / "plot.html").read_text()
    assert run(landscape, "render", copy) == 0
    page = (copy / "plot.html").read_text()
    assert all(f'src="videos/{name}.gif"' in page for name in ("from", "lowest", "to"))
    assert run(landscape, "plot", copy) == 0
    assert "videos/lowest.gif" in (copy / "plot.html").read_text()
    before = (copy / "videos/to.gif").read_bytes()
    assert run(landscape, "render --episode 1", copy) == 2
    assert "not empty" in capsys.readouterr().err
    assert (copy / "videos/to.gif").read_bytes() == before


def test_a_changed_checkpoint_is_told(copy, tmp_path, capsys):
    pytest.importorskip("pygame")
    agent, about = small_agent(PENDULUM, "td3", 7, hidden=(8, 8))
    other = save_checkpoint(tmp_path / "other.safetensors", agent.tensors(0), about)
    result = json.loads((copy / "result.json").read_text())
    result["to"]["path"] = str(other)
    (copy / "result.json").write_text(json.dumps(result))
    assert run(landscape, "render", copy) == 0
    assert capsys.readouterr().out.count("in the study its return is") >= 1


def test_mujoco_is_filmed_where_it_can_be(tmp_path, capsys):
    try:
        backend()
    except UserError as error:
        pytest.skip(str(error))
    line = made(tmp_path, MAZE)
    assert run(landscape, "render --every 3 --size 32", line) == 0
    with Image.open(line / "videos/lowest.gif") as gif:
        assert gif.size == (32, 32)


def test_what_cannot_be_filmed_is_told_in_one_line(copy, tmp_path, capsys, monkeypatch):
    lines = [(f"{copy} --episode 2", "has 2, counted from 0"), (f"{copy} --size 2", "--size"),
             (f"{tmp_path}", "result.json")]  # fmt: skip
    for line, named in lines:
        assert run(landscape, f"render {line}") == 2
        error = capsys.readouterr().err
        assert named in error
        assert error.count("\n") == 1
    monkeypatch.setitem(__import__("sys").modules, "pygame", None)
    assert run(landscape, f"render {copy}") == 2
    error = capsys.readouterr().err
    assert "pygame" in error
    assert error.count("\n") == 1
    result = json.loads((copy / "result.json").read_text())
    result["from"]["path"] = "gone.safetensors"
    (copy / "result.json").write_text(json.dumps(result))
    assert run(landscape, f"render {copy}") == 2
    assert "gone.safetensors: no such checkpoint" in capsys.readouterr().err
    assert not (copy / "videos").exists()
