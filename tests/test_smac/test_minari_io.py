import json
import re
import shutil
from pathlib import Path

import gymnasium
import minari
import numpy as np
import pytest
import tyro
from minari.cli import app as minari_command
from minari.data_collector import EpisodeBuffer
from typer.testing import CliRunner

from analysis_cli import data as commands
from smac.collect.collecting import collect
from smac.data import minari_io
from smac.data.minari_io import find_dataset, read_dataset, write_dataset
from smac.data.summary import describe_dataset, list_datasets
from smac.data.transitions import Episode, sparse_episode
from smac.envs import make_env
from smac.errors import UserError
from smac.tasks import get_task

UMAZE, MEDIUM, DOOR = (get_task(n) for n in ("pointmaze-umaze", "pointmaze-medium", "door-binary"))
ARRAYS = ("observations", "actions", "rewards", "success")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of datasets that Minari looks into as well."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    return tmp_path / "datasets"


@pytest.fixture(scope="module")
def episodes():
    return collect(UMAZE, episodes=4, noise=0.3, wander=0.5, seed=1, workers=1) + collect(
        UMAZE, episodes=4, noise=0.3, wander=0.0, seed=1, workers=1
    )


def write(episodes, root, dataset_id="test/maze-v0", task=UMAZE):
    return write_dataset(
        episodes, task=task, dataset_id=dataset_id, root=root, provenance={"collector": "waypoint", "seed": 1}
    )


def assert_equal(first: Episode, second: Episode):
    for name in ARRAYS:
        a, b = getattr(first, name), getattr(second, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b)
    assert (first.terminated, first.truncated) == (second.terminated, second.truncated)


def test_round_trip_bit_for_bit(root, episodes):
    folder = write(episodes, root)
    assert folder == root / "test" / "maze-v0"
    for ref in ("test/maze-v0", folder, str(folder)):
        for a, b in zip(read_dataset(ref, UMAZE), episodes, strict=True):
            assert_equal(a, b)


def test_minari_itself_reads_it(root, episodes):
    write(episodes, root)
    assert list(minari.list_local_datasets()) == ["test/maze-v0"]
    dataset = minari.load_dataset("test/maze-v0")
    assert dataset.total_steps == sum(map(len, episodes))
    for raw, episode in zip(dataset, episodes, strict=True):
        np.testing.assert_array_equal(raw.observations, episode.observations)
        np.testing.assert_array_equal(raw.actions, episode.actions)
        np.testing.assert_array_equal(raw.rewards, episode.rewards)
        np.testing.assert_array_equal(raw.infos["success"], [False, *episode.success])
        assert raw.terminations.tolist() == [False] * (len(episode) - 1) + [episode.terminated]
        assert raw.truncations.tolist() == [False] * (len(episode) - 1) + [episode.truncated]
    assert {raw.truncations[-1] for raw in dataset} == {True, False}
    score = minari.get_normalized_score(dataset, np.array([UMAZE.expert_return]))
    np.testing.assert_allclose(score, [1.0])


def test_recovered_environment_is_the_task(root, episodes):
    write(episodes, root)
    recovered = minari.load_dataset("test/maze-v0").recover_environment()
    env = make_env(UMAZE)
    np.testing.assert_array_equal(recovered.reset(seed=5)[0], env.reset(seed=5)[0])
    assert recovered.spec.max_episode_steps == UMAZE.horizon
    assert recovered.step(np.zeros(2, dtype=np.float32))[1] == -1.0


def test_minaris_command_line_reads_it(root, episodes, monkeypatch):
    write(episodes, root)
    monkeypatch.setenv("COLUMNS", "200")
    listed, shown = (
        CliRunner().invoke(minari_command, line.split(), catch_exceptions=False).stdout
        for line in ("list local", "show test/maze-v0")
    )
    assert "maze-v0" in listed
    assert "PointMaze_UMaze-v3" in shown
    assert re.search(rf"Total Episodes\W+{len(episodes)}\b", shown)
    assert re.search(rf"Total Steps\W+{sum(map(len, episodes))}\b", shown)


def test_metadata(root, episodes):
    folder = write(episodes, root)
    metadata = json.loads((folder / "data" / "metadata.json").read_text())
    assert metadata["task"] == "pointmaze-umaze"
    assert metadata["reward_convention"] == UMAZE.reward_convention
    assert metadata["algorithm_name"] == "waypoint"
    assert metadata["provenance"]["seed"] == 1
    assert metadata["provenance"]["versions"]["minari"] == minari.__version__
    assert "author" not in metadata


def test_nothing_is_overwritten(root, episodes):
    folder = write(episodes[:1], root)
    before = (folder / "data" / "main_data.hdf5").read_bytes()
    with pytest.raises(UserError, match="test/maze-v0 exists already"):
        write(episodes, root)
    assert (folder / "data" / "main_data.hdf5").read_bytes() == before


def test_a_failed_write_leaves_nothing(root, episodes, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(minari_io, "_buffer", fail)
    with pytest.raises(UserError, match=r"could not be written .* disk full"):
        write(episodes, root)
    monkeypatch.setattr(minari_io, "_buffer", lambda episode: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(episodes, root)
    assert [path for path in root.rglob("*") if path.is_file() or path.name.startswith(".")] == []


@pytest.mark.parametrize("dataset_id", ["maze", "maze v0", "../maze-v0", "/maze-v0", ""])
def test_malformed_ids(root, episodes, dataset_id):
    with pytest.raises(UserError, match="malformed"):
        write(episodes, root, dataset_id)


def test_missing_datasets_tell_the_remedy(root):
    with pytest.raises(UserError, match="smac data collect --task pointmaze-umaze"):
        read_dataset("smac/pointmaze-umaze-v0", UMAZE)
    with pytest.raises(UserError, match=r"smac data import --source door_human\.npz"):
        read_dataset("smac/door-human-v0", DOOR)
    with pytest.raises(UserError, match=r"minari download D4RL/door/human-v2.*out of reach"):
        read_dataset("D4RL/door/human-v2", DOOR)
    assert not root.exists()


def test_another_tasks_dataset_is_refused(root, episodes):
    write(episodes, root)
    with pytest.raises(UserError, match="belongs to task pointmaze-umaze, not pointmaze-medium"):
        read_dataset("test/maze-v0", MEDIUM)


def test_fields_that_do_not_fit(root, episodes):
    good = vars(episodes[0])
    cases = {
        "actions reach 3": {"actions": good["actions"] * 0 + 3},
        "actions has shape": {"actions": np.zeros((len(episodes[0]), 3), np.float32)},
        "observations has shape": {"observations": good["observations"][:, :5]},
        r"observations\[0, 0\] is nan": {"observations": good["observations"] * np.nan},
        "rewards has shape": {"rewards": good["rewards"][:-1]},
    }
    for i, (message, change) in enumerate(cases.items()):
        write([Episode(**{**good, **change})], root, f"bad-v{i}")
        with pytest.raises(UserError, match=f"episode 0: {message}"):
            read_dataset(f"bad-v{i}", UMAZE)


def test_damaged_files(root, episodes):
    folder = write(episodes, root)
    (folder / "data" / "main_data.hdf5").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="damaged"):
        read_dataset(folder, UMAZE)
    (folder / "data" / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match=r"metadata\.json: not the metadata"):
        read_dataset(folder, UMAZE)


def native_maze(dataset_id, infos):
    """A dataset as D4RL/pointmaze records it: dict observations, reward 1 in the goal, on it goes."""
    env = gymnasium.make("PointMaze_UMaze-v3", continuing_task=True, max_episode_steps=1000)
    position = np.array([[1.0, 0], [0.8, 0], [0.2, 0], [0.1, 0], [0.9, 0], [0.3, 0]])
    goal = np.zeros((6, 2))
    goal[4:] = 5.0  # moved on after the success
    success = np.linalg.norm(position - goal, axis=1) <= 0.45
    observations = {
        "observation": np.concatenate([position, np.full((6, 2), 7.0)], axis=1),
        "achieved_goal": position,
        "desired_goal": goal,
    }
    buffer = EpisodeBuffer(
        observations=observations,
        actions=np.linspace(-1, 1, 10, dtype=np.float32).reshape(5, 2),
        rewards=success[1:].astype(np.float64),
        terminations=np.zeros(5, dtype=bool),
        truncations=np.array([False] * 4 + [True]),
        infos={"success": success} if infos else None,
    )
    minari.create_dataset_from_buffers(dataset_id, [buffer], env=env)
    env.close()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("infos", [True, False])
def test_native_maze_dataset_is_converted(root, infos):
    native_maze("D4RL/pointmaze/umaze-v2", infos)
    (episode,) = read_dataset("D4RL/pointmaze/umaze-v2", UMAZE)
    assert len(episode) == 2
    np.testing.assert_allclose(episode.observations[:, 0], [1.0, 0.8, 0.2])
    np.testing.assert_array_equal(episode.observations[:, 2:], [[7, 7, 0, 0]] * 3)
    assert episode.observations.dtype == np.float32
    assert episode.rewards.tolist() == [-1.0, 0.0]
    assert (episode.terminated, episode.truncated) == (True, False)
    with pytest.raises(UserError, match="belongs to task pointmaze-umaze, not pointmaze-medium"):
        read_dataset("D4RL/pointmaze/umaze-v2", MEDIUM)
    assert describe_dataset("D4RL/pointmaze/umaze-v2").transitions == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_termination_inside_a_minari_episode_ends_it(root, caplog):
    env = gymnasium.make("InvertedPendulum-v4")
    buffer = EpisodeBuffer(
        observations=np.repeat(np.arange(6.0)[:, None], 4, axis=1),
        actions=np.zeros((5, 1), np.float32),
        rewards=np.arange(5.0),
        terminations=np.array([False, True, False, False, False]),
        truncations=np.array([False] * 4 + [True]),
    )
    minari.create_dataset_from_buffers("other/pendulum-v0", [buffer], env=env)
    first, second = read_dataset("other/pendulum-v0", get_task("InvertedPendulum-v4"))
    assert (first.rewards.tolist(), second.rewards.tolist()) == ([0, 1], [2, 3, 4])
    assert first.observations[:, 0].tolist() == [0, 1, 2]
    assert second.observations[:, 0].tolist() == [2, 3, 4, 5]
    assert [(e.terminated, e.truncated) for e in (first, second)] == [(True, False), (False, True)]
    assert "cut at 1 flags before its last step" in caplog.text


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_native_door_dataset_is_converted(root):
    env = gymnasium.make("AdroitHandDoor-v1")
    observations = np.zeros((5, 39))
    observations[2:, 28] = 1.4
    buffer = EpisodeBuffer(
        observations=observations,
        actions=np.zeros((4, 28), dtype=np.float32),
        rewards=np.array([0.5, 20.0, 20.0, 20.0]),
        terminations=np.zeros(4, dtype=bool),
        truncations=np.array([False, False, False, True]),
    )
    minari.create_dataset_from_buffers("D4RL/door/human-v2", [buffer], env=env)
    (episode,) = read_dataset("D4RL/door/human-v2", DOOR)
    assert episode.rewards.tolist() == [-1.0, 0.0]
    assert episode.terminated


def test_list_and_describe(root, episodes):
    write(episodes, root)
    (root / ".partial-1" / "data").mkdir(parents=True)
    shutil.copy(root / "test" / "maze-v0" / "data" / "metadata.json", root / ".partial-1" / "data")
    (entry,) = list_datasets()
    assert (entry.dataset_id, entry.task, entry.episodes) == ("test/maze-v0", "pointmaze-umaze", 8)
    summary = describe_dataset("test/maze-v0")
    assert summary.transitions == entry.transitions == sum(map(len, episodes))
    assert summary.success_rate == np.mean([e.success.any() for e in episodes])
    assert summary.return_min == min(e.rewards.sum() for e in episodes)
    assert summary.length_max == 300
    actions = np.concatenate([e.actions for e in episodes])
    np.testing.assert_allclose(summary.action_std, actions.std(axis=0), rtol=1e-4)
    assert summary.action_at_bound == np.mean(np.abs(actions) == 1)
    assert summary.provenance["seed"] == 1


def run(command, *arguments):
    tyro.cli(command, args=list(arguments)).run()


def test_commands(root, capsys):
    run(commands.Collect, "--task", "pointmaze-umaze", "--episodes", "3", "--dataset", "my/maze-v0")
    run(commands.List)
    run(commands.Info, "my/maze-v0")
    out = capsys.readouterr().out
    assert f"wrote my/maze-v0 to {root / 'my' / 'maze-v0'}" in out
    assert len(read_dataset("my/maze-v0", UMAZE)) == 3
    with pytest.raises(UserError, match="exists already"):
        run(commands.Collect, "--task", "pointmaze-umaze", "--dataset", "my/maze-v0")
    with pytest.raises(UserError, match="unknown task"):
        run(commands.Collect, "--task", "umaze")


def test_import_command(tmp_path, capsys):
    observations = np.zeros((6, 39), dtype=np.float32)
    observations[3:, 28] = 1.4
    source = tmp_path / "door_human.npz"
    np.savez(
        source,
        observations=observations,
        actions=np.zeros((6, 28), dtype=np.float32),
        rewards=np.zeros(6, dtype=np.float32),
        episode_lengths=np.array([6]),
    )
    run(commands.Import, "--source", str(source), "--out", str(tmp_path / "out"))
    (episode,) = read_dataset(DOOR.dataset, DOOR, root=tmp_path / "out")
    assert_equal(episode, sparse_episode(observations[:4], np.zeros((3, 28)), np.array([0, 0, 1], bool)))
    assert find_dataset(DOOR.dataset, tmp_path / "out") == tmp_path / "out" / "smac" / "door-human-v0"
    with pytest.raises(UserError, match=r"observations has shape \(6, 39\), the task needs \(6, 6\)"):
        run(commands.Import, "--source", str(source), "--task", "pointmaze-umaze")


def test_a_relative_root(episodes, tmp_path, monkeypatch):
    """Minari joins a relative data path to itself; ours is made absolute first."""
    monkeypatch.chdir(tmp_path)
    write_dataset(episodes, task=UMAZE, dataset_id="here/maze-v0", root=Path("data"), provenance={})
    assert len(read_dataset("here/maze-v0", UMAZE, Path("data"))) == len(episodes)
    assert len(read_dataset("data/here/maze-v0", UMAZE)) == len(episodes)
