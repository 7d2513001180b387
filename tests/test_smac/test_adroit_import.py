import os
from pathlib import Path

import numpy as np
import pytest

from smac.data.adroit import checksum, import_door_human
from smac.errors import UserError


def arrays():
    """Two recordings of 4 and 3 steps; the first opens the door at its third observation."""
    observations = np.zeros((7, 39), dtype=np.float32)
    observations[:, 0] = np.arange(7)
    observations[[2, 3], 28] = 1.4
    actions = np.zeros((7, 28), dtype=np.float32)
    actions[0], actions[1] = 1.37, -1.28
    return {
        "observations": observations,
        "actions": actions,
        "episode_lengths": np.array([4, 3], dtype=np.int32),
    }


def save(tmp_path, **changes):
    path = tmp_path / "door_human.npz"
    np.savez(path, **{k: v for k, v in {**arrays(), **changes}.items() if v is not None})
    return path


def test_import(tmp_path):
    solved, failed = import_door_human(save(tmp_path))
    assert solved.observations[:, 0].tolist() == [0, 1, 2]
    assert solved.rewards.tolist() == [-1.0, 0.0]
    assert (solved.terminated, solved.truncated) == (True, False)
    assert solved.actions[:, 0].tolist() == [1.0, -1.0]
    assert failed.observations[:, 0].tolist() == [4, 5, 6]  # the last action has no observation after it
    assert failed.rewards.tolist() == [-1.0, -1.0]
    assert (failed.terminated, failed.truncated) == (False, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": None}, "the array actions is missing"),
        ({"actions": np.zeros((7, 27), np.float32)}, r"actions has shape \(7, 27\), expected \(steps, 28\)"),
        ({"actions": np.zeros((6, 28), np.float32)}, "actions has 6 rows, observations 7"),
        ({"observations": np.zeros((7, 39), dtype=int)}, "observations must hold finite floating-point"),
        ({"observations": np.full((7, 39), np.nan)}, "observations must hold finite floating-point"),
        ({"episode_lengths": np.array([4, 4])}, "episode_lengths sum to 8, observations 7"),
        ({"episode_lengths": np.array([6, 1])}, "episode_lengths must be whole numbers of at least 2"),
        ({"episode_lengths": np.array([4.0, 3.0])}, "episode_lengths must be whole numbers"),
        ({"actions": np.array([None] * 7, dtype=object)}, "not a readable .npz"),
    ],
)
def test_wrong_files_name_the_field(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        import_door_human(save(tmp_path, **changes))


def test_unreadable_files(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        import_door_human(tmp_path / "absent.npz")
    whole = save(tmp_path).read_bytes()
    for name, content in (("cut.npz", whole[:200]), ("text.npz", b"hello"), ("empty.npz", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"not a readable \.npz"):
            import_door_human(path)
    array = tmp_path / "array.npz"
    with array.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match=r"not a readable \.npz"):
        import_door_human(array)


def test_checksum(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert checksum(path).startswith("ba7816bf")


@pytest.mark.skipif("SMAC_SHARED_DATA" not in os.environ, reason="SMAC_SHARED_DATA names no data folder")
def test_the_real_file():
    episodes = import_door_human(Path(os.environ["SMAC_SHARED_DATA"]) / "hand_dapg" / "door_human.npz")
    assert len(episodes) == 25
    assert sum(episode.terminated for episode in episodes) == 7
    assert sum(len(episode) for episode in episodes) == 6273
    assert max(np.abs(episode.actions).max() for episode in episodes) == 1.0
