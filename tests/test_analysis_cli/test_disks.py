"""Disks that are full, read-only or emptied, clocks that are set back: one line, and nothing is lost."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from support import run, small_agent

from analysis_cli import landscape
from landscape.store import Episode, Store, append
from smac import files
from smac.checkpoint import save_checkpoint
from smac.rollout import LockStep

TASK = "Pendulum-v1@horizon=5,random=-1200,expert=-150"


@pytest.fixture
def ends(tmp_path):
    paths = []
    for seed in (0, 1):
        agent, description = small_agent(TASK, seed=seed)
        paths.append(save_checkpoint(tmp_path / f"{seed}.safetensors", agent.tensors(0), description))
    return paths


@pytest.fixture
def disk(tmp_path):
    """A small file system: `disk(size)` makes it, or changes its size or whether it can be written."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        again = "remount," if os.path.ismount(place) else ""
        words = ["mount", "-t", "tmpfs", "-o", again + options, "tmpfs", str(place)]
        if not shutil.which("mount") or subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("a file system can be mounted by the superuser alone")
        return place

    yield mount
    if os.path.ismount(place):
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def interpolate(ends, out, more="") -> int:
    line = f"interpolate --points 5 --episodes 12 {more} --from {ends[0]} --to {ends[1]} --out"
    return run(landscape, line, out)


def one_line(told: str) -> bool:
    return told.startswith("landscape: ") and told.count("\n") == 1


@pytest.mark.usefixtures("pages_alone")
def test_a_disk_that_is_full_of_episodes(ends, disk, tmp_path, capsys):
    assert interpolate(ends, tmp_path / "whole") == 0
    out = disk("size=12k") / "line"  # one page for each of three files: the lock, study.json, a shard
    capsys.readouterr()
    assert interpolate(ends, out) == 2
    told = capsys.readouterr().err
    assert one_line(told)
    assert f"{out / 'episodes'}: No space left on device; free some space" in told
    assert 0 < Store(out / "episodes").size < 60
    disk("size=20m")
    assert interpolate(ends, out) == 0
    for name in ("result.json", "returns.npz"):
        found = [(folder / name).read_bytes() for folder in (tmp_path / "whole", out)]
        assert found[0].replace(bytes(tmp_path / "whole"), b"") == found[1].replace(bytes(out), b"")


def test_a_disk_that_is_full_while_pictures_are_drawn(ends, disk, capsys):
    out = disk("size=300k") / "line"  # the page to look around in takes megabytes
    assert interpolate(ends, out) == 2
    told = capsys.readouterr().err
    assert one_line(told)
    assert "No space left on device" in told
    result, size = (out / "result.json").read_bytes(), Store(out / "episodes").size
    assert not list(out.glob(".*.tmp*"))
    disk("size=20m")
    assert interpolate(ends, out) == 0
    assert (out / "result.json").read_bytes() == result
    assert Store(out / "episodes").size == size == 60
    assert {"plot.png", "plot.pdf", "plot.html"} <= {path.name for path in out.iterdir()}


def test_a_half_written_line_does_not_spoil_the_next(disk):
    store = disk("size=4k") / "store"
    many = [(f"{k:032d}", 1, Episode(-float(k), 5, False, None, "finished")) for k in range(200)]
    with pytest.raises(OSError, match="No space left") as full:
        append(store, many)
    assert full.value.filename == str(store)
    assert Store(store).size == 0
    disk("size=1m")
    append(store, many[:3])
    assert Store(store).size == 3


@pytest.mark.usefixtures("pages_alone")
def test_a_directory_that_is_read_only(ends, disk, tmp_path, capsys):
    out = disk("size=20m") / "line"
    assert interpolate(ends, out) == 0
    disk("ro")
    capsys.readouterr()
    assert interpolate(ends, out.parent / "other") == 2
    told = capsys.readouterr().err
    assert one_line(told)
    assert f"{out.parent / 'other'}: Read-only file system" in told
    stored = f"--store {out / 'episodes'}"
    assert interpolate(ends, tmp_path / "again", stored) == 0  # nothing has to be written there
    assert interpolate(ends, tmp_path / "more", f"--seed 1 {stored}") == 2
    told = capsys.readouterr().err
    assert one_line(told)
    assert "Read-only file system" in told


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="becoming another user takes root"
)
def test_a_directory_of_another_user(ends):
    """What an ordinary user is told who may not write there."""
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # where root keeps Python
    other = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        *reads,
        sys.executable,
        "-B",
        "-m",
    ]
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": "/nonexistent",
        "MPLCONFIGDIR": "/tmp",
    }

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        line = [*other, "analysis_cli.landscape", "interpolate", *words]
        return subprocess.run(line, capture_output=True, text=True, env=env, cwd="/tmp", check=False)

    if command("--help").returncode:
        pytest.skip("another user cannot run this interpreter")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        paths = [shutil.copy(end, folder) for end in ends]
        done = command("--from", paths[0], "--to", paths[1], "--out", f"{folder}/line")
        assert done.returncode == 2, done.stderr
        assert f"landscape: {folder}/line: Permission denied\n" in done.stderr
        assert len(list(Path(folder).iterdir())) == 2


@pytest.mark.usefixtures("pages_alone")
def test_output_that_is_deleted_while_it_is_written(ends, tmp_path, monkeypatch, caplog):
    """The result has every episode all the same, and the store those that were played later."""
    out, played = tmp_path / "line", []
    play = LockStep.play

    def delete_and_play(self, *words, **options):
        played.append(None)
        if len(played) == 2:
            shutil.rmtree(out)
        return play(self, *words, **options)

    assert interpolate(ends, tmp_path / "whole") == 0
    monkeypatch.setattr(LockStep, "play", delete_and_play)
    assert interpolate(ends, out) == 0
    assert len(played) >= 3  # blocks of episodes
    assert "deleted while more were played" in caplog.text
    with np.load(tmp_path / "whole" / "returns.npz") as whole, np.load(out / "returns.npz") as found:
        np.testing.assert_array_equal(whole["returns"], found["returns"])
    assert 0 < Store(out / "episodes").size < 60
    assert (out / "plot.html").exists()


def test_a_clock_that_is_set_back_names_no_directory_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Stopped(files.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2020, 1, 1, tzinfo=tz)

    monkeypatch.setattr(files, "datetime", Stopped)
    made = [files.new_directory(files.default_directory("interpolate")) for _ in range(3)]
    assert len({path.name for path in made}) == 3
    assert made[1].name == "interpolate-20200101-000000-2"
