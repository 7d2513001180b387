"""Lock-step episodes are the episodes one would play one by one, on shared seeds."""

import time

import gymnasium
import numpy as np
import pytest
import torch
from support import small_agent

from smac.envs import make_env
from smac.rollout import LockStep, Status, episode_seeds, policy_noise
from smac.tasks import get_task

TASK = get_task("pointmaze-umaze")


@pytest.fixture(scope="module")
def lock_step():
    lock_step = LockStep(lambda: make_env(TASK), TASK.horizon)
    yield lock_step
    lock_step.close()


def play_alone(actor, seed: int, stochastic: bool) -> tuple[float, int, bool]:
    env = make_env(TASK)
    observation, _ = env.reset(seed=seed)
    noise = policy_noise(seed, TASK.horizon, 2)
    total, steps, done, success = 0.0, 0, False, False
    while not done:
        row = torch.from_numpy(np.asarray(observation, np.float32)).reshape(1, 1, -1)
        eps = torch.from_numpy(noise[steps]).reshape(1, 1, -1) if stochastic else None
        with torch.no_grad():
            action = actor.act(row, eps)[0, 0].numpy()
        observation, reward, terminated, truncated, info = env.step(action)
        total, steps, done = total + reward, steps + 1, terminated or truncated
        success |= info["success"]
    env.close()
    return total, steps, success


@pytest.mark.parametrize("stochastic", [False, True])
def test_lock_step_equals_one_by_one(lock_step, stochastic):
    actor = small_agent()[0].actor
    seeds = episode_seeds(3, 4)
    together = lock_step.play(actor, 1, seeds, stochastic=stochastic)
    for j, seed in enumerate(seeds):
        total, steps, success = play_alone(actor, seed, stochastic)
        assert together.returns[0, j] == total
        assert together.lengths[0, j] == steps
        assert together.successes[0, j] == success


def test_every_episode_is_awaited_and_seeds_are_shared(lock_step):
    """Sparse reward: the return is minus the length, plus one on success, for every point and episode."""
    agent, _ = small_agent()
    rollouts = lock_step.play(agent.actor, 1, episode_seeds(0, 6), stochastic=True)
    np.testing.assert_array_equal(rollouts.returns, -rollouts.lengths + rollouts.successes)
    assert (rollouts.successes | (rollouts.lengths == TASK.horizon)).all()


def test_equal_policies_play_equal_episodes(lock_step):
    """Common random numbers: two copies of one policy differ in nothing, even with sampled actions."""
    actor = small_agent()[0].actor

    class Twice:
        def act(self, observations, noise=None):
            return torch.cat([actor.act(o[None], None if noise is None else n[None]) for o, n in
                              zip(observations, noise, strict=True)])  # fmt: skip

    rollouts = lock_step.play(Twice(), 2, episode_seeds(1, 3), stochastic=True)
    np.testing.assert_array_equal(rollouts.returns[0], rollouts.returns[1])
    np.testing.assert_array_equal(rollouts.lengths[0], rollouts.lengths[1])


def test_more_episodes_extend_the_list_of_seeds():
    assert episode_seeds(5, 3) == episode_seeds(5, 10)[:3]
    assert len(set(episode_seeds(5, 1000))) == 1000
    assert episode_seeds(5, 3) != episode_seeds(6, 3)


def test_nan_actions_are_recorded_and_never_averaged_away(lock_step):
    class Broken:
        def act(self, observations, noise=None):
            actions = torch.zeros(*observations.shape[:-1], 2)
            actions[1] = float("nan")
            return actions

    rollouts = lock_step.play(Broken(), 2, episode_seeds(0, 2))
    assert np.isfinite(rollouts.returns[0]).all()
    assert np.isnan(rollouts.returns[1]).all()
    assert (rollouts.lengths[1] == 0).all()


class Disturbed(gymnasium.Wrapper):
    """A real Hopper to which something happens at its third step."""

    def __init__(self, what: str) -> None:
        super().__init__(make_env(get_task("hopper").with_options("horizon=6")))
        self.what, self.steps = what, 0

    def reset(self, **options):
        self.steps = 0
        return super().reset(**options)

    def step(self, action):
        self.steps += 1
        if self.steps == 3:
            if self.what == "blows up":
                self.unwrapped.data.qvel[:] = 1e12
            if self.what == "raises":
                raise ValueError("the simulator gave up")
            if self.what == "hangs":
                time.sleep(0.2)
        observation, reward, *rest = super().step(action)
        if self.steps == 3 and self.what == "nan":
            reward = float("nan")
        return observation, reward, *rest


@pytest.mark.parametrize(
    ("what", "status", "length"),
    [("blows up", Status.DIVERGED, None), ("raises", Status.DIVERGED, 2), ("nan", Status.DIVERGED, 2),
     ("hangs", Status.TIMED_OUT, 3), ("nothing", Status.FINISHED, None)],
)  # fmt: skip
def test_how_an_episode_failed_is_recorded_and_the_next_one_is_played(what, status, length):
    """Divergence goes unseen by gymnasium: MuJoCo resets the state and the numbers stay finite."""

    class Still:
        def act(self, observations, noise=None):
            return torch.zeros(*observations.shape[:-1], 3)

    lock_step = LockStep(lambda: Disturbed(what), 6, time_limit=0.1 if what == "hangs" else np.inf)
    for _ in range(2):
        played = lock_step.play(Still(), 1, [4])
        assert played.statuses[0, 0] == status
        assert np.isfinite(played.returns[0, 0]) == (status is Status.FINISHED)
        assert length is None or played.lengths[0, 0] == length
    lock_step.close()
