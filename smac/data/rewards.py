"""The rewards that an agent trains on: the task's own, scaled and shifted. What is reported never is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from smac.data.transitions import Transitions, episode_lengths, outcomes
from smac.errors import UserError

RETURN_RANGE = 1_000.0  # of the scaled returns, as IQL's authors do on locomotion (Kostrikov et al. 2022)

ScaleRule = float | Literal["return_range"]


@dataclass(frozen=True)
class RewardScale:
    """r -> scale * r + bias."""

    scale: float = 1.0
    bias: float = 0.0

    def __call__(self, rewards: Tensor) -> Tensor:
        return self.scale * rewards + self.bias

    def returns(self, transitions: Transitions, *, discount: float, failure_reward: float | None) -> Tensor:
        """Monte-Carlo returns [N] of the scaled rewards, from those of the task's own.

        The bias adds up over the steps that are left, for ever where `monte_carlo_returns` takes an episode
        to fail for ever.
        """
        left = _steps_left(transitions)
        endless = _endless(transitions, failure_reward)
        factor = (1.0 - discount ** left.double()) / (1.0 - discount)
        factor = torch.where(endless, 1.0 / (1.0 - discount), factor)
        return (self.scale * transitions.mc_returns.double() + self.bias * factor).float()


UNSCALED = RewardScale()


def reward_scale(rule: ScaleRule, bias: float, transitions: Transitions) -> RewardScale:
    """The scale that a rule gives on a dataset; UserError if its returns have no range."""
    if rule != "return_range":
        return RewardScale(float(rule), bias)
    returns = outcomes("trajectory_return", transitions, horizon=1)
    spread = float(returns.max() - returns.min())
    if spread <= 0.0:
        raise UserError("--reward-scale return_range: all episodes of the dataset have the same return")
    return RewardScale(RETURN_RANGE / spread, bias)


def _steps_left(transitions: Transitions) -> Tensor:
    """Steps from each transition to the end of its episode, itself included, [N] int64."""
    lengths = episode_lengths(transitions)
    return lengths.repeat_interleave(lengths) - transitions.timesteps


def _endless(transitions: Transitions, failure_reward: float | None) -> Tensor:
    """Whether a transition's episode is taken to fail for ever, [N] bool; see `monte_carlo_returns`."""
    if failure_reward is None:
        return torch.zeros_like(transitions.rewards, dtype=torch.bool)
    lengths = episode_lengths(transitions)
    failed = (transitions.rewards == failure_reward) & (transitions.masks > 0.0)
    succeeded = torch.segment_reduce((~failed).float(), "sum", lengths=lengths) > 0
    return (~succeeded).repeat_interleave(lengths)
