import numpy as np
import pytest

from figures.dataset import ACTION_BINS, BINS, action_shares, coverage, dataset_still, draw_dataset, visits
from smac.data.transitions import Episode
from smac.errors import UserError
from smac.tasks import get_task


def episodes(count=30, dims=2):
    """Random walks of 5 to 14 steps; every third one succeeds at its last step."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        length = 5 + i % 10
        success = np.zeros(length, bool)
        success[-1] = i % 3 == 0
        made.append(
            Episode(
                observations=rng.normal(size=(length + 1, 6)).astype(np.float32),
                actions=rng.uniform(-1, 1, size=(length, dims)).astype(np.float32),
                rewards=success - np.float32(1),
                success=success,
                terminated=bool(success[-1]),
                truncated=not success[-1],
            )
        )
    return made


def test_counts_are_numpys():
    data = episodes()
    found = coverage("a/b-v0", data, get_task("pointmaze-umaze"))
    np.testing.assert_array_equal(found.returns, [e.rewards.sum() for e in data])
    np.testing.assert_array_equal(found.lengths, [len(e) for e in data])
    assert found.solved.mean() == pytest.approx(1 / 3)
    actions = np.concatenate([e.actions for e in data])
    for dim in range(2):
        expected = np.histogram(actions[:, dim], ACTION_BINS, (-1, 1))[0] / len(actions)
        np.testing.assert_allclose(found.actions[dim], expected)
    counts, xs, ys = found.visited
    places = np.concatenate([e.observations[:, :2] for e in data])
    np.testing.assert_array_equal(counts, np.histogram2d(*places.T, bins=(xs, ys))[0])
    assert counts.sum() == len(places)
    np.testing.assert_allclose(np.diff(xs), np.diff(ys)[0], rtol=1e-6)  # square cells


def test_shares_of_actions_at_the_bound_are_in_the_outer_bins():
    shares = action_shares(np.array([[1.0, -1.0], [1.0000001, 0.0]]))
    assert shares[0, -1] == 1.0
    assert shares[1, 0] == 0.5
    assert shares[1, ACTION_BINS // 2] == 0.5


def test_places_that_are_all_the_same_are_one_cell():
    counts, _, _ = visits(np.ones((4, 2)))
    assert counts.max() == 4


def test_bars_are_the_histogram_and_failures_stand_on_successes():
    data = episodes()
    found = coverage("a/b-v0", data, get_task("pointmaze-umaze"))
    ax = dataset_still(found).axes[1]
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, BINS)
    edges = np.histogram_bin_edges(found.lengths, BINS)
    np.testing.assert_array_equal(heights[0], np.histogram(found.lengths[found.solved], edges)[0])
    np.testing.assert_array_equal(heights.sum(axis=0), np.histogram(found.lengths, edges)[0])


def test_a_task_without_success_or_maze_has_neither():
    found = coverage("a/b-v0", episodes(), get_task("hopper"))
    assert found.solved is None
    assert found.visited is None
    assert "success" not in dataset_still(found).get_suptitle()


def test_files_are_written_once(tmp_path):
    found = coverage("a/b-v0", episodes(), get_task("pointmaze-umaze"))
    paths = draw_dataset(found, tmp_path / "look")
    assert [p.name for p in paths] == ["look.png", "look.pdf"]
    assert all(p.stat().st_size > 1000 for p in paths)
    with pytest.raises(UserError, match="already exists"):
        draw_dataset(found, tmp_path / "look")


def test_a_dataset_without_episodes_is_refused():
    with pytest.raises(UserError, match="no episode"):
        coverage("a/b-v0", [], get_task("hopper"))
