"""A curve finds its way around a valley, on an analytic landscape and with rollouts; searches go on."""

import numpy as np
import pytest
from support import small_agent

from landscape.evaluate import Evaluation, evaluate
from landscape.geometry import Curve, straight_chain
from landscape.study import Search, align, curve
from landscape.study.search import _gradient, _weights, bend
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.policies import load_policy
from smac.tasks import get_task

DIMENSION = 12


def pit(vectors) -> np.ndarray:
    """-100 at the origin, which is half-way between the ends, and 0 far from it."""
    return np.array([-100.0 * np.exp(-(v @ v) / 0.1) for v in vectors])


def ends(kind: str = "bezier", bends: int = 1) -> Curve:
    start = np.zeros(DIMENSION)
    start[0] = 1.0
    return straight_chain("polygonal" if kind == "chain" else "bezier", start, -start, bends)


def play(vectors, count, step):
    values = pit(vectors)
    assert len(values) == count
    return values


@pytest.mark.parametrize(("kind", "bends"), [("bezier", 1), ("chain", 1), ("chain", 3)])
def test_a_bend_leads_around_a_pit_that_the_straight_line_falls_into(kind, bends):
    begun = ends(kind, bends)
    assert pit(begun.points(np.linspace(0, 1, 21))).min() == pytest.approx(-100)
    found, history = bend(begun, Search(steps=200, noise=0.3, rate=0.2), play, seed=0)
    assert pit(found.points(np.linspace(0, 1, 101))).min() > -5
    assert np.mean(history[-20:]) > -1 > history[0]
    np.testing.assert_array_equal(found.control[[0, -1]], begun.control[[0, -1]])


def test_the_gradient_is_that_of_the_mean_return_over_the_curve():
    """For J(theta) = <c, theta> its derivative by the bend is c E[2 t (1 - t)] = c / 3."""
    c = np.arange(1.0, DIMENSION + 1)
    linear = lambda vectors, count, step: np.array([c @ v for v in vectors])  # noqa: E731
    search = Search(pairs=4000)
    found, value = _gradient(ends(), search, 0.1, linear, seed=3, step=0)
    cosine = found[0] @ c / np.linalg.norm(found[0]) / np.linalg.norm(c)
    assert cosine > 0.99
    assert value == pytest.approx(0.0, abs=0.1)


def test_a_killed_search_goes_on_as_the_same_search(tmp_path):
    search = Search(steps=9, pairs=4)
    whole, history = bend(ends(), search, play, seed=1)
    state = tmp_path / "search.npz"
    calls = []

    def dies(vectors, count, step):
        calls.append(step)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return play(vectors, count, step)

    with pytest.raises(KeyboardInterrupt):
        bend(ends(), search, dies, seed=1, state=state)
    again, later = bend(ends(), search, play, seed=1, state=state)
    np.testing.assert_array_equal(again.control, whole.control)
    assert later == history
    with pytest.raises(UserError, match="is of another search"):
        bend(ends(), search, play, seed=2, state=state)


def test_a_failed_pair_has_no_say_and_a_focus_weighs_the_lowest_most():
    usable = np.array([True, False, True])
    np.testing.assert_allclose(_weights(np.array([-5.0, np.nan, -3.0]), usable, None), [0.5, 0, 0.5])
    weights = _weights(np.array([-5.0, np.nan, -3.0]), usable, 1.0)
    np.testing.assert_allclose(weights, [1 / (1 + np.exp(-2)), 0, 1 / (1 + np.exp(2))])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"steps": 0}, "--steps"), ({"noise": 0.0}, "--noise"), ({"focus": -1.0}, "--focus")],
)
def test_senseless_searches_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Search(**options)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two policies with ReLU that were never trained, on short episodes."""
    folder, paths = tmp_path_factory.mktemp("pair"), []
    for seed in (0, 1):
        agent, about = small_agent("pointmaze-umaze@horizon=15", seed=seed, activation="relu")
        paths.append(save_checkpoint(folder / f"{seed}.safetensors", agent.tensors(0), about))
    return paths


def test_a_curve_is_measured_on_episodes_that_the_search_never_saw(checkpoints, tmp_path):
    options = {"points": 5, "margin": 1.0, "evaluation": Evaluation(episodes=3)}
    search = Search(steps=2, pairs=2, step_episodes=1)
    found = curve(*checkpoints, search=search, state=tmp_path / "search.npz", **options)
    assert found.rollouts.returns.shape == found.straight.returns.shape == (5, 3)
    np.testing.assert_array_equal(found.rollouts.returns[[0, -1]], found.straight.returns[[0, -1]])
    for row, path in ((0, checkpoints[0]), (-1, checkpoints[1])):
        policy = load_policy(path)
        task = get_task(policy.description.task)
        alone = evaluate(policy.spec, task, [policy.params], 1, Evaluation(episodes=3))
        np.testing.assert_array_equal(found.rollouts.returns[row], alone.returns[0])
    written = found.to_json()
    assert written["search"]["history"] == found.history
    assert len(found.history) == 2
    assert written["curve"]["length_ratio"] >= 1
    with pytest.raises(UserError, match="equal; there is no curve"):
        curve(checkpoints[0], checkpoints[0], search=search, **options)


def test_alignment_keeps_the_actions_and_a_run_of_its_own_is_aligned(checkpoints):
    """Two networks: units move and every action stays to 1e-5. One network: nothing moves."""
    options = {"points": 3, "margin": 1.0, "evaluation": Evaluation(episodes=2)}
    found = align(*checkpoints, **options)
    assert found.alignment.moved_units > 0
    assert found.alignment.function_change < 1e-5
    assert found.alignment.distance_after < found.alignment.distance_before
    np.testing.assert_array_equal(found.straight.returns[0], found.rollouts.returns[0])
    np.testing.assert_allclose(found.straight.returns[-1], found.rollouts.returns[-1], atol=1e-3)
    same = align(checkpoints[0], checkpoints[0], rescale=False, **options)
    assert same.alignment.identity
    np.testing.assert_array_equal(same.straight.returns, same.rollouts.returns)
    assert "as it is" in same.sentence


def test_a_compared_path_has_both_verdicts_of_a_path_and_that_of_the_straight_line(checkpoints):
    written = align(*checkpoints, points=3, margin=1.0, evaluation=Evaluation(episodes=2)).to_json()
    assert written["verdict"] == written["analysis"]["verdict"]
    assert written["monotone"] == written["analysis"]["monotone"]
    assert written["falls"] in (True, False)
    assert written["straight"]["verdict"] == written["straight"]["analysis"]["verdict"]
    assert len(written["straight"]["alphas"]) == written["points"] == 3


@pytest.mark.parametrize("study", [align, curve])
@pytest.mark.parametrize(
    ("options", "message"),
    [({"confidence": 2.0}, "confidence must lie between 0 and 1"), ({"points": 2}, "--points must be"),
     ({"margin": -1.0}, "--margin must be")],
)  # fmt: skip
def test_senseless_options_are_refused_before_an_episode_is_played(
    checkpoints, tmp_path, study, options, message
):
    store = tmp_path / "store"
    with pytest.raises(UserError, match=message):
        study(*checkpoints, **{"margin": 1.0} | options, evaluation=Evaluation(store=store))
    assert not store.exists()
