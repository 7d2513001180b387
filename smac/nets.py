"""Stacked networks: a population of networks is one network whose weights have leading axes.

Weights are [*stack, out, in], as in `torch.nn.Linear` with the stack in front; inputs are
[*stack, batch, in]. Training seeds, ensemble members and the points of a landscape are all stack axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["silu", "relu", "tanh"]  # of actors and critics
AnyActivation = (
    Activation | Literal["mish", "elu", "gelu", "leaky_relu", "softplus", "sigmoid", "selu"]
)  # of others' policies too
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "relu": F.relu,
    "tanh": torch.tanh,
    "mish": F.mish,
    "elu": F.elu,
    "gelu": F.gelu,
    "leaky_relu": F.leaky_relu,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "selu": F.selu,
}

LOG_STD_RANGE = (-20.0, 2.0)
ACTION_LIMIT = 1.0 - 1e-5  # keeps the log-density of recorded actions finite


def stacked_affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x [*stack, batch, in], weight [*stack, out, in], bias [*stack, out] -> [*stack, batch, out]."""
    *stack, out_features, in_features = weight.shape
    y = torch.baddbmm(
        bias.reshape(-1, 1, out_features),
        x.reshape(-1, x.shape[-2], in_features),
        weight.reshape(-1, out_features, in_features).transpose(1, 2),
    )
    return y.reshape(*stack, x.shape[-2], out_features)


class StackedLinear(nn.Module):
    """K affine maps at once: x [*stack, batch, in] -> [*stack, batch, out]."""

    def __init__(self, stack: Sequence[int], in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(*stack, out_features, in_features))
        self.bias = nn.Parameter(torch.empty(*stack, out_features))

    def forward(self, x: Tensor) -> Tensor:
        return stacked_affine(x, self.weight, self.bias)

    def first(self, x: Tensor, outputs: int) -> Tensor:
        """Only the first `outputs` outputs, bit for bit those of a map that has no others.

        Taking them out of the full product is not: BLAS sums in an order that depends on the shapes.
        """
        return stacked_affine(x, self.weight[..., :outputs, :].contiguous(), self.bias[..., :outputs])


class StackedLayerNorm(nn.Module):
    """LayerNorm over the last axis, with a scale and a shift per member."""

    def __init__(self, stack: Sequence[int], features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*stack, features))
        self.bias = nn.Parameter(torch.zeros(*stack, features))

    def forward(self, x: Tensor) -> Tensor:
        normalised = F.layer_norm(x, (x.shape[-1],))
        return torch.addcmul(self.bias.unsqueeze(-2), normalised, self.weight.unsqueeze(-2))


class StackedMLP(nn.Module):
    """Hidden layers of `affine -> (LayerNorm) -> activation`, then an affine head."""

    def __init__(
        self,
        stack: Sequence[int],
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        activation: AnyActivation = "silu",
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        widths = [in_features, *hidden]
        self.in_features = in_features
        self.hidden = nn.ModuleList(StackedLinear(stack, a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(StackedLayerNorm(stack, width) for width in hidden if layer_norm)
        self.head = StackedLinear(stack, widths[-1], out_features)
        self.activation = ACTIVATIONS[activation]
        self.register_buffer("input_mean", None, persistent=False)
        self.register_buffer("input_std", None, persistent=False)

    input_mean: Tensor | None
    input_std: Tensor | None

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """See inputs as (x - mean) / std from now on, both [in]; `fold_input` undoes it in the weights."""
        self.input_mean, self.input_std = mean, std

    @property
    def first_affine(self) -> str:
        """Name of the affine map that sees the input."""
        return "hidden.0" if len(self.hidden) else "head"

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """What the head sees, [*stack, batch, width]."""
        if self.input_mean is not None and self.input_std is not None:
            x = (x - self.input_mean) / self.input_std
        for i, layer in enumerate(self.hidden):
            x = layer(x)
            if self.norms:
                x = self.norms[i](x)
            x = self.activation(x)
        return x

    def first(self, x: Tensor, outputs: int) -> Tensor:
        """Only the first `outputs` outputs, from a matrix product that never sees the other rows."""
        return self.head.first(self.features(x), outputs)


def fold_input(weight: Tensor, bias: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """The affine map of x that equals W (x - mean) / std + b; W [..., out, in], b [..., out]."""
    raw = weight.double() / std
    return raw.to(weight.dtype), (bias.double() - raw @ mean.double()).to(bias.dtype)


class StackedResidualMLP(nn.Module):
    """Affine map to `width`, `blocks` residual blocks, activation, affine head.

    A block is x + W2 act(W1 LayerNorm(x)), four times as wide inside: the denoiser of IDQL (Hansen-Estruch et
    al. 2023), whose dropout is left out.
    """

    EXPANSION = 4

    def __init__(
        self,
        stack: Sequence[int],
        in_features: int,
        width: int,
        blocks: int,
        out_features: int,
        *,
        activation: AnyActivation = "mish",
    ) -> None:
        super().__init__()
        inner = self.EXPANSION * width
        self.first = StackedLinear(stack, in_features, width)
        self.norms = nn.ModuleList(StackedLayerNorm(stack, width) for _ in range(blocks))
        self.up = nn.ModuleList(StackedLinear(stack, width, inner) for _ in range(blocks))
        self.down = nn.ModuleList(StackedLinear(stack, inner, width) for _ in range(blocks))
        self.head = StackedLinear(stack, width, out_features)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for norm, up, down in zip(self.norms, self.up, self.down, strict=True):
            x = x + down(self.activation(up(norm(x))))
        return self.head(self.activation(x))


def initialise(module: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Draw every affine map as `torch.nn.Linear` does, U(-1/sqrt(in), 1/sqrt(in)).

    The first stack axis is the training seed; seed k draws from generators[k] alone, so that its networks
    do not depend on which other seeds are in the stack.
    """
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, StackedLinear):
                bound = 1.0 / math.sqrt(layer.weight.shape[-1])
                for k, generator in enumerate(generators):
                    layer.weight[k].uniform_(-bound, bound, generator=generator)
                    layer.bias[k].uniform_(-bound, bound, generator=generator)


def tanh_log_det(u: Tensor) -> Tensor:
    """log |d tanh(u) / du| = log(1 - tanh(u)^2), stable for large |u|."""
    return 2.0 * (math.log(2.0) - u - F.softplus(-2.0 * u))


class TanhGaussianActor(nn.Module):
    """a = tanh(mean(s) + std(s) * noise), with the log-density of the squashed action.

    The noise is an argument: whoever calls owns the random stream.
    """

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        *,
        activation: AnyActivation = "silu",
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.net = StackedMLP(
            stack, observation_dim, hidden, 2 * action_dim, activation=activation, layer_norm=layer_norm
        )

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation before the tanh, both [*stack, batch, action]."""
        mean, log_std = self.net(observations).chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """The action at `noise` (standard normal), or tanh of the mean without one.

        The mean action is bit for bit that of the deterministic actor with the same mean rows.
        """
        if noise is None:
            return torch.tanh(self.net.first(observations, self.action_dim))
        mean, log_std = self(observations)
        return torch.tanh(mean + log_std.exp() * noise)

    def sample(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Reparametrised actions [*stack, batch, action] and their log-densities [*stack, batch].

        `noise` may have n rows for each observation: row b * n + i is sample i of observation b.
        """
        mean, log_std = self(observations)
        repeats = noise.shape[-2] // mean.shape[-2]
        if repeats > 1:
            mean, log_std = (x.repeat_interleave(repeats, dim=-2) for x in (mean, log_std))
        u = mean + log_std.exp() * noise
        log_normal = -0.5 * (noise**2 + math.log(2.0 * math.pi)) - log_std
        return torch.tanh(u), (log_normal - tanh_log_det(u)).sum(-1)

    def log_prob(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Log-density of given actions, clipped into the open box."""
        mean, log_std = self(observations)
        u = torch.atanh(actions.clamp(-ACTION_LIMIT, ACTION_LIMIT))
        log_normal = -0.5 * (((u - mean) / log_std.exp()) ** 2 + math.log(2.0 * math.pi)) - log_std
        return (log_normal - tanh_log_det(u)).sum(-1)


class DeterministicActor(nn.Module):
    """a = tanh(mean(s))."""

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        *,
        activation: AnyActivation = "silu",
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.net = StackedMLP(
            stack, observation_dim, hidden, action_dim, activation=activation, layer_norm=layer_norm
        )

    def forward(self, observations: Tensor) -> Tensor:
        return self.squash(self.net(observations))

    def squash(self, mean: Tensor) -> Tensor:
        """The action of what the network computes."""
        return torch.tanh(mean)

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """The same action with and without noise: a deterministic policy has none of its own."""
        return self(observations)


ActorKind = Literal["tanh_gaussian", "deterministic"]
Actor = TanhGaussianActor | DeterministicActor
ACTORS: dict[ActorKind, type[Actor]] = {
    "tanh_gaussian": TanhGaussianActor,
    "deterministic": DeterministicActor,
}


class CriticEnsemble(nn.Module):
    """Q(s, a) of an ensemble: weights [*stack, members, ...], values [*stack, members, batch]."""

    def __init__(
        self,
        stack: Sequence[int],
        members: int,
        observation_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        *,
        activation: Activation = "silu",
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.members = members
        self.net = StackedMLP(
            (*stack, members),
            observation_dim + action_dim,
            hidden,
            1,
            activation=activation,
            layer_norm=layer_norm,
        )

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Every member's value of the same pairs, [*stack, batch, .] -> [*stack, members, batch].

        Actions may also be [*stack, members, batch, action], one set per member.
        """
        if actions.ndim == observations.ndim:
            actions = self.per_member(actions)
        x = torch.cat([self.per_member(observations), actions], dim=-1)
        return self.net(x).squeeze(-1)

    def per_member(self, x: Tensor) -> Tensor:
        """[*stack, batch, d] seen once per member: [*stack, members, batch, d], without a copy."""
        return x.unsqueeze(-3).expand(*x.shape[:-2], self.members, *x.shape[-2:])
