"""What every agent has: networks of a stack of seeds, optimisers, exploration, and state by name.

An algorithm adds its losses. A loss returns its value per seed, [seeds], and metrics per seed; summing over
seeds before the backward pass leaves each seed's gradients exactly as they would be alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from smac.data.replay import Batch, OfflineData
from smac.data.rewards import RewardScale, ScaleRule
from smac.errors import UserError
from smac.nets import (
    ACTORS,
    Activation,
    Actor,
    ActorKind,
    CriticEnsemble,
    StackedMLP,
    fold_input,
    initialise,
)
from smac.optim import MuonWithAdam, Optimiser, fold_moments, load_moments, moments, split_parameters
from smac.streams import Streams

Metrics = dict[str, Tensor]
ActorValue = Literal["min", "mean", "first"]


@dataclass(frozen=True)
class AgentConfig:
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of actor and critics."""
    activation: Activation = "silu"
    """Activation function of actor and critics. With ReLU, SMAC's score-matching loss has no gradient with
    respect to the critics' biases."""
    actor_layer_norm: bool = False
    """LayerNorm after every hidden linear layer of the actor."""
    discount: float = 0.99
    """Discount factor (gamma)."""
    batch_size: int = 256
    """Batch size, per seed."""
    actor_lr: float = 3e-4
    """Learning rate of the actor."""
    optimiser: Literal["adam", "muon"] = "adam"
    """Optimiser of actor and critics. `muon`: Muon for hidden matrices and Adam for all other parameters,
    with the same learning rate; slower per update than Adam (results/benchmarks/muon.md)."""
    reward_scale: ScaleRule = 1.0
    """Factor on the rewards in training; reported returns are the task's own. `return_range`: scale such that
    the dataset's returns span 1,000 (IQL on locomotion)."""
    reward_bias: float = 0.0
    """Constant added to the scaled rewards in training."""
    standardise_observations: bool = False
    """Standardise observations by the dataset's mean and standard deviation in offline training (TD3+BC);
    checkpoints hold equivalent networks of raw observations."""

    def __post_init__(self) -> None:
        finite(self)
        at_least(self, 0, *(f.name for f in fields(self) if f.name.endswith("_lr")))
        at_least(self, 1, "batch_size")
        if self.reward_scale != "return_range":
            positive(self, "reward_scale")
        if not 0.0 <= self.discount < 1.0:
            raise UserError(f"--discount must lie in [0, 1), got {self.discount}")
        if any(width < 1 for width in self.hidden):
            raise UserError(f"--hidden takes widths of at least 1, got {self.hidden}")
        if self.optimiser == "muon" and len(self.hidden) < 2:
            raise UserError(
                "--optimiser muon trains matrices between hidden layers: --hidden needs two or more"
            )


@dataclass(frozen=True)
class CriticConfig(AgentConfig):
    critic_hidden: tuple[int, ...] | None = None
    """Widths of the critics' hidden layers; default: those of --hidden."""
    layer_norm: bool = True
    """LayerNorm after every hidden linear layer of the critics."""
    ensemble: int = 2
    """Number of critics in the ensemble."""
    target_subset: int | None = None
    """Critics sampled for the target, whose minimum it is (REDQ, RLPD); default: all critics."""
    actor_value: ActorValue = "min"
    """Q estimate that the actor maximises: minimum over the critics, their mean (RLPD), or the first critic
    (TD3)."""
    critic_lr: float = 3e-4
    """Learning rate of the critics."""
    target_rate: float = 0.005
    """Polyak averaging rate of the target networks (tau)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "ensemble")
        within(self, 0, 1, "target_rate")
        positive(self, "target_rate")
        if self.critic_hidden is not None and any(width < 1 for width in self.critic_hidden):
            raise UserError(f"--critic-hidden takes widths of at least 1, got {self.critic_hidden}")
        if self.target_subset is not None and not 1 <= self.target_subset <= self.ensemble:
            raise UserError(
                f"--target-subset must lie between 1 and --ensemble {self.ensemble}, got {self.target_subset}"
            )


def at_least(config: object, least: float, *names: str) -> None:
    for name in names:
        if not getattr(config, name) >= least:
            option = name.replace("_", "-")
            raise UserError(f"--{option} must be at least {least}, got {getattr(config, name)}")


def within(config: object, least: float, most: float, *names: str) -> None:
    for name in names:
        if not least <= getattr(config, name) <= most:
            option = name.replace("_", "-")
            raise UserError(f"--{option} must lie in [{least}, {most}], got {getattr(config, name)}")


def finite(config: object) -> None:
    """UserError for a number that is none, or has no end."""
    for name, value in vars(config).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name.replace('_', '-')} must be a finite number, got {value}")


def positive(config: object, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0.0:
            raise UserError(f"--{name.replace('_', '-')} must be positive, got {getattr(config, name)}")


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


@dataclass(frozen=True)
class Preparation:
    """A phase of a method's own before the offline phase; the training loop carries it out."""

    name: str
    """Of the phase, in metrics.csv and in messages."""
    steps: int
    update: Callable[[Batch], Metrics]
    """One step on a batch of the dataset; metrics [seeds]."""
    trainer: Any
    """What changes in this phase apart from the agent, for a saved state."""


class Agent(ABC):
    """An actor and its optimiser, for a stack of seeds."""

    name: ClassVar[str]  # what `--algorithm` takes; `register` gives it
    label: ClassVar[str]  # what tables and pictures say
    Config: ClassVar[type[AgentConfig]]
    actor_kind: ClassVar[ActorKind] = "tanh_gaussian"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # name -> what it changes in the configuration
    actor: Actor

    def __init__(
        self,
        config: AgentConfig,
        observation_dim: int,
        action_dim: int,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        """`seeds` are those of the stack, one agent each."""
        self.config, self.seeds, self.device = config, tuple(seeds), torch.device(device)
        self.observation_dim, self.action_dim = observation_dim, action_dim
        self.noise = Streams(seeds, "agent/noise", self.device)
        self.updates = 0  # calls of `update` so far
        self.variant = 1  # which of its kinds of update is under way; all of one kind do the same work
        self.build()

    def build(self) -> None:
        """Make networks, optimisers, and what else changes in training; a method with more adds it here.

        Sizes, seeds, device and configuration are there by now.
        """
        config = self.config
        self.actor = ACTORS[self.actor_kind](
            self.stack, self.observation_dim, self.action_dim, config.hidden, activation=config.activation,
            layer_norm=config.actor_layer_norm,
        )  # fmt: skip
        self.new(self.actor, "actor")
        self.actor_optimiser = self.optimiser([self.actor], config.actor_lr)

    @property
    def stack(self) -> tuple[int]:
        return (len(self.seeds),)

    @property
    def rewards(self) -> RewardScale:
        """How rewards look in training."""
        assert self.config.reward_scale != "return_range", "a rule becomes a number before training"
        return RewardScale(self.config.reward_scale, self.config.reward_bias)

    def new(self, module: nn.Module, name: str) -> None:
        """Draw a network's first weights from the streams `name/init`, and move it to the device."""
        initialise(module, Streams(self.seeds, f"{name}/init").generators)
        module.to(self.device)

    @staticmethod
    def adam(parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=lr, fused=True)

    def optimiser(self, modules: Sequence[nn.Module], lr: float) -> Optimiser:
        """The configured optimiser of whole networks; learned numbers always get Adam."""
        everything = nn.ModuleList(modules)
        if self.config.optimiser == "muon":
            return MuonWithAdam(*split_parameters(everything), lr=lr)
        return self.adam(everything.parameters(), lr)

    # ---- before training ---------------------------------------------------------------------------------

    def prepare(self, data: OfflineData, *, horizon: int) -> Preparation | None:
        """Take from the dataset what is needed before the offline phase, whose episodes have `horizon` steps.

        A method with a phase of its own before it, such as a model of the data, returns that phase.
        """
        return None

    def complete(self, data: OfflineData) -> None:  # noqa: B027
        """Add to the dataset what the agent knows of it once it is prepared; also after a resume."""

    # ---- acting ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def explore(self, observations: Tensor) -> Tensor:
        """Actions [seeds, action] to collect experience with, for observations [seeds, observation]."""
        noise = self.noise.normal(1, self.action_dim)
        return self.actor.act(observations.unsqueeze(1), noise).squeeze(1)

    def policy_noise(self, batch: Batch, repeats: int = 1) -> Tensor:
        return self.noise.normal(batch.rewards.shape[-1] * repeats, self.action_dim)

    # ---- updates -----------------------------------------------------------------------------------------

    def update(self, batch: Batch, actor: bool = True) -> Metrics:
        """One gradient step of everything that is due; metrics [seeds], still on the device.

        With `actor=False` only the critics and what belongs to them: of several updates per environment step
        the actor has fewer (RLPD, WSRL).
        """
        self.begin_update(actor)
        return self.learn(batch)

    def begin_update(self, actor: bool = True) -> None:
        """Count the update, and set what depends on the count: the host's part of `update`."""
        self.updates += 1
        self.variant = int(actor)

    @abstractmethod
    def learn(self, batch: Batch) -> Metrics:
        """The device's part of `update`, which may be recorded once per `variant` and replayed.

        So it reads no tensor's value, makes no tensor of numbers from the host, and uses no such numbers that
        change from one update to the next.
        """

    def _step(self, optimiser: Optimiser, loss: Tensor) -> None:
        """Descend on the optimiser's own parameters only; the actor's loss leaves the critics untouched."""
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward(inputs=parameters)
        optimiser.step()

    def diagnostics(self, batch: Batch) -> Metrics:
        """Slower measurements, taken only when metrics are written."""
        return {}

    # ---- state -------------------------------------------------------------------------------------------

    def modules(self) -> dict[str, nn.Module]:
        """The networks that a checkpoint holds, by the prefix of their tensors."""
        return {"actor": self.actor}

    def numbers(self) -> dict[str, Tensor]:
        """What else a checkpoint holds: learned numbers, one per seed."""
        return {}

    def stacked(self) -> dict[str, Tensor]:
        """Every tensor of a checkpoint by its name, [seeds, ...], sharing memory with the networks."""
        tensors = {f"{p}.{n}": v for p, m in self.modules().items() for n, v in m.state_dict().items()}
        return tensors | self.numbers()

    def tensors(self, k: int) -> dict[str, Tensor]:
        """Seed k's networks and numbers, of raw observations, without the seed axis, on the CPU."""
        tensors = {name: value[k].detach().cpu().clone() for name, value in self.stacked().items()}
        for first, mean, std in self._standardised():
            weight, bias = f"{first}.weight", f"{first}.bias"
            tensors[weight], tensors[bias] = fold_input(tensors[weight], tensors[bias], mean, std)
        return tensors

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Let all networks see observations as (o - mean) / std, both [observation]."""
        for mlp in self._observing().values():
            rest = mlp.in_features - self.observation_dim
            mlp.standardise(
                torch.cat([mean, mean.new_zeros(rest)]).to(self.device),
                torch.cat([std, std.new_ones(rest)]).to(self.device),
            )

    def _observing(self) -> dict[str, StackedMLP]:
        """The MLPs whose first inputs are the observation, by the prefix of their tensors."""
        return {
            f"{prefix}.{name}" if name else prefix: mlp
            for prefix, module in self.modules().items()
            for name, mlp in module.named_modules()
            if isinstance(mlp, StackedMLP)
        }

    def _standardised(self) -> list[tuple[str, Tensor, Tensor]]:
        """Name, mean and spread of the first affine map of every network that standardises, on the CPU."""
        return [
            (f"{prefix}.{mlp.first_affine}", mlp.input_mean.cpu(), mlp.input_std.cpu())
            for prefix, mlp in self._observing().items()
            if mlp.input_mean is not None and mlp.input_std is not None
        ]

    @torch.no_grad()
    def load_tensors(self, stack: Sequence[Mapping[str, Tensor]]) -> None:
        """Take over networks and numbers, one mapping per seed; tensors of other names are ignored."""
        for name, value in self.stacked().items():
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

    # ---- moments of the optimisers -----------------------------------------------------------------------

    def optimisers(self) -> list[Optimiser]:
        return [x for x in vars(self).values() if isinstance(x, Optimiser)]

    def parameter_names(self) -> dict[Tensor, str]:
        """Trained parameters -> their names in a checkpoint."""
        networks = {p: f"{m}.{n}" for m, net in self.modules().items() for n, p in net.named_parameters()}
        return networks | {number: name for name, number in self.numbers().items()}

    def moments(self, k: int) -> dict[str, Tensor]:
        """What the optimisers remember of seed k, by name, on the CPU."""
        found = moments(self.optimisers(), self.parameter_names())
        own = {name: (x[k] if x.ndim else x).detach().cpu().clone() for name, x in found.items()}
        for first, mean, std in self._standardised():
            own |= fold_moments(own, first, mean, std)
        return own

    def load_moments(self, stack: Sequence[Mapping[str, Tensor]]) -> None:
        """Take over what optimisers remember, one mapping per seed; see `smac.optim.load_moments`."""
        load_moments(self.optimisers(), self.parameter_names(), stack)


class ActorCritic(Agent):
    """An actor, an ensemble of critics, and the critics' slow copies."""

    config: CriticConfig

    def build(self) -> None:
        super().build()
        config = self.config
        self.critic = CriticEnsemble(
            self.stack, config.ensemble, self.observation_dim, self.action_dim,
            config.critic_hidden or config.hidden, activation=config.activation,
            layer_norm=config.layer_norm,
        )  # fmt: skip
        self.new(self.critic, "critic")
        self.target = deepcopy(self.critic).requires_grad_(False)
        self.critic_optimiser = self.optimiser(self.critic_modules(), config.critic_lr)

    def critic_modules(self) -> list[nn.Module]:
        """What the critic's optimiser trains; methods with more heads add them."""
        return [self.critic]

    def modules(self) -> dict[str, nn.Module]:
        return super().modules() | {"critic": self.critic, "target": self.target}

    @abstractmethod
    def target_values(self, batch: Batch) -> Tensor:
        """The right-hand side of the Bellman equation, [seeds, batch], without a gradient."""

    def bellman_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """Mean squared Bellman error, averaged over members and batch."""
        q = self.critic(batch.observations, batch.actions)
        loss = ((q - self.target_values(batch).unsqueeze(-2)) ** 2).mean((-2, -1))
        return loss, {"train/bellman_loss": loss.detach(), "train/q_data": q.detach().mean((-2, -1))}

    def pessimistic(self, q: Tensor) -> Tensor:
        """Minimum over the members, or over a random subset of each seed's; [seeds, members, batch] -> .

        Rows of a batch share the subset, as in REDQ (Chen et al. 2021).
        """
        m = self.config.target_subset
        if m is None or m == self.config.ensemble:
            return q.amin(-2)
        chosen = self.noise.uniform(self.config.ensemble).argsort(-1)[:, :m]
        return q.gather(-2, chosen.unsqueeze(-1).expand(-1, -1, q.shape[-1])).amin(-2)

    def actor_q(self, q: Tensor) -> Tensor:
        """The Q estimate that the actor maximises, [seeds, members, batch] -> [seeds, batch]."""
        if self.config.actor_value == "min":
            return q.amin(-2)
        return q.mean(-2) if self.config.actor_value == "mean" else q[:, 0]

    @torch.no_grad()
    def update_targets(self) -> None:
        slow(self.target, self.critic, self.config.target_rate)


def slow(target: nn.Module, source: nn.Module, rate: float) -> None:
    """target <- target + rate (source - target)."""
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), rate)
