"""Environments that mislead: not-a-number, rewards of odd shapes, success beside another reward, options."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from support import random_batch, toy_agent

from smac.agents.sac import SAC, SACConfig
from smac.checkpoint import load_checkpoint
from smac.data.summary import summarise
from smac.data.transitions import Episode
from smac.envs import make_env
from smac.errors import UserError
from smac.tasks import get_task
from smac.training.finite import check_agent, check_losses
from smac.training.metrics import RunningMeans
from smac.training.online import OnlineOptions, train
from smac.training.run import Run, read_metrics


class Trap(gymnasium.Env):
    """Stands still; at step `at` of its life the reward, or the observation, is `value`."""

    observation_space = Box(-1, 1, (3,), np.float32)
    action_space = Box(-2, 2, (2,), np.float32)

    def __init__(self, at=0, value="nan", field="reward", shape=None, success=False, max_horizon=0):
        self.at, self.value, self.field, self.shape, self.success = at, float(value), field, shape, success
        self.steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.steps += 1
        reward, observation = 0.5, np.zeros(3, np.float32)
        if self.steps == self.at and self.field == "reward":
            reward = self.value
        elif self.steps == self.at:
            observation[1] = self.value
        info = {"success": self.steps % 10 == 7} if self.success else {}
        return observation, reward if self.shape is None else np.full(self.shape, reward), False, False, info


gymnasium.register("SmacTrap-v0", Trap, max_episode_steps=10)
gymnasium.register("SmacTrapEndless-v0", Trap)
TINY = OnlineOptions(steps=40, log_every=40, eval_every=40, eval_episodes=1, save_every=10)


def train_on(name, run, seeds=(4,)):
    agent = SAC(SACConfig(hidden=(8,), batch_size=4), 3, 2, seeds)
    train(run if isinstance(run, Run) else Run(run, {"command": "train"}), get_task(name), agent, TINY)


# ---- not-a-number --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("env.value=nan", r"step 25, seed 4: the environment's reward is nan; training has ended"),
        ("env.value=inf", r"step 25, seed 4: the environment's reward is inf;"),
        ("env.value=1e39", r"the environment's reward is 1e\+39, which overflows float32;"),
        ("env.value=nan,env.field=observation", r"step 25, seed 4: .* observation is nan in entry 1;"),
    ],
)
def test_not_a_number_from_the_environment_ends_training_and_the_last_state_stays(tmp_path, options, message):
    """Once it went on to exit status 0, with NaN in 39 of 50 tensors."""
    with pytest.raises(UserError, match=message):
        train_on(f"SmacTrap-v0@env.at=25,{options}", tmp_path / "run")
    saved = Run.reopen(tmp_path / "run").saved
    assert (saved["phase"], saved["step"]) == ("online", 20)
    assert not list((tmp_path / "run").glob("seed-*/online.safetensors"))
    # the environment made anew has steps to go before its trap: the run continues and ends well
    again = Run.reopen(tmp_path / "run")
    train_on(f"SmacTrap-v0@env.at=25,{options}", again)
    tensors = load_checkpoint(again.checkpoint_path(4, "online")).tensors
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_a_loss_that_became_nan_is_named_with_its_seed():
    means = RunningMeans()
    means.add({"critic/loss": torch.tensor([1.0, 2.0])})
    check_losses(1, [7, 8], means.sums)
    means.add({"critic/loss": torch.tensor([1.0, float("nan")])})
    means.add({"critic/loss": torch.tensor([1.0, 2.0])})
    with pytest.raises(UserError, match=r"step 3, seed 8: critic/loss is nan"):
        check_losses(3, [7, 8], means.sums)


def test_a_parameter_that_became_nan_is_named_with_its_seed():
    agent = toy_agent("sac", [7, 8])
    agent.update(random_batch([7, 8]))
    check_agent(1, agent)
    with torch.no_grad():
        next(iter(agent.actor.parameters()))[1].view(-1)[0] = float("inf")
    with pytest.raises(UserError, match=r"step 2, seed 8: the parameter actor\S+ is not finite"):
        check_agent(2, agent)


# ---- rewards, successes, options -----------------------------------------------------------------------


def test_a_reward_in_an_array_of_one_is_that_number():
    env = make_env(get_task("SmacTrap-v0@env.shape=[1]"))
    env.reset(seed=0)
    reward = env.step(np.zeros(2, np.float32))[1]
    assert (type(reward), reward) == (float, 0.5)


def test_a_reward_of_two_numbers_is_refused_not_an_episode_that_failed(tmp_path):
    with pytest.raises(UserError, match=r"reward has shape \(2,\); it must be one number"):
        train_on("SmacTrap-v0@env.shape=[2]", tmp_path / "run")


@pytest.mark.parametrize(("success", "rate"), [("true", "1"), ("false", "")])
def test_success_counts_where_the_environment_gives_it_beside_its_own_reward(tmp_path, success, rate):
    """It comes in the seventh of ten steps, and is gone again at the end."""
    train_on(f"SmacTrap-v0@env.success={success}", tmp_path / "run")
    last = read_metrics(tmp_path / "run")[-1]
    assert float(last["eval/return"]) == 5.0
    assert [last.get(name, "") for name in ("eval/success", "train/episode_success")] == [rate, rate]


def test_a_summary_counts_successes_recorded_beside_another_reward():
    def episode(success):
        return Episode(
            observations=np.zeros((3, 3), np.float32),
            actions=np.zeros((2, 2), np.float32),
            rewards=np.ones(2, np.float32),
            success=np.array([success, False]),
            terminated=False,
            truncated=True,
        )

    about = {"dataset_id": "my/trap-v0", "path": "here", "task": "SmacTrap-v0", "provenance": {}}
    assert summarise([episode(True), episode(False)], **about).success_rate == 0.5
    assert summarise([episode(False)], **about).success_rate is None


def test_options_are_parsed_not_searched_as_text():
    """`max_horizon` holds `horizon=`, and once gave a task of one step."""
    with pytest.raises(UserError, match="has no time limit of its own"):
        get_task("SmacTrapEndless-v0@env.max_horizon=7")
    assert get_task("SmacTrapEndless-v0@env.max_horizon=7,horizon=9").horizon == 9
    with pytest.raises(UserError, match="a sign error: state"):
        get_task("AdroitHandDoor-v1@env.other_reward=1")
