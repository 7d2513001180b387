"""`smac tasks measure`: its numbers are those of an ordinary rollout, its file is kept."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support import run

from analysis_cli import smac
from smac.collect.chunks import play
from smac.collect.controllers import WaypointController
from smac.collect.measure import (
    PUBLISHED,
    Stated,
    agrees,
    best_recipe,
    measure,
    numbers,
    published,
    settings,
    steps_per_second,
    t_interval,
    wilson_interval,
)
from smac.collect.measurements import is_measured, load_rows
from smac.collect.players import GAIN
from smac.collect.recipes import Recipe
from smac.data.transitions import Episode
from smac.envs import make_env
from smac.errors import UserError
from smac.tasks import get_task, kitchen, task_names

UMAZE = get_task("pointmaze-umaze")
DATA = Path(os.environ.get("SMAC_SHARED_DATA", "missing"))
real_files = pytest.mark.skipif("SMAC_SHARED_DATA" not in os.environ, reason="SMAC_SHARED_DATA is not set")


@pytest.fixture(scope="module", autouse=True)
def _little_time_for_speed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smac.collect.measure.SPEED_SECONDS", 0.05)
        yield


def by_hand(task, seed, episodes, act):
    """Returns and lengths of an ordinary rollout; `act` gets (observation, the episode's generator)."""
    env, returns, lengths = make_env(task), [], []
    for child in np.random.SeedSequence(seed).spawn(episodes):
        of_env, of_policy = child.spawn(2)
        rng = np.random.default_rng(of_policy)
        observation, _ = env.reset(seed=int(of_env.generate_state(1)[0]))
        rewards, over = [], False
        while not over:
            action = np.asarray(act(observation, rng), np.float32)
            observation, reward, terminated, truncated, _ = env.step(action)
            rewards.append(reward)
            over = terminated or truncated
        returns.append(sum(rewards))
        lengths.append(len(rewards))
    env.close()
    return np.array(returns), np.array(lengths)


@pytest.fixture(scope="module")
def row():
    return measure(UMAZE, None, episodes=4, seed=3, workers=1)


def test_the_best_policy_agrees_with_a_rollout_by_hand(row):
    env = make_env(UMAZE)
    controller = WaypointController(env.unwrapped.maze.maze_map, gain=GAIN)
    env.close()
    returns, lengths = by_hand(UMAZE, 3, 4, lambda o, _: np.clip(controller.action(o, o[4:6]), -1, 1))
    assert row["best"]["return"]["mean"] == returns.mean()
    assert row["best"]["length"]["mean"] == lengths.mean()
    assert row["best"]["success"]["mean"] == 1.0
    np.testing.assert_allclose(row["best"]["score"]["mean"], UMAZE.score(returns.mean()))
    assert row["steps_per_second"] > 100


def test_the_random_policy_agrees_with_a_rollout_by_hand(row):
    def uniform(_, rng):
        action = rng.uniform(-1.0, 1.0, 2)
        rng.standard_normal(2)  # of the noise, which is nought
        return action

    returns, lengths = by_hand(UMAZE, 3, 4, uniform)
    assert row["random"]["return"]["mean"] == returns.mean()
    assert row["random"]["length"]["mean"] == lengths.mean()


def test_intervals():
    found = t_interval(np.array([1.0, 2.0, 3.0, 4.0]))
    half = 3.182446305 * np.sqrt(5 / 3) / 2  # t of three degrees of freedom, from a table
    np.testing.assert_allclose([found["mean"], found["low"], found["high"]], [2.5, 2.5 - half, 2.5 + half])
    assert t_interval(np.array([7.0])) == {"mean": 7.0, "low": None, "high": None}
    found = wilson_interval(20, 20)
    z2 = 1.959963985**2
    np.testing.assert_allclose([found["mean"], found["low"], found["high"]], [1.0, 20 / (20 + z2), 1.0])


def episode(rewards, success=False):
    flags = np.zeros(len(rewards), bool)
    flags[-1] = success
    return Episode(
        observations=np.zeros((len(rewards) + 1, 6), np.float32),
        actions=np.zeros((len(rewards), 2), np.float32),
        rewards=np.asarray(rewards, np.float32),
        success=flags,
        terminated=success,
        truncated=not success,
    )


def test_what_agrees_with_what_is_stated():
    good, bad = episode([0.0], success=True), episode([-1.0])
    stated = Stated("success", 1.0, episodes=100)
    assert agrees(stated, [good] * 20)
    assert not agrees(stated, [good] * 16 + [bad] * 4)  # Fisher: 0.0006
    assert agrees(Stated("success", 0.77, episodes=100), [good] * 12 + [bad] * 8)  # Fisher: 0.15
    returns = [episode([x]) for x in (90.0, 100.0, 110.0, 100.0)]
    assert agrees(Stated("return", 110.0, episodes=10, deviation=20.0), returns)
    assert not agrees(Stated("return", 110.0, episodes=10, deviation=1.0), returns * 5)
    assert agrees(Stated("return", 110.0, episodes=10, deviation=1.0), returns[:1]) is None


def test_numbers_that_a_task_does_not_have_are_none():
    found = numbers(get_task("Pendulum-v1"), [episode([-1.0, -2.0]), episode([-3.0, -2.0])])
    assert found["return"]["mean"] == -4.0
    assert (found["score"], found["success"]) == (None, None)


def test_every_task_has_a_best_policy_or_says_what_is_missing(tmp_path):
    for name in task_names():
        task = get_task(name)
        best = best_recipe(task, None)
        assert isinstance(best, str) == (name in PUBLISHED)
    assert best_recipe(get_task("door-binary"), None).endswith("name its folder with --policies")
    assert best_recipe(get_task("door-binary"), tmp_path).endswith("is not in the folder of policies")
    assert best_recipe(get_task("kitchen-mixed"), None) == Recipe("kitchen", targets=True)
    assert best_recipe(UMAZE, None) == Recipe("waypoint")
    assert "no policy is known" in best_recipe(get_task("Pendulum-v1"), None)


def test_a_statement_holds_only_for_what_it_was_stated_of():
    assert published(get_task("hopper")).stated.mean == 3274
    assert published(get_task("hopper@horizon=100")).stated is None
    assert published(get_task("antmaze-umaze")).stated is None
    assert published(get_task("antmaze-umaze@version=v5,cells=any,horizon=1000")).stated.mean == 0.95


def test_the_kitchen_controller_does_the_targets_to_the_end():
    """Three steps are too few for anything: the episode goes on to its horizon and counts four unsolved."""
    task = get_task("kitchen-mixed@horizon=3")
    (played,) = play(task, [(np.random.SeedSequence(0), Recipe("kitchen", targets=True))], workers=1)
    assert len(played) == 3
    found = numbers(task, [played])
    assert found["return"]["mean"] == -12.0
    assert found["score"]["mean"] == 0.0
    assert set(task.subtasks) <= set(kitchen._PLACES)


def test_steps_per_second_counts_steps():
    assert steps_per_second(UMAZE, seconds=0.05) > 500


def test_settings_are_compared():
    how = settings(UMAZE, None, episodes=4, seed=0)
    rows = {UMAZE.name: {"settings": how}}
    assert is_measured(rows, UMAZE.name, how)
    assert not is_measured(rows, "door-binary", how)
    for other in ({"episodes": 5}, {"seed": 1}, {"best": {"collector": "policy"}}):
        with pytest.raises(UserError, match=f"was measured with {next(iter(other))} "):
            is_measured(rows, UMAZE.name, how | other)
    missing = how | {"best": {"missing": "a file"}}
    assert is_measured(rows, UMAZE.name, missing)  # what is there says more
    assert not is_measured({UMAZE.name: {"settings": missing}}, UMAZE.name, how)


# --- the command ---

LINE = "tasks measure pointmaze-umaze@horizon=20 --episodes 3 --out"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with what the command wrote."""
    folder = tmp_path_factory.mktemp("measured")
    assert run(smac, LINE, folder / "tasks.md") == 0
    return folder


@pytest.fixture
def table(made, tmp_path):
    """A copy of its table, with the JSON file beside."""
    shutil.copytree(made, tmp_path / "made")
    return tmp_path / "made" / "tasks.md"


def test_the_command_measures_once_and_adds(table, capsys):
    first = json.loads(table.with_suffix(".json").read_text())
    assert run(smac, LINE, table) == 0
    assert json.loads(table.with_suffix(".json").read_text()) == first
    assert "measured now: 0 of 1" in capsys.readouterr().out
    assert run(smac, "tasks measure pen-binary@horizon=2 --episodes 2 --seed 1 --out", table) == 0
    rows = json.loads(table.with_suffix(".json").read_text())["rows"]
    added = [row for row in rows if row not in first["rows"]]
    assert [row["task"] for row in added] == ["pen-binary@horizon=2"]
    assert added[0]["best"] is None
    text = table.read_text()
    assert "| pen-binary@horizon=2 | missing: hand_dapg/policy_pen.npz: name its folder" in text
    assert "| pointmaze-umaze@horizon=20 | waypoint controller | 3, 0 | " in text
    assert "| pen-binary@horizon=2 | random | 2, 1 | " in text
    assert sorted(p.name for p in table.parent.iterdir()) == ["tasks.json", "tasks.md"]


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing():
    short = get_task("pointmaze-umaze@horizon=20")
    one, two = (measure(short, None, episodes=12, seed=0, workers=n) for n in (1, 2))
    assert one | {"steps_per_second": 0} == two | {"steps_per_second": 0}


def test_what_is_refused(table, tmp_path, capsys):
    kept = {path: path.read_bytes() for path in table.parent.iterdir()}
    foreign = tmp_path / "other" / "tasks.json"
    foreign.parent.mkdir()
    foreign.write_text("{}")
    (tmp_path / "notes.md").write_text("mine")
    for line, message in (
        (f"{LINE} {table} --seed 1", "was measured with seed 0, not 1"),
        (f"{LINE} {table} --episodes -3", "episodes must be at least 1"),
        (f"{LINE} {table} --workers 0", "workers must be at least 1"),
        (f"{LINE} {table} --policies {tmp_path / 'none'}", "none: no such folder"),
        (f"{LINE} {tmp_path / 'tasks.txt'}", "ends in .md"),
        (f"{LINE} {tmp_path / 'notes.md'}", "not written by this command (notes.json is missing)"),
        (f"{LINE} {foreign.with_suffix('.md')}", "not written by this command"),
        (f"tasks measure umaze --out {table}", "unknown task 'umaze'"),
    ):
        capsys.readouterr()
        assert run(smac, line) == 2, line
        printed = capsys.readouterr()
        assert message in printed.err
        assert printed.err.count("\n") == 1
        assert printed.out == ""
    assert {path: path.read_bytes() for path in kept} == kept
    assert not foreign.with_suffix(".md").exists()


def test_other_versions_are_refused(table):
    beside = table.with_suffix(".json")
    content = json.loads(beside.read_text())
    content["versions"]["mujoco"] = "2.0"
    beside.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"measured with mujoco 2\.0 \(here 3"):
        load_rows(table)


@real_files
def test_a_published_policy_is_measured():
    found = measure(get_task("door-binary"), DATA, episodes=3, seed=0, workers=1)
    assert found["best"]["success"]["mean"] == 1.0
    assert found["agrees"]
    assert found["settings"]["best"]["policy"] == "policy_door.npz"
    assert "sha256" in found["settings"]["best"]
    assert Stated("success", 1.0, 100) == Stated(**found["stated"])
