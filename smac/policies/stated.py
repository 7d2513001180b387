"""What people say of a policy in files next to it: NAME.policy.json, and NAME.check.npz to prove it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch

from smac.envs.units import Box, Units
from smac.errors import UserError
from smac.files import read_json
from smac.nets import ACTIVATIONS
from smac.policies.contents import read_contents, refusing
from smac.policies.network import Affine, Network, Normalisation, Tensors
from smac.policies.vecnormalize import read_vecnormalize

OUTPUTS = ("tanh", "clip")
TOLERANCE = 1e-4  # of a checked action, as a share of the box
Head = Literal["mean", "mean+log_std"]


@dataclass(frozen=True)
class Stated:
    """The keys of a .policy.json; any other is refused."""

    path: Path
    task: str | None = None
    algorithm: str | None = None
    step: int | None = None
    seed: int | None = None
    activation: str | None = None
    output: str | None = None  # tanh, or clip for a mean that is cut off at the limits
    prefix: str = ""
    layers: Sequence[str] = ()  # stems of the affine maps, in the order in which they are applied
    layer_norms: Sequence[
        str
    ] = ()  # stems of the LayerNorms between an affine map and its activation, in order
    head: Head = "mean"
    log_std: str | None = None  # stem of the other head, or name of the numbers; it is left out
    unused: Sequence[str] = ()  # beginnings of names behind the prefix that are not of the mean action
    action_units: Units | None = None
    action_scale: float | Sequence[float] | None = None  # what the tanh is multiplied by
    normaliser: dict[str, Any] | None = (
        None  # mean and std, or var and epsilon; clip; or file: a VecNormalize
    )
    check: str | None = None  # an .npz next to it with observations and actions, as the environment gets them
    says_normaliser: bool = False  # whether the key is there at all: null is a statement

    @property
    def check_file(self) -> Path:
        return self.path.parent / (self.check or f"{self.of}.check.npz")

    @property
    def has_check(self) -> bool:
        """Whether its actions will be checked."""
        return self.check is not None or self.check_file.exists()

    @property
    def of(self) -> str:
        """The stem of the policy's name."""
        return self.path.name.removesuffix(".policy.json")

    @property
    def known_activation(self) -> Any:
        if self.activation not in ACTIVATIONS or self.output not in OUTPUTS:
            raise UserError(
                f"{self.path}: must say what {self.of} computes: activation ({', '.join(ACTIVATIONS)}) and "
                f"output ({', '.join(OUTPUTS)}), got {self.activation!r} and {self.output!r}"
            )
        return self.activation

    def normalisation(self, observations: int) -> Normalisation | None:
        if self.normaliser is None:
            return None
        values = dict(self.normaliser)
        if "file" in values:
            return read_vecnormalize(self.path.parent / str(values["file"]), observations)
        unknown = sorted(values.keys() - {"mean", "std", "var", "epsilon", "clip"})
        if unknown:
            raise UserError(f"{self.path}: its normaliser has an unknown key {unknown[0]!r}")
        try:
            mean = np.asarray(values["mean"], np.float64)
            spread = values["std"] if "std" in values else values["var"]
            std = np.asarray(spread, np.float64)
            if "std" not in values:
                std = np.sqrt(std + float(values.get("epsilon", 0.0)))
            clip = None if values.get("clip") is None else float(values["clip"])
            found = Normalisation(torch.from_numpy(mean).float(), torch.from_numpy(std).float(), clip)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{self.path}: its normaliser needs mean, and std or var ({error})") from None
        if mean.shape != (observations,) or std.shape != (observations,):
            raise UserError(
                f"{self.path}: its normaliser has mean {mean.shape} and std {std.shape}, the policy "
                f"{observations} observations"
            )
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise UserError(f"{self.path}: its normaliser must be finite, and its std above 0")
        if clip is not None and not clip > 0:
            raise UserError(f"{self.path}: its normaliser clips at {clip}, which must be above 0")
        return found


def check_task(path: Path, own: str | None, asked: str | None) -> None:
    """UserError if a file says another task than was asked for."""
    if asked is not None and own not in (None, asked):
        raise UserError(f"{path}: says task {own}, but --task is {asked}; leave --task out")


def read_stated(policy: Path, normaliser: str | None = None) -> Stated:
    """What is said of a policy: in the description next to its file, and by a command of its normaliser.

    `normaliser` is the file of a VecNormalize, or `none`. Unknown keys and wrong types are refused.
    """
    stated = _description(policy.with_suffix(".policy.json"))
    if normaliser is None:
        return stated
    if stated.says_normaliser:
        raise UserError(f"{stated.path}: states a normaliser; leave out --normaliser {normaliser}")
    said = None if normaliser == "none" else {"file": str(Path(normaliser).absolute())}
    return replace(stated, normaliser=said, says_normaliser=True)


def _description(path: Path) -> Stated:
    """The file's keys, or an empty description."""
    if not path.exists():
        return Stated(path)
    with refusing(path, "a readable description"):
        values = read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: must be an object with keys such as activation, output and task")
    known = {f.name for f in fields(Stated)} - {"path", "says_normaliser"}
    for key, value in values.items():
        if key not in known:
            raise UserError(f"{path}: unknown key {key!r}; known are {', '.join(sorted(known))}")
        if not _fits(key, value):
            raise UserError(f"{path}: {key} cannot be {value!r}")
    return Stated(path, **values, says_normaliser="normaliser" in values)


def _fits(key: str, value: Any) -> bool:
    if key in ("layers", "unused", "layer_norms"):
        return isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    if key in ("step", "seed"):
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if key == "action_scale":
        numbers = value if isinstance(value, list) else [value]
        return bool(numbers) and all(_positive(number) for number in numbers)
    if key == "normaliser":
        return value is None or isinstance(value, dict)
    if key == "head":
        return value in get_args(Head)
    if key == "action_units":
        return value in get_args(Units)
    return isinstance(value, str)


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def build(stated: Stated, tensors: Tensors, stems: Sequence[str]) -> Network:
    """The perceptron of a description, from the stems of its affine maps."""
    norms = list(stated.layer_norms)
    layers: list[Affine] = []
    for i, stem in enumerate(stems):
        layer = tensors.affine(stem, len(layers[-1].bias) if layers else None)
        if norms and i < len(stems) - 1:
            width = len(layer.bias)
            norm = tensors.take(f"{norms[0]}.weight", width), tensors.take(f"{norms.pop(0)}.bias", width)
            layer = Affine(layer.weight, layer.bias, norm)
        layers.append(layer)
    if norms:
        raise UserError(f"{stated.path}: there is no hidden layer for the LayerNorm {norms[0]}")
    head = layers.pop()
    if stated.head == "mean+log_std":
        if len(head.bias) % 2:
            raise UserError(f"{stated.path}: head mean+log_std, but {stems[-1]} has {len(head.bias)} outputs")
        actions = len(head.bias) // 2
        head = Affine(head.weight[:actions].clone(), head.bias[:actions].clone())
    return Network(
        "state dict",
        tuple(layers),
        head,
        stated.known_activation,
        stated.output == "tanh",
        stated.action_units,
    )


class Acts(Protocol):
    """A policy of [-1, 1]."""

    @property
    def observation_dim(self) -> int: ...
    @property
    def action_dim(self) -> int: ...
    def act(self, observation: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor: ...


def check(policy: Path, stated: Stated, network: Acts, box: Box) -> None:
    """UserError unless the mean actions of `network`, of [-1, 1], are those of a check file."""
    if not stated.has_check:
        return
    path = stated.check_file
    arrays = Tensors(path, read_contents(path).value)
    observations = arrays.take("observations", None, network.observation_dim)
    actions = arrays.take("actions", len(observations), network.action_dim)
    arrays.finish()
    low, high, half = (
        torch.tensor(np.asarray(x), dtype=torch.float32) for x in (box.low, box.high, box.half)
    )
    with torch.inference_mode():
        ours = network.act(observations).clamp(-1, 1)
    theirs = ((actions.clamp(low, high) - low) / half) - 1
    worst = (ours - theirs).abs().amax(-1)
    if not worst.max() <= TOLERANCE:
        row = int(worst.argmax())
        raise UserError(
            f"{policy}: does not act as {path.name} says: at row {row} {ours[row].tolist()} instead of "
            f"{theirs[row].tolist()} (in [-1, 1]); it is not read rightly"
        )
