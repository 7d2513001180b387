"""Commands as processes: their output, and their end."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from analysis_cli import processes
from analysis_cli.processes import Children
from smac.errors import UserError
from smac.locks import alive


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes `analysis_cli.made` of some lines, for the children."""
    folder = tmp_path / "programs"
    folder.mkdir()

    def make(lines: str) -> None:
        code = "import os, sys, time\nfrom pathlib import Path\n\ndef main():\n"
        (folder / "made.py").write_text(code + "".join(f"    {line}\n" for line in lines.splitlines()))
        site = f"import analysis_cli\nanalysis_cli.__path__.append({str(folder)!r})\n"
        (folder / "sitecustomize.py").write_text(site)

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    return make


def until(holds) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_child_that_prints_more_than_a_pipe_holds_comes_to_its_end(program):
    program("print('x' * 200 * 1024)\nsys.exit(3 if 'fail' in sys.argv else 0)")
    Children().run(["made"])
    with pytest.raises(UserError) as refused:
        Children().run(["made", "fail"])
    assert str(refused.value).count("x") == 200 * 1024


STUBBORN = (
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "Path(sys.argv[1]).write_text(str(os.getpid()))\ntime.sleep(60)"
)


def test_children_are_stopped_together_even_if_they_do_not_want_to(program, tmp_path, monkeypatch):
    program(STUBBORN)
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    children, failed = Children(), []

    def run(path) -> None:
        try:
            children.run(["made", str(path)])
        except UserError as error:
            failed.append(error)

    files = [tmp_path / "a", tmp_path / "b"]
    threads = [threading.Thread(target=run, args=[file]) for file in files]
    for thread in threads:
        thread.start()
    until(lambda: all(file.exists() and file.read_text() for file in files))
    children.stop()
    for thread in threads:
        thread.join(5)
    assert len(failed) == 2
    assert not any(alive(int(file.read_text())) for file in files)
    with pytest.raises(UserError, match="was not begun"):
        children.run(["made", "c"])


def test_a_child_ends_with_its_parent(program, tmp_path):
    program(STUBBORN)
    file = tmp_path / "pid"
    code = f"from analysis_cli.processes import Children; Children().run(['made', {str(file)!r}])"
    parent = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: file.exists() and file.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not alive(int(file.read_text())))


@pytest.mark.slow
def test_workers_that_collect_end_with_a_killed_command(tmp_path):
    line = "data collect --task pointmaze-umaze --dataset many/mazes-v0 --episodes 2000 --workers 2 --out"
    command = [sys.executable, "-m", "analysis_cli.smac", *line.split(), str(tmp_path)]
    parent = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    until(lambda: list(tmp_path.rglob("*.npz")))  # the first piece has been played
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not of_group(parent.pid))


def of_group(group: int) -> bool:
    """Whether a process of it is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_lock_of_a_child_that_could_not_release_it_is_gone_with_it(program, tmp_path):
    program("from smac.locks import take\ntake(Path(sys.argv[-1]))\nos.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match="failed"):
        Children().run(["made", str(tmp_path)], tmp_path)
    assert not (tmp_path / ".lock").exists()
