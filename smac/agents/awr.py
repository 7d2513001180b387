"""AWR online: advantage-weighted regression on the agent's own experience (Peng et al. 2019).

The advantage comes from a critic learned by temporal differences, as in AWAC (Nair et al. 2020); Peng et al.
regress returns. So it can start from any checkpoint that has critics.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smac.agents.base import ActorCritic, CriticConfig, Metrics, at_least, bellman_target, positive
from smac.agents.iql import advantage_weights
from smac.agents.registry import register
from smac.data.replay import Batch
from smac.nets import TanhGaussianActor


@dataclass(frozen=True)
class AWRConfig(CriticConfig):
    inverse_temperature: float = 1.0
    """Inverse temperature beta of the weights exp(beta * advantage)."""
    advantage_clip: float = 20.0
    """Upper bound of the weights (Peng et al. 2019)."""
    value_samples: int = 4
    """Policy actions sampled per state to estimate the baseline V(s) (AWAC: 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "inverse_temperature")
        at_least(self, 1, "value_samples")
        positive(self, "advantage_clip")


@register("awr", online=True)
class AWR(ActorCritic):
    """Critics of the current policy; the actor imitates the buffer's actions, better ones more."""

    label = "AWR"
    Config = AWRConfig
    config: AWRConfig
    actor: TanhGaussianActor

    # ---- losses ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def target_values(self, batch: Batch) -> Tensor:
        """r + gamma Q(s', a'), a' from the policy."""
        actions, _ = self.actor.sample(batch.next_observations, self.policy_noise(batch))
        values = self.pessimistic(self.target(batch.next_observations, actions))
        return bellman_target(batch.rewards, batch.masks, values, 0.0, 0.0, self.config.discount)

    @torch.no_grad()
    def advantages(self, batch: Batch) -> Tensor:
        """Q(s, a) - E_{a' ~ pi} Q(s, a'), [seeds, batch], by the critics' minimum."""
        n = self.config.value_samples
        actions, _ = self.actor.sample(batch.observations, self.policy_noise(batch, n))
        observations = batch.observations.repeat_interleave(n, dim=-2)
        values = self.actor_q(self.critic(observations, actions)).unflatten(-1, (-1, n)).mean(-1)
        return self.actor_q(self.critic(batch.observations, batch.actions)) - values

    def actor_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """-E[min(exp(beta A), clip) log pi(a|s)] over the batch's actions (Peng et al. 2019, equation 9)."""
        config, advantages = self.config, self.advantages(batch)
        weights = advantage_weights(advantages, config.inverse_temperature, config.advantage_clip)
        loss = -(weights * self.actor.log_prob(batch.observations, batch.actions)).mean(-1)
        metrics = {
            "train/actor_loss": loss.detach(),
            "train/advantage": advantages.mean(-1),
            "train/clipped_weights": (weights >= config.advantage_clip).float().mean(-1),
        }
        return loss, metrics

    def learn(self, batch: Batch) -> Metrics:
        """One step of the critics and targets, and of the actor where it is due."""
        critic_loss, metrics = self.bellman_loss(batch)
        self._step(self.critic_optimiser, critic_loss)
        if self.variant:
            actor_loss, more = self.actor_loss(batch)
            self._step(self.actor_optimiser, actor_loss)
            metrics |= more
        self.update_targets()
        return metrics
