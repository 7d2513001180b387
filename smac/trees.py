"""Nested dicts and lists of tensors and plain values in one safetensors file; nothing in it is code.

Tensors are stored by number, their structure as JSON in the header. Files are replaced atomically, so a
crash or a full disk leaves the last good one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from smac.errors import UserError
from smac.files import write_atomically

HEADER = "tree"
Tree = Any  # nested dicts and lists of tensors, numbers, strings, None


def pack(tree: Tree, tensors: dict[str, Tensor]) -> Any:
    """The JSON skeleton of a tree; its tensors go into `tensors`, and their places keep only a name."""
    if isinstance(tree, Tensor):
        name = str(len(tensors))
        tensors[name] = tree.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(tree, Mapping):
        return {"dict": [[key, pack(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, (list, tuple)):
        return {"list": [pack(value, tensors) for value in tree]}
    return {"value": tree}


def unpack(skeleton: Any, tensors: Mapping[str, Tensor]) -> Tree:
    """Undo `pack`; tuples come back as lists."""
    ((kind, content),) = skeleton.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: unpack(value, tensors) for key, value in content}
    if kind == "list":
        return [unpack(value, tensors) for value in content]
    return content


def write_tree(path: Path, tree: Tree) -> Path:
    tensors: dict[str, Tensor] = {}
    header = {HEADER: json.dumps(pack(tree, tensors))}
    tensors["none"] = torch.zeros(0)  # a file needs a tensor
    return write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=header))


def read_tree(path: Path) -> Tree:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return unpack(json.loads((file.metadata() or {})[HEADER]), tensors)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: damaged, or not a file of ours ({error})") from None
