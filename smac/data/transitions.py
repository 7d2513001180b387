"""Episodes, the transitions they are cut into, Monte-Carlo returns and outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
import torch

from smac.errors import UserError
from smac.nets import ACTION_LIMIT

OutcomeKind = Literal["trajectory_return", "average_return_to_go", "return_to_go", "success"]


@dataclass(frozen=True)
class Episode:
    """One episode of T steps, in the task's own reward.

    `success[t]` tells whether step t reached the goal; `terminated` and `truncated` belong to the last step
    (terminated: the task ended; truncated: only the recording did).
    """

    observations: np.ndarray  # [T + 1, obs] float32
    actions: np.ndarray  # [T, act] float32
    rewards: np.ndarray  # [T] float32
    success: np.ndarray  # [T] bool
    terminated: bool
    truncated: bool

    def __len__(self) -> int:
        return len(self.actions)


def sparse_episode(observations: np.ndarray, actions: np.ndarray, success: np.ndarray) -> Episode:
    """An episode in the sparse convention from a recording [T + 1, obs], [T, act], [T] bool.

    Cut at its first success, where it terminates; truncated if there is none. Reward is success - 1.
    """
    steps = int(success.argmax()) + 1 if success.any() else len(success)
    solved = bool(success[:steps].any())
    return Episode(
        observations=observations[: steps + 1].astype(np.float32),
        actions=actions[:steps].astype(np.float32),
        rewards=success[:steps].astype(np.float32) - 1.0,
        success=success[:steps].astype(bool),
        terminated=solved,
        truncated=not solved,
    )


@dataclass(frozen=True)
class Transitions:
    """N transitions of whole episodes, end to end and in order of time.

    float32 unless said otherwise. `masks` is 1 where bootstrapping from the next state is allowed and 0 only
    where the episode terminated; `terminals` marks the last step of every episode, terminated or truncated.
    """

    observations: torch.Tensor  # [N, obs]
    actions: torch.Tensor  # [N, act], within +-(1 - 1e-5)
    next_observations: torch.Tensor  # [N, obs]
    rewards: torch.Tensor  # [N]
    masks: torch.Tensor  # [N]
    terminals: torch.Tensor  # [N]
    mc_returns: torch.Tensor  # [N]
    episode_ids: torch.Tensor  # [N] int64
    timesteps: torch.Tensor  # [N] int64, index within the episode
    successes: torch.Tensor  # [N], 1 in every transition of an episode that succeeded

    @classmethod
    def from_episodes(
        cls, episodes: Sequence[Episode], *, discount: float, failure_reward: float | None
    ) -> "Transitions":
        """Cuts `episodes` into transitions; for `discount` and `failure_reward` see `monte_carlo_returns`."""
        if not episodes:
            raise UserError("the dataset holds no episode: collect or import at least one")
        returns = [
            monte_carlo_returns(
                episode.rewards, episode.terminated, discount=discount, failure_reward=failure_reward
            )
            for episode in episodes
        ]
        ends = [_last(len(episode)) for episode in episodes]
        lengths = [len(episode) for episode in episodes]
        columns = {
            "observations": [episode.observations[:-1] for episode in episodes],
            "actions": [np.clip(episode.actions, -ACTION_LIMIT, ACTION_LIMIT) for episode in episodes],
            "next_observations": [episode.observations[1:] for episode in episodes],
            "rewards": [episode.rewards for episode in episodes],
            "masks": [1.0 - end * episode.terminated for end, episode in zip(ends, episodes, strict=True)],
            "terminals": ends,
            "mc_returns": returns,
            "successes": [np.full(len(episode), episode.success.any()) for episode in episodes],
        }
        tensors = {name: torch.from_numpy(_float32(parts)) for name, parts in columns.items()}
        ids = np.repeat(np.arange(len(episodes), dtype=np.int64), lengths)
        steps = np.concatenate([np.arange(length, dtype=np.int64) for length in lengths])
        return cls(**tensors, episode_ids=torch.from_numpy(ids), timesteps=torch.from_numpy(steps))

    def to(self, device: torch.device | str) -> "Transitions":
        """The same transitions on `device`."""
        return Transitions(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def __len__(self) -> int:
        return len(self.rewards)


def monte_carlo_returns(
    rewards: np.ndarray, terminated: bool, *, discount: float, failure_reward: float | None
) -> np.ndarray:
    """Discounted return-to-go G_t = r_t + gamma G_{t+1} of one episode, [T] -> float32 [T].

    After the last step G is 0: exact where the episode terminated. A truncated episode whose every reward
    equals `failure_reward` never reached the goal, and its time limit is an artefact, so all its steps get
    the value of failing for ever, failure_reward / (1 - gamma) (Cal-QL's rule for sparse rewards, Nakamoto et
    al. 2023). Any other truncated episode keeps 0 after its last step, a lower bound only if rewards are
    not negative. `failure_reward=None` turns the rule off.
    """
    if not 0.0 <= discount <= 1.0:
        raise UserError(f"discount must lie in [0, 1], got {discount}")
    if failure_reward is not None and not terminated and np.all(rewards == failure_reward):
        if discount == 1.0:
            raise UserError("discount 1 gives a failing episode no finite return: use a discount below 1")
        return np.full(len(rewards), failure_reward / (1.0 - discount), dtype=np.float32)
    returns = np.zeros(len(rewards), dtype=np.float64)
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = float(rewards[t]) + discount * following
        returns[t] = following
    return returns.astype(np.float32)


def outcomes(kind: OutcomeKind, transitions: Transitions, *, horizon: int) -> torch.Tensor:
    """Raw outcome w of each transition, [N] float32, on the device of `transitions`.

    `trajectory_return`: the undiscounted return of the whole episode, the same for all its transitions.
    `average_return_to_go`: undiscounted rest of the return / steps left until the horizon (RvS-R, Emmons et
    al. 2022); where recordings run past `horizon`, the longest episode takes its place.
    `return_to_go`: the Monte-Carlo return. `success`: 1 in episodes that succeeded.
    """
    if kind == "trajectory_return":
        return _returns(transitions).float()
    if kind == "return_to_go":
        return transitions.mc_returns
    if kind == "success":
        return transitions.successes
    if kind == "average_return_to_go":
        steps = transitions.timesteps
        longest = max(horizon, int(steps.max()) + 1)
        return (_return_to_go(transitions) / (longest - steps)).float()
    raise UserError(f"unknown outcome {kind!r}: use {', '.join(get_args(OutcomeKind))}")


def _return_to_go(transitions: Transitions) -> torch.Tensor:
    """Undiscounted rewards from each step to the end of its episode, [N] float64."""
    rewards = transitions.rewards.double()
    total = rewards.cumsum(0)
    ends = total[transitions.terminals.bool()]
    return ends.repeat_interleave(episode_lengths(transitions)) - total + rewards


def _returns(transitions: Transitions) -> torch.Tensor:
    """Undiscounted return of the episode that each transition belongs to, [N] float64."""
    firsts = _return_to_go(transitions)[transitions.timesteps == 0]
    return firsts.repeat_interleave(episode_lengths(transitions))


def episode_lengths(transitions: Transitions) -> torch.Tensor:
    """Transitions of each episode, in order, [episodes]."""
    return torch.unique_consecutive(transitions.episode_ids, return_counts=True)[1]


def _last(length: int) -> np.ndarray:
    """0 ... 0 1, shape [length]."""
    end = np.zeros(length, dtype=np.float32)
    end[-1] = 1.0
    return end


def _float32(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts).astype(np.float32, copy=False)
