"""Mixtures, stated success rates, nested subsets, and collections that are taken up again."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from support import run

from analysis_cli import smac
from smac.collect.collecting import collect, collect_parts, find_disturbance, resumable_folder, success_share
from smac.collect.recipes import Part, Recipe, assign, parse_mixture, recipe
from smac.collect.success_rate import calibrate
from smac.data.subset import subset_indices
from smac.errors import UserError
from smac.tasks import get_task

UMAZE = get_task("pointmaze-umaze")
SHORT = get_task("pointmaze-umaze@horizon=20")
ARRAYS = ("observations", "actions", "rewards", "success")


def assert_same(ones, others):
    for a, b in zip(ones, others, strict=True):
        assert (a.terminated, a.truncated) == (b.terminated, b.truncated)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            assert getattr(a, name).dtype == getattr(b, name).dtype


def test_the_draws_of_the_first_version_are_kept():
    """Datasets made before there was a choice of collectors stay what they were, bit for bit."""
    digest = hashlib.sha256()
    for episode in collect(UMAZE, episodes=2, noise=0.3, wander=0.003, seed=3, workers=1):
        first = episode.actions[:5]  # long before sums of rounding errors differ between machines
        digest.update(np.round(first, 3).tobytes())
    assert digest.hexdigest()[:16] == "e70c75ad7a2ca157"


def test_options_that_are_not_stated():
    assert recipe(UMAZE) == Recipe("waypoint", noise=0.3, wander=0.003)
    assert recipe(get_task("kitchen-mixed")) == Recipe("kitchen")


# --- mixtures ---


def test_mixture_names():
    base = Recipe("waypoint", noise=0.3, wander=0.01)
    parts = parse_mixture("expert:0.2,noisy:0.5,0.7:0.2,random:0.1", base, UMAZE)
    assert parts == (
        Part("expert", 0.2, Recipe("waypoint")),
        Part("noisy", 0.5, base),
        Part("0.7", 0.2, Recipe("waypoint", noise=0.7)),
        Part("random", 0.1, Recipe("random")),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expert", "not of the form NAME:SHARE"),
        ("expert:0.5,noisy:0.4", "add up to 0.9 instead of 1"),
        ("expert:2", "must be a number above 0"),
        ("experts:1", "unknown name 'experts'"),
        ("-1:1", "noise must not be negative"),
        ("absent.npz:1", "absent.npz: no such policy file"),
    ],
)
def test_wrong_mixtures(text, message):
    with pytest.raises(UserError, match=message):
        parse_mixture(text, recipe(UMAZE), UMAZE)


def test_shares_become_counts_in_random_order():
    parts = parse_mixture("expert:0.15,noisy:0.85", recipe(UMAZE), UMAZE)
    which = [made_by.noise == 0.0 for made_by in assign(parts, 10, seed=0)]
    assert sum(which) in (1, 2)
    assert sum(made_by.noise == 0.0 for made_by in assign(parts, 100, seed=0)) == 15
    assert which != sorted(which)
    assert assign(parts, 100, 0) != assign(parts, 100, 1)


def test_each_episode_of_a_mixture_is_that_of_its_recipe():
    parts = parse_mixture("expert:0.5,noisy:0.5", recipe(SHORT), SHORT)
    mixed = collect_parts(SHORT, parts, episodes=6, seed=2, workers=1)
    expert = collect(SHORT, noise=0.0, wander=0.0, episodes=6, seed=2, workers=1)
    noisy = collect(SHORT, episodes=6, seed=2, workers=1)
    chosen = assign(parts, 6, seed=2)
    assert_same(mixed, [e if r.noise == 0 else n for e, n, r in zip(expert, noisy, chosen, strict=True)])


def test_random_actions_are_uniform():
    parts = parse_mixture("random:1", recipe(SHORT), SHORT)
    actions = np.concatenate([e.actions for e in collect_parts(SHORT, parts, episodes=20, seed=0, workers=1)])
    assert actions.std() == pytest.approx(sqrt(1 / 3), rel=0.06)
    assert np.abs(actions).max() <= 1.0


# --- success rate ---


def test_bisection_finds_the_amount():
    found = calibrate(lambda amount: 1.0 / (1.0 + amount), 0.7, disturbance="noise", episodes=1000)
    assert found.rate == pytest.approx(0.7, abs=0.003)
    assert found.amount == pytest.approx(0.3 / 0.7, rel=0.03)


def test_an_unreachable_success_rate():
    with pytest.raises(UserError, match=r"0\.9 cannot be reached by noise: .* between 0\.50 and 0\.50"):
        calibrate(lambda amount: 0.5, 0.9, disturbance="noise", episodes=100)
    with pytest.raises(UserError, match=r"0\.1 cannot be reached by wander: from 1 to 0 of it"):
        calibrate(lambda amount: 0.9 - 0.5 * amount, 0.1, disturbance="wander", episodes=100)
    with pytest.raises(UserError, match="above 0 and up to 1"):
        calibrate(lambda amount: 0.5, 1.5, disturbance="noise", episodes=100)
    with pytest.raises(UserError, match="task hopper does not tell success"):
        find_disturbance(
            get_task("hopper"), Recipe("random"), success_rate=0.5, episodes=4, seed=0, workers=1
        )


@pytest.mark.slow
def test_a_collection_has_the_success_rate_that_was_asked_for():
    made_by = recipe(UMAZE)
    found = find_disturbance(UMAZE, made_by, success_rate=0.7, episodes=40, seed=0, workers=1)
    assert found.disturbance == "wander"
    assert abs(found.rate - 0.7) <= 2 * sqrt(0.21 / 40)
    parts = (Part("all", 1.0, made_by.disturbed(found.amount)),)
    rate = success_share(collect_parts(UMAZE, parts, episodes=40, seed=0, workers=1))
    assert abs(rate - 0.7) <= 2 * sqrt(2 * 0.21 / 40)  # both measurements have their noise


# --- subsets ---


def test_fractions_are_nested():
    tenth, quarter, all_ = (set(subset_indices(200, f, seed=1)) for f in (0.1, 0.25, 1.0))
    assert (len(tenth), len(quarter), len(all_)) == (20, 50, 200)
    assert tenth < quarter < all_
    assert set(subset_indices(200, 0.1, seed=2)) != tenth
    assert len(subset_indices(3, 0.01, seed=0)) == 1


@pytest.mark.parametrize("fraction", [0.0, 1.1, float("nan")])
def test_wrong_fractions(fraction):
    with pytest.raises(UserError, match="fraction is a share"):
        subset_indices(10, fraction, seed=0)


# --- workers, and taking a collection up again ---


def test_an_interrupted_collection_goes_on_where_it_was(tmp_path):
    parts = parse_mixture("expert:0.5,random:0.5", recipe(SHORT), SHORT)
    options = {"episodes": 22, "seed": 5}
    keep = resumable_folder(tmp_path, SHORT, parts, **options)

    def stop(done, total):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect_parts(SHORT, parts, workers=1, keep=keep, progress=stop, **options)
    written = {file: file.stat().st_mtime_ns for file in keep.iterdir()}
    assert sorted(file.name for file in written) == ["00000000.npz", "00000010.npz"]
    (keep / "00000010.npz").write_bytes(b"half a file")  # not what an atomic write leaves, but disks fail
    resumed = collect_parts(SHORT, parts, workers=1, keep=keep, **options)
    assert (keep / "00000000.npz").stat().st_mtime_ns == written[keep / "00000000.npz"]
    assert_same(resumed, collect_parts(SHORT, parts, workers=1, **options))


def test_pieces_of_other_options_are_not_taken_up(tmp_path):
    parts = (Part("all", 1.0, recipe(SHORT)),)
    others = (Part("all", 1.0, replace(recipe(SHORT), noise=0.31)),)
    folders = {
        resumable_folder(tmp_path, SHORT, parts, episodes=4, seed=0),
        resumable_folder(tmp_path, SHORT, parts, episodes=5, seed=0),
        resumable_folder(tmp_path, SHORT, parts, episodes=4, seed=1),
        resumable_folder(tmp_path, SHORT, others, episodes=4, seed=0),
        resumable_folder(tmp_path, UMAZE, parts, episodes=4, seed=0),
    }
    assert len(folders) == 5
    assert all(folder.name.startswith(".") for folder in folders)  # no dataset, see `list_datasets`


def test_a_command_leaves_the_same_bytes_and_no_pieces(tmp_path):
    line = "data collect --task pointmaze-umaze@horizon=20 --dataset maze/short-v0 --episodes 3 --out"
    for folder in ("a", "b"):
        assert run(smac, line, tmp_path / folder) == 0
        assert [path.name for path in (tmp_path / folder).iterdir()] == ["maze"]
    a, b = ((tmp_path / folder / "maze/short-v0/data/main_data.hdf5").read_bytes() for folder in ("a", "b"))
    assert a == b


@pytest.mark.slow
def test_kill_9_at_several_moments_changes_no_byte(tmp_path):
    """A real process, really killed: early, half-way, and while the dataset is being written."""
    line = "data collect --task pointmaze-umaze --episodes 200 --workers 2 --dataset maze/killed-v0 --out"
    assert run(smac, line, tmp_path / "whole") == 0
    killed = tmp_path / "killed"
    for pattern, count in ((".collecting-*/*.npz", 1), (".collecting-*/*.npz", 9), (".partial-*/data/*", 1)):
        kill_when(line, killed, pattern, count)
        assert not (killed / "maze/killed-v0").exists()
    pieces = sorted(killed.glob(".collecting-*/*.npz"))
    assert len(pieces) == 20
    assert run(smac, line, killed) == 0
    assert [path.name for path in killed.iterdir()] == ["maze"]
    files = sorted(path.relative_to(killed) for path in killed.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path / "whole") for path in tmp_path.rglob("whole/**/*.*"))
    for file in files:
        assert (killed / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def kill_when(line: str, out: Path, pattern: str, count: int) -> None:
    """Start `smac`, kill -9 it (not its workers) once `count` files below `out` match the pattern."""
    command = [sys.executable, "-m", "analysis_cli.smac", *line.split(), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while process.poll() is None and len(list(out.glob(pattern))) < count:
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its workers wait for work for minutes


def test_what_no_collection_can_be(tmp_path, capsys):
    line = "data collect --episodes 2 --dataset maze/wrong-v0 --out"
    for options, message in (
        ("--task hopper", "has no controller: name a policy with --policy"),
        ("--task kitchen-mixed --wander 0.1", "wander is for PointMaze"),
        ("--task pointmaze-umaze --any-cells", "--any-cells is for AntMaze"),
        ("--task pointmaze-umaze --stochastic", "--stochastic needs a policy"),
        ("--task pointmaze-umaze --wander 0.1 --success-rate 0.5", "leave out --wander"),
    ):
        assert run(smac, f"{line} {tmp_path} {options}") == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_the_kitchen_controller_solves_all_four():
    for episode in collect(get_task("kitchen-complete"), episodes=2, seed=0, workers=1):
        assert episode.terminated
        assert episode.success[-1]
        assert len(episode) < 200
