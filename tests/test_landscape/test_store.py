"""Episodes on disk: nothing is played twice, nothing is lost, and "not played" is no value."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support import forked, run, run_words, small_agent

from analysis_cli import landscape
from landscape.evaluate import Evaluation, evaluate
from landscape.geometry import line, line_alphas
from landscape.store import Episode, Store, append, merge, point_key, scene_key
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.policies import load_policy
from smac.rollout import Rollouts, Status
from smac.tasks import get_task

TASK = get_task("pointmaze-umaze")


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ends")
    paths = []
    for seed in (0, 1):
        agent, description = small_agent(seed=seed)
        paths.append(save_checkpoint(folder / f"{seed}.safetensors", agent.tensors(0), description))
    return paths


def play(ends, points=3, progress=None, task=TASK, **options):
    a, b = (load_policy(path) for path in ends)
    alphas = line_alphas(points)
    return evaluate(
        a.spec, task, line(a.params, b.params, alphas), points, Evaluation(**options), progress=progress
    )


def one_episode(value: float, status: Status = Status.FINISHED) -> Episode:
    return Episode(value if status is Status.FINISHED else None, 7, False, None, status.name.lower())


def same(one: Rollouts, other: Rollouts) -> None:
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(other, name))


def test_negative_returns_survive_resume_and_merge(tmp_path):
    """-1 is a return, 0 is one, and so is -500; only what is not in the store was not played."""
    for k, value in enumerate((-1.0, 0.0, -500.25, -1e-300)):
        append(tmp_path / f"store-{k % 2}", [("p", k, one_episode(value))])
    append(tmp_path / "store-0", [("p", 9, one_episode(np.nan, Status.DIVERGED))])
    found = merge([tmp_path / "store-0", tmp_path / "store-1"], tmp_path / "merged")
    assert found.to_json() == {"stores": 2, "points": 1, "episodes": 5, "duplicates": 0, "damaged": 0}
    episodes = Store(tmp_path / "merged").of("p")
    assert [episodes[k].value for k in range(4)] == [-1.0, 0.0, -500.25, -1e-300]
    assert episodes[9] == Episode(None, 7, False, None, "diverged")
    assert 4 not in episodes
    assert not Store(tmp_path / "merged").of("q")


def test_a_store_is_not_played_again_and_episodes_can_be_added(ends, tmp_path):
    plain, seen = play(ends, episodes=4), []
    play(ends, episodes=2, store=tmp_path)
    again = play(ends, episodes=4, store=tmp_path, progress=lambda done, total: seen.append(done))
    same(plain, again)
    assert seen[-1] == 12
    assert Store(tmp_path).size == 12
    played = len(list(tmp_path.glob("*.jsonl")))
    same(plain, play(ends, episodes=4, store=tmp_path))
    assert len(list(tmp_path.glob("*.jsonl"))) == played  # nothing was written: nothing was played


@pytest.mark.parametrize("stochastic", [False, True])
def test_any_holes_in_a_store_are_filled_with_what_was_there(ends, tmp_path, stochastic):
    """An episode has its row in the matrix products whatever is played beside it."""
    options = {"points": 5, "episodes": 7, "stochastic": stochastic, "task": TASK.with_options("horizon=30")}
    whole = play(ends, store=tmp_path / "whole", **options)
    (shard,) = (tmp_path / "whole").glob("*.jsonl")
    lines = shard.read_text().splitlines(keepends=True)
    for seed in range(3):
        kept = np.random.default_rng(seed).random(len(lines)) < 0.5
        holes = tmp_path / str(seed)
        holes.mkdir()
        (holes / shard.name).write_text("".join(line for line, keep in zip(lines, kept, strict=True) if keep))
        same(whole, play(ends, store=holes, **options))
        assert Store(holes).size == len(lines)


def test_other_parameters_actions_tasks_and_architectures_are_other_policies(ends):
    policy = load_policy(ends[0])
    scene = scene_key(policy.spec, TASK, False, np.inf)
    changed = {name: tensor.copy() for name, tensor in policy.params.items()}
    changed["net.head.bias"][0] = np.nextafter(changed["net.head.bias"][0], np.float32(1))
    keys = {
        point_key(scene, policy.params),
        point_key(scene, changed),
        point_key(scene_key(policy.spec, TASK, True, np.inf), policy.params),
        point_key(scene_key(policy.spec, TASK.with_options("horizon=20"), False, np.inf), policy.params),
        point_key(scene_key(policy.spec, get_task("pointmaze-medium"), False, np.inf), policy.params),
    }
    assert len(keys) == 5
    assert point_key(scene, dict(reversed(policy.params.items()))) in keys  # the order of names is nothing


OWN = """
import gymnasium
from made_envs import Disturbed

class Own(Disturbed):
    pass

gymnasium.register("Own-v0", Own)
"""
KEY = """
from landscape.store import scene_key
from smac.policies import ActorSpec
from smac.tasks.task import Task
task = Task("own", "other", "own_env:Own-v0", 5, "own", reward="own", rewards=("own",))
print(scene_key(ActorSpec(2, 1, (4,), "relu", layer_norm=False), task, False, 1.0).hex())
"""


@pytest.mark.slow
def test_episodes_are_of_the_code_of_their_environment(tmp_path):
    """The file of its class, and that of the class it is made from; the same text gives the same key."""
    made = (Path(__file__).parent / "made_envs.py").read_text()
    changed = made.replace("float(action[0])", "2 * float(action[0])")
    keys = []
    for own, base in ((OWN, made), (OWN + "# later", made), (OWN, changed), (OWN, made)):
        (tmp_path / "own_env.py").write_text(own)
        (tmp_path / "made_envs.py").write_text(base)
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
        keys.append(subprocess.check_output([sys.executable, "-B", "-c", KEY], env=env, text=True))
    assert len(set(keys)) == 3
    assert keys[0] == keys[3]


@pytest.mark.slow
def test_the_store_of_another_process_is_where_the_command_was_given(ends, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"episodes": 1, "workers": 2, "task": TASK.with_options("horizon=5")}
    play(ends, points=2, **options)  # starts the processes
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    play(ends, points=2, store=Path("kept"), **options)
    assert Store(tmp_path / "elsewhere" / "kept").size == 2
    assert not (tmp_path / "kept").exists()


def test_shares_of_several_machines_make_the_whole(ends, tmp_path):
    whole = play(ends, points=5, episodes=2)
    for k in (1, 2):
        part = play(ends, points=5, episodes=2, store=tmp_path / str(k), shard=(k, 2))
        assert (part.statuses == Status.NOT_PLAYED).all(axis=1).tolist() == [i % 2 != k - 1 for i in range(5)]
    merge([tmp_path / "1", tmp_path / "2"], tmp_path / "both")
    before = sorted(path.name for path in (tmp_path / "both").iterdir())
    same(whole, play(ends, points=5, episodes=2, store=tmp_path / "both"))
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == before


def test_a_line_cut_off_by_a_kill_is_left_out_and_a_damaged_one_is_named(tmp_path):
    append(tmp_path, [("p", 1, one_episode(-3.0))])
    (shard,) = tmp_path.glob("*.jsonl")
    whole = shard.read_text()
    shard.write_text(whole + whole[:-9])
    assert Store(tmp_path).size == 1
    for broken in (whole[:-9] + "\n", json.dumps(["p", 1, None, 7, False, None, "finished"]) + "\n"):
        shard.write_text(whole + broken)
        with pytest.raises(UserError, match=f"{shard.name}, line 2: not an episode .* --repair"):
            Store(tmp_path)


def test_a_damaged_store_is_repaired(tmp_path, capsys):
    store, new = tmp_path / "store", tmp_path / "new"
    append(store, [("p", seed, one_episode(-float(seed))) for seed in range(4)])
    (shard,) = store.glob("*.jsonl")
    lines = shard.read_bytes().splitlines(keepends=True)
    lines[1] = b"\xff\x00" + lines[1]  # not text
    lines[2] = b"\0" * len(lines[2][:-1]) + b"\n"  # as a power cut leaves it
    shard.write_bytes(b"".join(lines))
    assert run(landscape, "merge", store, "--out", new) == 2
    told = capsys.readouterr().err
    assert "line 2: not an episode" in told
    assert "--repair" in told
    assert not new.exists()
    assert run(landscape, "merge --repair", store, "--out", new) == 0
    assert "2 damaged lines were left out" in capsys.readouterr().out
    assert sorted(Store(new).of("p")) == [0, 3]
    assert shard.read_bytes() == b"".join(lines)


def test_stores_that_disagree_are_not_merged(tmp_path):
    for k, value in enumerate((-1.0, -2.0)):
        append(tmp_path / str(k), [("p", 5, one_episode(value))])
    with pytest.raises(UserError, match=r"episode 5 of policy p .* does not repeat itself"):
        merge([tmp_path / "0", tmp_path / "1"], tmp_path / "both")
    with pytest.raises(UserError, match="not a store of episodes"):
        merge([tmp_path / "0", tmp_path / "nothing"], tmp_path / "other")
    with pytest.raises(UserError, match="not empty; choose another --out"):
        merge([tmp_path / "0"], tmp_path / "1")


def test_a_killed_study_goes_on_and_gives_the_same_file(ends, tmp_path, monkeypatch):
    """kill -9 at some moment, the same command again: the files of an uninterrupted run, byte for byte."""
    words = [
        "interpolate", "--from", str(ends[0]), "--to", str(ends[1]), "--points", "5", "--episodes", "5",
        "--out", "line",
    ]  # fmt: skip
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    assert run_words(landscape, words) == 0
    monkeypatch.chdir(tmp_path / "killed")
    killed = forked(landscape, words)
    store = tmp_path / "killed" / "line" / "episodes"
    while killed.is_alive() and sum(map(os.path.getsize, store.glob("*.jsonl"))) < 200:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.join()
    assert 0 < Store(store).size < 25
    assert not (tmp_path / "killed" / "line" / "result.json").exists()
    assert run_words(landscape, words) == 0
    for name in ("result.json", "returns.npz"):
        files = [(tmp_path / run / "line" / name).read_bytes() for run in ("whole", "killed")]
        assert files[0] == files[1]
