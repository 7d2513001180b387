"""Soft Actor-Critic (Haarnoja et al. 2018) on a stack of seeds: online agent, and base of the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smac.data.replay import Batch
from smac.errors import UserError
from smac.nets import Activation, CriticEnsemble, TanhGaussianActor, initialise
from smac.streams import Streams

Metrics = dict[str, Tensor]


@dataclass(frozen=True)
class SACConfig:
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of actor and critics."""
    activation: Activation = "silu"
    """Activation of actor and critics. With ReLU, L_SM gives the critics' biases no gradient."""
    layer_norm: bool = True
    """LayerNorm after every hidden affine map of the critics."""
    actor_layer_norm: bool = False
    """LayerNorm after every hidden affine map of the actor."""
    ensemble: int = 2
    """Number of critics; targets and the actor's loss take their minimum."""
    discount: float = 0.99
    """gamma."""
    batch_size: int = 256
    """Transitions in a batch, per seed."""
    actor_lr: float = 3e-4
    """Adam's learning rate for the actor."""
    critic_lr: float = 3e-4
    """Adam's learning rate for the critics."""
    temperature_lr: float = 3e-4
    """Adam's learning rate for the logarithm of the temperature."""
    target_rate: float = 0.005
    """Share of the critics that the target networks take over at every update."""
    initial_temperature: float = 1.0
    """The entropy's weight at the start; a fine-tuned agent keeps its checkpoint's temperature."""
    target_entropy: float | None = None
    """Entropy that the temperature aims at; minus the action dimension if not given."""
    backup_entropy: bool = False
    """Subtract alpha log pi(a'|s') from the target, as in the paper. Off in Cal-QL and WSRL."""

    def __post_init__(self) -> None:
        for name in ("ensemble", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        if not 0.0 <= self.discount < 1.0:
            raise UserError(f"--discount must lie in [0, 1), got {self.discount}")
        if any(width < 1 for width in self.hidden):
            raise UserError(f"--hidden takes widths of at least 1, got {self.hidden}")
        if self.initial_temperature <= 0.0:
            raise UserError(f"--initial-temperature must be positive, got {self.initial_temperature}")


def bellman_target(
    rewards: Tensor,
    masks: Tensor,
    next_values: Tensor,
    next_log_probs: Tensor | float,
    alpha: Tensor | float,
    discount: float,
) -> Tensor:
    """r + gamma * mask * (V(s') - alpha log pi(a'|s')), [stack, batch]; mask is 0 if s' is terminal."""
    return rewards + discount * masks * (next_values - alpha * next_log_probs)


class SAC:
    """Networks, target networks, temperature and optimisers of a stack of seeds, and the losses.

    Every loss returns its value per seed, [seeds], and metrics per seed; summing over seeds before the
    backward pass leaves each seed's gradients exactly as they would be alone.
    """

    label = "SAC"
    Config: type[SACConfig] = SACConfig

    def __init__(
        self,
        config: SACConfig,
        observation_dim: int,
        action_dim: int,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.seeds, self.device = config, tuple(seeds), torch.device(device)
        self.observation_dim, self.action_dim = observation_dim, action_dim
        stack = (len(self.seeds),)
        self.actor = TanhGaussianActor(
            stack, observation_dim, action_dim, config.hidden, activation=config.activation,
            layer_norm=config.actor_layer_norm,
        )  # fmt: skip
        self.critic = CriticEnsemble(
            stack, config.ensemble, observation_dim, action_dim, config.hidden,
            activation=config.activation, layer_norm=config.layer_norm,
        )  # fmt: skip
        initialise(self.actor, Streams(seeds, "actor/init").generators)
        initialise(self.critic, Streams(seeds, "critic/init").generators)
        self.actor.to(self.device)
        self.critic.to(self.device)
        self.target = deepcopy(self.critic).requires_grad_(False)
        self.log_alpha = nn.Parameter(
            torch.full(stack, math.log(config.initial_temperature), device=self.device)
        )
        self.target_entropy = -float(action_dim) if config.target_entropy is None else config.target_entropy
        self.noise = Streams(seeds, "agent/noise", self.device)
        self.actor_optimiser = self.adam(self.actor.parameters(), config.actor_lr)
        self.critic_optimiser = self.adam(self.critic_parameters(), config.critic_lr)
        self.temperature_optimiser = self.adam([self.log_alpha], config.temperature_lr)

    @staticmethod
    def adam(parameters: object, lr: float) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=lr, fused=True)  # type: ignore[arg-type]

    def critic_parameters(self) -> list[nn.Parameter]:
        """What the critic's optimiser trains; methods with more heads add them."""
        return list(self.critic.parameters())

    @property
    def alpha(self) -> Tensor:
        """Temperature per seed, [seeds, 1], for broadcasting over a batch."""
        return self.log_alpha.detach().exp().unsqueeze(-1)

    def policy_noise(self, batch: Batch, repeats: int = 1) -> Tensor:
        return self.noise.normal(batch.rewards.shape[-1] * repeats, self.action_dim)

    # ---- losses ------------------------------------------------------------------------------------------

    def target_values(self, batch: Batch) -> Tensor:
        """The right-hand side of the Bellman equation, [seeds, batch]."""
        with torch.no_grad():
            actions, log_probs = self.actor.sample(batch.next_observations, self.policy_noise(batch))
            values = self.target(batch.next_observations, actions).amin(-2)
            alpha = self.alpha if self.config.backup_entropy else 0.0
            return bellman_target(batch.rewards, batch.masks, values, log_probs, alpha, self.config.discount)

    def bellman_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """Mean squared Bellman error, averaged over members and batch."""
        q = self.critic(batch.observations, batch.actions)
        loss = ((q - self.target_values(batch).unsqueeze(-2)) ** 2).mean((-2, -1))
        return loss, {"train/bellman_loss": loss.detach(), "train/q_data": q.detach().mean((-2, -1))}

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        return self.bellman_loss(batch)

    def actor_loss(self, batch: Batch) -> tuple[Tensor, Tensor, Metrics]:
        """E[alpha log pi(a|s) - min Q(s, a)], and the batch's log-densities for the temperature."""
        actions, log_probs = self.actor.sample(batch.observations, self.policy_noise(batch))
        q = self.critic(batch.observations, actions).amin(-2)
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

    # ---- updates -----------------------------------------------------------------------------------------

    def update(self, batch: Batch) -> Metrics:
        """One step of critic, actor, temperature and targets; metrics per seed, still on the device."""
        critic_loss, metrics = self.critic_loss(batch)
        self._step(self.critic_optimiser, critic_loss)
        actor_loss, log_probs, more = self.actor_loss(batch)
        self._step(self.actor_optimiser, actor_loss)
        metrics |= more
        temperature_loss, more = self.temperature_loss(log_probs)
        self._step(self.temperature_optimiser, temperature_loss)
        metrics |= more
        self.update_targets()
        return metrics

    def _step(self, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        """Descend on the optimiser's own parameters only; the actor's loss leaves the critics untouched."""
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward(inputs=parameters)
        optimiser.step()

    @torch.no_grad()
    def update_targets(self) -> None:
        torch._foreach_lerp_(
            list(self.target.parameters()), list(self.critic.parameters()), self.config.target_rate
        )

    def diagnostics(self, batch: Batch) -> Metrics:
        """Slower measurements, taken only when metrics are written."""
        return {}

    # ---- state -------------------------------------------------------------------------------------------

    def modules(self) -> dict[str, nn.Module]:
        """The networks that a checkpoint holds, by the prefix of their tensors."""
        return {"actor": self.actor, "critic": self.critic, "target": self.target}

    def tensors(self, k: int) -> dict[str, Tensor]:
        """Seed k's networks and temperature, without the seed axis, on the CPU."""
        tensors = {
            f"{prefix}.{name}": value[k].detach().cpu().clone()
            for prefix, module in self.modules().items()
            for name, value in module.state_dict().items()
        }
        return tensors | {"log_alpha": self.log_alpha[k].detach().cpu().clone()}

    @torch.no_grad()
    def load_tensors(self, stack: Sequence[Mapping[str, Tensor]]) -> None:
        """Take over the networks and the temperature, one mapping per seed; other tensors are ignored."""
        own = {f"{p}.{n}": v for p, m in self.modules().items() for n, v in m.state_dict().items()}
        own["log_alpha"] = self.log_alpha
        for name, value in own.items():
            for k, tensors in enumerate(stack):
                if name not in tensors:
                    raise UserError(
                        f"the checkpoint has no tensor {name!r}, which this algorithm starts from"
                    )
                if tensors[name].shape != value[k].shape:
                    raise UserError(
                        f"tensor {name!r} has shape {tuple(tensors[name].shape)} in the checkpoint, "
                        f"but this agent needs {tuple(value[k].shape)}"
                    )
                value[k].copy_(tensors[name])
