"""The plane study: the right policy at the right place, and what every checkpoint itself returns."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from support import described, small_agent

from landscape.evaluate import Evaluation, evaluate
from landscape.geometry import Grid, filter_normalise, flatten, layout_of, random_direction, unflatten
from landscape.store import Store
from landscape.study import Choice, View, plane
from landscape.study.charts import lay_out
from landscape.study.common import labels
from landscape.study.plane import grid_points, mean_interval, surface_value
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.policies import PolicyCheckpoint, load_policy
from smac.rollout import Rollouts
from smac.tasks import get_task

PENDULUM = "Pendulum-v1@horizon=12"  # every return is another number, so nothing passes by chance
FEW = Evaluation(episodes=2)


def saved(folder: Path, name: str, draw: int, task: str = PENDULUM, **changes) -> Path:
    """A checkpoint of an untrained policy, number `draw`, with the description changed."""
    agent, about = small_agent(task, seed=draw, hidden=changes.pop("hidden", (8, 8)))
    about = described(about, **{"seed": 0} | changes)
    return save_checkpoint(folder / f"{name}.safetensors", agent.tensors(0), about)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Five policies of Pendulum: offline, three on the way, online."""
    folder = tmp_path_factory.mktemp("policies")
    way = [saved(folder, f"step-{k}", k, moment="trajectory", step=10 * k) for k in (1, 2, 3)]
    return [saved(folder, "offline", 0), *way, saved(folder, "online", 4, moment="online", step=40)]


@pytest.fixture(scope="module")
def three(files):
    """A rectangular plane through three checkpoints; two more are projected."""
    choice = Choice(through=[files[0], files[4], files[1]], also=files[2:4])
    return plane(choice, view=View(nx=6, ny=5), evaluation=FEW)


def alone(policy: PolicyCheckpoint, params=None, evaluation: Evaluation = FEW) -> Rollouts:
    """The episodes of one policy evaluated by itself, [1, episodes]."""
    task = get_task(policy.description.task)
    return evaluate(policy.spec, task, [policy.params if params is None else params], 1, evaluation)


def test_end_points_are_evaluated_exactly(three):
    """First-grid-value trap: at the anchors both matrices hold the checkpoints' own episodes, bit for bit."""
    surface = three.grid.surface(three.rollouts.returns)
    for k, policy in enumerate(three.chart.policies):
        np.testing.assert_array_equal(three.own.returns[k], alone(policy).returns[0])
    for k, anchor in enumerate(three.chart.plane.anchors):
        i, j = three.grid.xs.tolist().index(anchor.x), three.grid.ys.tolist().index(anchor.y)
        np.testing.assert_array_equal(surface[j, i], three.own.returns[k])
        assert three.shown[k] == three.own.returns[k].mean()
    assert len(np.unique(three.rollouts.returns)) == three.rollouts.returns.size


def test_a_rectangular_surface_is_neither_scrambled_nor_transposed(three, tmp_path):
    """nx != ny: row j, column i is the policy at (xs[i], ys[j]), in the files too."""
    three.write(tmp_path, "landscape plane ...")
    arrays, result = np.load(tmp_path / "returns.npz"), json.loads((tmp_path / "result.json").read_text())
    assert arrays["returns"].shape == arrays["statuses"].shape == arrays["lengths"].shape == (5, 6, 2)
    layout, spec = three.chart.layout, three.chart.policies[0].spec
    for j, y in enumerate(arrays["ys"]):
        for i, x in enumerate(arrays["xs"]):
            params = unflatten(three.chart.plane.point(x, y), layout)
            again = evaluate(spec, three.task, [params], 1, FEW).returns[0]
            np.testing.assert_array_equal(arrays["returns"][j, i], again)
            assert result["fields"]["return"][j][i] == pytest.approx(again.mean())
    np.testing.assert_array_equal(arrays["checkpoint_returns"], three.own.returns)
    np.testing.assert_array_equal(arrays["episode_seeds"], FEW.seeds)
    assert (arrays["checkpoint_statuses"] == 1).all()


def test_the_file_has_what_pictures_need(three, tmp_path):
    three.write(tmp_path, "landscape plane ...")
    result = json.loads((tmp_path / "result.json").read_text())
    assert {
        "kind", "format_version", "task", "reward_convention", "episodes", "actions", "seed", "versions",
        "repetition", "plane", "xs", "ys", "fields", "probe", "correlation", "checkpoints", "trajectory",
        "trajectory_plane", "margin", "failures", "sentence", "command",
    } == set(result)  # fmt: skip
    assert result["kind"] == "plane"
    assert result["margin"] is None  # Pendulum has no references
    assert set(result["fields"]) == {"return", "length"}  # no success, no score
    first = result["checkpoints"][0]
    assert {
        "path", "algorithm", "moment", "step", "seed", "actor", "converted", "name", "anchor", "x", "y",
        "residual", "share", "measured", "surface",
    } == set(first)  # fmt: skip
    assert [c["name"] for c in result["checkpoints"]] == [
        "offline SAC", "online SAC", "SAC step 10", "SAC step 20", "SAC step 30",
    ]  # fmt: skip
    assert [c["anchor"] for c in result["checkpoints"]] == [True, True, True, False, False]
    assert result["plane"]["anchors"]["online SAC"] == [result["checkpoints"][1]["x"], 0.0]


def test_checkpoints_off_the_plane_say_how_far(three):
    """The projection is the nearest point, and the surface there is no claim about the checkpoint."""
    vectors = [flatten(p.params, three.chart.layout) for p in three.chart.policies]
    for k, place in enumerate(three.chart.places):
        away = vectors[k] - three.chart.plane.point(place.x, place.y)
        assert place.residual == pytest.approx(np.linalg.norm(away), abs=1e-9)
        if k < 3:
            assert (place.residual, place.share) == (0.0, 0.0)
        else:
            assert place.share == pytest.approx(place.residual / np.linalg.norm(vectors[k] - vectors[0]))
            assert abs(three.shown[k] - three.own.returns[k].mean()) > 1e-3
    own = three.own.returns.mean(axis=1)
    worst = int(np.nanargmax(np.abs(own - three.shown)))
    told = f"its own return is {own[worst]:.1f}, where the surface has {three.shown[worst]:.1f}"
    assert f"The surface shows {three.chart.names[worst]} worst: {told}" in three.sentence
    low, high = np.nanmin(three.surfaces["return"]), np.nanmax(three.surfaces["return"])
    assert f"runs from {low:.1f} to {high:.1f}" in three.sentence


def test_an_interval_is_student_s_and_one_episode_has_none():
    """The std with one episode is NaN: here it is no interval at all."""
    returns = np.array([-3.0, -1.0, np.nan, -8.0])
    interval = ttest_1samp(returns[[0, 1, 3]], 0).confidence_interval(0.95)
    assert mean_interval(returns) == pytest.approx(tuple(interval))
    assert mean_interval(returns[1:3]) == (None, None)
    assert mean_interval(returns[2:3]) == (None, None)


def test_the_surface_between_its_points_is_bilinear():
    grid = Grid(np.array([-1.0, 0.0, 2.0]), np.array([0.0, 4.0]))

    def f(x, y):
        return 1 + 2 * x - 3 * y + x * y

    surface = f(*np.meshgrid(grid.xs, grid.ys))
    for x, y in ((-1, 0), (2, 4), (0, 4), (0.3, 1.7), (-0.5, 3.9)):
        assert surface_value(grid, surface, x, y) == pytest.approx(f(x, y))
    assert np.isnan(surface_value(grid, surface, 2.1, 1))
    assert np.isnan(surface_value(grid, surface, 0, -0.1))
    surface[0, 0] = np.nan  # what has no weight says nothing
    assert surface_value(grid, surface, 0.0, 1.0) == pytest.approx(f(0, 1))
    assert np.isnan(surface_value(grid, surface, -0.5, 1.0))


def test_a_bound_of_exactly_0_and_axes_in_their_own_units(files):
    chart = lay_out(Choice(through=files[:2], direction_seed=3), FEW)
    unit = chart.plane.units[1]
    assert unit.name == "filter norms"
    grid = chart.grid(View(x="0:1:3", y="-1:0:21"))
    np.testing.assert_array_equal(grid.xs, [0.0, 0.5, 1.0])
    np.testing.assert_allclose(grid.ys, np.linspace(-1, 0, 21) * unit.length)
    assert grid.ys[-1] == 0.0
    for view, message in (
        (View(x="0:1:3", nx=3), "--x says how many points there are; leave out --nx"),
        (View(y="1:0:3"), "lower to a higher finite bound"),
        (View(x="0:1"), "'0:1' is no axis"),
        (View(ny=1), "--ny must be at least 2, got 1"),
        (View(nx=3), "--nx must be at least 4 here, got 3"),
    ):
        with pytest.raises(UserError, match=message):
            chart.grid(view)


def test_cells_are_about_square_and_a_plane_in_both_senses(files):
    chart = lay_out(Choice(through=[files[0], files[4], files[1]]), FEW)
    for view in (View(), View(nx=31), View(ny=11), View(x="0:3:13")):
        grid = chart.grid(view)
        assert np.ptp(grid.ys) / (len(grid.ys) - 1) == pytest.approx(
            np.ptp(grid.xs) / (len(grid.xs) - 1), rel=0.1
        )
    assert max(chart.grid(View()).shape) == 21
    assert chart.grid(View(nx=31)).shape[1] == 31
    assert chart.grid(View(ny=11)).shape[0] == 11


def test_random_directions_are_filter_normalised_and_their_seed_is_recorded(files):
    one, other, again = (
        lay_out(Choice(through=files[:2], direction_seed=seed), FEW).plane for seed in (0, 1, 0)
    )
    np.testing.assert_array_equal(one.basis, again.basis)
    assert abs(one.basis[1] @ other.basis[1]) < 0.5
    assert (one.to_json()["seed"], other.to_json()["seed"]) == (0, 1)
    policy = load_policy(files[0])
    layout = layout_of(policy.params)
    drawn = filter_normalise(random_direction(layout.dimension, 0), flatten(policy.params, layout), layout)
    rest = drawn - (drawn @ one.basis[0]) * one.basis[0]
    np.testing.assert_allclose(one.basis[1] * one.units[1].length, rest, atol=1e-9)


def test_an_update_is_the_x_axis(files):
    chart = lay_out(Choice(update=files[:2]), FEW)
    before, after = (flatten(p.params, chart.layout) for p in chart.policies)
    update = after - before
    np.testing.assert_allclose(chart.plane.basis[0], update / np.linalg.norm(update))
    assert chart.plane.units[0].name == "updates"
    assert chart.plane.units[0].length == pytest.approx(np.linalg.norm(update))
    xs = chart.grid(View(x="0:2:5")).xs
    np.testing.assert_allclose(chart.plane.point(xs[2], 0.0), after)
    assert chart.where.startswith("On the plane along the update from offline SAC to SAC step 10")


def test_a_trajectory_is_in_the_order_of_training_with_its_null_beside_it(files, tmp_path):
    other = saved(tmp_path, "other", 9, moment="online", step=40)
    result = plane(Choice(trajectory=files, also=[other]), view=View(nx=3, ny=3), evaluation=FEW)
    json_ = result.to_json()
    names = [c["name"] for c in json_["checkpoints"]]
    assert names[:4] == ["offline SAC", "SAC step 10", "SAC step 20", "SAC step 30"]
    assert names[4:] == ["online SAC (1)", "online SAC (2)"]
    assert json_["trajectory"] == names[:5]
    found = json_["trajectory_plane"]
    assert set(found["checkpoints"]) == set(json_["trajectory"])
    assert found["null"]["explained"][0] > 0
    for checkpoint in json_["checkpoints"][:5]:
        if not checkpoint["anchor"]:
            assert found["checkpoints"][checkpoint["name"]]["residual"] == checkpoint["residual"]
    assert [c["anchor"] for c in json_["checkpoints"]] == [False] * 4 + [True, False]
    places = np.array([[p.x, p.y] for p in result.chart.places])
    assert (places.min(axis=0) > [result.grid.xs[0], result.grid.ys[0]]).all()
    assert (places.max(axis=0) < [result.grid.xs[-1], result.grid.ys[-1]]).all()
    assert "Two components hold" in result.sentence


def test_points_where_nothing_finished_stay_unknown(files):
    """NaN stays NaN with a status: weights beyond float32 give no action, and no mean hides that."""
    far = plane(Choice(through=files[:2]), view=View(x="0:1e37:2", y="0:1:2"), evaluation=FEW)
    found = far.to_json()
    assert found["fields"]["return"][0][1] is None
    assert found["fields"]["return"][0][0] is not None
    assert found["failures"] == {"bad_action": 4}
    assert found["checkpoints"][1]["surface"] is None
    assert "online" not in far.sentence
    assert "Episodes that did not finish: 4 bad action" in far.sentence
    json.dumps(found, allow_nan=False)


def test_memory_does_not_grow_with_the_grid(tmp_path):
    """The points of a grid are drawn one at a time."""
    chart = lay_out(Choice(through=[saved(tmp_path, str(k), k, hidden=(64, 64)) for k in (0, 1)]), FEW)
    grid = chart.grid(View(nx=20, ny=20))
    one = sum(tensor.nbytes for tensor in chart.policies[0].params.values())
    tracemalloc.start()
    count = sum(1 for _ in grid_points(chart, grid))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 400
    assert 10 * peak < count * one


def test_names_are_short_and_all_different(files, tmp_path):
    history = [{"algorithm": name} for name in ("cal_ql", "smac")]
    paths = [
        saved(tmp_path, str(k), k, moment="online", step=5, history=[one], seed=seed)
        for k, (one, seed) in enumerate(zip([*history, history[1], history[1]], (0, 0, 1, 1), strict=True))
    ]
    assert labels([load_policy(path) for path in [files[0], *paths]]) == [
        "offline SAC", "online SAC after Cal-QL", "online SAC after SMAC, seed 0",
        "online SAC after SMAC, seed 1 (1)", "online SAC after SMAC, seed 1 (2)",
    ]  # fmt: skip


def test_a_half_played_plane_goes_on_with_the_same_files(files, tmp_path):
    choice, view = Choice(through=[files[0], files[4], files[1]]), View(nx=5, ny=5)
    store = tmp_path / "store"
    with pytest.raises(UserError, match="share 1 of 2"):
        plane(choice, view=view, evaluation=Evaluation(episodes=2, store=store, shard=(1, 2)))
    for name, where in (("whole", None), ("resumed", store)):
        study = plane(choice, view=view, evaluation=Evaluation(episodes=2, store=where))
        study.write(tmp_path / name, "landscape plane ...")
    for name in ("result.json", "returns.npz"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "resumed" / name).read_bytes()


def test_what_spans_no_plane_is_refused_by_name(files, tmp_path):
    agent, description = small_agent(PENDULUM, seed=0, hidden=(8, 8))
    end, _ = small_agent(PENDULUM, seed=4, hidden=(8, 8))
    a, b = agent.tensors(0), end.tensors(0)
    middle = save_checkpoint(
        tmp_path / "middle.safetensors", {name: (a[name] + b[name]) / 2 for name in a}, description
    )
    copy = save_checkpoint(tmp_path / "copy.safetensors", a, description)
    wide = saved(tmp_path, "wide", 0, hidden=(9, 8))
    maze = saved(tmp_path, "maze", 0, task="pointmaze-umaze")
    for choice, message in (
        (Choice(), "exactly one of --through, --trajectory and --update$"),
        (Choice(through=files[:2], update=files[:2]), "not --through and --update"),
        (Choice(through=files[:1]), "--through takes three checkpoints, or two"),
        (Choice(through=files[:4]), "got 4"),
        (Choice(update=files[:3]), "before and after the update, got 3"),
        (Choice(trajectory=files[:2]), "at least 3 checkpoints"),
        (Choice(through=files[:2], also=[files[0]]), "offline.safetensors: is named twice"),
        (Choice(through=[files[0], files[4], middle]), "span no plane: .* collinear"),
        (Choice(through=[files[0], copy]), "'offline SAC .1.' and 'offline SAC .2.' are equal"),
        (Choice(through=[files[0], wide]), r"different architectures: .*hidden=\(8, 8\).*hidden=\(9, 8\)"),
        (Choice(through=[files[0], maze]), "of task pointmaze-umaze; compare checkpoints of one task"),
        (Choice(trajectory=[tmp_path]), r"offline.safetensors: no such file; name the seed-K folder"),
    ):
        with pytest.raises(UserError, match=message):
            lay_out(choice, FEW)


@pytest.mark.slow
def test_kill_9_and_the_same_command_again(files, tmp_path):
    """21 x 21 points, killed at a random moment: the files of an uninterrupted run, byte for byte."""
    words = [
        sys.executable, "-m", "analysis_cli.landscape", "plane", "--through", *map(str, files[:3]),
        "--nx", "21", "--ny", "21", "--episodes", "3", "--out", "plane",
    ]  # fmt: skip
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    subprocess.run(words, cwd=tmp_path / "whole", check=True, capture_output=True)
    some = np.random.default_rng().uniform(0.1, 0.9)
    whole = sum(path.stat().st_size for path in (tmp_path / "whole/plane/episodes").glob("*.jsonl"))
    killed = subprocess.Popen(
        words, cwd=tmp_path / "killed", start_new_session=True, stdout=subprocess.DEVNULL
    )
    store = tmp_path / "killed" / "plane" / "episodes"
    while killed.poll() is None and sum(map(os.path.getsize, store.glob("*.jsonl"))) < some * whole:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert 0 < Store(store).size < 444 * 3
    assert not (tmp_path / "killed" / "plane" / "result.json").exists()
    subprocess.run(words, cwd=tmp_path / "killed", check=True, capture_output=True)
    for name in ("result.json", "returns.npz"):
        files_ = [(tmp_path / run / "plane" / name).read_bytes() for run in ("whole", "killed")]
        assert files_[0] == files_[1]


def test_on_the_axes_u_and_v_the_corners_are_the_files(files):
    """Stored tensors come back bit for bit, at (0, 0), (1, 0), (0, 1), and play their own episodes."""
    choice = Choice(through=[files[0], files[4], files[1]], also=[files[2]], axes="uv")
    found = plane(choice, view=View(nx=5, ny=6), evaluation=FEW)
    chart, surface = found.chart, found.grid.surface(found.rollouts.returns)
    assert [(p.x, p.y) for p in chart.places[:3]] == [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]
    for k, (x, y) in enumerate(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))):
        stored = load_policy(chart.policies[k].path).params
        for name, tensor in unflatten(chart.plane.point(x, y), chart.layout).items():
            assert tensor.dtype == stored[name].dtype
            np.testing.assert_array_equal(tensor, stored[name])
        i, j = found.grid.xs.tolist().index(x), found.grid.ys.tolist().index(y)
        np.testing.assert_array_equal(surface[j, i], alone(chart.policies[k]).returns[0])
    assert "on the axes u and v" in found.sentence
    vectors = [flatten(p.params, chart.layout) for p in chart.policies]
    u, v, other = (vector - vectors[0] for vector in vectors[1:])
    place = chart.places[3]
    np.testing.assert_allclose(place.residual, np.linalg.norm(other - place.x * u - place.y * v))


@pytest.mark.parametrize("option", ["through", "trajectory"])
def test_the_axes_u_and_v_need_three_checkpoints(files, option):
    named = files[:2] if option == "through" else files
    with pytest.raises(UserError, match=f"--axes uv takes three checkpoints.*with --{option}"):
        lay_out(Choice(**{option: named}, axes="uv"), FEW)
