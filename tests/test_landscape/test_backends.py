"""Landscapes on a cluster: a real scheduler with two worker processes gives what this machine's give."""

import socket
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from test_workers import EPISODES, POINTS, SEEDS, SPEC, play, points, task

from landscape import backends
from landscape.backends import connect
from landscape.elsewhere import play_watched
from landscape.evaluate import Evaluation
from landscape.jobs import Job, Place, Played
from landscape.store import Store
from smac.errors import UserError
from smac.rollout import Rollouts, Status

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def made():
    """The made environments, which the workers find by the path of this process."""
    sys.path.insert(0, str(HERE))
    yield
    sys.path.remove(str(HERE))


@pytest.fixture(scope="module")
def dask():
    """The options of a scheduler with two workers, processes of their own that are started again."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield {"backend": "dask", "address": cluster.scheduler_address}


@pytest.fixture(scope="module")
def whole(made):
    return play("nothing")


def lines(store: Path) -> list[str]:
    return [line for shard in store.glob("*.jsonl") for line in shard.read_text().splitlines()]


def same(found, whole) -> None:
    for name in ("returns", "lengths", "successes", "solved", "statuses"):
        assert getattr(found, name).tobytes() == getattr(whole, name).tobytes(), name


def test_dask_gives_the_same_bytes_as_this_machine(dask, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    same(play("nothing", **dask, store=Path("a"), progress=lambda *done: seen.append(done)), whole)
    assert seen[-1] == (POINTS * EPISODES, POINTS * EPISODES)
    assert len(seen) == 2  # a job at a time
    local = play("nothing", workers=2, store=Path("b"))
    same(local, whole)
    assert sorted(lines(tmp_path / "a")) == sorted(lines(tmp_path / "b"))  # the same keys, too
    assert len([*(tmp_path / "a").glob("*.jsonl")]) == 1  # only this process writes


def loses_nothing(cluster: dict[str, str], whole: Rollouts, folder: Path) -> None:
    """A worker is killed with signal 9 in the middle of an episode: its job is played again, once."""
    found = play("kill", 2, {"once": str(folder / "happened")}, **cluster, store=folder / "kept")
    assert (folder / "happened").exists()
    same(found, whole)
    assert len(lines(folder / "kept")) == POINTS * EPISODES
    assert Store(folder / "kept").duplicates == 0


@pytest.mark.slow
def test_a_killed_worker_of_dask_loses_nothing(dask, whole, tmp_path):
    loses_nothing(dask, whole, tmp_path)


@pytest.mark.slow
def test_an_episode_that_ends_every_worker_of_dask_is_told(dask, tmp_path):
    message = "points 0 to 2, episodes 0 to 3: --backend dask: 4 workers ended while they made the same call"
    with pytest.raises(UserError, match=message):
        play("kill", 2, **dask, store=tmp_path)


def test_a_step_that_hangs_on_dask_times_out_as_on_this_machine(dask, whole, tmp_path):
    found = play("hang", 3, {"once": str(tmp_path / "a")}, **dask, time_limit=0.5)
    timed_out = found.statuses == Status.TIMED_OUT
    assert timed_out.sum() == 1
    assert timed_out[:, 3].any()
    assert found.lengths[timed_out] == 1  # steps before the one that hangs
    np.testing.assert_array_equal(found.returns[~timed_out], whole.returns[~timed_out])


def test_a_call_that_is_given_up_keeps_what_was_played_and_goes_on_elsewhere(made, whole, tmp_path):
    """In this process: the thread that hangs is left, and another one plays the rest of the job."""
    about = task("hang", 1, once=str(tmp_path / "once"))
    places = tuple(Place(0, j, 0, j, SEEDS[j], "") for j in range(4))
    played: Played = []
    play_watched(Job(SPEC, about, (points()[0],), places, False, 0.3), played)
    found = {place.episode: episode for place, episode in played}
    assert found[1].status == "timed_out"
    assert [found[j].value for j in (0, 2, 3)] == [whole.returns[0, j] for j in (0, 2, 3)]
    assert len(played) == 4
    with pytest.raises(UserError, match=r"point 0, episode 2 \(seed \d+\): reset\(\)"):
        play_watched(Job(SPEC, task("reset", 2), (points()[0],), places, False, 0.3), [])


@pytest.fixture(scope="module")
def ray():
    """The options of a Ray cluster of two workers on this machine."""
    pytest.importorskip("ray", reason="ray is not installed")
    port = unused().partition(":")[2]
    command = [str(Path(sys.executable).with_name("ray"))]
    begin = [
        "start", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false",
        "--disable-usage-stats", "--object-store-memory=100000000",
    ]  # fmt: skip
    began = subprocess.Popen(
        [*command, *begin, "--block"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    waited = time.monotonic() + 60
    while time.monotonic() < waited and began.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
            break
        time.sleep(0.5)
    yield {"backend": "ray", "address": f"127.0.0.1:{port}"}
    import ray

    ray.shutdown()
    began.terminate()
    began.wait(60)


@pytest.mark.slow
def test_ray_gives_the_same_bytes_and_a_killed_worker_loses_nothing(ray, whole, tmp_path):
    found = play("nothing", **ray, store=tmp_path / "a")
    same(found, whole)
    assert len(lines(tmp_path / "a")) == POINTS * EPISODES
    with pytest.raises(UserError, match=r"point \d, episode 5 \(seed \d+\): reset\(\)"):
        play("reset", 5, **ray, store=tmp_path / "b")
    loses_nothing(ray, whole, tmp_path)
    with pytest.raises(UserError, match="4 workers ended while they made the same call"):
        play("kill", 2, **ray, store=tmp_path / "c")


def test_what_cannot_be_played_is_told_and_the_rest_is_kept(dask, tmp_path):
    with pytest.raises(UserError, match=r"point \d, episode 5 \(seed \d+\): reset\(\)") as refused:
        play("reset", 5, **dask, store=tmp_path)
    assert "\n" not in str(refused.value)
    assert 0 < len(lines(tmp_path)) < POINTS * EPISODES


def test_a_worker_that_plays_otherwise_is_refused(dask, tmp_path, monkeypatch):
    monkeypatch.setattr("landscape.store.EVALUATOR", -1)
    with pytest.raises(UserError, match=r"plays made-nothing.* otherwise than this machine"):
        play("nothing", **dask, store=tmp_path)
    assert not lines(tmp_path)


def unused() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


def test_clusters_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(backends, "ANSWER", 0.5)
    for options, message in (
        ({"backend": "dask"}, "--backend dask needs --address"),
        ({"address": "a:1"}, "--address a:1: of what"),
        ({"backend": "loky", "address": "a:1"}, "--backend loky: there are dask and ray"),
    ):
        with pytest.raises(UserError, match=message):
            Evaluation(**options)
    where = unused()
    for name, package in backends.PACKAGES.items():
        if find_spec(package):
            with pytest.raises(UserError, match=f"no scheduler answers at {where}") as refused:
                connect(name, where)
            assert "\n" not in str(refused.value)
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    for name, package in (("dask", "distributed"), ("ray", "ray")):
        with pytest.raises(UserError, match=f"the package {package} is not installed; pip install"):
            connect(name, where)
