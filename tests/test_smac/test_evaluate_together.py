"""Several policies in one forward pass: each comes to what it comes to alone, however many episodes."""

import numpy as np
import pytest
from support import small_agent

from smac.agents import agent_class
from smac.envs import make_env
from smac.nets import TanhGaussianActor
from smac.rollout import LockStep, episode_seeds
from smac.tasks import get_task
from smac.training.evaluate import COLUMNS, evaluate_policies

NAME = "Pendulum-v1@horizon=15"
TASK = get_task(NAME)


class Counting:
    """An actor, and the shapes of the observations that it was asked about."""

    def __init__(self, actor: TanhGaussianActor) -> None:
        self.actor, self.seen = actor, []

    def act(self, observations, noise=None):
        self.seen.append(tuple(observations.shape))
        return self.actor.act(observations, noise)


def stack(seeds: int) -> TanhGaussianActor:
    one, _ = small_agent(NAME)
    kind = agent_class("sac")
    return kind(one.config, one.observation_dim, one.action_dim, range(seeds)).actor


def alone(actor: TanhGaussianActor, points: int, episodes: int) -> np.ndarray:
    """Returns [points, episodes], one episode after the other."""
    lock_step = LockStep(lambda: make_env(TASK), TASK.horizon)
    played = [lock_step.play(actor, points, [seed]).returns for seed in episode_seeds(5, episodes)]
    lock_step.close()
    return np.concatenate(played, axis=1)


def test_policies_of_a_stack_are_played_together():
    policy = Counting(stack(3))
    found = evaluate_policies(TASK, policy, 3, episodes=COLUMNS + 3, seed=5, stochastic=False)
    expected = alone(policy.actor, 3, COLUMNS + 3)
    assert {shape[:2] for shape in policy.seen} == {(3, COLUMNS)}
    for numbers, returns in zip(found, expected, strict=True):
        assert numbers["return"]["mean"] == pytest.approx(returns.mean(), rel=1e-4)
        assert numbers["return"]["standard_error"] == pytest.approx(
            returns.std() / np.sqrt(len(returns) - 1), rel=1e-3
        )


def test_more_episodes_leave_the_first_ones_as_they_are():
    actor = stack(1)
    means = {
        n: evaluate_policies(TASK, actor, 1, episodes=n, seed=5, stochastic=True)[0]["return"]["mean"] * n
        for n in (3, 4, 11, 12)
    }
    single = evaluate_policies(TASK, actor, 1, episodes=1, seed=5, stochastic=True)[0]["return"]["mean"]
    assert single > means[3] > means[4] > means[12]  # sums of negative returns
    again = evaluate_policies(TASK, actor, 1, episodes=12, seed=5, stochastic=True)[0]["return"]["mean"] * 12
    assert again == means[12]
    ninth = means[12] - means[11]
    assert -16.3 * TASK.horizon < ninth < 0
