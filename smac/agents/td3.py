"""TD3: twin delayed deterministic policy gradient (Fujimoto, van Hoof and Meger 2018)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smac.agents.base import (
    ActorCritic,
    ActorValue,
    CriticConfig,
    Metrics,
    at_least,
    bellman_target,
    slow,
)
from smac.agents.registry import register
from smac.data.replay import Batch
from smac.nets import DeterministicActor

ACTOR, TARGETS = 1, 2  # what an update may include apart from the critics


@dataclass(frozen=True)
class TD3Config(CriticConfig):
    actor_value: ActorValue = "first"
    """Q estimate that the actor maximises: minimum over the critics, their mean (RLPD), or the first critic
    (TD3)."""
    policy_noise: float = 0.2
    """Standard deviation of the target policy smoothing noise."""
    noise_clip: float = 0.5
    """Clipping range of the target policy smoothing noise."""
    policy_delay: int = 2
    """Critic updates per update of the actor and the target networks (delayed policy updates)."""
    exploration_noise: float = 0.1
    """Standard deviation of the Gaussian exploration noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "policy_delay")
        at_least(self, 0, "policy_noise", "noise_clip", "exploration_noise")


def smoothed(actions: Tensor, noise: Tensor, scale: float, clip: float) -> Tensor:
    """Actions with clipped Gaussian noise, inside the box; `noise` is standard normal."""
    return (actions + (scale * noise).clamp(-clip, clip)).clamp(-1.0, 1.0)


@register("td3", online=True)
class TD3(ActorCritic):
    """A deterministic actor that maximises the first critic, with a slow copy of its own."""

    label = "TD3"
    Config = TD3Config
    config: TD3Config
    actor_kind = "deterministic"
    actor: DeterministicActor

    def build(self) -> None:
        super().build()
        self.target_actor = deepcopy(self.actor).requires_grad_(False)
        self.actor_turns = 0  # updates so far in which the actor could have been due

    def modules(self) -> dict[str, nn.Module]:
        return super().modules() | {"target_actor": self.target_actor}

    @torch.no_grad()
    def explore(self, observations: Tensor) -> Tensor:
        noise = self.noise.normal(1, self.action_dim).squeeze(1)
        actions = self.actor.act(observations.unsqueeze(1)).squeeze(1)
        return (actions + self.config.exploration_noise * noise).clamp(-1.0, 1.0)

    # ---- losses ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def target_values(self, batch: Batch) -> Tensor:
        config = self.config
        actions = smoothed(
            self.target_actor(batch.next_observations), self.policy_noise(batch),
            config.policy_noise, config.noise_clip,
        )  # fmt: skip
        values = self.pessimistic(self.target(batch.next_observations, actions))
        return bellman_target(batch.rewards, batch.masks, values, 0.0, 0.0, config.discount)

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """The members' mean squared Bellman errors, summed as in the paper (SAC's are averaged)."""
        loss, metrics = self.bellman_loss(batch)
        return self.config.ensemble * loss, metrics

    def actor_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """-E[Q(s, pi(s))]."""
        q = self.actor_q(self.critic(batch.observations, self.actor(batch.observations)))
        loss = -q.mean(-1)
        return loss, {"train/actor_loss": loss.detach(), "train/q_policy": q.detach().mean(-1)}

    @torch.no_grad()
    def update_targets(self) -> None:
        super().update_targets()
        slow(self.target_actor, self.actor, self.config.target_rate)

    def begin_update(self, actor: bool = True) -> None:
        """The delay counts critic updates for the targets, and turns of the actor for the actor."""
        super().begin_update(actor)
        self.actor_turns += actor
        delay = self.config.policy_delay
        actor_due = actor and self.actor_turns % delay == 0
        self.variant = ACTOR * actor_due + TARGETS * (self.updates % delay == 0)

    def learn(self, batch: Batch) -> Metrics:
        """One step of the critics; every `policy_delay`-th time also of the actor and the targets."""
        critic_loss, metrics = self.critic_loss(batch)
        self._step(self.critic_optimiser, critic_loss)
        if self.variant & ACTOR:
            actor_loss, more = self.actor_loss(batch)
            self._step(self.actor_optimiser, actor_loss)
            metrics |= more
        if self.variant & TARGETS:
            self.update_targets()
        return metrics
