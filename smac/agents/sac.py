"""Soft Actor-Critic (Haarnoja et al. 2018): online agent, and base of CQL, Cal-QL and SMAC."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smac.agents.base import ActorCritic, CriticConfig, Metrics, bellman_target, positive
from smac.agents.registry import register
from smac.data.replay import Batch
from smac.nets import TanhGaussianActor

TEMPERATURE_FLOOR = 1e-6  # of a critic that is flat in the action


@dataclass(frozen=True)
class SACConfig(CriticConfig):
    temperature_lr: float = 3e-4
    """Learning rate of the log-temperature (entropy coefficient alpha)."""
    initial_temperature: float = 1.0
    """Initial temperature (entropy coefficient alpha) in offline training and when training from scratch."""
    target_entropy: float | None = None
    """Target entropy; default: minus the action dimension."""
    backup_entropy: bool = False
    """Entropy term -alpha log pi(a'|s') in the Bellman target, as in SAC's paper; Cal-QL and WSRL have
    none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "initial_temperature")


def balance(q: Tensor, log_probs: Tensor) -> Tensor:
    """The temperature at which Q and the entropy term weigh the same over the policy's actions, [...].

    alpha = sqrt(E_s Var_a Q(s, a) / E_s Var_a log pi(a|s)), a ~ pi; q and log_probs [..., states, samples].
    If pi = exp(Q / alpha) / Z it is that alpha; it exists for every actor that samples and every critic.
    """
    spread = q.var(-1).mean(-1) / log_probs.var(-1).mean(-1)
    return spread.sqrt().clamp(min=TEMPERATURE_FLOOR)


@register("sac", online=True)
class SAC(ActorCritic):
    """A tanh-Gaussian actor whose entropy is kept near a target by a learned temperature."""

    label = "SAC"
    Config = SACConfig
    config: SACConfig
    actor: TanhGaussianActor

    def build(self) -> None:
        super().build()
        config = self.config
        self.log_alpha = nn.Parameter(
            torch.full(self.stack, math.log(config.initial_temperature), device=self.device)
        )
        self.target_entropy = (
            -float(self.action_dim) if config.target_entropy is None else config.target_entropy
        )
        self.temperature_optimiser = self.adam([self.log_alpha], config.temperature_lr)

    def numbers(self) -> dict[str, Tensor]:
        return {"log_alpha": self.log_alpha}

    @property
    def alpha(self) -> Tensor:
        """Temperature per seed, [seeds, 1], for broadcasting over a batch."""
        return self.log_alpha.detach().exp().unsqueeze(-1)

    # ---- losses ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def target_values(self, batch: Batch) -> Tensor:
        actions, log_probs = self.actor.sample(batch.next_observations, self.policy_noise(batch))
        values = self.pessimistic(self.target(batch.next_observations, actions))
        alpha = self.alpha if self.config.backup_entropy else 0.0
        return bellman_target(batch.rewards, batch.masks, values, log_probs, alpha, self.config.discount)

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        return self.bellman_loss(batch)

    def actor_loss(self, batch: Batch) -> tuple[Tensor, Tensor, Metrics]:
        """E[alpha log pi(a|s) - Q(s, a)], and the batch's log-densities for the temperature."""
        actions, log_probs = self.actor.sample(batch.observations, self.policy_noise(batch))
        q = self.actor_q(self.critic(batch.observations, actions))
        loss = (self.alpha * log_probs - q).mean(-1)
        metrics = {
            "train/actor_loss": loss.detach(),
            "train/q_policy": q.detach().mean(-1),
            "train/entropy": -log_probs.detach().mean(-1),
        }
        return loss, log_probs.detach(), metrics

    def temperature_loss(self, log_probs: Tensor) -> tuple[Tensor, Metrics]:
        """-log(alpha) * (log pi + target entropy): alpha grows while the entropy is below its target."""
        loss = -self.log_alpha * (log_probs + self.target_entropy).mean(-1)
        return loss, {"train/temperature": self.log_alpha.detach().exp()}

    def learn(self, batch: Batch) -> Metrics:
        """One step of critic, actor, temperature and targets."""
        critic_loss, metrics = self.critic_loss(batch)
        self._step(self.critic_optimiser, critic_loss)
        if self.variant:
            actor_loss, log_probs, more = self.actor_loss(batch)
            self._step(self.actor_optimiser, actor_loss)
            metrics |= more
            temperature_loss, more = self.temperature_loss(log_probs)
            self._step(self.temperature_optimiser, temperature_loss)
            metrics |= more
        self.update_targets()
        return metrics

    # ---- temperature at the switch -----------------------------------------------------------------------

    @torch.no_grad()
    def set_temperature(self, value: Tensor | float) -> None:
        """One temperature, or one per seed [seeds]; in place, so that recorded updates see it."""
        self.log_alpha.copy_(torch.as_tensor(value, device=self.device).log().expand_as(self.log_alpha))

    @torch.no_grad()
    def balanced_temperature(self, observations: Tensor, noise: Tensor) -> Tensor:
        """`balance` on some states [seeds, states, observation], [seeds].

        noise [seeds, states * samples, action]: rows s * samples + i are sample i of state s.
        """
        samples = noise.shape[-2] // observations.shape[-2]
        actions, log_probs = self.actor.sample(observations, noise)
        q = self.actor_q(self.critic(observations.repeat_interleave(samples, dim=-2), actions))
        return balance(*(x.unflatten(-1, (-1, samples)) for x in (q, log_probs)))
