"""A run that is killed and continued writes the same files as one that was not."""

import dataclasses
import errno
import random

import numpy as np
import pytest
import torch
from support import toy_transitions
from test_agents import random_batch

from smac.agents import agent_class
from smac.checkpoint import load_checkpoint
from smac.data.replay import OfflineData, ReplayBuffer, segment_range
from smac.errors import UserError
from smac.tasks import get_task
from smac.training.experience import OnlineEnvs
from smac.training.offline import OfflineOptions, pretrain
from smac.training.online import FinetuneOptions, finetune
from smac.training.run import Run, finished
from smac.training.state import restore, state_of
from smac.trees import read_tree, write_tree

TASK = get_task("pointmaze-umaze@horizon=120")
OFFLINE = OfflineOptions(steps=24, log_every=4, eval_every=12, eval_episodes=1, save_every=6)
ONLINE = FinetuneOptions(
    steps=150, log_every=25, eval_every=75, eval_episodes=1, save_every=10, trajectory_every=50,
    buffer_size=70, warmup_steps=20,
)  # fmt: skip
SMALL = {"hidden": (8, 8), "batch_size": 8}
EXTRA = {"smac": {"diffusion_hidden": (8,), "diffusion_steps": 14}, "cal_ql": {"cql_actions": 2}}


class KilledError(BaseException):
    """Stands for kill -9: nothing after it runs, and what was written stays as it is."""


class Fuse:
    """Burns down by one at every update, then kills."""

    def __init__(self, updates: int) -> None:
        self.left = updates

    def attach(self, thing) -> None:
        update = thing.update

        def fused(*args, **kwargs):
            self.left -= 1
            if self.left < 0:
                raise KilledError
            return update(*args, **kwargs)

        thing.update = fused


def make_agent(algorithm: str, seeds=(0, 1)):
    kind = agent_class(algorithm)
    return kind(kind.Config(**SMALL, **EXTRA.get(algorithm, {})), 6, 2, list(seeds))


def run_offline(run: Run, algorithm: str, fuse: Fuse | None = None, **options: int) -> None:
    agent, data = make_agent(algorithm), OfflineData(toy_transitions(100, 6, 2), [0, 1])
    if fuse:
        fuse.attach(agent)
    pretrain(run, TASK, agent, data, dataclasses.replace(OFFLINE, **options))


def run_online(run: Run, start, fuse: Fuse | None = None) -> None:
    agent = make_agent("sac")
    if fuse:
        fuse.attach(agent)
    checkpoints = [load_checkpoint(start / f"seed-{k}" / "offline.safetensors") for k in (0, 1)]
    finetune(run, TASK, agent, checkpoints, ONLINE)


def same_files(a, b) -> None:
    """Metrics and every checkpoint, byte for byte; and a finished run keeps no state."""
    names = sorted(p.relative_to(a).as_posix() for p in a.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(b).as_posix() for p in b.rglob("*") if p.is_file())
    assert "state.safetensors" not in names
    for name in names:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Uninterrupted runs of each kind."""
    root = tmp_path_factory.mktemp("whole")
    for algorithm in EXTRA:
        run_offline(Run(root / algorithm, {}), algorithm)
    run_online(Run(root / "online", {}), root / "cal_ql")
    return root


@pytest.mark.parametrize("algorithm", EXTRA)
@pytest.mark.parametrize("updates", [0, 3, 6, 13, 23])
def test_kill_and_resume_offline(whole, tmp_path, algorithm, updates):
    with pytest.raises(KilledError):
        run_offline(Run(tmp_path / "run", {}), algorithm, Fuse(updates))
    run_offline(Run.reopen(tmp_path / "run"), algorithm)
    same_files(whole / algorithm, tmp_path / "run")


def test_kill_and_resume_while_the_diffusion_model_trains(whole, tmp_path, monkeypatch):
    from smac.diffusion import DiffusionTrainer

    plain, calls = DiffusionTrainer.update, iter(range(100))

    def fused(self, *args, **kwargs):
        if next(calls) == 9:
            raise KilledError
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(DiffusionTrainer, "update", fused)
    with pytest.raises(KilledError):
        run_offline(Run(tmp_path / "run", {}), "smac")
    monkeypatch.setattr(DiffusionTrainer, "update", plain)
    run = Run.reopen(tmp_path / "run")
    assert (run.saved["phase"], run.saved["step"]) == ("diffusion", 6)
    run_offline(run, "smac")
    same_files(whole / "smac", tmp_path / "run")


@pytest.mark.parametrize("phase", ["offline", "online"])
def test_kill_and_resume_at_ten_random_moments(whole, tmp_path, phase):
    """Ring overwritten, episodes under way, warm-up: killed again and again until it is through."""
    rng, killed = random.Random(0), 0
    run = Run(tmp_path / "run", {})
    while True:
        try:
            if phase == "offline":
                run_offline(run, "cal_ql", Fuse(rng.randrange(1, 4)), save_every=2)
            else:
                run_online(run, whole / "cal_ql", Fuse(rng.randrange(6, 18)))
            break
        except KilledError:
            killed += 1
            run = Run.reopen(tmp_path / "run")
    assert killed >= 10
    same_files(whole / ("cal_ql" if phase == "offline" else "online"), tmp_path / "run")


def test_a_run_killed_while_it_ends_has_its_summary_or_goes_on(whole, tmp_path, monkeypatch):
    def killed(run):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Run, "forget_state", killed)
        with pytest.raises(KilledError):
            run_online(Run(tmp_path / "run", {}), whole / "cal_ql")
    assert (tmp_path / "run" / "summary.json").exists()
    assert not finished(tmp_path / "run", {"command": "finetune"})  # so that `smac resume` goes on
    run_online(Run.reopen(tmp_path / "run"), whole / "cal_ql")
    assert finished(tmp_path / "run", {"command": "finetune"})
    same_files(whole / "online", tmp_path / "run")


def test_a_full_disk_leaves_the_last_good_state(whole, tmp_path, monkeypatch):
    import smac.trees

    plain, calls = smac.trees.save_file, iter(range(100))

    def full(tensors, path, metadata):
        plain(tensors, path, metadata)
        if next(calls) == 4:
            path.write_bytes(path.read_bytes()[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(smac.trees, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        run_online(Run(tmp_path / "run", {}), whole / "cal_ql")
    monkeypatch.setattr(smac.trees, "save_file", plain)
    assert not list((tmp_path / "run").rglob("*.tmp*"))
    run_online(Run.reopen(tmp_path / "run"), whole / "cal_ql")
    same_files(whole / "online", tmp_path / "run")


# ---- the parts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sac", "cal_ql", "smac"])
def test_an_agents_state_holds_all_that_changes(algorithm, tmp_path):
    kind = agent_class(algorithm)
    config = kind.Config(**SMALL, **({"diffusion_hidden": (8,)} if algorithm == "smac" else {}))
    first, second = (kind(config, 3, 2, [0, 1]) for _ in range(2))
    for step in range(3):
        first.update(random_batch([0, 1], purpose=f"before {step}"))
    restore(second, read_tree(write_tree(tmp_path / "agent.safetensors", state_of(first))))
    for step in range(3):
        for agent in (first, second):
            agent.update(random_batch([0, 1], purpose=f"after {step}"))
    for name, tensor in first.tensors(1).items():
        assert torch.equal(tensor, second.tensors(1)[name]), name


def test_environments_come_back_in_the_middle_of_an_episode():
    rng = np.random.default_rng(0)
    first, second = OnlineEnvs(TASK, [0, 1]), OnlineEnvs(TASK, [0, 1])
    actions = rng.uniform(-1, 1, (400, 2, 2)).astype(np.float32)
    for a in actions[:350]:
        first.step(a)
    second.restore(first.state())
    np.testing.assert_array_equal(first.observations, second.observations)
    for a in actions[350:]:
        for x, y in zip(first.step(a), second.step(a), strict=True):
            np.testing.assert_array_equal(x, y)
    assert first.take_finished().keys() == second.take_finished().keys()
    first.close()
    second.close()


def test_replay_is_stored_once_and_only_what_the_ring_holds(tmp_path):
    buffer = ReplayBuffer([0], 10, 1, 1, folder=tmp_path)
    for t in range(25):
        x = torch.full((1, 1), float(t))
        buffer.add(x, x, x, torch.zeros(1), torch.tensor([False]))
        if t % 4 == 3:
            state = buffer.state()
    assert sorted(segment_range(p) for p in tmp_path.iterdir()) == [(12, 16), (16, 20), (20, 24)]
    copy = ReplayBuffer([0], 10, 1, 1, folder=tmp_path)
    copy.restore(state)
    assert sorted(copy.observations[0, :, 0].tolist()) == [float(t) for t in range(14, 24)]
    assert copy.steps == 24


def test_trees_come_back(tmp_path):
    tree = {"a": [torch.arange(3), None, {"b": 1.5, 2: "two"}], "empty": {}, "flag": True}
    back = read_tree(write_tree(tmp_path / "tree.safetensors", tree))
    assert torch.equal(back["a"][0], torch.arange(3))
    assert back["a"][1:] == [None, {"b": 1.5, 2: "two"}]
    assert (back["empty"], back["flag"]) == ({}, True)
    (tmp_path / "tree.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="damaged"):
        read_tree(tmp_path / "tree.safetensors")
