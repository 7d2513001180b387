"""Behaviour cloning: the actor alone, fitted to the dataset's actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from smac.agents.base import Agent, AgentConfig, Metrics
from smac.agents.registry import register
from smac.data.replay import Batch
from smac.nets import TanhGaussianActor


@dataclass(frozen=True)
class BCConfig(AgentConfig):
    loss: Literal["likelihood", "mse"] = "likelihood"
    """Loss: negative log-likelihood of the tanh-Gaussian policy, or mean squared error of its mean action,
    which does not train the standard deviation."""


@register("bc", offline=True)
class BC(Agent):
    """Maximum likelihood, or least squares. It has no critic for an online phase to start from."""

    label = "BC"
    Config = BCConfig
    config: BCConfig
    actor: TanhGaussianActor

    def actor_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        if self.config.loss == "likelihood":
            loss = -self.actor.log_prob(batch.observations, batch.actions).mean(-1)
        else:
            error = self.actor.act(batch.observations) - batch.actions
            loss = (error**2).mean((-2, -1))
        return loss, {"train/actor_loss": loss.detach()}

    def learn(self, batch: Batch) -> Metrics:
        loss, metrics = self.actor_loss(batch)
        self._step(self.actor_optimiser, loss)
        return metrics
