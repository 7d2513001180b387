"""Transitions mapped from disk give the same numbers as those in memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from support import toy_transitions

from smac.data import memory_map
from smac.data.memory_map import MappedTransitions, load_transitions, open_mapped, write_mapped
from smac.data.minari_io import iterate_dataset, write_dataset
from smac.data.replay import OfflineData
from smac.data.transitions import Transitions, sparse_episode
from smac.errors import UserError
from smac.tasks import get_task

UMAZE = get_task("pointmaze-umaze")
RULES = {"discount": 0.9, "failure_reward": -1.0}


def episodes(count=7, steps=11):
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        success = np.zeros(steps, dtype=bool)
        success[5] = i % 2
        observations = rng.normal(size=(steps + 1, 6)).astype(np.float32)
        made.append(sparse_episode(observations, rng.uniform(-1, 1, (steps, 2)), success))
    return made


def assert_same(a: Transitions, b: Transitions):
    for name, column in vars(b).items():
        assert getattr(a, name).dtype == column.dtype
        assert torch.equal(getattr(a, name), column), name


@pytest.fixture
def root(tmp_path):
    write_dataset(episodes(), task=UMAZE, dataset_id="my/maze-v0", root=tmp_path, provenance={})
    return tmp_path


def test_mapped_columns_are_those_in_memory_whatever_the_pieces(tmp_path, monkeypatch):
    whole = Transitions.from_episodes(episodes(), **RULES)
    for piece in (1, 20, 10**6):
        monkeypatch.setattr(memory_map, "PIECE", piece)
        folder = write_mapped(iter(episodes()), tmp_path / str(piece), **RULES)
        assert_same(open_mapped(folder), whole)
        assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_batches_from_disk_and_memory_are_the_same(tmp_path):
    whole = Transitions.from_episodes(episodes(), **RULES)
    mapped = open_mapped(write_mapped(episodes(), tmp_path / "m", **RULES))
    a, b = OfflineData(mapped, [0, 1]), OfflineData(whole, [0, 1])
    a.outcomes = b.outcomes = whole.mc_returns
    assert a.transitions is mapped  # not read into memory
    for _ in range(3):
        first, second = a.sample(8), b.sample(8)
        for name in ("observations", "actions", "next_observations", "rewards", "masks", "outcomes"):
            assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_a_batch_is_moved_to_the_device_and_the_data_are_not(tmp_path):
    mapped = open_mapped(write_mapped(episodes(), tmp_path / "m", **RULES))
    data = OfflineData(mapped, [0])
    data.device = torch.device("meta")  # stands for an accelerator that is not there
    assert data.sample(4).observations.device.type == "meta"
    assert data.transitions.observations.device.type == "cpu"


def test_load_maps_above_the_threshold_once(root, monkeypatch):
    plain = load_transitions("my/maze-v0", UMAZE, root, discount=0.9)
    assert type(plain) is Transitions
    mapped = load_transitions("my/maze-v0", UMAZE, root, discount=0.9, map_above=0)
    assert type(mapped) is MappedTransitions
    assert_same(mapped, plain)
    (folder,) = (root / ".transitions").iterdir()

    def refuse(*arguments, **options):
        raise AssertionError("written a second time")

    monkeypatch.setattr(memory_map, "write_mapped", refuse)
    assert_same(load_transitions("my/maze-v0", UMAZE, root, discount=0.9, map_above=0), plain)
    with pytest.raises(AssertionError, match="second time"):  # another discount has other returns
        load_transitions("my/maze-v0", UMAZE, root, discount=0.5, map_above=0)
    assert folder.is_dir()


def test_a_size_between_the_bounds(root):
    """70 - 5 * 3 transitions of 2 x 6 + 2 + 5 floats and two whole numbers."""
    size = sum(map(len, iterate_dataset("my/maze-v0", UMAZE, root))) * (4 * (2 * 6 + 2 + 5) + 16)
    over = load_transitions("my/maze-v0", UMAZE, root, discount=0.9, map_above=size - 1)
    under = load_transitions("my/maze-v0", UMAZE, root, discount=0.9, map_above=size)
    assert (type(over), type(under)) == (MappedTransitions, Transitions)


def test_a_broken_write_leaves_nothing_and_a_cut_file_is_told(tmp_path):
    def failing():
        yield from episodes()
        raise RuntimeError("lost the disk")

    with pytest.raises(RuntimeError):
        write_mapped(failing(), tmp_path / "m", **RULES)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="holds no episode"):
        write_mapped([], tmp_path / "m", **RULES)
    folder = write_mapped(episodes(), tmp_path / "m", **RULES)
    (folder / "rewards.bin").write_bytes(b"123")
    with pytest.raises(UserError, match=r"rewards\.bin: not the \d+ bytes"):
        open_mapped(folder)


def test_changes_stay_in_the_process(tmp_path):
    folder = write_mapped(episodes(), tmp_path / "m", **RULES)
    open_mapped(folder).rewards.fill_(7.0)
    assert open_mapped(folder).rewards.max() == 0.0


def test_in_memory_data_still_move():
    data = OfflineData(toy_transitions(100, 3, 2), [0], "cpu")
    assert data.sample(5).observations.shape == (1, 5, 3)


@pytest.mark.slow
def test_ten_million_transitions_take_little_memory(tmp_path):
    """In a process of its own: the peak is that of the whole process, torch included."""
    out = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    grown = float(out.stdout.split()[-1])
    print(out.stdout)
    assert grown < 500  # MiB; the columns are 10 million x 76 bytes, 725 MiB


PEAK = """
import sys, threading, time
from pathlib import Path
import numpy as np
from smac.data.memory_map import open_mapped, write_mapped
from smac.data.replay import OfflineData
from smac.data.transitions import Episode

def anonymous():
    lines = Path('/proc/self/status').read_text().splitlines()
    return sum(int(l.split()[1]) for l in lines if l.startswith('RssAnon')) / 1024

def episodes(count=10_000, steps=1000):
    rng = np.random.default_rng(0)
    for _ in range(count):
        observations = rng.normal(size=(steps + 1, 4)).astype(np.float32)
        yield Episode(observations, np.zeros((steps, 2), np.float32), np.zeros(steps, np.float32),
                      np.zeros(steps, bool), False, True)

before, peak = anonymous(), 0.0
def watch():
    global peak
    while True:
        peak = max(peak, anonymous())
        time.sleep(0.002)
threading.Thread(target=watch, daemon=True).start()
data = OfflineData(open_mapped(write_mapped(episodes(), Path(sys.argv[1]) / 'm', discount=0.99,
                                            failure_reward=None)), [0])
for _ in range(100):
    data.sample(256)
size = sum(f.stat().st_size for f in (Path(sys.argv[1]) / 'm').iterdir()) / 2**20
print('rows', len(data), 'on disk MiB', round(size), 'grown MiB', max(peak, anonymous()) - before)
"""
