"""What changes in an object while it trains: taken out to be saved, and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from smac.streams import Streams
from smac.trees import Tree


def state_of(thing: Any) -> Tree:
    """Everything that changes in an object while it trains, found among its attributes.

    Networks, parameters, tensors, optimisers, random streams, numbers, and dicts of tensors or numbers.
    """
    return {name: saved for name, value in vars(thing).items() if (saved := _save(value)) is not None}


def _save(value: Any) -> Tree:
    if isinstance(value, Streams):
        return [generator.get_state() for generator in value.generators]
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (nn.Module, torch.optim.Optimizer)) or hasattr(value, "load_state_dict"):
        return value.state_dict()
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict) and all(isinstance(x, (Tensor, int, float)) for x in value.values()):
        return value
    return None


@torch.no_grad()
def restore(thing: Any, state: Mapping[str, Tree]) -> None:
    """Put back what `state_of` took, in place."""
    for name, saved in state.items():
        value = getattr(thing, name)
        if isinstance(value, Streams):
            for generator, bits in zip(value.generators, saved, strict=True):
                generator.set_state(bits)
        elif isinstance(value, Tensor):
            value.copy_(saved)
        elif hasattr(value, "load_state_dict"):
            value.load_state_dict(saved)
        else:
            setattr(thing, name, saved)
