"""Checkpoints: one safetensors file per seed and moment, its description as JSON in the file's header.

Nothing in the file is code, so loading one executes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

import smac
from smac.errors import UserError
from smac.files import write_atomically
from smac.tasks.environments import check_stated

FORMAT = 1
HEADER = "smac"  # key of the description in the safetensors header
CheckpointKind = Literal["offline", "online", "trajectory", "policy"]  # the last: of another library


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of itself."""

    task: str
    algorithm: str
    moment: CheckpointKind
    step: int  # gradient steps offline, environment steps online
    seed: int
    observation_dim: int
    action_dim: int
    config: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)  # the descriptions it descends from
    version: str = smac.__version__
    format: int = FORMAT


@dataclass(frozen=True)
class Checkpoint:
    path: Path
    description: Description
    tensors: dict[str, Tensor]


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], description: Description) -> Path:
    header = {HEADER: json.dumps(asdict(description))}
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return write_atomically(path, lambda temporary: save_file(contiguous, temporary, metadata=header))


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint onto the CPU; a missing, damaged or foreign file is a UserError, and so is a tensor
    with a value that is not finite."""
    path = Path(path)
    if path.is_dir():
        raise UserError(
            f"{path}: is a directory; name a checkpoint file in it, such as seed-0/offline.safetensors"
        )
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint file")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: damaged, or not a safetensors checkpoint of ours, which alone has critics; "
            f"`smac evaluate`, `render`, `data collect` and `landscape` take other libraries', too ({error})"
        ) from None
    if header is None:
        raise UserError(
            f"{path}: a safetensors file, but its header does not describe a checkpoint of ours, which alone "
            "has critics"
        )
    about = _parse(path, header)
    for name, tensor in tensors.items():  # of the actor, the critics, a diffusion model, optimisers
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(f"{path}: tensor {name} has values that are not finite")
    return Checkpoint(path, about, tensors)


def _parse(path: Path, header: str) -> Description:
    try:
        values = json.loads(header)
        if values["format"] > FORMAT:
            raise UserError(f"{path}: format {values['format']} is newer than this version reads; upgrade")
        about = Description(**values)
        check_stated(str(about.task), path)
        return about
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: its description cannot be read ({error})") from None
