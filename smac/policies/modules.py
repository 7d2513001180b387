"""Any `nn.Module` as the end of a line: its floating-point parameters and buffers are the point.

A stack of points is one call through `torch.func`; where a module does not allow that, its members are called
one after the other, and the log says so.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from smac.checkpoint import Description
from smac.envs import env_spec
from smac.envs.units import Units, action_box
from smac.errors import UserError
from smac.policies.actors import ActorSpec
from smac.policies.checkpoints import PolicyCheckpoint
from smac.policies.network import check_tensor
from smac.policies.python import checked_actions, gain_and_offset, import_policy
from smac.tasks import get_task

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ModuleCode:
    """What a module computes but for its floating-point tensors. Two are equal if this text is."""

    skeleton: nn.Module
    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModuleCode) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __deepcopy__(self, _: object) -> ModuleCode:
        return self

    def __repr__(self) -> str:
        return " ".join(self.text.split())


class ModuleActor(nn.Module):
    """A stack of one module's copies: observations [stack, batch, obs] -> actions [stack, batch, act]."""

    def __init__(self, spec: ActorSpec, points: Sequence[Mapping[str, np.ndarray]]) -> None:
        super().__init__()
        assert spec.module is not None
        self.module = copy.deepcopy(spec.module.skeleton).eval()
        self.tensors = {n: torch.from_numpy(np.stack([point[n] for point in points])) for n in points[0]}
        self.gain, self.offset = torch.tensor(spec.rescale, dtype=torch.float32).unbind(-1)
        self.stacked = True

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        return (self.gain * self._raw(observations) + self.offset).clamp(-1.0, 1.0)

    def _call(self, tensors: Mapping[str, Tensor], observations: Tensor) -> Tensor:
        return torch.func.functional_call(self.module, dict(tensors), (observations,))

    @torch.no_grad()
    def _raw(self, observations: Tensor) -> Tensor:
        if self.stacked:
            try:
                return torch.func.vmap(self._call)(self.tensors, observations)
            except RuntimeError as error:
                self.stacked = False
                log.warning("the module cannot be stacked (%s); its points are played in a loop", error)
        members = [{n: t[i] for n, t in self.tensors.items()} for i in range(len(observations))]
        return torch.stack([self._call(m, rows) for m, rows in zip(members, observations, strict=True)])


def policy_of_module(
    module: nn.Module, task: str, units: Units | None = None, name: str = "module"
) -> PolicyCheckpoint:
    """A module that maps observations [batch, obs] to actions [batch, act] as a policy for `task`."""
    known = get_task(task)
    dims, box = env_spec(known), action_box(known)
    gain, offset = gain_and_offset(units, box, name)
    module = copy.deepcopy(module).cpu().eval()
    checked_actions(module, torch.zeros(2, dims.observation_dim), dims.action_dim, name)
    tensors = dict(module.named_parameters()) | dict(module.named_buffers())
    floats = {n: t.detach() for n, t in tensors.items() if t.is_floating_point()}
    for label, tensor in floats.items():
        check_tensor(Path(name), label, tensor)
    if not floats:
        raise UserError(f"{name}: has no parameters, so there is no line to it")
    spec = ActorSpec(
        dims.observation_dim, dims.action_dim, (), "relu", False, "module",
        rescale=tuple(zip(gain.tolist(), offset.tolist(), strict=True)),
        module=ModuleCode(module, _text(module, tensors)),
    )  # fmt: skip
    about = Description(task, name, "policy", 0, 0, dims.observation_dim, dims.action_dim, config={})
    return PolicyCheckpoint(Path(name), about, spec, {n: t.numpy().copy() for n, t in floats.items()})


def load_module(reference: Path, task: str | None, units: Units | None) -> PolicyCheckpoint:
    """The module that package.module:name names."""
    if task is None:
        raise UserError(f"{reference}: does not say which task it was trained for; name it with --task")
    found = import_policy(reference)
    if not isinstance(found, nn.Module):
        raise UserError(f"{reference}: is a function without parameters, so there is no line to it")
    return policy_of_module(found, task, units, str(reference))


def _text(module: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Its class, its structure, a digest of the classes' source, and every tensor that no line moves."""
    digest = hashlib.sha256()
    for kind in sorted({type(part) for part in module.modules()}, key=str):
        try:
            digest.update(inspect.getsource(kind).encode())
        except (OSError, TypeError):  # a class made in an interpreter
            digest.update(str(kind).encode())
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return f"{type(module).__qualname__} {module} {digest.hexdigest()[:16]}"
