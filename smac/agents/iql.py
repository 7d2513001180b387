"""IQL: implicit Q-learning (Kostrikov, Nair and Levine 2022). It never values an action outside the data.

The reference's actor is a Gaussian around a tanh mean; this one is the tanh-Gaussian of the other agents, so
that any online algorithm can continue it. Actor dropout is left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smac.agents.base import ActorCritic, CriticConfig, Metrics, at_least, bellman_target, positive
from smac.agents.registry import register
from smac.data.replay import Batch
from smac.errors import UserError
from smac.nets import StackedMLP, TanhGaussianActor
from smac.optim import set_learning_rate


@dataclass(frozen=True)
class IQLConfig(CriticConfig):
    expectile: float = 0.7
    """Expectile (tau in IQL's paper) for the value function; 0.5 is the mean."""
    inverse_temperature: float = 3.0
    """Inverse temperature beta of advantage-weighted regression; 0 is behaviour cloning."""
    advantage_clip: float = 100.0
    """Upper bound of the weights exp(beta * advantage)."""
    value_lr: float = 3e-4
    """Learning rate of the value function V."""
    actor_decay_steps: int = 0
    """Length of the cosine decay of the actor's learning rate, in updates (the reference code: all offline
    updates); 0: constant learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "inverse_temperature", "actor_decay_steps")
        positive(self, "advantage_clip")
        if not 0.0 < self.expectile < 1.0:
            raise UserError(f"--expectile must lie in (0, 1), got {self.expectile}")


def expectile_loss(difference: Tensor, expectile: float) -> Tensor:
    """|expectile - 1(difference < 0)| * difference^2 for difference = Q - V, elementwise (equation 5)."""
    return (expectile - (difference < 0).to(difference.dtype)).abs() * difference**2


def advantage_weights(advantages: Tensor, inverse_temperature: float, clip: float) -> Tensor:
    """min(exp(beta * advantage), clip), elementwise."""
    return (inverse_temperature * advantages).exp().clamp(max=clip)


def cosine_decay(step: int, steps: int) -> float:
    """Share of the learning rate left at update `step` = 1, 2, ...; 1 throughout if `steps` is 0."""
    return 0.5 * (1.0 + math.cos(math.pi * min(step - 1, steps) / steps)) if steps else 1.0


@register("iql", offline=True)
class IQL(ActorCritic):
    """V by expectile regression on the target critics, Q by V, the actor by weighted likelihood."""

    label = "IQL"
    Config = IQLConfig
    config: IQLConfig
    actor: TanhGaussianActor

    def build(self) -> None:
        super().build()
        config = self.config
        self.value = StackedMLP(
            self.stack, self.observation_dim, config.critic_hidden or config.hidden, 1,
            activation=config.activation, layer_norm=config.layer_norm,
        )  # fmt: skip
        self.new(self.value, "value")
        self.value_optimiser = self.adam(self.value.parameters(), config.value_lr)

    def modules(self) -> dict[str, nn.Module]:
        return super().modules() | {"value": self.value}

    # ---- losses ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def data_values(self, batch: Batch) -> Tensor:
        """The target critics' minimum at the data's actions, [seeds, batch]."""
        return self.pessimistic(self.target(batch.observations, batch.actions))

    def values(self, observations: Tensor) -> Tensor:
        """V(s), [seeds, batch]."""
        return self.value(observations).squeeze(-1)

    def value_loss(self, batch: Batch, q: Tensor) -> tuple[Tensor, Metrics]:
        v = self.values(batch.observations)
        loss = expectile_loss(q - v, self.config.expectile).mean(-1)
        return loss, {"train/value_loss": loss.detach(), "train/value": v.detach().mean(-1)}

    def actor_loss(self, batch: Batch, q: Tensor) -> tuple[Tensor, Metrics]:
        """-E[min(exp(beta (Q - V)), clip) log pi(a|s)] over the data (equation 7)."""
        config = self.config
        with torch.no_grad():
            advantages = q - self.values(batch.observations)
        weights = advantage_weights(advantages, config.inverse_temperature, config.advantage_clip)
        loss = -(weights * self.actor.log_prob(batch.observations, batch.actions)).mean(-1)
        metrics = {
            "train/actor_loss": loss.detach(),
            "train/advantage": advantages.mean(-1),
            "train/clipped_weights": (weights >= config.advantage_clip).float().mean(-1),
        }
        return loss, metrics

    @torch.no_grad()
    def target_values(self, batch: Batch) -> Tensor:
        """r + gamma V(s') (equation 6)."""
        values = self.values(batch.next_observations)
        return bellman_target(batch.rewards, batch.masks, values, 0.0, 0.0, self.config.discount)

    def begin_update(self, actor: bool = True) -> None:
        super().begin_update(actor)
        if steps := self.config.actor_decay_steps:
            rate = self.config.actor_lr * cosine_decay(self.updates, steps)
            set_learning_rate(self.actor_optimiser, rate)

    def learn(self, batch: Batch) -> Metrics:
        """One step of V, actor, critics and targets, in the reference's order."""
        q = self.data_values(batch)
        value_loss, metrics = self.value_loss(batch, q)
        self._step(self.value_optimiser, value_loss)
        actor_loss, more = self.actor_loss(batch, q)
        self._step(self.actor_optimiser, actor_loss)
        metrics |= more
        critic_loss, more = self.bellman_loss(batch)
        self._step(self.critic_optimiser, critic_loss)
        self.update_targets()
        return metrics | more
