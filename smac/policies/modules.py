"""Any `nn.Module` as the end of a line: its floating-point parameters and buffers are the point."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from smac.checkpoint import Description
from smac.envs import env_spec
from smac.envs.units import Units, action_box
from smac.errors import UserError
from smac.policies.actors import ActorSpec
from smac.policies.checkpoints import PolicyCheckpoint
from smac.policies.module_actor import ModuleCode
from smac.policies.network import check_tensor
from smac.policies.python import checked_actions, gain_and_offset, import_policy
from smac.tasks import get_task


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
