"""Results as functions return them: those of the commands, in files and back, and of older versions."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support import described, run, small_agent
from torch import nn

import landscape
import smac
from analysis_cli import landscape as command
from figures.draw import draw
from landscape import study
from landscape.study.complete import STATISTICS
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.files import read_json

TASK = "Pendulum-v1@horizon=20,random=-150,expert=-20"
COMMITTED = Path(__file__).parents[2] / "results"
FILES = sorted([*COMMITTED.rglob("result.json"), *COMMITTED.rglob("report.json")])


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> smac.TrainingRun:
    """A run of two seeds as `smac finetune` leaves it, of untrained policies."""
    folder = tmp_path_factory.mktemp("runs") / "sac"
    for seed in (0, 1):
        for k, (moment, step) in enumerate((("offline", 9), ("trajectory", 3), ("online", 6))):
            agent, description = small_agent(TASK, "sac", seed=seed + 10 * k)
            about = described(description, moment=moment, seed=seed, step=step)
            name = f"trajectory/step-{step:08d}" if moment == "trajectory" else moment
            save_checkpoint(folder / f"seed-{seed}" / f"{name}.safetensors", agent.tensors(0), about)
    config = {"command": "finetune", "algorithm": "sac", "pretrained_with": "cal_ql", "task": TASK}
    (folder / "config.json").write_text(json.dumps(config))
    return smac.load(folder)


@pytest.fixture(scope="module")
def line(tuned) -> landscape.PathResult:
    seed = tuned.seed(0)
    return landscape.interpolate(seed.offline, seed.online, points=5, episodes=6)


def same_files(found: landscape.LandscapeResult, directory: Path) -> bool:
    """Whether a result is what these files hold, but for who asked for it."""
    written = read_json(directory / "result.json")
    with np.load(directory / "returns.npz") as arrays:
        assert sorted(arrays.files) == sorted(found.arrays)
        for name in arrays.files:
            np.testing.assert_array_equal(arrays[name], found.arrays[name])
    return {**found.to_json(), "command": ""} == {**written, "command": ""}


@pytest.mark.usefixtures("pages_alone")
def test_interpolate_returns_what_the_command_writes(tuned, line, tmp_path):
    seed = tuned.seed(0)
    ends = "--from", seed.offline, "--to", seed.online
    assert run(command, "interpolate --points 5 --episodes 6", *ends, "--out", tmp_path / "c") == 0
    assert same_files(line, tmp_path / "c")
    assert line.to_json()["command"].endswith("online.safetensors', points=5, episodes=6)")
    analysis = read_json(tmp_path / "c" / "result.json")["analysis"]
    assert line.verdict == analysis["verdict"]
    assert line.monotone == analysis["monotone"]
    assert line.depth.estimate == analysis["V"]["estimate"]
    assert line.depth.upper == (math.inf if analysis["V"]["upper"] is None else analysis["V"]["upper"])
    np.testing.assert_array_equal(line.means, line.returns.mean(axis=1))


@pytest.mark.usefixtures("pages_alone")
def test_other_studies_return_what_their_commands_write(tuned, tmp_path):
    seed = tuned.seed(0)
    found = landscape.trajectory(seed, episodes=2)
    assert run(command, "trajectory --episodes 2 --run", seed.directory, "--out", tmp_path / "t") == 0
    assert same_files(found, tmp_path / "t")
    through = seed.offline, seed.online, tuned.seed(1).online
    surface = landscape.plane(through, episodes=1, nx=5, ny=5)
    line = "plane --episodes 1 --nx 5 --ny 5 --out"
    assert run(command, line, tmp_path / "p", "--through", *through) == 0
    assert same_files(surface, tmp_path / "p")
    places = landscape.project([seed, tuned.seed(1)], by="pca", episodes=1)
    folders = [tuned.seed(k).directory for k in (0, 1)]
    assert run(command, "project --by pca --episodes 1 --out", tmp_path / "m", *folders) == 0
    assert same_files(places, tmp_path / "m")
    turned = landscape.align(seed.offline, seed.online, points=3, episodes=2)
    ends = "--from", seed.offline, "--to", seed.online
    assert run(command, "align --points 3 --episodes 2 --out", tmp_path / "a", *ends) == 0
    assert same_files(turned, tmp_path / "a")
    for one in (found, surface, places, turned):
        assert len(repr(one)) < 300
        assert "data:image/svg+xml" in one._repr_html_()


def test_a_saved_result_is_the_same_when_read(line, tmp_path):
    written = line.save(tmp_path / "line")
    assert [path.name for path in written] == [
        "result.json", "returns.npz", "plot.png", "plot.pdf", "plot.html",
    ]  # fmt: skip
    again = landscape.load(tmp_path / "line")
    assert type(again) is landscape.PathResult
    assert same_files(again, tmp_path / "line")
    assert (again.recomputed, again.verdict, again.depth) == ((), line.verdict, line.depth)
    with pytest.raises(UserError, match="is not empty"):
        line.save(tmp_path / "line")


def test_a_result_shows_itself_in_few_words(line):
    text = repr(line)
    assert text.startswith(f"<interpolate on {TASK}: offline SAC to online SAC, {line.verdict}, depth ")
    assert len(text) < 220
    found = study.interpolate(line.result["from"]["path"], line.result["to"]["path"], points=3)
    assert repr(found) == f"<interpolate: {found.sentence}>"
    shown = line._repr_html_()
    assert line.verdict in shown
    assert "data:image/svg+xml" in shown
    ax = line.plot().axes[0]
    drawn = [np.asarray(of.get_ydata()) for of in ax.lines]
    assert any(len(of) == 5 and np.allclose(of, line.means) for of in drawn)


def test_frames_have_the_numbers(tuned, line):
    pytest.importorskip("pandas")
    frame = line.to_frame()
    np.testing.assert_array_equal(frame["alpha"], np.linspace(0, 1, 5))
    np.testing.assert_array_equal(frame["return"], line.means)
    np.testing.assert_array_equal(frame[["low", "high"]], line.band)
    seed = tuned.seed(0)
    plane = landscape.plane([seed.offline, seed.online], episodes=1, nx=5, ny=5)
    table = plane.to_frame()
    assert len(table) == plane.surfaces["return"].size
    for k, row in table.iterrows():
        j, i = divmod(k, len(plane.xs))
        assert (row.x, row.y) == (plane.xs[i], plane.ys[j])
        assert row["return"] == plane.surfaces["return"][j, i]


@pytest.mark.usefixtures("pages_alone")
@pytest.mark.parametrize("lost", [("V_crossfit",), ("monotone", "DD", "p_monotone"), STATISTICS[5:]])
def test_a_statistic_that_a_file_lacks_is_that_of_its_episodes(line, tmp_path, lost):
    line.save(tmp_path / "old")
    path = tmp_path / "old" / "result.json"
    result = read_json(path)
    for name in lost:
        del result["analysis"][name]
    path.write_text(json.dumps(result | {"format_version": 1}))
    again = landscape.load(tmp_path / "old")
    assert set(again.recomputed) == set(lost)
    assert again.analysis == line.analysis
    assert [path.name for path in draw(tmp_path / "old")] == ["plot.html"]
    found = landscape.report(tmp_path / "old")
    assert found.result["pairs"][0]["V"] == line.analysis["V"]


@pytest.mark.usefixtures("pages_alone")
def test_the_line_behind_another_is_made_complete_too(tuned, tmp_path):
    seed = tuned.seed(0)
    turned = landscape.align(seed.offline, seed.online, points=3, episodes=3)
    turned.save(tmp_path / "old")
    path = tmp_path / "old" / "result.json"
    result = read_json(path)
    del result["straight"]["analysis"]["crossfit"]
    path.write_text(json.dumps(result))
    again = landscape.load(tmp_path / "old")
    assert again.recomputed == ("straight.crossfit",)
    assert again.result["straight"] == turned.result["straight"]


@pytest.mark.usefixtures("pages_alone")
def test_an_adaptive_result_is_completed_from_its_first_stage(tuned, tmp_path):
    seed = tuned.seed(0)
    plan = landscape.Adaptive(first=4, most=8)
    line = landscape.interpolate(seed.offline, seed.online, points=5, adaptive=plan, confidence=0.9)
    assert line.result["command"].endswith(
        "points=5, confidence=0.9, adaptive=Adaptive(first=4, most=8, growth=2.2))"
    )
    line.save(tmp_path / "old")
    path = tmp_path / "old" / "result.json"
    result = read_json(path)
    del result["analysis"]["DD"], result["analysis"]["p_trend"]
    path.write_text(json.dumps(result))
    assert landscape.load(tmp_path / "old").analysis == line.analysis
    del result["analysis"]["V"]
    path.write_text(json.dumps(result))
    with pytest.raises(UserError, match=r"lacks V; run `landscape interpolate` again"):
        landscape.load(tmp_path / "old")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.parent.relative_to(COMMITTED)))
def test_every_result_committed_before_still_loads(path):
    found, written = landscape.load(path.parent), read_json(path)
    assert len(repr(found)) < 400
    assert found.rows()
    for name, value in written.items():
        if name not in ("analysis", "straight"):
            assert found.to_json()[name] == value
    if isinstance(found, landscape.PathResult):
        assert {name: found.analysis[name] for name in written["analysis"]} == written["analysis"]
        assert found.depth.estimate == written["analysis"]["V"]["estimate"]
        if found.arrays:
            assert set(STATISTICS) <= set(found.analysis)
    if found.arrays or isinstance(found, landscape.ReportResult):
        assert found.plot().axes


@pytest.mark.usefixtures("pages_alone")
def test_results_that_cannot_be_read_say_so(line, tmp_path):
    line.save(tmp_path / "new")
    path = tmp_path / "new" / "result.json"
    path.write_text(json.dumps(read_json(path) | {"format_version": 99}))
    with pytest.raises(UserError, match="format 99 is newer than this version reads"):
        landscape.load(tmp_path / "new")
    path.write_text(json.dumps({"kind": "cake"}))
    with pytest.raises(UserError, match="of kind 'cake'; known are interpolate"):
        landscape.load(tmp_path / "new")
    with pytest.raises(UserError, match="no such file"):
        landscape.load(tmp_path / "nothing")
    old = landscape.load(COMMITTED / "door" / "smac")
    with pytest.raises(UserError, match=r"has no returns.npz"):
        old.plot()


# ---- reports -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("pages_alone")
def test_report_is_that_of_the_command(tuned, tmp_path):
    found = landscape.report([tuned], points=5, episodes=4)
    found.save(tmp_path / "function")
    line = "report --points 5 --episodes 4 --out"
    assert run(command, line, tmp_path / "command", tuned.directory) == 0
    mine, theirs = (read_json(tmp_path / name / "report.json") for name in ("function", "command"))
    for one in (mine, theirs):
        del one["command"]
        for pair in one["pairs"]:
            del pair["command"], pair["directory"]
    assert mine == theirs
    names = [{p.relative_to(tmp_path / n).as_posix() for p in (tmp_path / n).rglob("*.npz")} for n in
             ("function", "command")]  # fmt: skip
    assert names[0] == names[1] == {f"pairs/sac-seed-{k}/returns.npz" for k in (0, 1)}


@pytest.mark.usefixtures("pages_alone")
def test_a_report_with_a_directory_is_written_there_and_goes_on(tuned, tmp_path, monkeypatch):
    told: list[tuple[int, int]] = []
    how = {"points": 3, "episodes": 2, "out": tmp_path, "command": "made by hand"}
    found = landscape.report(tuned.directory, **how, progress=lambda done, total: told.append((done, total)))
    assert landscape.load(tmp_path).result == found.result
    assert told == sorted(told)  # over both lines
    assert told[-1] == (2 * 3 * 2, 2 * 3 * 2)
    lines = [tmp_path / "pairs" / f"sac-seed-{k}" for k in (0, 1)]
    assert {landscape.load(line).result["command"] for line in lines} == {"made by hand"}
    monkeypatch.setattr("landscape.api.interpolate", lambda *_, **__: pytest.fail("was played before"))
    again = landscape.report(tuned.directory, **how)
    assert again.result == found.result
    with pytest.raises(UserError, match="is named 2 times"):
        landscape.report([tuned.directory, tuned.directory])


def test_methods_have_the_names_that_they_are_given(tuned, line, tmp_path):
    line.save(tmp_path / "kept")
    other = tuned.seed(1)
    second = landscape.interpolate(other.offline, other.online, points=5, episodes=6)
    found = landscape.report({"file": [tmp_path / "kept"], "mine": [line, second]})
    assert [pair["method"] for pair in found.result["pairs"]] == ["file", "mine", "mine"]
    assert found.verdicts["mine"] == {
        name: sum(one.verdict == name for one in (line, second))
        for name in ("connected", "valley", "undecided")
    }
    assert found.rows()[0]["V_estimate"] == line.depth.estimate
    assert len(repr(found)) < 300
    assert {path.name for path in found.save(tmp_path / "r")} >= {"report.json", "report.html", "paths.png"}
    assert landscape.load(tmp_path / "r").result == found.result
    assert landscape.load(tmp_path / "r/pairs/line-1").analysis == line.analysis


# ---- torch modules -----------------------------------------------------------------------------------------


def mlp(seed: int, *ends: nn.Module) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1), *ends)


@pytest.mark.parametrize(("end", "output"), [((nn.Tanh(),), "tanh"), ((), "clip")])
def test_modules_have_the_returns_of_their_state_dicts(tmp_path, end, output):
    modules = mlp(0, *end), mlp(1, *end)
    playing = {"points": 3, "episodes": 3, "action_units": "unit"}  # Pendulum's own are twice as large
    found = landscape.interpolate(*modules, env=TASK, **playing)
    for k, module in enumerate(modules):
        torch.save(module.state_dict(), tmp_path / f"{k}.pt")
        says = {"task": TASK, "activation": "relu", "output": output}
        (tmp_path / f"{k}.policy.json").write_text(json.dumps(says))
    files = landscape.interpolate(tmp_path / "0.pt", tmp_path / "1.pt", **playing)
    np.testing.assert_allclose(found.returns, files.returns, rtol=1e-4)
    assert np.ptp(found.means) > 0


@pytest.mark.parametrize(
    ("module", "env", "units", "message"),
    [
        (mlp(0), None, "unit", "does not say which task it is for; name it with env="),
        (mlp(0), TASK, None, "--action-units"),
        (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)), TASK, "unit", "start"),
        (nn.Tanh(), TASK, "unit", "start"),
    ],
)
def test_a_module_that_cannot_be_a_policy_is_refused(module, env, units, message):
    with pytest.raises(UserError, match=message):
        landscape.interpolate(module, module, env=env, points=3, episodes=1, action_units=units)


# ---- the door ----------------------------------------------------------------------------------------------


def test_an_option_that_there_is_none_of_is_refused(tuned):
    seed = tuned.seed(0)
    with pytest.raises(UserError, match=r"no option 'episode' of a landscape; did you mean episodes"):
        landscape.interpolate(seed.offline, seed.online, episode=3)
    with pytest.raises(UserError, match="episodes takes int, got '3'"):
        landscape.interpolate(seed.offline, seed.online, episodes="3")
    with pytest.raises(UserError, match="start: a policy is a file or a torch module, got NoneType"):
        landscape.interpolate(None, seed.online)
    with pytest.raises(UserError, match="no option 'nz'"):
        landscape.plane([seed.offline, seed.online], nz=3)


def test_importing_the_package_loads_neither_torch_nor_numpy():
    code = "import sys, landscape; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(dir(landscape)) >= {"interpolate", "report", "load", "PathResult"}
    assert all(getattr(landscape, name) for name in landscape.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'interpolat'"):
        _ = landscape.interpolat
