"""Files of others (D4RL's HDF5 layout, npz) as they are read, cut and put into a task's convention."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from smac.data.minari_io import read_dataset
from smac.data.recordings import Recording, check, clipped, converted
from smac.envs import EnvDims, env_spec, make_env
from smac.errors import UserError
from smac.tasks import get_task
from smac.tasks.adroit import reach
from smac.tasks.kitchen import THRESHOLD

HOPPER, DOOR, UMAZE = (get_task(n) for n in ("hopper", "door-binary", "pointmaze-umaze"))


def columns(count=10, obs=11, act=3, **changes):
    """Rows that can be told apart: observation and reward of row i are i; timeouts and terminals named."""
    made = {
        "observations": np.repeat(np.arange(count, dtype=np.float32)[:, None], obs, axis=1),
        "actions": np.full((count, act), 0.5, np.float32),
        "rewards": np.arange(count, dtype=np.float32),
        "terminals": np.zeros(count, dtype=bool),
        "timeouts": np.zeros(count, dtype=bool),
    }
    return {name: column for name, column in (made | changes).items() if column is not None}


def at(*rows, count=10):
    return np.isin(np.arange(count), rows)


def write_hdf5(path, fields):
    with h5py.File(path, "w") as file:
        for name, column in fields.items():
            file.create_dataset(name, data=column, compression="gzip")  # as D4RL's are
        file["infos/qpos"] = np.zeros((10, 5))
    return path


def write_npz(path, fields):
    np.savez(path, **fields)
    return path


@pytest.fixture(params=[".hdf5", ".npz"])
def save(request, tmp_path):
    """Writes columns in either format."""
    write = write_hdf5 if request.param == ".hdf5" else write_npz
    return lambda **changes: write(tmp_path / f"data{request.param}", columns(**changes))


def rows(episodes):
    return [episode.rewards.tolist() for episode in episodes]


def test_the_last_step_of_a_timed_out_episode_is_dropped(save):
    first, second, third = read_dataset(save(terminals=at(6), timeouts=at(3)), HOPPER)
    assert rows([first, second, third]) == [[0, 1, 2], [4, 5, 6], [7, 8]]
    assert first.observations[:, 0].tolist() == [0, 1, 2, 3]
    assert (first.terminated, first.truncated) == (False, True)
    # a terminating step counts although nothing was recorded after it: its next state has no value
    assert second.observations[:, 0].tolist() == [4, 5, 6, 6]
    assert (second.terminated, second.truncated) == (True, False)
    assert third.truncated  # the file ended
    assert first.observations.dtype == first.rewards.dtype == np.float32


def test_next_observations_leave_nothing_to_drop_and_show_gaps(save):
    following = columns()["observations"] + 1
    following[4] += 0.5  # an unmarked end
    episodes = read_dataset(save(next_observations=following, terminals=at(7)), HOPPER)
    assert rows(episodes) == [[0, 1, 2, 3, 4], [5, 6, 7], [8, 9]]
    assert [e.observations[-1, 0] for e in episodes] == [5.5, 8.0, 10.0]
    assert [e.terminated for e in episodes] == [False, True, False]


def test_resets_that_nothing_marks_are_cut_at_the_time_limit_as_d4rl_does_and_said(save, caplog):
    """Cars that fail never terminate: without timeouts all their episodes passed as one."""
    car = get_task("MountainCarContinuous-v0@horizon=7")  # the data are of its registered 999 steps
    made = columns(count=2100, obs=2, act=1, terminals=at(1018, count=2100))
    lengths = [len(e) for e in read_dataset(save(**made | {"timeouts": None}), car)]
    assert lengths == [998, 20, 998, 81]  # a step whose outcome is not recorded is dropped
    assert "nothing says where episodes were stopped" in caplog.text
    assert "cut after 999 steps, the environment's limit, as D4RL does, at 2 places" in caplog.text


@pytest.mark.parametrize("types", [("f4", "f8"), ("f8", "f4"), ("f4", "f4")])
def test_rounding_of_one_column_ends_no_episode(save, types):
    exact = 1000.0 + np.repeat(np.arange(11)[:, None] / 7, 11, axis=1)
    observations, following = exact[:-1].astype(types[0]), exact[1:].astype(types[1])
    following[4, 3] += 0.01  # which is no rounding
    path = save(observations=observations, next_observations=following)
    assert [len(e) for e in read_dataset(path, HOPPER)] == [5, 5]


def test_d4rl_without_timeouts_is_cut_at_terminals(save):
    assert rows(read_dataset(save(timeouts=None, terminals=at(4)), HOPPER)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]


def test_an_episode_of_one_timed_out_step_is_left_out(save):
    assert rows(read_dataset(save(timeouts=at(4, 5)), HOPPER)) == [[0, 1, 2, 3], [6, 7, 8]]


def test_minaris_names_and_episode_lengths_in_npz(tmp_path):
    names = {"terminals": None, "timeouts": None}
    ends = {"terminations": at(6), "truncations": at(3)}
    flags = write_npz(tmp_path / "flags.npz", columns(**names, **ends))
    lengths = write_npz(tmp_path / "lengths.npz", columns(**names, episode_lengths=np.array([4, 3, 3])))
    assert rows(read_dataset(flags, HOPPER)) == [[0, 1, 2], [4, 5, 6], [7, 8]]
    assert rows(read_dataset(lengths, HOPPER)) == [[0, 1, 2], [4, 5], [7, 8]]


def test_success_of_the_file_goes_before_that_of_the_observations(tmp_path):
    door = columns(obs=39, act=28, observations=np.zeros((10, 39), np.float32), timeouts=at(4, 9))
    door["observations"][2, 28] = 1.4  # open after row 1
    seen = read_dataset(write_npz(tmp_path / "seen.npz", door), DOOR)
    assert rows(seen) == [[-1, 0], [-1] * 4]
    door["success"] = at(7)
    recorded = read_dataset(write_npz(tmp_path / "recorded.npz", door), DOOR)
    assert rows(recorded) == [[-1] * 4, [-1, -1, 0]]
    del door["success"]
    write_hdf5(tmp_path / "d.hdf5", door | {"infos/success": at(7)})
    assert rows(read_dataset(tmp_path / "d.hdf5", DOOR)) == rows(recorded)


def test_no_success_is_read_from_an_observation_that_was_not_recorded(tmp_path):
    """The repeated one: at a termination without next_observations."""
    door = columns(obs=39, act=28, observations=np.zeros((10, 39), np.float32), terminals=at(9))
    door["observations"][9, 28] = 1.4
    (episode,) = read_dataset(write_npz(tmp_path / "d.npz", door), DOOR)
    assert len(episode) == 9
    assert episode.success.tolist() == [False] * 8 + [True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obs": 12}, r"observations has shape \(10, 12\), the task needs \(10, 11\)"),
        ({"act": 2}, r"actions has shape \(9, 2\), the task needs \(9, 3\)"),
        ({"rewards": np.zeros((10, 2), np.float32)}, r"rewards has shape \(18,\), the task needs \(9,\)"),
        ({"rewards": np.zeros(9, np.float32)}, "rewards has 9 rows, actions 10"),
        ({"rewards": np.where(at(3), np.nan, 0.0)}, r"rewards\[3\] is nan: a number that is not finite"),
        ({"rewards": np.where(at(3), 1e39, 0.0)}, r"rewards\[3\] is 1e\+39, which overflows float32"),
        ({"actions": np.full((10, 3), 1.2, np.float32)}, r"actions reach 1\.2, .* takes \[-1, 1\]"),
    ],
)
def test_fields_that_do_not_fit_are_named(save, changes, message):
    with pytest.raises(UserError, match=message):
        read_dataset(save(**changes), HOPPER)


@pytest.mark.parametrize("name", ["observations", "actions", "rewards"])
def test_missing_fields_are_named(save, name):
    with pytest.raises(UserError, match=f"{name} is missing; it holds "):
        read_dataset(save(**{name: None}), HOPPER)


def test_npz_traps(tmp_path):
    cases = {
        "no array says where episodes end": columns(terminals=None, timeouts=None),
        "holds terminations twice, the second time as terminals": columns(terminations=at(4)),
        "rewards must hold floating-point numbers, not int": columns(rewards=np.arange(10)),
        "episode_lengths sum to 8, actions has 10 rows": columns(episode_lengths=np.array([4, 4])),
        "episode_lengths must be whole numbers": columns(episode_lengths=np.array([4.0, 6.0])),
        "not a readable .npz file of plain arrays": columns(actions=np.array([None] * 10)),
    }
    for message, fields in cases.items():
        with pytest.raises(UserError, match=message):
            read_dataset(write_npz(tmp_path / "x.npz", fields), HOPPER)


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
def test_unreadable_files(tmp_path, save, suffix):
    whole = save()
    with pytest.raises(UserError, match=r"absent\S+: no such file"):
        read_dataset(tmp_path / f"absent{suffix}", HOPPER)
    for content in (whole.read_bytes()[:300], b"hello", b""):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a readable"):
            read_dataset(path, HOPPER)


def test_layouts_of_d4rl_that_are_not_ours_are_refused_not_reinterpreted(tmp_path):
    """AntMaze without the goal, maze2d without the goal, Kitchen of another robot."""
    for theirs, dims, what in ((29, EnvDims(31, 8), "AntMaze"), (60, EnvDims(59, 9), "Kitchen")):
        one = recording(observations=np.zeros((5, theirs)), actions=np.zeros((4, dims.action_dim)))
        with pytest.raises(UserError, match=rf"observations has shape \(5, {theirs}\).*D4RL's {what}"):
            check(one, dims)
    path = write_hdf5(tmp_path / "maze2d.hdf5", columns(obs=4, act=2))
    with pytest.raises(UserError, match=r"observations has shape \(10, 4\).*D4RL's maze2d"):
        read_dataset(path, UMAZE)


def recording(**changes):
    fields = {
        "where": "here",
        "observations": np.zeros((5, 39)),
        "actions": np.zeros((4, 28)),
        "rewards": np.arange(4.0),
        "success": None,
        "terminated": False,
    }
    return Recording(**(fields | changes))


def test_clipping_takes_overshoot_and_refuses_other_units():
    actions = np.full((4, 28), 0.3)
    actions[1, 2] = -1.28
    assert clipped(recording(actions=actions)).actions[1, 2] == -1.0
    assert clipped(recording(actions=actions)).actions[0, 0] == 0.3
    with pytest.raises(UserError, match="actions reach 128; they must be scaled"):
        clipped(recording(actions=actions * 100))


def test_dense_adroit_rewards_of_the_wrong_sign():
    """The environment of gymnasium-robotics adds 0.1 x the palm's distance, D4RL subtracts it."""
    observations = np.random.default_rng(0).normal(size=(5, 39))
    made = {"observations": observations, "env_id": "AdroitHandDoor-v1"}
    corrected, own = (get_task(f"AdroitHandDoor-v1@reward={r},horizon=200") for r in ("corrected", "own"))
    dims = env_spec(own)
    distance = reach("AdroitHandDoor-v1", observations[1:])
    fixed = converted(recording(**made), corrected, dims)
    np.testing.assert_allclose(fixed.rewards, np.arange(4) - 0.2 * distance, rtol=1e-6)
    assert converted(recording(**made), own, dims).rewards.tolist() == [0, 1, 2, 3]
    d4rl = recording(**made | {"env_id": "D4RL"})
    assert converted(d4rl, corrected, dims).rewards.tolist() == [0, 1, 2, 3]
    with pytest.raises(UserError, match=r"rewards have D4RL's sign.*@reward=corrected"):
        converted(d4rl, own, dims)


PLACES = {"microwave": (31, -0.75), "slide cabinet": (28, 0.37)}


def kitchen_observations(steps, done):
    """59-D observations in which some one-dimensional sub-tasks are satisfied at some observations."""
    observations = np.zeros((steps, 59), dtype=np.float32)
    observations[:, 31] = 0.0
    for name, times in done.items():
        place, goal = PLACES[name]
        assert abs(goal) > THRESHOLD
        observations[list(times), place] = goal
    return observations


def test_kitchen_rewards_are_counted_anew_under_each_convention():
    """The microwave opens at step 1, closes at 3; the slide cabinet is open at steps 2 and 3, both at 2."""
    observations = kitchen_observations(6, {"microwave": (1, 2), "slide cabinet": (2, 3)})
    made = recording(observations=observations, actions=np.zeros((5, 9)), rewards=np.full(5, 9.0))
    dims = EnvDims(59, 9)
    base = "kitchen-complete"
    two = {r: get_task(f"{base}@reward={r}") for r in ("remaining", "solved", "completion", "satisfied")}
    two = {r: replace(task, subtasks=("microwave", "slide cabinet")) for r, task in two.items()}
    expected = {"remaining": [-1, 0], "solved": [1, 2], "completion": [1, 1], "satisfied": [1, 2, 1, 0, 0]}
    for reward, task in two.items():
        episode = converted(made, task, dims)
        assert episode.rewards.tolist() == expected[reward], reward
        assert episode.terminated == (reward != "satisfied")
        assert episode.truncated == (reward == "satisfied")
        assert episode.success.any()
        assert len(episode.observations) == len(expected[reward]) + 1
    unsolved = converted(made, get_task(base), dims)
    assert unsolved.rewards.tolist() == [-3, -2, -2, -2, -2]
    assert unsolved.truncated


def test_kitchen_flags_are_appended_as_the_environment_does():
    task = get_task("kitchen-complete@flags=true")
    observations = kitchen_observations(6, {"microwave": (1, 2), "slide cabinet": (2, 3)})
    made = recording(observations=observations, actions=np.zeros((5, 9)), rewards=np.zeros(5))
    env = make_env(task)
    assert tuple(env.unwrapped.goal) == task.subtasks  # the order of its flags
    episode = converted(made, task, EnvDims(*env.observation_space.shape, 9))
    env.close()
    assert episode.observations.shape == (6, 63)
    np.testing.assert_array_equal(episode.observations[:, :59], observations)
    assert episode.observations[:, 59:].tolist() == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        *[[1, 0, 0, 1]] * 4,
    ]
