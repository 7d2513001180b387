"""One writer per directory."""

import json
import os
import subprocess
import sys

import pytest

from smac.errors import UserError
from smac.locks import LOCK, Owner, only_writer, process_start, release, take
from smac.training.run import Run

WRITES = "import sys, pathlib, smac.locks as l; l.take(pathlib.Path(sys.argv[1])); print('taken', flush=True)"


@pytest.fixture
def writer(tmp_path):
    """Another process that writes in tmp_path until it is killed."""
    words = [sys.executable, "-c", f"{WRITES}; import time; time.sleep(60)", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def test_a_second_writer_is_refused_until_the_first_is_gone(writer, tmp_path):
    before = (tmp_path / LOCK).read_bytes()
    with pytest.raises(UserError, match=f"process {writer.pid} is writing here; wait until it has ended"):
        take(tmp_path)
    release(tmp_path)  # not ours
    assert (tmp_path / LOCK).read_bytes() == before
    writer.kill()
    os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # a zombie, which has a number still
    with only_writer(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


def test_a_number_that_another_process_has_now_is_no_owner(tmp_path):
    parent = os.getppid()
    for started, free in ((process_start(parent), False), ("1", True)):
        (tmp_path / LOCK).write_text(json.dumps(vars(Owner.this()) | {"pid": parent, "started": started}))
        if free:
            take(tmp_path)
        else:
            with pytest.raises(UserError, match="is writing here"):
                take(tmp_path)


def test_of_another_host_it_cannot_be_known(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1"}))
    with pytest.raises(
        UserError, match=r"process 1 on elsewhere is writing here; if it has ended, remove .*"
    ):
        take(tmp_path)


def test_a_lock_that_was_cut_off_holds_nobody_up(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": 1, ')
    take(tmp_path)


def test_of_many_who_come_at_once_one_writes(tmp_path):
    words = [sys.executable, "-c", f"{WRITES}; sys.stdin.read()", str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    (tmp_path / LOCK).write_text(json.dumps(vars(Owner.this()) | {"started": "1"}))  # stale
    processes = [subprocess.Popen(words, **pipes) for _ in range(4)]
    said = [process.stdout.readline() for process in processes]
    for process in processes:
        process.communicate()
    assert sorted(said) == ["", "", "", "taken\n"]


def test_a_run_has_one_writer(writer, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is writing here"):
        Run.reopen(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, "config.json"]
    writer.kill()
    writer.wait()
    (tmp_path / ".metrics.csv.1.tmp.csv").touch()
    with Run.reopen(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "metrics.csv"]


def test_a_run_that_was_killed_before_it_wrote_anything_can_begin(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps(vars(Owner.this()) | {"started": "1"}))
    with Run(tmp_path, {"command": "train"}):
        assert json.loads((tmp_path / "config.json").read_text()) == {"command": "train"}
