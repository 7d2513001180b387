import numpy as np
import pytest
import torch

from smac.data.transitions import (
    ACTION_LIMIT,
    Episode,
    Transitions,
    monte_carlo_returns,
    outcomes,
    sparse_episode,
)
from smac.errors import UserError


def recording(steps, success_at=None, offset=0.0):
    success = np.zeros(steps, dtype=bool)
    if success_at is not None:
        success[success_at] = True
    observations = offset + np.arange(steps + 1, dtype=np.float64)[:, None] * np.ones(2)
    return observations, np.full((steps, 1), 1.0), success


def batch(discount=0.5, failure_reward=-1.0):
    """An episode that succeeds at its third step, and one that is truncated after two."""
    episodes = [sparse_episode(*recording(5, 2)), sparse_episode(*recording(2, offset=100.0))]
    return Transitions.from_episodes(episodes, discount=discount, failure_reward=failure_reward)


def test_sparse_episode_is_cut_at_the_first_success():
    observations, actions, success = recording(6)
    success[[2, 4]] = True
    episode = sparse_episode(observations, actions, success)
    assert len(episode) == 3
    assert episode.observations.shape == (4, 2)
    assert episode.rewards.tolist() == [-1.0, -1.0, 0.0]
    assert episode.success.tolist() == [False, False, True]
    assert (episode.terminated, episode.truncated) == (True, False)
    failed = sparse_episode(*recording(2))
    assert (failed.terminated, failed.truncated) == (False, True)


def test_returns_of_success_truncation_and_failure():
    rewards = np.array([-1.0, -1.0, 0.0])
    success = monte_carlo_returns(rewards, True, discount=0.9, failure_reward=-1.0)
    np.testing.assert_allclose(success, [-1.9, -1.0, 0.0], rtol=1e-6)
    mixed = monte_carlo_returns(np.array([-1.0, 2.0]), False, discount=0.9, failure_reward=-1.0)
    np.testing.assert_allclose(mixed, [0.8, 2.0], rtol=1e-6)
    failing = monte_carlo_returns(-np.ones(4), False, discount=0.99, failure_reward=-1.0)
    np.testing.assert_allclose(failing, [-100.0] * 4, rtol=1e-6)


def test_failing_rule_needs_truncation_and_a_failure_reward():
    plain = monte_carlo_returns(-np.ones(3), False, discount=0.5, failure_reward=None)
    np.testing.assert_allclose(plain, [-1.75, -1.5, -1.0])
    terminated = monte_carlo_returns(-np.ones(3), True, discount=0.5, failure_reward=-1.0)
    np.testing.assert_allclose(terminated, [-1.75, -1.5, -1.0])
    scaled = monte_carlo_returns(np.full(2, -5.0), False, discount=0.99, failure_reward=-5.0)
    np.testing.assert_allclose(scaled, [-500.0, -500.0], rtol=1e-6)


def test_bad_discounts():
    with pytest.raises(UserError, match="discount must lie in"):
        monte_carlo_returns(np.zeros(1), True, discount=1.5, failure_reward=None)
    with pytest.raises(UserError, match="no finite return"):
        monte_carlo_returns(-np.ones(1), False, discount=1.0, failure_reward=-1.0)


def test_columns():
    data = batch()
    assert len(data) == 5
    assert data.masks.tolist() == [1, 1, 0, 1, 1]  # only the terminated step does not bootstrap
    assert data.terminals.tolist() == [0, 0, 1, 0, 1]
    assert data.rewards.tolist() == [-1, -1, 0, -1, -1]
    assert data.mc_returns.tolist() == [-1.5, -1.0, 0.0, -2.0, -2.0]
    assert data.episode_ids.tolist() == [0, 0, 0, 1, 1]
    assert data.timesteps.tolist() == [0, 1, 2, 0, 1]
    assert data.successes.tolist() == [1, 1, 1, 0, 0]
    assert data.observations[:, 0].tolist() == [0, 1, 2, 100, 101]
    assert data.next_observations[:, 0].tolist() == [1, 2, 3, 101, 102]
    assert torch.equal(data.actions, torch.full((5, 1), np.float32(ACTION_LIMIT)))


def test_dtypes_and_device():
    data = batch().to("cpu")
    whole = {"episode_ids", "timesteps"}
    for name, tensor in vars(data).items():
        assert tensor.dtype == (torch.int64 if name in whole else torch.float32), name


def test_outcomes():
    data = batch()
    assert outcomes("return_to_go", data, horizon=10) is data.mc_returns
    assert outcomes("success", data, horizon=10).tolist() == [1, 1, 1, 0, 0]
    assert outcomes("trajectory_return", data, horizon=10).tolist() == [-2, -2, -2, -2, -2]
    average = outcomes("average_return_to_go", data, horizon=10)
    torch.testing.assert_close(average, torch.tensor([-2 / 10, -1 / 9, 0.0, -2 / 10, -1 / 9]))
    short = outcomes("average_return_to_go", data, horizon=2)  # the longest episode has 3 steps
    torch.testing.assert_close(short, torch.tensor([-2 / 3, -1 / 2, 0.0, -2 / 3, -1 / 2]))
    with pytest.raises(UserError, match="unknown outcome 'value'"):
        outcomes("value", data, horizon=10)


def test_no_episodes():
    with pytest.raises(UserError, match="holds no episode"):
        Transitions.from_episodes([], discount=0.9, failure_reward=None)


def test_from_dense_episode_keeps_its_rewards():
    episode = Episode(
        observations=np.zeros((3, 1), dtype=np.float32),
        actions=np.zeros((2, 1), dtype=np.float32),
        rewards=np.array([1.0, 3.0], dtype=np.float32),
        success=np.zeros(2, dtype=bool),
        terminated=False,
        truncated=True,
    )
    data = Transitions.from_episodes([episode], discount=0.5, failure_reward=None)
    assert data.mc_returns.tolist() == [2.5, 3.0]
    assert data.masks.tolist() == [1, 1]
