"""Plain state dicts, which a description beside the file explains."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import torch

from smac.errors import UserError
from smac.policies.contents import Contents, state_dict
from smac.policies.flax import by_torch_names
from smac.policies.network import Network, Tensors
from smac.policies.readers import Reader
from smac.policies.stated import Stated, build


def _plain(contents: Contents, stated: Stated) -> Network:
    """Names in a description are those of the file, with their prefix."""
    activation = stated.known_activation  # first, as without it nothing can be said
    held = {name: t for name, t in contents.value.items() if name.startswith(stated.prefix)}
    tensors = Tensors(contents.path, held)
    network = build(stated, tensors, stated.layers or _inferred(contents.path, stated, tensors))
    tensors.finish(*_left_out(stated))
    network = replace(network, activation=activation)
    if stated.action_scale is None:
        return network
    if not network.squash:
        raise UserError(f"{stated.path}: action_scale is for the output tanh")
    gain = torch.as_tensor(stated.action_scale, dtype=torch.float32)
    return replace(network, gain=gain.expand(network.action_dim).clone())


def _flax(contents: Contents, stated: Stated) -> Network:
    """Parameters of Dense layers, by the names that they have in the file, with dots between."""
    return _plain(replace(contents, value=by_torch_names(contents.value)), stated)


def _left_out(stated: Stated) -> tuple[str, ...]:
    """Beginnings of names that a description says are not of the mean action."""
    return (*stated.unused, *((stated.log_std,) if stated.log_std else ()))


def _inferred(path: Path, stated: Stated, tensors: Tensors) -> list[str]:
    """Stems of the affine maps, where places in a Sequential or their shapes leave one order only."""
    left_out = _left_out(stated)
    stems = [
        name.removesuffix(".weight")
        for name, tensor in tensors.left.items()
        if name.endswith(".weight") and tensor.ndim == 2 and not name.startswith(left_out or ("\0",))
    ]
    missing = next((stem for stem in stems if f"{stem}.bias" not in tensors), None)
    if len(stems) < 2 or missing is not None:
        raise UserError(
            f"{path}: no perceptron behind the prefix {stated.prefix!r}: "
            + (f"{missing}.weight has no bias" if missing else f"{len(stems)} weights; it needs two or more")
        )
    places = [re.fullmatch(r"((?:.*\.)?)(\d+)", stem) for stem in stems]
    if all(places) and len({place[1] for place in places if place}) == 1:
        numbers = {int(place[2]): stem for place, stem in zip(places, stems, strict=True) if place}
        if all(after - before >= 2 for before, after in pairwise(sorted(numbers))):
            return [numbers[place] for place in sorted(numbers)]  # a Sequential with activations between them
    shapes = {stem: tuple(tensors.left[f"{stem}.weight"].shape) for stem in stems}
    orders = _orders(shapes)
    if len(orders) != 1 or any(out == into for out, into in shapes.values()):
        raise UserError(
            f"{path}: neither names nor shapes say in which order {', '.join(stems)} are applied, nor that "
            f'nothing is added around them; list them in {stated.path.name}: "layers": ["...", ...]. '
            "Leave other networks out with a prefix"
        )
    return list(orders[0])


def _orders(shapes: Mapping[str, tuple[int, ...]]) -> list[tuple[str, ...]]:
    """All orders in which these affine maps [out, in] fit together; none where there are too many to try."""
    if len(shapes) > 6:
        return []
    return [
        order
        for order in permutations(shapes)
        if all(shapes[a][0] == shapes[b][1] for a, b in pairwise(order))
    ]


DESCRIBED = (
    "activation", "output", "prefix", "layers", "layer_norms", "head", "log_std", "unused", "action_scale",
)  # fmt: skip
FLAX = Reader("flax", lambda c: c.kind == "flax" and bool(by_torch_names(c.value)), _flax, DESCRIBED)
STATE_DICT = Reader(
    "state dict",
    lambda c: c.kind in ("torch", "safetensors") and bool(state_dict(c.value)),
    _plain,
    DESCRIBED,
)
