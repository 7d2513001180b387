"""Algorithms by the name that `--algorithm` takes: ours, and those that other packages register.

    from smac.agents.registry import register

    @register("awac", offline=True)
    class AWAC(ActorCritic): ...

A package that names its module under the entry-point group `smac.algorithms` is found by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from smac.agents.base import Agent
from smac.errors import UserError
from smac.plugins import load_plugins

Registry = Mapping[str, type[Agent]]
Kind = TypeVar("Kind", bound=type[Agent])

GROUP = "smac.algorithms"  # entry points whose modules register algorithms when they are imported

OFFLINE: dict[str, type[Agent]] = {}
ONLINE: dict[str, type[Agent]] = {}
AGENTS: dict[str, type[Agent]] = {}


def register(name: str, *, offline: bool = False, online: bool = False) -> Callable[[Kind], Kind]:
    """A decorator that makes a class an algorithm of the offline phase, the online phase, or both.

    UserError for a name that another class has, that is no lower-case word, or without a phase.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"algorithm {name!r}: a name is made of lower-case letters, digits and _")
    if not (offline or online):
        raise UserError(f"algorithm {name!r}: register it for offline=True, online=True, or both")

    def registered(kind: Kind) -> Kind:
        if AGENTS.get(name, kind) is not kind:
            other = AGENTS[name]
            place = f"{other.__module__}.{other.__qualname__}"
            raise UserError(f"algorithm {name!r} is that of {place}: take another name")
        kind.name = name
        for wanted, phase in ((offline, OFFLINE), (online, ONLINE), (True, AGENTS)):
            if wanted:
                phase[name] = kind
        return kind

    return registered


def agent_class(algorithm: str, among: Registry = AGENTS) -> type[Agent]:
    """The class of an algorithm; UserError for one that there is none of, with those that there are."""
    if algorithm not in among:
        load_plugins(GROUP)
    if algorithm not in among:
        raise UserError(f"unknown algorithm {algorithm!r}: choose from {', '.join(sorted(among))}")
    return among[algorithm]


def registered_name(kind: type[Agent]) -> str:
    """The name of an algorithm; UserError for a class that was not registered, which nothing could load."""
    name = getattr(kind, "name", None)
    if name is None or AGENTS.get(name) is not kind:
        place = f"{kind.__module__}.{kind.__qualname__}"
        raise UserError(
            f"{place} is not registered, so that its checkpoints could not be read: "
            "put @smac.register(NAME, offline=True) above it"
        )
    return str(name)


def method_parts(method: str) -> tuple[str, str | None]:
    """Algorithm and variant of a method's name: `smac.paper` is the variant `paper` of `smac`."""
    algorithm, dot, variant = method.partition(".")
    return algorithm, variant if dot else None


def method_label(method: str) -> str:
    """How tables and pictures call a method, `SMAC (paper)`; one that is not registered by its own name."""
    algorithm, variant = method_parts(method)
    if algorithm not in AGENTS:
        load_plugins(GROUP)
    label = AGENTS[algorithm].label if algorithm in AGENTS else algorithm
    return f"{label} ({variant})" if variant else label
