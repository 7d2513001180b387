"""Batches for a stack of seeds: from a fixed dataset offline, from each seed's own experience online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from smac.data.transitions import Transitions
from smac.streams import Streams


@dataclass(frozen=True)
class Batch:
    """Transitions [seeds, batch, ...]. masks is 1 where bootstrapping is allowed, 0 at a terminal state."""

    observations: Tensor
    actions: Tensor
    next_observations: Tensor
    rewards: Tensor
    masks: Tensor
    mc_returns: Tensor | None = None
    outcomes: Tensor | None = None
    scores: Tensor | None = None

    def rows(self, index: slice) -> Batch:
        """The same batch with only these rows."""
        present = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: x[:, index] for name, x in present.items() if x is not None})


class OfflineData:
    """A dataset on the device. Every seed draws its own batches from the same transitions."""

    def __init__(
        self, transitions: Transitions, seeds: Sequence[int], device: torch.device | str = "cpu"
    ) -> None:
        self.transitions = transitions.to(device)
        self.stream = Streams(seeds, "data/batches", device)
        self.outcomes: Tensor | None = None  # [transitions]
        self.scores: Tensor | None = None  # [seeds, transitions, action], cached once the model is frozen

    def __len__(self) -> int:
        return len(self.transitions)

    def sample(self, batch_size: int) -> Batch:
        data, index = self.transitions, self.stream.integers(len(self), batch_size)
        seed = torch.arange(len(index), device=index.device).unsqueeze(-1)
        return Batch(
            observations=data.observations[index],
            actions=data.actions[index],
            next_observations=data.next_observations[index],
            rewards=data.rewards[index],
            masks=data.masks[index],
            mc_returns=data.mc_returns[index],
            outcomes=None if self.outcomes is None else self.outcomes[index],
            scores=None if self.scores is None else self.scores[seed, index],
        )


class ReplayBuffer:
    """One ring of experience per seed, written in lock-step and resident on the device."""

    def __init__(
        self,
        seeds: Sequence[int],
        capacity: int,
        observation_dim: int,
        action_dim: int,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (len(seeds), capacity)
        self.stream = Streams(seeds, "replay/batches", device)
        self.observations = torch.zeros(*shape, observation_dim, device=device)
        self.actions = torch.zeros(*shape, action_dim, device=device)
        self.next_observations = torch.zeros(*shape, observation_dim, device=device)
        self.rewards = torch.zeros(*shape, device=device)
        self.masks = torch.zeros(*shape, device=device)
        self.capacity, self.steps = capacity, 0

    def __len__(self) -> int:
        return min(self.steps, self.capacity)

    def add(
        self,
        observations: Tensor,
        actions: Tensor,
        next_observations: Tensor,
        rewards: Tensor,
        terminated: Tensor,
    ) -> None:
        """One transition per seed, each [seeds, ...]. A truncated step is not terminated: it bootstraps."""
        i = self.steps % self.capacity
        self.observations[:, i] = observations
        self.actions[:, i] = actions
        self.next_observations[:, i] = next_observations
        self.rewards[:, i] = rewards
        self.masks[:, i] = 1.0 - terminated.to(self.masks.dtype)
        self.steps += 1

    def sample(self, batch_size: int) -> Batch:
        index = self.stream.integers(len(self), batch_size)
        seed = torch.arange(len(index), device=index.device).unsqueeze(-1)
        return Batch(
            observations=self.observations[seed, index],
            actions=self.actions[seed, index],
            next_observations=self.next_observations[seed, index],
            rewards=self.rewards[seed, index],
            masks=self.masks[seed, index],
        )
