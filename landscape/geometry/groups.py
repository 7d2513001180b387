"""Which tensors move: the actor by default, or any group named by glob patterns; the rest is held (§7).

A pattern such as `actor.*`, `net.hidden.0.*` or `*.bias` matches whole tensor names as a shell would match
files, except that `*` also crosses dots.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import numpy as np

from landscape.geometry.vectors import Layout, Params, Vector
from smac.errors import UserError

ACTOR = ("actor.*",)


def matching(names: Iterable[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """The names that match any of `patterns`, sorted; a pattern that matches nothing is a UserError."""
    names = sorted(names)
    if not patterns:
        raise UserError("no group of tensors is named; a pattern such as 'actor.*' says which ones move")
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UserError(f"no tensor matches {pattern!r}; there are {', '.join(names)}")
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def layers(names: Iterable[str]) -> tuple[str, ...]:
    """The layers that tensors belong to, such as `net.hidden.0`; `f"{layer}.*"` is the pattern of one."""
    return tuple(sorted({name.rpartition(".")[0] for name in names if "." in name}))


def hold(
    checkpoints: Sequence[Params], moving: Sequence[str] = ACTOR, *, at: int = 0
) -> list[dict[str, np.ndarray]]:
    """Copies of the networks that differ in the tensors matching `moving` and in nothing else.

    Every other tensor is that of checkpoint `at` (0 is *from*, -1 the last), bit for bit, in all of them; so
    a line or a plane through the copies moves the group alone. Tensors outside the group that checkpoint
    `at` does not have are left out, as a critic that only the offline agent has. Which end the rest is held
    at is a choice that changes the answer: compare both before a valley is ascribed to a layer.
    """
    anchor = checkpoints[at]
    chosen = matching(anchor, moving)
    held = {name: tensor for name, tensor in anchor.items() if name not in chosen}
    copies = []
    for i, params in enumerate(checkpoints):
        odd = sorted(set(chosen) ^ set(matching(params, moving)))
        if odd:
            raise UserError(
                f"tensor {odd[0]!r} is not in all of the networks: compare checkpoint {i} and {at}"
            )
        copies.append({name: tensor.copy() for name, tensor in held.items()})
        copies[-1] |= {name: params[name].copy() for name in chosen}
    return copies


def restrict(direction: Vector, layout: Layout, moving: Sequence[str]) -> Vector:
    """A copy of a direction [d] that is zero outside the tensors matching `moving`."""
    restricted = np.zeros(layout.dimension)
    slices = layout.slices
    for name in matching(layout.names, moving):
        restricted[slices[name]] = direction[slices[name]]
    return restricted
