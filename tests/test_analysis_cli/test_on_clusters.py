"""`smac transfer` and landscapes by command, on a cluster of two worker processes of this machine."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import run
from test_transfer import TINY, call, data, matrix, until, words  # noqa: F401

from analysis_cli import landscape, smac
from smac.locks import alive

LINE = "interpolate --points 3 --episodes 2 --out"


@pytest.fixture(scope="module")
def dask():
    """The address of a scheduler with two workers."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


def until_killed(cell: Path) -> int:
    """Kill the worker that trains a cell, with signal 9, once the cell has saved its state."""
    until(lambda: (cell / "state.safetensors").exists())
    pid = json.loads((cell / ".lock").read_text())["pid"]
    worker = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGKILL)
    return pid


@pytest.mark.slow
def test_cells_on_a_cluster_are_those_of_this_machine(dask, data, matrix, tmp_path, monkeypatch):  # noqa: F811
    """Told by relative paths; a worker is killed while it trains, and another one goes on with the cell."""
    monkeypatch.chdir(tmp_path)
    relative = Path(os.path.relpath(data, tmp_path))
    line = words(relative, Path("m"), "--backend", "dask", "--address", dask)
    module = [sys.executable, "-m", "analysis_cli.smac", *line]
    with subprocess.Popen(module, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        killed = until_killed(tmp_path / "m" / "pretrain" / "td3_bc")
        assert process.wait(300) == 0, process.stderr.read()
    assert not alive(killed)
    for name in ("pretrain/td3_bc", "finetune/td3_bc-td3"):
        for file in ("metrics.csv", "seed-0/offline.safetensors"):
            assert (tmp_path / "m" / name / file).read_bytes() == (matrix / name / file).read_bytes()


@pytest.mark.slow
def test_cells_end_with_the_command_that_asked_for_them(dask, data, tmp_path):  # noqa: F811
    line = words(data, tmp_path / "m", "--backend", "dask", "--address", dask)
    line[line.index(f"--pretrain={TINY}")] = f"--pretrain={TINY} --steps 100000 --eval-every 100000"
    cell = tmp_path / "m" / "pretrain" / "td3_bc"
    module = [sys.executable, "-m", "analysis_cli.smac", *line]
    with subprocess.Popen(module, stdout=subprocess.DEVNULL) as process:
        until(lambda: (cell / "metrics.csv").exists())
        pid = json.loads((cell / ".lock").read_text())["pid"]
        process.kill()
    until(lambda: not alive(pid))


@pytest.mark.slow
def test_a_line_on_a_cluster_is_that_of_this_machine(dask, matrix, tmp_path):  # noqa: F811
    """`landscape interpolate` by command: the same episodes under the same keys."""
    ends = sorted((matrix / "finetune").glob("*/seed-0/*line.safetensors"))
    found = []
    for k, more in enumerate(([], ["--backend", "dask", "--address", dask])):
        out = tmp_path / str(k)
        assert run(landscape, LINE, out, "--from", ends[0], "--to", ends[1], *more) == 0
        shards = (out / "episodes").glob("*.jsonl")
        found.append(sorted(line for shard in shards for line in shard.read_text().splitlines()))
    assert len(found[0]) == 6
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_cell_that_fails_on_a_cluster_tells_its_own_message(dask, data, tmp_path, capsys):  # noqa: F811
    line = words(data, tmp_path / "m", "--backend", "dask", "--address", dask)
    line[line.index(f"--pretrain={TINY}")] = "--pretrain=--hidden 0"
    assert call(line) == 2
    assert "--hidden takes widths of at least 1" in capsys.readouterr().err


def test_clusters_that_do_not_answer_are_refused_before_anything_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("landscape.backends.ANSWER", 0.5)
    monkeypatch.chdir(tmp_path)
    nowhere = "--backend dask --address 127.0.0.1:9"
    lines = [
        (smac, "transfer --task pointmaze-umaze --out m"),
        (landscape, "interpolate --from a --to b --out m"),
        (landscape, "reproduce connectivity --preset smoke --out m"),
    ]
    for program, line in lines:
        assert run(program, f"{line} {nowhere}") == 2
        told = capsys.readouterr().err
        assert "no scheduler answers at 127.0.0.1:9" in told
        assert told.count("\n") == 1
        assert run(program, f"{line} --backend dask") == 2
        assert "needs --address HOST:PORT" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]
