"""Environments that end their process, hang, or cannot begin: named, and nothing else is lost."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from landscape.evaluate import Evaluation, evaluate
from landscape.store import Store
from landscape.workers import workers
from smac.errors import UserError
from smac.locks import alive
from smac.policies import ActorSpec
from smac.rollout import Status, episode_seeds
from smac.tasks.task import Task

SEEDS = episode_seeds(0, 6)
SPEC = ActorSpec(2, 1, (4,), "relu", layer_norm=False)
POINTS, EPISODES = 3, 6


@pytest.fixture(autouse=True)
def made(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    yield
    workers(1).close()


def task(what: str, episode: int = -1, **kwargs: object) -> Task:
    """`what` happens in an episode of the study, by its number."""
    at = SEEDS[episode] if episode >= 0 else -1
    return Task(
        f"made-{what}-{episode}-{kwargs}", "other", "made_envs:Disturbed-v0", 5, "made",
        env_kwargs={"what": what, "at": at} | kwargs, reward="own", rewards=("own",),
    )  # fmt: skip


def points() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    shapes = {"net.hidden.0.weight": (4, 2), "net.hidden.0.bias": (4,), "net.head.weight": (2, 4),
              "net.head.bias": (2,)}  # fmt: skip
    return [{n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()} for _ in range(POINTS)]


def play(what: str, episode: int = -1, env: dict | None = None, progress=None, **options):
    evaluation = Evaluation(**{"episodes": EPISODES} | options)
    return evaluate(SPEC, task(what, episode, **(env or {})), points(), POINTS, evaluation, progress=progress)


@pytest.fixture(scope="module")
def whole():
    sys.path.insert(0, str(Path(__file__).parent))
    return play("nothing").returns


@pytest.mark.parametrize("what", ["abort", "exit", "kill"])
def test_an_episode_at_which_the_process_ends_twice_has_crashed(what, whole, tmp_path):
    found = play(what, 1, workers=2, store=tmp_path)
    assert (found.statuses[:, 1] == Status.CRASHED).all()
    assert (found.lengths[:, 1] == 1).all()
    others = [0, 2, 3, 4, 5]
    assert (found.statuses[:, others] == Status.FINISHED).all()
    np.testing.assert_array_equal(found.returns[:, others], whole[:, others])
    store = Store(tmp_path)
    assert store.size == POINTS * EPISODES
    assert store.duplicates == 0


def test_a_process_that_ends_once_is_started_again(whole, tmp_path):
    found = play("kill", 2, {"once": str(tmp_path / "happened")}, workers=2)
    assert (tmp_path / "happened").exists()
    np.testing.assert_array_equal(found.returns, whole)


@pytest.mark.parametrize("count", [1, 2])
def test_a_step_that_hangs_is_ended_at_the_time_limit(count, whole, tmp_path):
    began = time.monotonic()
    found = play("hang", 3, {"once": str(tmp_path / "once")}, workers=count, time_limit=0.5)
    assert time.monotonic() - began < 20
    timed_out = found.statuses == Status.TIMED_OUT
    assert timed_out.sum() == 1
    assert timed_out[:, 3].any()
    assert (found.statuses[~timed_out] == Status.FINISHED).all()
    np.testing.assert_array_equal(found.returns[~timed_out], whole[~timed_out])


@pytest.mark.parametrize("count", [1, 2])
def test_an_environment_that_exits_or_raises_fails_in_its_own_episode(count, whole):
    for what, status in (("sys.exit", Status.CRASHED), ("raise", Status.DIVERGED)):
        found = play(what, 1, workers=count)
        assert (found.statuses[:, 1] == status).all()
        np.testing.assert_array_equal(found.returns[:, 2:], whole[:, 2:])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("reset", r"point \d, episode 5 \(seed {seed}\): reset\(\) .* raised ValueError\('no beginning'\)"),
        ("shape", r"point \d, episode 5 \(seed {seed}\): .* has shape \(3,\), its space says \(2,\)"),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_an_episode_that_cannot_be_played_is_named_and_others_are_kept(count, what, message, tmp_path):
    with pytest.raises(UserError, match=message.format(seed=SEEDS[5])) as refused:
        play(what, 5, workers=count, store=tmp_path)
    assert "\n" not in str(refused.value)
    assert not workers(count).workers
    assert POINTS * 4 * (count == 1) <= Store(tmp_path).size < POINTS * EPISODES  # the first block


def test_what_was_played_before_an_error_is_not_played_again(whole, tmp_path):
    with pytest.raises(UserError):
        play("reset", 5, store=tmp_path)
    assert 0 < Store(tmp_path).size < POINTS * EPISODES
    np.testing.assert_array_equal(play("reset", 5, episodes=5, store=tmp_path).returns, whole[:, :5])


def test_workers_are_kept_from_one_evaluation_to_the_next(whole):
    play("nothing", workers=2)
    first = [worker.process.pid for worker in workers(2).workers]
    np.testing.assert_array_equal(play("nothing", workers=2).returns, whole)
    assert [worker.process.pid for worker in workers(2).workers] == first


SCRIPT = """
import sys
sys.path[:0] = {path!r}
from analysis_cli.console import call
from landscape.workers import workers
from test_workers import play
def command():
    call("landscape", lambda: play("hang", 3, workers=2, store=__import__("pathlib").Path({store!r})))
command()
"""


@pytest.mark.parametrize(
    "how",
    [signal.SIGTERM, *(pytest.param(s, marks=pytest.mark.slow) for s in (signal.SIGINT, signal.SIGKILL))],
)
def test_workers_end_with_the_command(how, tmp_path):
    path = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    code = SCRIPT.format(path=path, store=str(tmp_path))
    command = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    children: list[int] = []
    end = time.monotonic() + 60
    while len(children) < 2 or not any(p.stat().st_size for p in tmp_path.glob("*.jsonl")):
        assert time.monotonic() < end
        time.sleep(0.1)
        children = [
            int(c) for c in Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        ]
    command.send_signal(how)
    command.wait(20)  # most of it is the end of an interpreter that has torch
    end = time.monotonic() + 5
    while any(map(alive, children)):
        assert time.monotonic() < end
        time.sleep(0.05)
    told = command.stderr.read()
    if how != signal.SIGKILL:
        assert (
            told
            == {signal.SIGTERM: "landscape: terminated\n", signal.SIGINT: "landscape: interrupted\n"}[how]
        )
        assert command.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}[how]
