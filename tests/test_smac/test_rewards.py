"""Rewards in training against those of the task: scaled, shifted, and added up as if recorded so."""

import numpy as np
import pytest
import torch
from support import toy_transitions

from smac.agents import default_config
from smac.data.replay import OfflineData
from smac.data.rewards import RewardScale, reward_scale
from smac.data.transitions import Episode, Transitions, monte_carlo_returns
from smac.errors import UserError
from smac.tasks import get_task


def episode(rewards: list[float], terminated: bool) -> Episode:
    n = len(rewards)
    return Episode(
        observations=np.zeros((n + 1, 3), np.float32),
        actions=np.zeros((n, 2), np.float32),
        rewards=np.array(rewards, np.float32),
        success=np.array(rewards) == 0.0,
        terminated=terminated,
        truncated=not terminated,
    )


# solved; never solved; solved at once; truncated after a success, which is no failure for ever
EPISODES = (
    episode([-1.0, -1.0, 0.0], True),
    episode([-1.0, -1.0, -1.0, -1.0], False),
    episode([0.0], True),
    episode([0.0, -1.0, -1.0], False),
)


@pytest.mark.parametrize("failure_reward", [-1.0, None])
def test_returns_of_scaled_rewards_are_those_of_a_dataset_recorded_in_them(failure_reward):
    data = Transitions.from_episodes(EPISODES, discount=0.9, failure_reward=failure_reward)
    found = RewardScale(10.0, 5.0).returns(data, discount=0.9, failure_reward=failure_reward)
    expected = [
        monte_carlo_returns(
            10.0 * e.rewards + 5.0,
            e.terminated,
            discount=0.9,
            failure_reward=None if failure_reward is None else 10.0 * failure_reward + 5.0,
        )
        for e in EPISODES
    ]
    np.testing.assert_allclose(found.numpy(), np.concatenate(expected), rtol=1e-5)
    if failure_reward is not None:
        assert found[3:7].tolist() == pytest.approx([-50.0] * 4)  # -5 for ever at 0.9


def test_batches_have_the_rewards_of_training_and_the_dataset_keeps_its_own():
    transitions = toy_transitions(100, 3, 2)
    data = OfflineData(transitions, [0], rewards=RewardScale(10.0, 5.0), failure_reward=-1.0)
    assert data.sample(16).rewards.eq(-5.0).all()
    assert data.sample(16).mc_returns.tolist()[0] == pytest.approx([-500.0] * 16, rel=1e-5)
    assert data.transitions.rewards.eq(-1.0).all()


def test_the_range_of_returns_is_a_thousand():
    data = Transitions.from_episodes(EPISODES, discount=0.9, failure_reward=None)
    assert reward_scale("return_range", 0.0, data) == RewardScale(250.0, 0.0)  # returns 0 to -4
    assert reward_scale(2.0, -1.0, data) == RewardScale(2.0, -1.0)
    with pytest.raises(UserError, match="the same return"):
        reward_scale("return_range", 0.0, toy_transitions(100, 3, 2))


def test_numbers_tuned_for_ten_times_the_reward_come_with_it():
    """WSRL's and Cal-QL's weights on Adroit belong to rewards of -5 and 5."""
    for task in ("pen-binary", "door-binary", "relocate-binary"):
        for algorithm in ("cal_ql", "cql", "iql"):
            config = default_config(algorithm, get_task(task))
            assert (config.reward_scale, config.reward_bias) == (10.0, 5.0)
        for algorithm in ("smac", "td3_bc", "bc", "sac"):
            assert default_config(algorithm, get_task(task)).reward_scale == 1.0
    assert default_config("iql", get_task("hopper")).reward_scale == "return_range"


def test_a_scale_must_be_positive():
    with pytest.raises(UserError, match="--reward-scale must be positive"):
        default_config("iql", get_task("pointmaze-umaze")).__class__(reward_scale=0.0)
    assert torch.equal(RewardScale()(torch.tensor([3.0])), torch.tensor([3.0]))
