"""TD3+BC: TD3 whose actor also stays near the batch's actions (Fujimoto and Gu 2021), offline or online."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from smac.agents.base import Metrics, positive
from smac.agents.registry import register
from smac.agents.td3 import TD3, TD3Config
from smac.data.replay import Batch


@dataclass(frozen=True)
class TD3BCConfig(TD3Config):
    standardise_observations: bool = True
    """Standardise observations by the dataset's mean and standard deviation in offline training; checkpoints
    hold equivalent networks of raw observations."""
    bc_alpha: float = 2.5
    """alpha of TD3+BC: the actor maximises lambda Q minus the squared error to the dataset's actions, with
    lambda = alpha / mean |Q|."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "bc_alpha")


def q_weight(q: Tensor, alpha: float) -> Tensor:
    """lambda = alpha / mean |Q| over the batch, per seed and without a gradient; q [seeds, batch]."""
    return alpha / q.detach().abs().mean(-1)


@register("td3_bc", offline=True, online=True)
class TD3BC(TD3):
    """TD3 with a behaviour-cloning term in the actor's loss."""

    label = "TD3+BC"
    Config = TD3BCConfig
    config: TD3BCConfig

    def actor_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """E[-lambda Q(s, pi(s)) + (pi(s) - a)^2]."""
        actions = self.actor(batch.observations)
        q = self.actor_q(self.critic(batch.observations, actions))
        weight = q_weight(q, self.config.bc_alpha)
        cloning = ((actions - batch.actions) ** 2).mean((-2, -1))
        loss = cloning - weight * q.mean(-1)
        metrics = {
            "train/actor_loss": loss.detach(),
            "train/q_policy": q.detach().mean(-1),
            "train/q_weight": weight,
            "train/cloning_loss": cloning.detach(),
        }
        return loss, metrics
