"""Batches for a stack of seeds: from a fixed dataset offline, from each seed's own experience online."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smac.data.rewards import UNSCALED, RewardScale
from smac.data.transitions import Transitions
from smac.streams import Streams
from smac.trees import read_tree, write_tree

EXPERIENCE = ("observations", "actions", "next_observations", "rewards", "masks")


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

    @property
    def columns(self) -> dict[str, Tensor]:
        """The columns that it has, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: x for name, x in found.items() if x is not None}

    def rows(self, index: slice) -> Batch:
        """The same batch with only these rows."""
        return replace(self, **{name: x[:, index] for name, x in self.columns.items()})

    def joined(self, other: Batch) -> Batch:
        """The experience of both, these rows first; what only a dataset knows is left out."""
        return Batch(*(torch.cat([getattr(self, n), getattr(other, n)], dim=1) for n in EXPERIENCE))


class OfflineData:
    """A dataset on the device, or on disk. Every seed draws its own batches from the same transitions.

    `transitions` are in the task's rewards, batches in those of training: `rewards` of them, with returns of
    `discount` and, where failing counts as failing for ever, `failure_reward` (see `monte_carlo_returns`).
    """

    def __init__(
        self,
        transitions: Transitions,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
        *,
        rewards: RewardScale = UNSCALED,
        discount: float = 0.99,
        failure_reward: float | None = None,
    ) -> None:
        self.transitions = transitions.to(device)  # mapped ones stay where they are
        self.rewards = rewards
        self.mc_returns = rewards.returns(self.transitions, discount=discount, failure_reward=failure_reward)
        self.device = torch.device(device)
        self.stream = Streams(seeds, "data/batches", device)
        self.outcomes: Tensor | None = None  # [transitions]
        self.scores: Tensor | None = None  # [seeds, transitions, action], cached once the model is frozen

    def __len__(self) -> int:
        return len(self.transitions)

    def sample(self, batch_size: int) -> Batch:
        data, index = self.transitions, self.stream.integers(len(self), batch_size)
        rows = index.to(data.rewards.device)
        seed = torch.arange(len(index), device=index.device).unsqueeze(-1)
        return Batch(
            observations=data.observations[rows].to(self.device),
            actions=data.actions[rows].to(self.device),
            next_observations=data.next_observations[rows].to(self.device),
            rewards=self.rewards(data.rewards[rows].to(self.device)),
            masks=data.masks[rows].to(self.device),
            mc_returns=self.mc_returns[rows].to(self.device),
            outcomes=None if self.outcomes is None else self.outcomes[rows].to(self.device),
            scores=None if self.scores is None else self.scores[seed, index],
        )


class ReplayBuffer:
    """One ring of experience per seed, written in lock-step and resident on the device.

    With a `folder` its state is saved there in segments, each experience once.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        capacity: int,
        observation_dim: int,
        action_dim: int,
        device: torch.device | str = "cpu",
        folder: Path | None = None,
    ) -> None:
        shape = (len(seeds), capacity)
        self.folder = folder
        self.stream = Streams(seeds, "replay/batches", device)
        self.observations = torch.zeros(*shape, observation_dim, device=device)
        self.actions = torch.zeros(*shape, action_dim, device=device)
        self.next_observations = torch.zeros(*shape, observation_dim, device=device)
        self.rewards = torch.zeros(*shape, device=device)
        self.masks = torch.zeros(*shape, device=device)
        self.capacity, self.steps, self._stored = capacity, 0, 0

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

    def state(self) -> dict[str, Any]:
        """Random streams and number of steps; the experience since the last call goes to the folder."""
        assert self.folder is not None
        if self.steps > self._stored:
            index = torch.arange(max(self._stored, self.steps - self.capacity), self.steps)
            segment = {name: getattr(self, name)[:, index % self.capacity] for name in EXPERIENCE}
            write_tree(self.folder / f"{int(index[0]):010d}-{self.steps:010d}.safetensors", segment)
            self._stored = self.steps
            for path in self.folder.glob("*.safetensors"):
                if segment_range(path)[1] <= self.steps - self.capacity:
                    path.unlink()  # overwritten in the ring
        return {"steps": self.steps, "stream": [g.get_state() for g in self.stream.generators]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Undo `state`, from the segments in the folder; later ones, of a lost future, are left out."""
        assert self.folder is not None
        self.steps = self._stored = state["steps"]
        for generator, bits in zip(self.stream.generators, state["stream"], strict=True):
            generator.set_state(bits)
        for path in sorted(self.folder.glob("*.safetensors")):
            first, end = segment_range(path)
            if end <= self.steps:
                index = torch.arange(first, end) % self.capacity
                for name, values in read_tree(path).items():
                    getattr(self, name)[:, index] = values.to(self.rewards.device)


def segment_range(path: Path) -> tuple[int, int]:
    """First step and end of a segment, from its name."""
    first, end = path.stem.split("-")
    return int(first), int(end)
