import numpy as np
import pytest

from smac.collect.collecting import collect
from smac.collect.controllers import WaypointController, distances_to
from smac.errors import UserError
from smac.tasks import get_task

MAP = [
    [1, 1, 1, 1, 1],
    [1, 0, 0, "g", 1],
    [1, 1, 1, 0, 1],
    [1, "r", 0, 0, 1],
    [1, 1, 1, 1, 1],
]


def gather(name="pointmaze-umaze", **options):
    defaults = {"episodes": 12, "noise": 0.3, "wander": 0.003, "seed": 0, "workers": 1}
    return collect(get_task(name), **{**defaults, **options})


def success_rate(episodes):
    return np.mean([episode.success.any() for episode in episodes])


def test_breadth_first_search():
    distance = distances_to(MAP, (1, 1))
    assert distance[1].tolist() == [-1, 0, 1, 2, -1]
    assert distance[2].tolist() == [-1, -1, -1, 3, -1]
    assert distance[3].tolist() == [-1, 6, 5, 4, -1]


def test_cells_and_waypoints():
    controller = WaypointController(MAP)
    assert controller.cell(np.array([-1.0, 1.0])) == (1, 1)
    np.testing.assert_array_equal(controller.centre((1, 1)), [-1.0, 1.0])
    goal = np.array([-1.1, -0.9])
    np.testing.assert_array_equal(controller.waypoint(np.array([-1.2, 1.2]), goal), [0.0, 1.0])
    np.testing.assert_array_equal(controller.waypoint(np.array([1.2, 1.2]), goal), [1.0, 0.0])
    np.testing.assert_array_equal(controller.waypoint(np.array([-0.8, -1.2]), goal), goal)
    force = controller.action(np.array([0.0, 1.0, 0.5, 0.0]), np.array([0.06, 1.0]))
    np.testing.assert_allclose(force, [0.1, 0.0], atol=1e-12)


def test_a_walled_goal_cuts_the_maze():
    aside = WaypointController(MAP).without((1, 3))
    assert aside.connected_cells((1, 1)) == [(1, 1), (1, 2)]
    assert aside.connected_cells((3, 3)) == [(2, 3), (3, 1), (3, 2), (3, 3)]


@pytest.mark.parametrize("name", ["pointmaze-umaze", "pointmaze-medium"])
def test_controller_without_noise_always_succeeds(name):
    episodes = gather(name, noise=0.0, wander=0.0)
    assert success_rate(episodes) == 1.0
    for episode in episodes:
        assert episode.terminated
        assert not episode.truncated
        assert episode.rewards[:-1].tolist() == [-1.0] * (len(episode) - 1)
        assert episode.rewards[-1] == 0.0
        np.testing.assert_array_equal(episode.success, get_task(name).solved(episode.observations[1:]))


def test_wander_sets_the_success_rate():
    rates = [success_rate(gather(episodes=30, wander=wander)) for wander in (0.0, 0.05, 1.0)]
    assert rates[0] == 1.0
    assert 0.25 < rates[1] < 0.85
    assert rates[2] < 0.25


def test_failed_episodes_are_truncated_at_the_horizon():
    failed = [e for e in gather(episodes=6, wander=1.0) if not e.success.any()]
    assert failed
    assert all(len(e) == 300 and e.truncated and not e.terminated for e in failed)


def test_workers_do_not_change_the_result():
    done = []
    one = gather(workers=1, wander=0.02)
    two = gather(workers=2, wander=0.02, progress=lambda n, total: done.append((n, total)))
    assert done == [(10, 12), (12, 12)]
    for a, b in zip(one, two, strict=True):
        for name in ("observations", "actions", "rewards", "success"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_seeds_differ():
    first, second = gather(episodes=1, seed=0)[0], gather(episodes=1, seed=1)[0]
    assert np.any(first.observations[0] != second.observations[0])
    assert first.actions.dtype == first.observations.dtype == first.rewards.dtype == np.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "door-binary"}, "no controller"),
        ({"episodes": 0}, "episodes must be at least 1"),
        ({"noise": -0.1}, "noise must not be negative"),
        ({"noise": float("nan")}, "noise must not be negative"),
        ({"wander": 1.1}, r"wander is a probability in \[0, 1\]"),
        ({"seed": -1}, "seed must not be negative"),
        ({"workers": 0}, "workers must be at least 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UserError, match=message):
        gather(**options)
