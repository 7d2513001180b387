"""The functions do what the commands do, and the page that explains them runs as it stands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import DOCS, run_page
from support import run as run_command

import smac
from analysis_cli import smac as program
from smac.training.run import read_metrics

EVERY = {"eval_every": 10, "eval_episodes": 2, "log_every": 10}
SMALL = {"steps": 20, "hidden": (8, 8), "batch_size": 8} | EVERY


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "data"
    assert run_command(program, "data collect --task pointmaze-umaze --episodes 4 --out", folder) == 0
    return folder / "smac" / "pointmaze-umaze-v0"


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory) -> smac.TrainingRun:
    out = tmp_path_factory.mktemp("runs") / "iql"
    return smac.pretrain("pointmaze-umaze", "iql", dataset=str(dataset), seeds=2, out=out, **SMALL)


@pytest.mark.usefixtures("pages_alone")
def test_the_page_runs_as_it_stands(dataset, tmp_path, capsys):
    names = run_page(DOCS / "api.md", tmp_path, {"dataset": str(dataset), "folder": tmp_path})
    assert "did you mean steps?" in capsys.readouterr().out
    tuned = names["tuned"]
    assert tuned.seeds == (0, 1)
    assert [p.name for p in tuned.seed(1).trajectory] == [f"step-{k:08d}.safetensors" for k in (20, 40, 60)]
    assert names["paper"].config["agent"]["tau"] == "free"
    assert names["played"]["over_seeds"]["return"]["seeds"] == 2
    line, again = names["line"], names["again"]
    written = json.loads((tmp_path / "line" / "result.json").read_text())
    assert line.depth.estimate == again.depth.estimate == written["analysis"]["V"]["estimate"]
    assert line.returns.shape == (5, 6)
    assert names["surface"].surfaces["return"].shape == (5, 5)
    assert {name: sum(of.values()) for name, of in names["found"].verdicts.items()} == {"SMAC": 2, "mine": 1}
    kept = sorted(path.name for path in (tmp_path / "report" / "pairs").iterdir())
    assert kept == ["paper-td3-seed-0", "smac-sac-seed-0", "smac-sac-seed-1"]


def test_a_function_and_its_command_train_the_same(trained, dataset, tmp_path):
    line = (
        "pretrain --task pointmaze-umaze --algorithm iql --seeds 2 --steps 20 --hidden 8 8 --batch-size 8 "
        "--eval-every 10 --eval-episodes 2 --log-every 10 --dataset"
    )
    assert run_command(program, line, dataset, "--out", tmp_path / "run") == 0
    for name in ("metrics.csv", "seed-1/offline.safetensors"):
        assert (trained.directory / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    again = smac.load(tmp_path / "run")
    differs = {"command_line", "out"}
    ours, theirs = ({k: v for k, v in r.config.items() if k not in differs} for r in (trained, again))
    assert json.loads(json.dumps(ours, default=str)) == theirs


def test_fine_tuning_from_a_run_and_what_it_knows(trained, tmp_path):
    tuned = smac.finetune(
        trained, "td3", steps=30, batch_size=8, learning_starts=5, eval_every=10, eval_episodes=2,
        log_every=10, trajectory_every=0, out=tmp_path / "td3",
    )  # fmt: skip
    assert (tuned.command, tuned.seeds) == ("finetune", (0, 1))
    assert tuned.config["start"] == str(trained.directory) or tuned.config["start"] == trained.directory
    rows = read_metrics(tuned.directory)
    assert len(tuned.metrics()) == len(rows)
    assert tuned.metrics()[-1]["eval/return"] == float(rows[-1]["eval/return"])
    assert set(tuned.summary) == {0, 1}
    assert tuned.final[1]["return"] == float(rows[-1]["eval/return"])
    assert tuned.seed(0).offline.read_bytes() == trained.seed(0).offline.read_bytes()
    assert len(repr(tuned)) < 200
    assert "TD3 on pointmaze-umaze, 2 seeds" in repr(tuned)
    assert tuned._repr_html_().count("<tr>") == 3
    assert tuned.to_json()["final"][1]["return"] == tuned.final[1]["return"]


def test_evaluate_is_the_command(trained, tmp_path):
    found = smac.evaluate(trained, episodes=3, seed=5)
    line = "evaluate --episodes 3 --seed 5 --out"
    assert run_command(program, line, tmp_path / "e", trained.directory) == 0
    written = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert found["over_seeds"]["return"]["mean"] == pytest.approx(written["over_seeds"]["return"]["mean"])
    one = smac.evaluate(trained.seed(1).offline, episodes=3, seed=5)
    assert one["return"]["mean"] == pytest.approx(found["seeds"]["1"]["return"])


def test_the_picture_of_a_run_has_its_curves(trained):
    fig = trained.plot()
    returns = fig.axes[-1]
    own = [row for row in read_metrics(trained.directory) if row["eval/return"]]
    drawn = {float(y) for line in returns.lines for y in np.asarray(line.get_ydata())}
    assert {float(row["eval/return"]) for row in own} <= drawn
    assert len(returns.lines) == 3  # two seeds and their mean


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda d, o: smac.pretrain("pointmaze-umaze", "iql", out=o, expectil=0.9),
            "you mean expectile?",
        ),
        (lambda d, o: smac.pretrain("pointmaze-umaze", "sac", out=o), "unknown algorithm 'sac'"),
        (lambda d, o: smac.pretrain("pointmase", "iql", out=o), "unknown task"),
        (lambda d, o: smac.pretrain("pointmaze-umaze", "iql", variant="x", out=o), "iql has none"),
        (lambda d, o: smac.pretrain("pointmaze-umaze", "iql", out=o, agent=1), "no option 'agent'"),
        (lambda d, o: smac.finetune(o / "missing", out=o), "no such"),
        (
            lambda d, o: smac.pretrain("pointmaze-umaze", "iql", out=o, steps="many"),
            "steps takes int, got 'many'",
        ),
        (
            lambda d, o: smac.pretrain("pointmaze-umaze", "iql", out=o, activation="gelu"),
            "activation takes 'silu' or 'relu' or 'tanh', got 'gelu'",
        ),
        (
            lambda d, o: smac.pretrain("pointmaze-umaze", "iql", out=o, hidden=8),
            "hidden takes a sequence of int, got 8",
        ),
        (lambda d, o: smac.pretrain("pointmaze-umaze", "iql", out=o, seeds=True), "seeds takes int"),
        (lambda d, o: smac.load(o / "missing"), "no such run directory"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(call, message, dataset, tmp_path):
    with pytest.raises(smac.UserError, match=re.escape(message)):
        call(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_seed_that_is_not_there(trained):
    with pytest.raises(smac.UserError, match="has no seed 7; it has 0, 1"):
        trained.seed(7)


@pytest.fixture(scope="module")
def tuning() -> dict[str, object]:
    return {"batch_size": 8, "steps": 20, "eval_every": 10, "eval_episodes": 1, "save_every": 5}


def test_an_interrupted_run_goes_on_as_if_it_never_stopped(trained, tuning, tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    def stop(phase, step, total):
        if step >= 10:
            raise Stop

    monkeypatch.setattr("smac.training.run.PROGRESS_INTERVAL", -1.0)
    told = []
    whole = smac.finetune(trained, out=tmp_path / "whole", progress=lambda *now: told.append(now), **tuning)
    assert told[-1] == ("online", 20, 20)
    with pytest.raises(Stop):
        smac.finetune(trained, out=tmp_path / "broken", progress=stop, **tuning)
    again = smac.resume(tmp_path / "broken")
    for name in ("metrics.csv", "seed-1/online.safetensors"):
        assert (again.directory / name).read_bytes() == (whole.directory / name).read_bytes()


def test_a_run_says_how_it_was_called_and_leaves_the_threads_alone(trained, tuning, tmp_path):
    torch.set_num_threads(2)
    seed = np.int64(7)
    tuned = smac.finetune(trained.seed(1).offline, "awr", out=tmp_path / "r", seed=seed, **tuning)
    assert tuned.config["seed"] == 7
    assert torch.get_num_threads() == 2
    assert tuned.seeds == (7,)
    start = str(trained.directory / "seed-1/offline.safetensors")
    assert tuned.config["command_line"].startswith(f"smac.finetune({start!r}, 'awr', seed=7, batch_size=8")
    with pytest.raises(smac.UserError, match="no such checkpoint; this seed has offline"):
        _ = trained.seed(0).online


def test_a_table_has_the_numbers_of_the_file(trained, monkeypatch):
    pandas = pytest.importorskip("pandas")
    read = pandas.read_csv(trained.directory / "metrics.csv")
    for name in read.columns.drop("phase"):
        np.testing.assert_array_equal(trained.to_frame()[name], read[name])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(smac.UserError, match="pip install pandas"):
        trained.to_frame()


def test_importing_the_package_loads_neither_torch_nor_the_command_line():
    code = (
        "import sys, smac; sys.exit(any(m in sys.modules for m in ('torch', 'gymnasium', 'tyro', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(dir(smac)) >= {"pretrain", "finetune", "train", "evaluate", "load"}
    with pytest.raises(AttributeError, match="has no attribute 'pretrian'"):
        _ = smac.pretrian
