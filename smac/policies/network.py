"""What a policy computes, and the ledger of a file's tensors by which none of them is ignored."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from smac.envs.units import Box, Units
from smac.errors import UserError
from smac.nets import ACTIVATIONS, LOG_STD_RANGE, AnyActivation

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LayerNorm = tuple[Tensor, Tensor]  # scale and shift, both [out]


@dataclass(frozen=True)
class Affine:
    """x -> weight x + bias, then a LayerNorm if there is one (epsilon 1e-5)."""

    weight: Tensor  # [out, in]
    bias: Tensor  # [out]
    norm: LayerNorm | None = None

    def __call__(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight, self.bias)
        return x if self.norm is None else F.layer_norm(x, (len(self.bias),), *self.norm)

    def after(self, scale: Tensor, shift: Tensor) -> Affine:
        """The affine map of x that this one is of scale * x + shift; computed in float64."""
        weight = self.weight.double()
        bias = self.bias.double() + weight @ shift.double()
        return replace(self, weight=(weight * scale.double()).float(), bias=bias.float())

    def times(self, scale: Tensor, shift: Tensor) -> Affine:
        """scale * self(x) + shift."""
        weight = scale.double()[:, None] * self.weight.double()
        return replace(
            self, weight=weight.float(), bias=(scale.double() * self.bias.double() + shift.double()).float()
        )


@dataclass(frozen=True)
class Normalisation:
    """What is done to observations first: clip((o - mean) / std, -clip, clip)."""

    mean: Tensor
    std: Tensor
    clip: float | None = None

    def __call__(self, observations: Tensor) -> Tensor:
        seen = (observations - self.mean) / self.std
        return seen if self.clip is None else seen.clamp(-self.clip, self.clip)


@dataclass(frozen=True)
class Network:
    """A perceptron: action = gain * tanh(mean(s)) + offset, or the mean itself, cut off to the box."""

    source: str  # of which library it is
    hidden: tuple[Affine, ...]
    mean: Affine
    activation: AnyActivation
    squash: bool
    units: Units | None  # in which it acts; None if neither file nor description says
    log_std: Affine | Tensor | None = None  # a second head, numbers [act], or nothing that is known
    log_std_range: tuple[float, float] = LOG_STD_RANGE
    mean_bound: float | None = None  # the mean is cut off to +-this before the tanh
    gain: Tensor | None = None  # [act], of the action after the tanh; None is 1,
    offset: Tensor | None = None  # and None is 0
    normalisation: Normalisation | None = None
    box: Box | None = None  # of its environment's actions, where the file says it

    @property
    def observation_dim(self) -> int:
        return (self.hidden or (self.mean,))[0].weight.shape[1]

    @property
    def action_dim(self) -> int:
        return len(self.mean.bias)

    def act(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """Action [..., act] at observations [..., obs]: the mean's, or with standard normal noise."""
        x = observation
        if self.normalisation is not None:
            x = self.normalisation(x)
        for layer in self.hidden:
            x = ACTIVATIONS[self.activation](layer(x))
        action = self.mean(x)
        if self.mean_bound is not None:
            action = action.clamp(-self.mean_bound, self.mean_bound)
        if noise is not None and self.log_std is not None:
            log_std = self.log_std if isinstance(self.log_std, Tensor) else self.log_std(x)
            action = action + log_std.clamp(*self.log_std_range).exp() * noise
        action = torch.tanh(action) if self.squash else action
        action = action if self.gain is None else action * self.gain
        return action if self.offset is None else action + self.offset

    def in_unit_box(self, box: Box, path: Path) -> Network:
        """The same policy with actions in [-1, 1], which reach an environment of this box as they should.

        Where the box is [-1, 1] itself, both units are one, and nothing needs to be said.
        """
        if self.box is not None and not self.box.same_as(box):
            raise UserError(f"{path}: acts in the box {self.box}, but the task's actions are in {box}")
        units = self.units or ("unit" if box.is_unit else None)
        if units is None:
            raise UserError(
                f"{path}: does not say whether its actions are those of the environment ({box}) or of "
                "[-1, 1]; say it with --action-units env|unit, or action_units in the .policy.json next to it"
            )
        if units == "unit" or box.is_unit:
            return replace(self, units="unit")
        centre, half = (torch.tensor(x, dtype=torch.float64) for x in (box.centre, box.half))
        gain = (torch.ones_like(half) if self.gain is None else self.gain.double()) / half
        offset = ((torch.zeros_like(half) if self.offset is None else self.offset.double()) - centre) / half
        if self.squash:
            if torch.allclose(gain, torch.ones_like(gain)) and torch.allclose(
                offset, torch.zeros_like(offset)
            ):
                return replace(self, units="unit", gain=None, offset=None)
            return replace(self, units="unit", gain=gain.float(), offset=offset.float())
        log_std = self.log_std + gain.log().float() if isinstance(self.log_std, Tensor) else None
        mean = self.mean.times(gain, offset)
        return replace(self, units="unit", gain=None, offset=None, mean=mean, log_std=log_std)


class Tensors:
    """The tensors of an actor, each to be used, or its file is refused by the name of one that is not."""

    def __init__(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        self.path, self.left = path, dict(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self.left

    def take(self, name: str, *shape: int | None) -> Tensor:
        """A tensor of finite floats of this shape (None for any size), as float32."""
        if name not in self.left:
            held = ", ".join(sorted(self.left)[:6]) or "nothing else"
            raise UserError(f"{self.path}: has no tensor {name}; it holds {held}")
        tensor = self.left.pop(name)
        check_tensor(self.path, name, tensor)
        if len(shape) != tensor.ndim or any(
            want not in (None, have) for want, have in zip(shape, tensor.shape, strict=True)
        ):
            wanted = ["any" if n is None else n for n in shape]
            raise UserError(f"{self.path}: tensor {name} has shape {list(tensor.shape)}, not {wanted}")
        return tensor.float()

    def affine(self, stem: str, inputs: int | None = None, dot: str = ".") -> Affine:
        weight = self.take(f"{stem}{dot}weight", None, inputs)
        return Affine(weight, self.take(f"{stem}{dot}bias", len(weight)))

    def indices(self, stem: str) -> list[int]:
        """The places in the `nn.Sequential` called `stem` that have tensors."""
        pattern = re.compile(rf"{re.escape(stem)}\.(\d{{1,4}})\..*")
        return sorted({int(match[1]) for name in self.left if (match := pattern.fullmatch(name))})

    def sequential(self, stem: str) -> list[Affine]:
        """Affine maps with a module without tensors, the activation, between any two of them."""
        places = self.indices(stem)
        for place in places:
            weight = self.left.get(f"{stem}.{place}.weight")
            if weight is None or weight.ndim != 2:
                self.refuse(next(name for name in self.left if name.startswith(f"{stem}.{place}.")))
        if any(after - before < 2 for before, after in pairwise(places)):
            raise UserError(f"{self.path}: {stem} has affine maps without an activation between them")
        return chained(self.path, [f"{stem}.{place}" for place in places], self.affine)

    def refuse(self, name: str) -> None:
        raise UserError(
            f"{self.path}: tensor {name} {list(self.left[name].shape)} is not of a plain perceptron; a "
            "policy is read only if every tensor of its actor is used"
        )

    def finish(self, *others: str) -> None:
        """UserError for a tensor that was not used, unless its name begins like those of other networks."""
        for name in self.left:
            if not name.startswith(others or ("\0",)):
                self.refuse(name)


def check_tensor(path: Path, name: str, tensor: Tensor) -> None:
    if tensor.dtype not in FLOATS:
        raise UserError(f"{path}: tensor {name} is of {tensor.dtype}; a network's must be floating-point")
    if not torch.isfinite(tensor).all() or not torch.isfinite(tensor.float()).all():
        raise UserError(f"{path}: tensor {name} has values that are not finite")
    if not tensor.numel():
        raise UserError(f"{path}: tensor {name} is empty")


def chained(path: Path, stems: Sequence[str], take: Callable[[str], Affine]) -> list[Affine]:
    """Layers of which each takes what the one before gives."""
    layers: list[Affine] = []
    for stem in stems:
        layer = take(stem)
        if layers and layer.weight.shape[1] != len(layers[-1].bias):
            raise UserError(
                f"{path}: tensor {stem}.weight takes {layer.weight.shape[1]} inputs, but the layer before it "
                f"has {len(layers[-1].bias)} outputs; leave others out with a prefix, or name `layers`"
            )
        layers.append(layer)
    return layers
