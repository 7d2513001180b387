"""One table of readers, by what a file holds: every library's layout has a row, from `layouts`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from smac.envs.units import Units, action_box
from smac.errors import UserError
from smac.policies.contents import Contents, read_contents, refusing
from smac.policies.layouts import cleanrl, corl, d3rlpy, plain, published, stable_baselines3
from smac.policies.network import Network
from smac.policies.readers import Reader, added
from smac.policies.stated import Stated, check, read_stated
from smac.tasks import Task

READERS: Sequence[Reader] = (
    *stable_baselines3.READERS,
    *published.READERS,
    *d3rlpy.READERS,
    *cleanrl.READERS,
    plain.FLAX,
    *corl.READERS,
    plain.STATE_DICT,
)
"""The first that recognises a file reads it; other packages' come before the last, which takes any."""

# Keys of a description that every layout uses
COMMON = {
    "path",
    "task",
    "algorithm",
    "step",
    "seed",
    "action_units",
    "check",
    "normaliser",
    "says_normaliser",
}


def read_network(
    path: Path, units: Units | None = None, normaliser: str | None = None
) -> tuple[Network, Stated]:
    """The policy in a file, as its library acts with it, and what is stated in the file next to it."""
    stated = read_stated(path, normaliser)
    contents = read_contents(path)
    reader = _reader(contents)
    empty = Stated(stated.path)
    for key, value in vars(stated).items():
        if key not in COMMON and key not in reader.describes and value != getattr(empty, key):
            raise UserError(f"{stated.path}: {key} has no meaning for a {reader.name} policy")
    with refusing(path, f"a {reader.name} policy"):
        network = reader.read(contents, stated)
        network.act(torch.zeros(network.observation_dim))
    if reader.asks_normaliser:
        ask_for_normaliser(path, reader.name, stated)
    return _as_stated(path, network, stated, units), stated


def _reader(contents: Contents) -> Reader:
    """The format of a file: one of ours, one of another package, or the plain state dict."""
    for rows in (lambda: READERS[:-1], added, lambda: READERS[-1:]):
        for row in rows():
            with refusing(contents.path, f"a file that the format {row.name} can look at"):
                if row.recognises(contents):
                    return row
    raise UserError(
        f"{contents.path}: not the arrays or tensors of a policy; it holds {_held(contents.value)}"
    )


def ask_for_normaliser(path: Path, name: str, stated: Stated) -> None:
    """UserError if nothing says what observations go through."""
    if stated.says_normaliser or stated.has_check:
        return
    beside = _vecnormalize_beside(path)
    known = f'{{"file": "{beside.relative_to(path.parent)}"}}' if beside else '{"mean": [...], "std": [...]}'
    raise UserError(
        f"{path}: {name} files do not say how observations are normalised; say it with --normaliser "
        f'{beside or "VECNORMALIZE.pkl"}, or none, or in {stated.path.name}: "normaliser": {known}, or null'
    )


def _vecnormalize_beside(path: Path) -> Path | None:
    """The file of a VecNormalize in the policy's folder, or in one inside it."""
    found = [p for folder in (".", "*") for p in path.parent.glob(f"{folder}/*.pkl")]
    named = [p for p in found if "vecnormalize" in re.sub("[_-]", "", p.name.lower())]
    return named[0] if named else None


def fit(path: Path, network: Network, stated: Stated, task: Task) -> Network:
    """The policy in a task: actions in [-1, 1], and as its check says."""
    box = action_box(task)
    if len(box.low) != network.action_dim:
        return network  # a part of a controller, or of another task, which whoever uses it says
    if network.source == "CORL" and (set(box.low) != {-box.high[0]} or set(box.high) != {box.high[0]}):
        raise UserError(f"{path}: CORL's actors need one symmetric limit of actions, the task's box is {box}")
    fitting = network.in_unit_box(box, path)
    check(path, stated, fitting, box)
    return fitting


def _as_stated(path: Path, network: Network, stated: Stated, units: Units | None) -> Network:
    """With what the description and the command say; a contradiction is refused."""
    for source, said in ((str(stated.path), stated.action_units), ("--action-units", units)):
        if said and network.units and said != network.units:
            raise UserError(f"{source}: says action units {said}, but {path} acts in {network.units}")
        network = replace(network, units=network.units or said)
    normalisation = stated.normalisation(network.observation_dim)
    if normalisation is None:
        return network
    if network.normalisation is not None:
        raise UserError(f"{stated.path}: states a normaliser, but the policy's file has one of its own")
    return replace(network, normalisation=normalisation)


def _held(value: Any) -> str:
    names = [str(key) for key in value] if isinstance(value, Mapping) else [type(value).__name__]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
