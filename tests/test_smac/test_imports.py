"""Demonstrations made datasets, datasets mixed, and the traps of the shared files."""

import os
import re
from pathlib import Path

import gymnasium
import h5py
import minari
import numpy as np
import pytest
import tyro
from minari.data_collector import EpisodeBuffer

from analysis_cli import data as commands
from smac.data.imports import checksum, import_dataset, mix
from smac.data.minari_io import read_dataset, read_metadata, write_dataset
from smac.data.summary import describe_dataset
from smac.data.transitions import sparse_episode
from smac.envs import make_env
from smac.errors import UserError
from smac.tasks import get_task

UMAZE, DOOR, RELOCATE = (get_task(n) for n in ("pointmaze-umaze", "door-binary", "relocate-binary"))
shared = pytest.mark.skipif("SMAC_SHARED_DATA" not in os.environ, reason="SMAC_SHARED_DATA names no folder")


def shared_file(*parts):
    return Path(os.environ.get("SMAC_SHARED_DATA", "")).joinpath(*parts)


def door_file(path):
    """Two recordings of 4 and 3 steps; the first opens the door at its third observation."""
    observations = np.zeros((7, 39), dtype=np.float32)
    observations[:, 0] = np.arange(7)
    observations[[2, 3], 28] = 1.4
    actions = np.zeros((7, 28), dtype=np.float32)
    actions[0], actions[1] = 1.37, -1.28
    np.savez(
        path,
        observations=observations,
        actions=actions,
        rewards=np.ones(7, dtype=np.float32),
        terminations=np.zeros(7, dtype=bool),
        truncations=np.array([0, 0, 0, 1, 0, 0, 1], dtype=bool),
        episode_lengths=np.array([4, 3], dtype=np.int32),
        init_qpos=np.zeros((2, 30)),
    )
    return path


def test_door_demonstrations_clipped_actions_missing_last_observation_success_from_hinge(tmp_path):
    (solved, failed), provenance = import_dataset(door_file(tmp_path / "door_human.npz"), DOOR)
    assert solved.observations[:, 0].tolist() == [0, 1, 2]
    assert solved.rewards.tolist() == [-1.0, 0.0]
    assert (solved.terminated, solved.truncated) == (True, False)
    assert solved.actions[:, 0].tolist() == [1.0, -1.0]
    assert failed.observations[:, 0].tolist() == [4, 5, 6]  # the last action has no observation after it
    assert failed.rewards.tolist() == [-1.0, -1.0]
    assert (failed.terminated, failed.truncated) == (False, True)
    assert provenance["actions_clipped"] == 2 / 5  # of the five steps that have an observation after them
    assert (provenance["source"], provenance["recorded_steps"]) == ("door_human.npz", 5)
    assert provenance["sha256"] == checksum(tmp_path / "door_human.npz")


def test_unclipped_actions_are_refused_where_nothing_is_imported(tmp_path):
    path = door_file(tmp_path / "door_human.npz")
    with pytest.raises(UserError, match=r"actions reach 1\.37.*`smac data import` clips"):
        read_dataset(path, DOOR)
    assert len(read_dataset(path, DOOR, clip_actions=True)) == 2


def maze_episodes(count, seed, success_every=2):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        success = np.zeros(6, dtype=bool)
        success[4] = i % success_every == 0
        observations = rng.normal(size=(7, 6)).astype(np.float32)
        made.append(sparse_episode(observations, rng.uniform(-1, 1, (6, 2)), success))
    return made


@pytest.fixture
def parts(tmp_path):
    """A human's three episodes, two of which succeed, and a clone's four, two of which do."""
    for name, episodes in (("human", maze_episodes(3, 0)), ("clone", maze_episodes(4, 1))):
        provenance = {"collector": name, "seed": 7}
        write_dataset(episodes, task=UMAZE, dataset_id=f"my/{name}-v0", root=tmp_path, provenance=provenance)
    return tmp_path


def test_a_mixture_is_its_parts_one_after_the_other_with_their_provenance(parts):
    episodes, provenance = mix(["my/human-v0", "my/clone-v0"], UMAZE, parts)
    expected = maze_episodes(3, 0) + maze_episodes(4, 1)
    for mixed, original in zip(episodes, expected, strict=True):
        np.testing.assert_array_equal(mixed.observations, original.observations)
        assert mixed.terminated == original.terminated
    human, clone = provenance["parts"]
    assert (human["dataset_id"], human["episodes"]) == ("my/human-v0", 3)
    assert human["transitions"] == sum(map(len, expected[:3])) == 5 + 6 + 5
    assert clone["provenance"]["collector"] == "clone"
    assert clone["sha256"] == checksum(parts / "my" / "clone-v0")


def test_only_successes(parts):
    episodes, provenance = mix(["my/human-v0", "my/clone-v0"], UMAZE, parts, only_successes=True)
    assert [part["episodes"] for part in provenance["parts"]] == [2, 2]
    assert all(e.rewards[-1] == 0 and e.terminated for e in episodes)
    never = [e for e in maze_episodes(4, 2) if not e.success.any()]
    write_dataset(never, task=UMAZE, dataset_id="my/never-v0", root=parts, provenance={})
    with pytest.raises(UserError, match="my/never-v0 has no episode that succeeds"):
        mix(["my/human-v0", "my/never-v0"], UMAZE, parts, only_successes=True)
    with pytest.raises(UserError, match="at least two"):
        mix(["my/human-v0"], UMAZE, parts)


def run(command, *arguments):
    tyro.cli(command, args=[str(a) for a in arguments]).run()


def test_mix_command_writes_a_dataset_with_its_parts(parts, capsys):
    line = ("--parts", "my/human-v0", "my/clone-v0", "--task", "pointmaze-umaze", "--out", parts)
    run(commands.Mix, *line, "--dataset", "my/both-v0")
    assert "wrote my/both-v0" in capsys.readouterr().out
    metadata = read_metadata(parts / "my" / "both-v0")
    assert metadata["total_episodes"] == 7
    assert [p["dataset_id"] for p in metadata["provenance"]["parts"]] == ["my/human-v0", "my/clone-v0"]
    with pytest.raises(UserError, match="exists already"):
        run(commands.Mix, *line, "--dataset", "my/both-v0")
    with pytest.raises(UserError, match="would pass for one of others"):
        run(commands.Mix, *line, "--dataset", "D4RL/pointmaze/umaze-v2")


def test_ours_is_not_imported_again(parts):
    with pytest.raises(UserError, match="is a dataset of ours already"):
        import_dataset("my/human-v0", UMAZE, parts)


def test_a_file_is_described_for_a_task(tmp_path):
    observations = np.zeros((6, 6), dtype=np.float32)
    observations[:, 4] = 9.0
    path = tmp_path / "maze.npz"
    columns = {
        "actions": np.ones((6, 2)),
        "rewards": np.zeros(6),
        "truncations": np.array([0, 0, 1, 0, 0, 1]),
    }
    np.savez(path, observations=observations, **columns)
    summary = describe_dataset(path, task="pointmaze-umaze")
    assert (summary.episodes, summary.transitions, summary.success_rate) == (2, 4, 0.0)
    assert summary.action_at_bound == 1.0
    with pytest.raises(UserError, match=r"maze\.npz does not say which task it is for"):
        describe_dataset(path)


def test_checksum(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert checksum(path).startswith("ba7816bf")
    assert checksum(tmp_path) == checksum(path)  # a folder is its files


@shared
def test_the_real_door_file():
    episodes, provenance = import_dataset(shared_file("hand_dapg", "door_human.npz"), DOOR)
    assert len(episodes) == 25
    assert sum(episode.terminated for episode in episodes) == 7  # most stop short of the success angle
    assert sum(len(episode) for episode in episodes) == 6273
    assert max(np.abs(episode.actions).max() for episode in episodes) == 1.0
    assert provenance["recorded_steps"] == 6729 - 25
    assert provenance["actions_clipped"] == pytest.approx(0.056, abs=0.001)


@shared
def test_the_real_relocate_file():
    episodes, provenance = import_dataset(shared_file("d4rl_cnmp", "relocate_human.npz"), RELOCATE)
    assert len(episodes) == 24
    assert all(episode.terminated for episode in episodes)  # all of them succeed
    assert provenance["recorded_steps"] == 9315  # next observations are there, so nothing is dropped
    assert provenance["actions_clipped"] == 0.0
    for episode in episodes:
        assert RELOCATE.solved(episode.observations[1:]).tolist() == episode.success.tolist()


# ---- units of actions ----------------------------------------------------------------------------------

PENDULUM = get_task("Pendulum-v1")  # its box is [-2, 2]


def pendulum_columns():
    actions = np.random.default_rng(0).uniform(-2, 2, (200, 1)).astype(np.float32)
    actions[:2, 0] = -2, 2
    stops = np.arange(200) == 199
    columns = {"observations": np.zeros((200, 3), np.float32), "actions": actions, "rewards": np.zeros(200)}
    return columns | {
        "next_observations": columns["observations"],
        "terminals": stops & False,
        "timeouts": stops,
    }


def pendulum_file(path, **changes):
    fields = pendulum_columns() | changes
    if path.suffix == ".npz":
        np.savez(path, **fields)
        return path
    with h5py.File(path, "w") as file:
        for name, column in fields.items():
            file[name] = column
    return path


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("form", ["hdf5", "minari", "npz"])
def test_actions_in_units_of_the_environment_are_scaled_not_clipped(tmp_path, monkeypatch, form):
    """Once nearly half of the entries of such a set were clipped, at exit status 0."""
    made, units = pendulum_columns(), None
    if form == "minari":
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
        fields = {name: made[name] for name in ("actions", "rewards")}
        ends = {"terminations": made["terminals"], "truncations": made["timeouts"]}
        buffer = EpisodeBuffer(observations=np.zeros((201, 3), np.float32), **fields, **ends)
        minari.create_dataset_from_buffers("other/pendulum-v0", [buffer], env=gymnasium.make("Pendulum-v1"))
        source = "other/pendulum-v0"
    else:
        source = pendulum_file(tmp_path / f"pendulum.{form}")
        units = "env" if form == "npz" else None  # the layout does not say
    (episode,), provenance = import_dataset(source, PENDULUM, units=units)
    np.testing.assert_array_equal(episode.actions, made["actions"] / 2)
    assert np.abs(episode.actions).max() == 1.0
    assert provenance["actions_clipped"] == 0.0


def test_units_that_nothing_says_and_entries_far_outside_are_refused(tmp_path):
    path = pendulum_file(tmp_path / "pendulum.npz")
    with pytest.raises(UserError, match=r"whether its actions are .* \[-2, 2\], or in \[-1, 1\]: state"):
        import_dataset(path, PENDULUM)
    with pytest.raises(UserError, match=r"5\d% of its actions lie beyond \[-1, 1\], which is no overshoot"):
        import_dataset(path, PENDULUM, units="unit")
    said = pendulum_file(tmp_path / "said.npz", action_units="env")
    assert np.abs(read_dataset(said, PENDULUM)[0].actions).max() == 1.0
    with pytest.raises(UserError, match="action_units must be env or unit, not 'm'"):
        read_dataset(pendulum_file(tmp_path / "metres.npz", action_units="m"), PENDULUM)


def test_import_command_takes_units(tmp_path, capsys):
    path = pendulum_file(tmp_path / "pendulum.npz")
    line = ("--source", path, "--task", "Pendulum-v1", "--dataset", "my/pendulum-v0", "--out", tmp_path)
    run(commands.Import, *line, "--action-units", "env")
    assert read_metadata(tmp_path / "my" / "pendulum-v0")["provenance"]["action_units"] == "env"
    assert np.abs(read_dataset("my/pendulum-v0", PENDULUM, tmp_path)[0].actions).max() == 1.0


@pytest.mark.filterwarnings("error:.*env_spec is not serializable")
def test_a_dataset_for_another_box_recovers_its_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    episodes, provenance = import_dataset(pendulum_file(tmp_path / "pendulum.hdf5"), PENDULUM)
    write_dataset(episodes, task=PENDULUM, dataset_id="my/pendulum-v0", root=None, provenance=provenance)
    recovered, ours = minari.load_dataset("my/pendulum-v0").recover_environment(), make_env(PENDULUM)
    assert recovered.action_space == ours.action_space
    for env in (recovered, ours):
        env.reset(seed=3)
    for action in np.linspace(-1, 1, 5, dtype=np.float32):
        theirs, mine = (env.step(np.array([action])) for env in (recovered, ours))
        np.testing.assert_array_equal(theirs[0], mine[0])
        assert theirs[1] == mine[1]
    assert recovered.spec.to_json() == ours.spec.to_json()


# ---- replayed ------------------------------------------------------------------------------------------


def played_columns(env_id, steps=60):
    """What a D4RL-like recorder writes down of random actions in an environment's own units."""
    env = gymnasium.make(env_id, max_episode_steps=steps)
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    rows = []
    for _ in range(steps):
        action = env.action_space.sample()
        after, reward, ended, *_ = env.step(action)
        rows.append((observation, action, after, reward, ended))
        observation = env.reset()[0] if ended else after
    names = ("observations", "actions", "next_observations", "rewards", "terminals")
    columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    return columns | {"timeouts": np.arange(steps) == steps - 1}


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "Hopper-v5", "HalfCheetah-v4", "Ant-v5"])
def test_an_import_is_replayed_and_refused_if_it_does_not_repeat_itself(tmp_path, env_id):
    task, columns = get_task(env_id), played_columns(env_id)
    _, provenance = import_dataset(pendulum_file(tmp_path / "a.hdf5", **columns), task)
    steps, error = re.fullmatch(
        r"(\d+) steps replayed, median error (\S+) of a step", provenance["replay"]
    ).groups()
    assert int(steps) > 30
    assert float(error) < 1e-5
    other = pendulum_file(tmp_path / "b.hdf5", **columns | {"actions": columns["actions"] / 2})
    with pytest.raises(UserError, match=r"b.hdf5: does not repeat itself in .*wrong units of actions"):
        import_dataset(other, task)
    assert import_dataset(other, task, replayed=False)[1]["replay"] == "not replayed: as was asked for"


def test_where_no_state_can_be_set_the_reason_is_said(tmp_path):
    _, provenance = import_dataset(door_file(tmp_path / "door_human.npz"), DOOR)
    assert provenance["replay"].startswith(
        "not replayed: observations of AdroitHandDoorSparse-v1 do not tell"
    )
    _, provenance = import_dataset(pendulum_file(tmp_path / "p.hdf5"), PENDULUM)  # in which nothing moves
    assert provenance["replay"] == "not replayed: only 0 of its steps begin in a state that can be set"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_dict_observation_is_flattened_as_in_training(tmp_path, monkeypatch):
    """All entries, in the order of the environment's space, for a task that names none."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    task = get_task("PointMaze_UMaze-v3@horizon=20")
    env, flat = gymnasium.make(task.env_id, max_episode_steps=20), make_env(task)
    env.action_space.seed(0)
    seen, expected = [env.reset(seed=3)[0]], [flat.reset(seed=3)[0]]
    actions = [env.action_space.sample() for _ in range(20)]
    for action in actions:
        seen.append(env.step(action)[0])
        expected.append(flat.step(action)[0])
    buffer = EpisodeBuffer(
        observations={name: np.stack([one[name] for one in seen]) for name in seen[0]},
        actions=np.stack(actions),
        rewards=np.zeros(20),
        terminations=np.zeros(20, bool),
        truncations=np.arange(20) == 19,
    )
    minari.create_dataset_from_buffers("other/maze-v0", [buffer], env=env)
    (episode,), provenance = import_dataset("other/maze-v0", task)
    np.testing.assert_array_equal(episode.observations, np.stack(expected))
    assert provenance["replay"].startswith("not replayed: observations of PointMaze_UMaze-v3 do not tell")
