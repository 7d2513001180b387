"""From parameter mappings to policies: a stack of points becomes one stacked actor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from smac.errors import UserError
from smac.nets import ACTORS, Actor, AnyActivation, DeterministicActor
from smac.policies.module_actor import ModuleActor, ModuleCode

HEAD_WEIGHT, HEAD_BIAS = "net.head.weight", "net.head.bias"

Kind = Literal["tanh_gaussian", "deterministic", "clipped", "module"]


class ClippedActor(DeterministicActor):
    """The mean itself, cut off at the action's limits, as policies without a tanh act."""

    def squash(self, mean: Tensor) -> Tensor:
        return mean.clamp(-1.0, 1.0)


class RescaledActor(DeterministicActor):
    """gain * tanh(the mean, cut off at +-bound) + offset, cut off at the action's limits."""

    bound: float = float("inf")
    gain: Tensor | float = 1.0
    offset: Tensor | float = 0.0

    def squash(self, mean: Tensor) -> Tensor:
        bounded = mean.clamp(-self.bound, self.bound)
        return (self.gain * torch.tanh(bounded) + self.offset).clamp(-1.0, 1.0)


@dataclass(frozen=True)
class ActorSpec:
    """The architecture of an actor: what turns a parameter mapping into a policy."""

    observation_dim: int
    action_dim: int
    hidden: tuple[int, ...]
    activation: AnyActivation
    layer_norm: bool
    kind: Kind = "tanh_gaussian"
    bounds: tuple[tuple[float, float], ...] = ()  # between which observations are cut off first; () if not
    mean_bound: float | None = None  # at +-which the mean is cut off before the tanh
    rescale: tuple[
        tuple[float, float], ...
    ] = ()  # factor and summand of every action after it; () for 1 and 0
    module: ModuleCode | None = None  # of the kind `module`

    def to_json(self) -> dict[str, Any]:
        """As plain values, for digests: what was added later is left out where it has its default."""
        values = asdict(self) | {"module": self.module and self.module.text}
        return {k: v for k, v in values.items() if v or k not in ("mean_bound", "rescale", "module")}


def stack_actor(spec: ActorSpec, points: Sequence[Mapping[str, np.ndarray]]) -> Actor:
    """One actor with a stack of len(points), member by member the given parameters."""
    if spec.module is not None:
        # it acts, which is all that is asked
        return ModuleActor(spec.module, spec.rescale, points)  # type: ignore[return-value]
    actor = _class(spec)(
        (len(points),),
        spec.observation_dim,
        spec.action_dim,
        spec.hidden,
        activation=spec.activation,
        layer_norm=spec.layer_norm,
    ).requires_grad_(False)
    stacked = {name: torch.from_numpy(np.stack([point[name] for point in points])) for name in points[0]}
    try:
        actor.load_state_dict(stacked)
    except RuntimeError as error:
        raise UserError(f"the actor's tensors do not fit its description: {error}") from None
    if isinstance(actor, RescaledActor):
        actor.bound = spec.mean_bound or actor.bound
        if spec.rescale:
            actor.gain, actor.offset = torch.tensor(spec.rescale, dtype=torch.float32).unbind(-1)
    if spec.bounds:
        low, high = torch.tensor(spec.bounds, dtype=torch.float32).unbind(-1)
        actor.net.hidden[0].register_forward_pre_hook(lambda _, inputs: (inputs[0].clamp(low, high),))
    return actor


class FlatActor:
    """A stack of deterministic actors, to act alone: the same actions in every bit, at a third of the time.

    With small networks most of it goes into calls of modules and views of their tensors, which are made once
    here. The actor's tensors must not change afterwards.
    """

    def __init__(self, actor: DeterministicActor, spec: ActorSpec) -> None:
        net: Any = actor.net
        assert net.input_mean is None
        self.squash, self.activation = actor.squash, net.activation
        self.layers = [(layer.bias.unsqueeze(1), layer.weight.transpose(1, 2)) for layer in net.hidden]
        self.norms = [(norm.bias.unsqueeze(1), norm.weight.unsqueeze(1)) for norm in net.norms]
        self.head = net.head.bias.unsqueeze(1), net.head.weight.transpose(1, 2)
        self.bounds = torch.tensor(spec.bounds, dtype=torch.float32).unbind(-1) if spec.bounds else None

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions [stack, batch, act] at observations [stack, batch, obs]; there is no noise."""
        x = observations if self.bounds is None else observations.clamp(*self.bounds)
        for i, (bias, weight) in enumerate(self.layers):
            x = torch.baddbmm(bias, x, weight)
            if self.norms:
                shift, scale = self.norms[i]
                x = torch.addcmul(shift, F.layer_norm(x, (x.shape[-1],)), scale)
            x = self.activation(x)
        bias, weight = self.head
        return self.squash(torch.baddbmm(bias, x, weight))


def flat(actor: Actor, spec: ActorSpec) -> Actor | FlatActor:
    """The fastest there is that acts as this stack does."""
    return FlatActor(actor, spec) if isinstance(actor, DeterministicActor) and actor.net.hidden else actor


def mean_actions(
    spec: ActorSpec, points: Sequence[Mapping[str, np.ndarray]]
) -> tuple[ActorSpec, list[Mapping[str, np.ndarray]]]:
    """Actors of the same mean actions, bit for bit, that have nothing else: without rows of log_std."""
    if spec.kind != "tanh_gaussian":
        return spec, list(points)
    names, means = (HEAD_WEIGHT, HEAD_BIAS), slice(spec.action_dim)
    return (
        replace(spec, kind="deterministic"),
        [{**point, **{name: point[name][means].copy() for name in names}} for point in points],
    )


def _class(spec: ActorSpec) -> type[Actor]:
    if spec.kind == "clipped":
        return ClippedActor
    assert spec.kind != "module"  # which has an actor of its own
    if spec.mean_bound is not None or spec.rescale:
        return RescaledActor
    return ACTORS[spec.kind]
