"""The agents, by the name that `--algorithm` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from smac.agents.awr import AWR
from smac.agents.base import Agent, AgentConfig
from smac.agents.bc import BC
from smac.agents.cal_ql import CalQL
from smac.agents.cql import CQL
from smac.agents.iql import IQL
from smac.agents.sac import SAC
from smac.agents.smac import SMAC
from smac.agents.td3 import TD3
from smac.agents.td3_bc import TD3BC
from smac.checkpoint import Description
from smac.errors import UserError
from smac.files import from_plain
from smac.tasks import Task

Registry = Mapping[str, type[Agent]]

OFFLINE: Registry = {"bc": BC, "cql": CQL, "cal_ql": CalQL, "iql": IQL, "td3_bc": TD3BC, "smac": SMAC}
ONLINE: Registry = {"sac": SAC, "td3": TD3, "td3_bc": TD3BC, "awr": AWR}
AGENTS: Registry = {**OFFLINE, **ONLINE}


def agent_class(algorithm: str, among: Registry = AGENTS) -> type[Agent]:
    if algorithm not in among:
        raise UserError(f"unknown algorithm {algorithm!r}: choose from {', '.join(among)}")
    return among[algorithm]


def method_parts(method: str) -> tuple[str, str | None]:
    """Algorithm and variant of a method's name: `smac.paper` is the variant `paper` of `smac`."""
    algorithm, dot, variant = method.partition(".")
    return algorithm, variant if dot else None


def method_label(method: str) -> str:
    """How tables and pictures call a method: `SMAC (paper)`."""
    algorithm, variant = method_parts(method)
    label = AGENTS[algorithm].label if algorithm in AGENTS else algorithm
    return f"{label} ({variant})" if variant else label


def variant_of(algorithm: str, variant: str | None) -> Mapping[str, Any]:
    """What a variant of an algorithm changes in its configuration; nothing if none is named."""
    if not variant:
        return {}
    known = agent_class(algorithm).variants
    if variant not in known:
        choice = f"choose from {', '.join(known)}" if known else f"{algorithm} has none"
        raise UserError(f"unknown variant {variant!r} of {algorithm}: {choice}")
    return known[variant]


def default_config(
    algorithm: str, task: Task, among: Registry = AGENTS, *, variant: str | None = None
) -> AgentConfig:
    """The algorithm's configuration with the task's own defaults in it, and above them the variant's."""
    kind = agent_class(algorithm, among).Config
    names = {f.name for f in fields(kind)}

    shared = {name: value for name, value in task.defaults.get("all", {}).items() if name in names}
    return kind(**shared | dict(task.defaults.get(algorithm, {})) | dict(variant_of(algorithm, variant)))


def config_of(description: Description) -> AgentConfig:
    """The configuration that a checkpoint carries."""
    return from_plain(agent_class(description.algorithm).Config, description.config)
