"""Policies as Python objects that a user names: PACKAGE.MODULE:NAME is imported, as code of one's own."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smac.envs.units import Box, Units
from smac.errors import UserError

Function = Callable[[Tensor], Any]  # observations [batch, obs], float32 -> actions [batch, act]


def is_reference(path: Path) -> bool:
    """Whether it names a Python object, package.module:name, and no file."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", str(path)) is not None and not path.exists()


def import_policy(reference: Path) -> Function:
    """The module or function that is named; what can be called without arguments is called to make it.

    Modules are looked for where Python looks, and in the working directory.
    """
    module, _, name = str(reference).partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = getattr(importlib.import_module(module), name)
        if not isinstance(found, nn.Module) and callable(found) and not _arguments(found):
            found = found()
    except Exception as error:  # code of the user's
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{reference}: cannot be imported ({type(error).__name__}: {reason})") from None
    if not callable(found):
        raise UserError(f"{reference}: is {type(found).__name__}, neither a module nor a function")
    if isinstance(found, nn.Module):
        found.eval()
        for parameter in found.parameters():  # TorchScript's modules have no requires_grad_ of their own
            parameter.requires_grad_(False)
    return found


def _arguments(found: Callable[..., Any]) -> list[str]:
    """Names of the arguments that it cannot be called without."""
    parameters = inspect.signature(found).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind in (0, 1, 3)]


def source_file(reference: Path) -> Path | None:
    """The file that the named object's module was read from."""
    file = getattr(sys.modules.get(str(reference).partition(":")[0]), "__file__", None)
    return None if file is None else Path(file)


def gain_and_offset(units: Units | None, box: Box, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What makes its actions those of [-1, 1]; UserError if their units must be said."""
    if units is None and not box.is_unit:
        raise UserError(
            f"{name}: say whether its actions are those of the environment ({box}) or of [-1, 1], with "
            "--action-units env|unit"
        )
    if units == "env":
        return 1 / box.half, -box.centre / box.half
    return np.ones(len(box.low)), np.zeros(len(box.low))


def checked_actions(function: Function, observations: Tensor, actions: int, name: str) -> Tensor:
    """Its actions [batch, act] as a tensor of float32; UserError if it does not give them."""
    try:
        found = function(observations)
        found = found if isinstance(found, Tensor) else torch.as_tensor(np.asarray(found))
        found = found.detach().float()
    except Exception as error:  # code of the user's
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{name}: fails on observations {list(observations.shape)} ({reason})") from None
    if found.shape != (len(observations), actions):
        raise UserError(
            f"{name}: gives {list(found.shape)} for observations {list(observations.shape)}, not "
            f"{[len(observations), actions]}"
        )
    return found
