"""`landscape plane` and `landscape trajectory` as a user types them, and what they say to wrong input."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import described, run, small_agent

from analysis_cli import landscape
from smac.checkpoint import save_checkpoint

TASK = "pointmaze-umaze@horizon=10"


@pytest.fixture(scope="module")
def seed_folder(tmp_path_factory) -> Path:
    """A fine-tuning run's folder, of untrained policies."""
    folder = tmp_path_factory.mktemp("run") / "seed-0"
    (folder / "trajectory").mkdir(parents=True)
    moments = [("offline", "offline", 9), ("online", "online", 20)]
    moments += [(f"trajectory/step-{step:08d}", "trajectory", step) for step in (10, 20)]
    for k, (name, moment, step) in enumerate(moments):
        agent, about = small_agent(TASK, seed=min(k, 2), hidden=(8, 8))
        about = described(about, moment=moment, step=step, seed=0)
        save_checkpoint(folder / f"{name}.safetensors", agent.tensors(0), about)
    return folder


def test_a_plane_on_given_axes_with_what_the_critic_says(seed_folder, tmp_path, capsys):
    ends = [seed_folder / "offline.safetensors", seed_folder / "online.safetensors"]
    line = "plane --episodes 2 --x=0:1:3 --y=-0.5:0:4 --direction-seed 4 --margin 1 --fields q policy_shift"
    assert run(landscape, line, "--out", tmp_path / "plane", "--through", *ends) == 0
    printed = capsys.readouterr().out
    assert "3 x 4 points, 2 episodes each" in printed
    assert "--y is in filter norms" in printed
    assert "On the plane through offline SAC and online SAC and along a random direction" in printed
    result = json.loads((tmp_path / "plane" / "result.json").read_text())
    assert result["xs"] == [0.0, 0.5, 1.0]
    assert result["ys"][-1] == 0.0
    assert result["ys"][0] == pytest.approx(-0.5 * result["plane"]["units"][1]["length"])
    assert result["plane"]["seed"] == 4
    assert np.shape(result["fields"]["q"]) == np.shape(result["fields"]["success"]) == (4, 3)
    assert result["fields"]["policy_shift"][3][0] == 0.0
    assert result["margin"] == {"delta": 1.0, "source": "given with --margin"}
    assert result["command"].startswith("landscape plane --episodes 2")
    assert np.load(tmp_path / "plane" / "returns.npz")["returns"].shape == (4, 3, 2)
    assert (tmp_path / "plane" / "pair.png").exists()


@pytest.mark.usefixtures("pages_alone")
def test_a_trajectory_of_a_run(seed_folder, tmp_path, capsys):
    line = "trajectory --episodes 2 --margin 1"
    assert run(landscape, line, "--run", seed_folder, "--out", tmp_path / "run") == 0
    printed = capsys.readouterr().out
    assert "along the fine-tuning trajectory from offline SAC to online SAC" in printed
    assert "Two components hold" in printed
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [c["step"] for c in result["checkpoints"]] == [0, 10, 20]
    assert (tmp_path / "run" / "plot.html").exists()


@pytest.mark.usefixtures("pages_alone")
def test_a_plane_on_the_axes_u_and_v(seed_folder, tmp_path, capsys):
    names = ("offline", "online", "trajectory/step-00000010")
    three = [seed_folder / f"{name}.safetensors" for name in names]
    line = "plane --axes uv --episodes 1 --nx 4 --ny 5 --margin 1"
    assert run(landscape, line, "--out", tmp_path / "plane", "--through", *three) == 0
    printed = capsys.readouterr().out
    assert "u = online SAC - offline SAC, of length" in printed
    result = json.loads((tmp_path / "plane" / "result.json").read_text())
    assert result["plane"]["axes"] == "uv"
    assert list(result["plane"]["anchors"].values()) == [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    assert result["xs"] == pytest.approx([-0.2, 0.0, 1.0, 1.2])
    page = (tmp_path / "plane" / "plot.html").read_text()
    assert "u = online SAC − offline SAC" in page
    assert "are not those of parameter space" in page


def test_runs_in_two_dimensions(seed_folder, tmp_path, capsys):
    line = "project --by pca --episodes 2"
    assert run(landscape, line, "--out", tmp_path / "out", seed_folder) == 0
    printed = capsys.readouterr().out
    assert "SAC → SAC" in printed
    assert "3 actors of 1 run by PCA: stress-1 0.00, trustworthiness 1.00, 100% of the variance" in printed
    assert "PCA shows two directions" in printed
    before = (tmp_path / "out" / "result.json").read_bytes()
    (tmp_path / "out" / "plot.png").unlink()
    assert run(landscape, "plot", tmp_path / "out") == 0
    assert (tmp_path / "out" / "plot.png").exists()
    assert (tmp_path / "out" / "result.json").read_bytes() == before


@pytest.mark.usefixtures("pages_alone")
def test_a_killed_projection_goes_on_where_it_was(seed_folder, tmp_path):
    """Here killed after the last episode: the store has all of them, and the result is the same."""
    line = "project --by mds --episodes 2"
    assert run(landscape, line, "--out", tmp_path / "out", seed_folder) == 0
    arrays = dict(np.load(tmp_path / "out" / "returns.npz"))
    store = {p: p.read_bytes() for p in (tmp_path / "out" / "episodes").rglob("*") if p.is_file()}
    (tmp_path / "out" / "result.json").unlink()
    assert run(landscape, f"{line} --workers 2", "--out", tmp_path / "out", seed_folder) == 0
    again = dict(np.load(tmp_path / "out" / "returns.npz"))
    for name, values in arrays.items():
        np.testing.assert_array_equal(again[name], values)
    assert store
    assert {p: p.read_bytes() for p in (tmp_path / "out" / "episodes").rglob("*") if p.is_file()} == store


def test_wrong_input_is_one_line_and_leaves_nothing(seed_folder, tmp_path, capsys):
    offline, online = (seed_folder / f"{name}.safetensors" for name in ("offline", "online"))
    agent, about = small_agent(TASK, "bc", hidden=(8, 8))
    cloned = save_checkpoint(tmp_path / "bc.safetensors", agent.tensors(0), about)
    for line, paths, message in (
        ("plane --through", [offline, offline], "offline.safetensors: is named twice"),
        ("plane --through", [offline, "none.safetensors"], "none.safetensors: no such checkpoint file"),
        ("plane", [], "exactly one of --through, --trajectory and --update"),
        ("plane --x=0:1 --through", [offline, online], "'0:1' is no axis"),
        ("plane --fields q --through", [cloned, online], "bc.safetensors: offline BC has no critic"),
        ("plane --trajectory", [tmp_path], "offline.safetensors: no such file; name the seed-K folder"),
        ("plane --axes uv --through", [offline, online], "--axes uv takes three checkpoints"),
        ("plane --axes uv --trajectory", [seed_folder], "--axes uv takes three checkpoints"),
        ("project", [], "name the seed-K folders of fine-tuning runs"),
        ("project", [offline], "is one checkpoint; name the seed-K folder of its run"),
        ("project", [seed_folder, seed_folder], "is named twice"),
        ("project", [seed_folder], "t-SNE needs at least 7 different checkpoints, got 3"),
        ("project --by umap", [seed_folder], "--by must be one of tsne, pca, mds, got 'umap'"),
        ("project --by pca --perplexity 2", [seed_folder], "--perplexity is of t-SNE"),
        ("trajectory", [], "name either the seed-K folder of a run with --run, or --checkpoints"),
        ("trajectory --run", [tmp_path / "none"], "none: no such folder"),
        ("trajectory --every 2 --run", [seed_folder], "at least 3 checkpoints"),
        ("trajectory --confidence 2 --margin 1 --run", [seed_folder], "confidence must lie between 0 and 1"),
        ("trajectory --margin -1 --run", [seed_folder], "--margin must be a finite return difference"),
    ):
        assert run(landscape, line, *paths, "--out", tmp_path / "out") == 2
        printed = capsys.readouterr().err.strip()
        assert message in printed
        assert len(printed.splitlines()) == 1
        assert not (tmp_path / "out").exists()
