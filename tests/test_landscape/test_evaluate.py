"""The return matrix: exact ends, shared seeds, and nothing that depends on how the work was cut."""

import numpy as np
import pytest
from support import described, small_agent

from landscape.evaluate import EPISODES_PER_JOB, POINTS_PER_STACK, Evaluation, evaluate
from landscape.geometry import line, line_alphas
from landscape.study import interpolate
from smac.checkpoint import load_checkpoint, save_checkpoint
from smac.errors import UserError
from smac.policies import load_policy, stack_actor
from smac.rollout import episode_seeds
from smac.tasks import get_task

TASK = get_task("pointmaze-umaze")


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp("ends"), []
    for seed, moment in ((0, "offline"), (1, "online")):
        agent, description = small_agent(seed=seed)
        path = folder / f"{moment}.safetensors"
        paths.append(save_checkpoint(path, agent.tensors(0), described(description, moment=moment)))
    return paths


def play(ends, alphas, *, progress=None, task=TASK, **options):
    a, b = (load_policy(path) for path in ends)
    points = line(a.params, b.params, alphas)
    return evaluate(a.spec, task, points, len(alphas), Evaluation(**options), progress=progress)


def test_the_ends_of_a_line_are_the_checkpoints_and_leave_them_unchanged(ends):
    """First-grid-value trap: alpha = 0 and 1 are the stored tensors bit for bit, and the files stay."""
    before = [path.read_bytes() for path in ends]
    a, b = (load_policy(path) for path in ends)
    points = list(line(a.params, b.params, line_alphas(5)))
    for end, point, path in ((a, points[0], ends[0]), (b, points[-1], ends[1])):
        stored = load_checkpoint(path).tensors
        for name, tensor in point.items():
            np.testing.assert_array_equal(tensor, stored[f"actor.{name}"].numpy())
            np.testing.assert_array_equal(tensor, end.params[name])
    assert [path.read_bytes() for path in ends] == before


def test_end_points_are_evaluated_exactly(ends):
    """The returns at alpha 0 and 1 are those of the checkpoints' own actors."""
    rollouts = play(ends, line_alphas(3), episodes=2)
    for row, path in ((0, ends[0]), (-1, ends[1])):
        policy = load_policy(path)
        alone = evaluate(policy.spec, TASK, [policy.params], 1, Evaluation(episodes=2))
        np.testing.assert_array_equal(rollouts.returns[row], alone.returns[0])


def test_one_and_two_workers_give_the_same_matrix(ends):
    alphas, episodes = line_alphas(POINTS_PER_STACK + 2), EPISODES_PER_JOB + 1
    options = {"episodes": episodes, "stochastic": True, "task": TASK.with_options("horizon=60")}
    one, two = (play(ends, alphas, workers=count, **options) for count in (1, 2))
    for name in ("returns", "lengths", "successes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_point_does_not_depend_on_the_rest_of_the_grid(ends):
    """More points, more episodes: what was there before stays the same, so results can be added to."""
    few = play(ends, line_alphas(3), episodes=2)
    many = play(ends, line_alphas(5), episodes=6)
    np.testing.assert_array_equal(few.returns, many.returns[::2, :2])


def test_rows_are_points_and_columns_are_episodes(ends):
    """Points != episodes: the population-index trap. Two equal policies give two equal rows."""
    a, _ = (load_policy(path) for path in ends)
    rollouts = evaluate(a.spec, TASK, [a.params] * 3, 3, Evaluation(episodes=5))
    assert rollouts.returns.shape == (3, 5)
    np.testing.assert_array_equal(rollouts.returns[0], rollouts.returns[2])
    assert len(set(rollouts.lengths[0])) > 1 or not rollouts.successes.any()


def test_progress_counts_every_episode(ends):
    seen = []
    play(ends, line_alphas(3), episodes=2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6, 6)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_stacked_actor_is_its_checkpoints(ends):
    import torch

    a, b = (load_policy(path) for path in ends)
    actor = stack_actor(a.spec, [a.params, b.params])
    observations = torch.randn(2, 4, 6)
    for k, policy in enumerate((a, b)):
        alone = stack_actor(policy.spec, [policy.params])
        torch.testing.assert_close(actor.act(observations)[k], alone.act(observations[k : k + 1])[0])


def test_interpolate_keeps_every_episode_and_repeats_itself(ends, tmp_path):
    results = [interpolate(*ends, points=3, evaluation=Evaluation(episodes=3, seed=5)) for _ in range(2)]
    for k, result in enumerate(results):
        result.write(tmp_path / str(k), "landscape interpolate ...")
    for name in ("returns.npz", "result.json"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    with np.load(tmp_path / "0" / "returns.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == [
            "alphas", "episode_seeds", "lengths", "returns", "solved", "statuses", "successes",
        ]  # fmt: skip
        assert arrays["returns"].shape == arrays["lengths"].shape == arrays["successes"].shape == (3, 3)
        np.testing.assert_array_equal(arrays["alphas"], [0, 0.5, 1])
        np.testing.assert_array_equal(arrays["episode_seeds"], episode_seeds(5, 3))
    assert results[0].margin.delta == pytest.approx(0.05 * (TASK.expert_return - TASK.random_return))
    other = interpolate(*ends, points=3, evaluation=Evaluation(episodes=3, seed=6))
    assert other.evaluation.seeds != results[0].evaluation.seeds


def test_other_tasks_and_architectures_are_refused(ends, tmp_path):
    agent, description = small_agent("pointmaze-medium")
    medium = save_checkpoint(tmp_path / "medium.safetensors", agent.tensors(0), description)
    with pytest.raises(UserError, match="compare checkpoints of one task"):
        interpolate(ends[0], medium)
    agent, description = small_agent(hidden=(8, 8))
    narrow = save_checkpoint(tmp_path / "narrow.safetensors", agent.tensors(0), description)
    with pytest.raises(UserError, match="different architectures"):
        interpolate(ends[0], narrow)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 1}, "--points must be at least 3"),
        ({"margin": -1.0}, "--margin must be"),
        ({"margin": float("nan")}, "--margin must be"),
    ],
)
def test_senseless_options_are_refused(ends, options, message):
    with pytest.raises(UserError, match=message):
        interpolate(*ends, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "--episodes must be at least 1"),
        ({"workers": 0}, "--workers must be at least 1"),
        ({"time_limit": 0.0}, "--time-limit must be a number of seconds above 0"),
        ({"shard": (3, 2)}, "--shard must be K/N"),
    ],
)
def test_senseless_evaluations_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Evaluation(**options)
