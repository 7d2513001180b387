"""`smac transfer` and `smac train` by command."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from support import Here, forked, run, run_words

from analysis_cli import smac
from analysis_cli.transfer import switch_columns
from smac.locks import LOCK, alive

TINY = (
    "--hidden 8 8 --batch-size 8 --steps 40 --eval-every 40 --eval-episodes 1 --log-every 20 --save-every 10"
)
FINE = "--batch-size 8 --steps 40 --eval-every 20 --eval-episodes 2 --trajectory-every 0 --save-every 10"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("transfer") / "data"
    assert run(smac, "data collect --task pointmaze-umaze --episodes 4 --out", folder) == 0
    return folder


def words(data: Path, out: Path, *more: str, offline: str = "td3_bc") -> list[str]:
    return [
        "transfer", "--task", "pointmaze-umaze", "--offline", offline, "--online", "td3", "--seeds", "2",
        f"--pretrain={TINY}", f"--finetune={FINE}", "--data-root", str(data), "--out", str(out), *more,
    ]  # fmt: skip


def call(arguments: list[str]) -> int:
    return run_words(smac, arguments)


@pytest.fixture(scope="module")
def matrix(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("matrix") / "m"
    assert call(words(data, out)) == 0
    return out


def test_a_matrix_is_its_cells_and_one_table(matrix, capsys):
    result = json.loads((matrix / "transfer.json").read_text())
    cell = result["online"]["td3_bc-td3"]
    summary = json.loads((matrix / "finetune" / "td3_bc-td3" / "summary.json").read_text())
    for name in ("switch/dip", "switch/dip_raw"):
        scores = [cell["seeds"][seed][name] for seed in ("0", "1")]
        assert cell["over_seeds"][name]["mean"] == pytest.approx(sum(scores) / 2)
        assert [summary[seed][name] for seed in ("0", "1")] == scores
    assert sum(cell["monotone"]["seeds"].values()) == 2
    assert cell["regret/min_max"] == 0.0  # nothing to be worse than
    text = (matrix / "transfer.md").read_text()
    assert "TD3+BC → TD3" in text
    assert "| dip | monotone |" in text
    assert "dip raw" not in text
    assert "| temperature at the switch | entropy |" in text
    assert "| updates per step | 1 critic, 1 actor |" in text
    assert "| gradient steps | 40 |" in text
    assert "| observations | standardised |" in text
    assert (matrix / "curves-td3.png").stat().st_size > 10_000
    assert run(smac, "status", matrix) == 0
    assert capsys.readouterr().out.count("ended") == 2


def test_a_variant_is_a_method_of_its_own(data, tmp_path, monkeypatch):
    monkeypatch.setattr("analysis_cli.processes.Children", Here)
    offline = "smac,smac.paper"
    only = ["--only", "smac=--diffusion-steps 4 --diffusion-hidden 8 8", "smac.paper=--kappa 0.5"]
    line = words(data, tmp_path / "m", *only, offline=offline)
    line[line.index("td3")] = "sac"
    assert call(line) == 0
    config = json.loads((tmp_path / "m" / "pretrain" / "smac.paper" / "config.json").read_text())
    agent = config["agent"]
    assert (config["variant"], agent["tau"], agent["outcome"]) == ("paper", "free", "trajectory_return")
    assert (agent["kappa"], agent["diffusion_hidden"]) == (0.5, [8, 8])
    text = (tmp_path / "m" / "transfer.md").read_text()
    assert "| SMAC (paper) → SAC |" in text
    assert "| optimiser | adam | muon |" in text
    words_of = json.loads((tmp_path / "m" / "transfer.json").read_text())["online"]
    temperatures = [words_of["smac.paper-sac"]["seeds"][k]["switch/temperature"] for k in ("0", "1")]
    assert all(0.0 < t < 100.0 for t in temperatures)


def test_a_cell_of_an_older_version_makes_the_table_show_the_raw_dip_of_all():
    old, new = {"switch/dip_raw": 1}, {"switch/dip": 2, "switch/dip_raw": 3}
    columns = [*switch_columns({"a": {"over_seeds": old}, "b": {"over_seeds": new}})]
    assert columns[columns.index("switch/dip") + 1] == "switch/dip_raw"
    assert "switch/dip_raw" not in switch_columns({"b": {"over_seeds": new}})


def test_a_finished_matrix_is_not_trained_again(matrix, data):
    ends = list(matrix.glob("*/*/seed-*/*.safetensors"))
    before = {path: path.stat().st_mtime_ns for path in ends}
    assert call(words(data, matrix)) == 0
    assert run(smac, "resume", matrix) == 0
    assert {path: path.stat().st_mtime_ns for path in ends} == before


def test_another_matrix_in_the_same_place_is_refused(matrix, data, capsys):
    assert call(words(data, matrix, "--seed", "7")) == 2
    assert "holds another matrix" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--offline", "bc"], "bc has no critic"),
        (["--offline", "sac"], "unknown algorithm 'sac'"),
        (["--offline", "iql,iql"], "name each algorithm once"),
        (["--online", "smac"], "unknown algorithm 'smac'"),
        (["--offline", "smac.blunt"], "unknown variant 'blunt' of smac: choose from sharp, paper"),
        (["--offline", "iql.paper"], "unknown variant 'paper' of iql: iql has none"),
        (["--seeds", "0"], "must be at least 1"),
        (["--only", "iql"], "not of the form ALGORITHM=OPTIONS"),
        (["--dataset", "smac/missing-v0"], "no dataset 'smac/missing-v0'"),
        (["--task", "pointmase"], "unknown task"),
        (["--pretrain=--stepz 5"], "Unrecognized options: --stepz"),
        (["--finetune=--steps many"], "Error parsing --steps: invalid literal"),
        (["--finetune=--discount"], "Missing value for argument '--discount'"),
        (["--only", "td3=--policy-delays 2"], "Unrecognized options: --policy-delays"),
        (["--pretrain='unclosed"], "cannot be split into words: no closing quotation"),
        (["--pretrain=--actor-lr nan"], "--actor-lr must be a finite number"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_written(data, tmp_path, capsys, more, message):
    assert call(words(data, tmp_path / "m", *more)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "m").exists()


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_a_logger_that_is_not_installed_is_refused_before_anything_is_written(data, tmp_path, capsys):
    out = tmp_path / "out"
    line = f"train --env Pendulum-v1 --log-to wandb --out {out}"
    for arguments in (words(data, out, "--finetune=--log-to wandb"), line.split()):
        assert call(arguments) == 2
        assert "--log-to wandb needs it: pip install wandb" in capsys.readouterr().err
        assert not out.exists()


def test_a_cell_that_fails_tells_its_own_message(data, tmp_path, capsys):
    line = words(data, tmp_path / "m")
    line[line.index(f"--pretrain={TINY}")] = "--pretrain=--hidden 0"
    assert call(line) == 2
    assert "--hidden takes widths of at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_matrix_ends_as_if_it_never_stopped(matrix, data, tmp_path):
    out = tmp_path / "m"
    for state in ("pretrain/td3_bc", "finetune/td3_bc-td3"):
        module = [sys.executable, "-m", "analysis_cli.smac", *words(data, out)]
        process = subprocess.Popen(module, start_new_session=True, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while process.poll() is None and not (out / state / "state.safetensors").exists():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert run(smac, "resume", out) == 0
    for name in ("metrics.csv", "seed-1/online.safetensors"):
        cell = Path("finetune/td3_bc-td3") / name
        assert (out / cell).read_bytes() == (matrix / cell).read_bytes()


@pytest.fixture
def going(data, tmp_path):
    """A matrix whose first cell is being trained, as a process, and that cell's directory."""
    line = words(data, tmp_path / "m", "--workers", "1")
    line[line.index(f"--pretrain={TINY}")] = f"--pretrain={TINY} --steps 100000 --eval-every 100000"
    cell = tmp_path / "m" / "pretrain" / "td3_bc"
    process = forked(smac, line)
    try:
        until(lambda: (cell / "metrics.csv").exists())
        yield process, line, cell
    finally:
        process.kill()
        process.join()


def until(holds) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def owner(directory: Path) -> int:
    return json.loads((directory / LOCK).read_text())["pid"]


def test_a_matrix_and_its_cells_have_one_writer(going, capsys):
    process, line, cell = going
    rows = (cell / "metrics.csv").read_text()
    for again in (line, ["resume", str(cell.parents[1])], ["resume", str(cell)]):
        assert call(again) == 2
        assert "is writing here; wait until it has ended" in " ".join(capsys.readouterr().err.split())
    assert (cell / "metrics.csv").read_text().startswith(rows)
    assert owner(cell.parents[1]) == process.pid != owner(cell)
    stopped(process, cell, signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_nothing_trains_on_when_a_matrix_is_stopped(going, sent):
    process, _, cell = going
    stopped(process, cell, sent)


def stopped(process: BaseProcess, cell: Path, sent: int) -> None:
    child = owner(cell)
    os.kill(process.pid, sent)
    process.join(10)
    until(lambda: not alive(child))
    if sent != signal.SIGKILL:
        assert process.exitcode == 128 + sent
        assert not list(cell.parents[1].rglob(LOCK))


# ---- training from nothing -----------------------------------------------------------------------------


def test_train_any_environment_and_evaluate_it(tmp_path, capsys):
    line = "train --env Pendulum-v1@horizon=30 --algorithm td3 --warmup-steps 10 --hidden 8 8"
    assert run(smac, f"{line} {FINE} --seeds 2 --out", tmp_path / "run") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["command"], config["task"], config["seeds"]) == ("train", "Pendulum-v1@horizon=30", 2)
    capsys.readouterr()
    checkpoint = tmp_path / "run" / "seed-1" / "online.safetensors"
    assert run(smac, "evaluate --episodes 2 --out", tmp_path / "e", checkpoint) == 0
    result = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert result["length"]["mean"] == 30
    assert "success" not in result
    assert "score" not in result


def test_train_with_a_share_of_offline_data(data, tmp_path):
    line = f"train --task pointmaze-umaze --hidden 8 8 --offline-ratio 0.5 {FINE} --data-root"
    assert run(smac, line, data, "--out", tmp_path / "run") == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["online"]["offline_ratio"] == 0.5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --env CartPole-v1", "actions must be"),
        ("train --env Pendulum-v7", "unknown environment"),
        ("train --env Pendulum-v1 --offline-ratio 0.5", "no dataset of its own"),
        ("train --env Pendulum-v1 --offline-ratio 1.0", "must lie in [0, 1)"),
        ("train --env Pendulum-v1 --algorithm iql", "unknown algorithm 'iql'"),
        ("train --env Pendulum-v1 --device cpu --updates graph", "needs a CUDA device"),
    ],
)
def test_training_refuses_what_cannot_be(tmp_path, capsys, line, message):
    assert run(smac, f"{line} --out", tmp_path / "run") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
