"""What changes in an object while it trains: taken out to be saved, and put back.

Nothing that may change is dropped: an attribute of a kind that cannot be saved is refused, by its name.
"""

from __future__ import annotations

import enum
import functools
import re
import types
from collections import deque
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smac.errors import UserError
from smac.streams import Streams
from smac.trees import Tree

# What does not change but by being replaced, which training does not do to what was configured
CONSTANTS = (
    str, bytes, range, type, PurePath, enum.Enum, re.Pattern, torch.device, torch.dtype, np.dtype,
    types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, functools.partial,
    np.ufunc, type(np.mean),
)  # fmt: skip
NUMBERS = (bool, int, float, np.number, np.bool_, types.NoneType)
CONTAINERS = (list, tuple, dict, set, frozenset, deque)
CONSTANT, INNER = "constant", "inner state"  # marks in containers


def state_of(thing: Any) -> dict[str, Tree]:
    """Everything that changes in an object while it trains, found among its attributes.

    Networks, parameters, tensors, arrays, optimisers (whatever has `load_state_dict`, or `state` and
    `restore`), random streams and generators of NumPy and torch, numbers, None; and lists, tuples, sets and
    dicts of these, nested. Text, paths, functions, classes, devices and frozen dataclasses are configuration
    and left out. UserError for anything else, with the attribute's name and type.
    """
    found = {}
    for name, value in vars(thing).items():
        if not _is_constant(value):
            found[name] = _save(value, f"{type(thing).__name__}.{name}")
    return found


def _is_constant(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return bool(value) and all(map(_is_constant, value))
    parameters = getattr(type(value), "__dataclass_params__", None)
    return isinstance(value, CONSTANTS) or (parameters is not None and parameters.frozen)


def _has_inner(value: Any) -> bool:
    """Whether its state is put back into it, and cannot stand for it."""
    generators = (Streams, np.random.Generator, torch.Generator)
    return isinstance(value, generators) or any(all(hasattr(value, name) for name in pair) for pair in _PAIRS)


_PAIRS = (("state_dict", "load_state_dict"), ("state", "restore"))


def _save(value: Any, where: str) -> Tree:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, NUMBERS):
        return value.item() if isinstance(value, np.generic) else value
    if _has_inner(value):
        return _inner(value)
    if isinstance(value, np.ndarray):
        try:
            return torch.from_numpy(value)
        except TypeError:
            raise UserError(f"{where}: an array of {value.dtype} cannot be saved") from None
    if isinstance(value, dict):
        if bad := [key for key in value if not isinstance(key, (str, int, float, bool))]:
            raise UserError(f"{where}: the key {bad[0]!r} cannot be saved; keys may be text or numbers")
        return {key: _member(x, f"{where}[{key!r}]") for key, x in value.items()}
    if isinstance(value, CONTAINERS):
        members = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [_member(x, f"{where}[{i}]") for i, x in enumerate(members)]
    raise UserError(
        f"{where} is of type {type(value).__module__}.{type(value).__qualname__}, whose state cannot be "
        "saved, so that a resumed run would differ: give it `state_dict` and `load_state_dict`, or make it a "
        "frozen dataclass if it never changes"
    )


def _member(value: Any, where: str) -> Tree:
    """As in a container: text is data there, and marks tell what is put back into what is there."""
    if isinstance(value, str):
        return value
    if _is_constant(value):
        return {CONSTANT: True}
    saved = _save(value, where)
    return {INNER: saved} if _has_inner(value) else saved


def _inner(value: Any) -> Tree:
    if isinstance(value, Streams):
        return [generator.get_state() for generator in value.generators]
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, np.random.Generator):
        return _plain(value.bit_generator.state)
    return value.state_dict() if hasattr(value, "load_state_dict") else value.state()


def _plain(state: Any) -> Any:
    """The state of NumPy's generator as JSON has it."""
    if isinstance(state, Mapping):
        return {key: _plain(x) for key, x in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


@torch.no_grad()
def restore(thing: Any, state: Mapping[str, Tree]) -> None:
    """Put back what `state_of` took, in place as far as it can be."""
    for name, saved in state.items():
        value = getattr(thing, name)
        if _has_inner(value):
            _restore_inner(value, saved)
        elif not _copied(value, saved):
            setattr(thing, name, _restored(value, saved, f"{type(thing).__name__}.{name}"))


def _restore_inner(value: Any, saved: Tree) -> None:
    if isinstance(value, Streams):
        for generator, bits in zip(value.generators, saved, strict=True):
            generator.set_state(bits)
    elif isinstance(value, torch.Generator):
        value.set_state(saved)
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = _like(value.bit_generator.state, saved)
    elif hasattr(value, "load_state_dict"):
        value.load_state_dict(saved)
    else:
        value.restore(saved)


def _like(template: Any, saved: Any) -> Any:
    """JSON with arrays where the template has some."""
    if isinstance(template, Mapping):
        return {key: _like(x, saved[key]) for key, x in template.items()}
    return np.array(saved, template.dtype) if isinstance(template, np.ndarray) else saved


def _copied(value: Any, saved: Tree) -> bool:
    """Whether it could be written into the tensor or array that is there, which others may share."""
    same = isinstance(saved, Tensor) and isinstance(value, (Tensor, np.ndarray))
    if not (same and tuple(value.shape) == tuple(saved.shape)):
        return False
    if isinstance(value, Tensor):
        value.copy_(saved)
    else:
        np.copyto(value, saved.numpy())
    return True


def _restored(value: Any, saved: Tree, where: str) -> Any:
    """What was saved, of the type of what is there; its members in place."""
    if isinstance(value, np.ndarray) and isinstance(saved, Tensor):
        return saved.numpy()
    if isinstance(value, Tensor) and isinstance(saved, Tensor):
        return saved.to(value.device)
    if isinstance(value, dict):
        members = {key: _restored_member(value.get(key), x, f"{where}[{key!r}]") for key, x in saved.items()}
        value.clear()
        value.update(members)
        return value
    if isinstance(value, CONTAINERS):
        ordered = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else list(value)
        there = [*ordered, *[None] * (len(saved) - len(ordered))]
        new = [
            _restored_member(old, x, f"{where}[{i}]")
            for i, (old, x) in enumerate(zip(there, saved, strict=False))
        ]
        return deque(new, value.maxlen) if isinstance(value, deque) else type(value)(new)
    return saved


def _restored_member(value: Any, saved: Tree, where: str) -> Any:
    mark = next(iter(saved), None) if isinstance(saved, dict) and len(saved) == 1 else None
    if mark in (CONSTANT, INNER) and value is None:
        raise UserError(f"{where}: was saved, but is not there to be restored; its object must be made first")
    if mark == CONSTANT:
        return value
    if mark == INNER:
        _restore_inner(value, saved[INNER])
        return value
    return value if _copied(value, saved) else _restored(value, saved, where)
