"""The agents, by the name that `--algorithm` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from smac.agents.awr import AWR
from smac.agents.base import AgentConfig
from smac.agents.bc import BC
from smac.agents.cal_ql import CalQL
from smac.agents.cql import CQL
from smac.agents.iql import IQL
from smac.agents.registry import (
    AGENTS,
    OFFLINE,
    ONLINE,
    Registry,
    agent_class,
    method_label,
    method_parts,
    register,
    registered_name,
)
from smac.agents.sac import SAC
from smac.agents.smac import SMAC
from smac.agents.td3 import TD3
from smac.agents.td3_bc import TD3BC
from smac.checkpoint import Description
from smac.errors import UserError
from smac.files import from_plain
from smac.tasks import Task

__all__ = [
    "AGENTS", "AWR", "BC", "CQL", "IQL", "OFFLINE", "ONLINE", "SAC", "SMAC", "TD3", "TD3BC", "CalQL",
    "Registry", "agent_class", "config_of", "default_config", "method_label", "method_parts", "register",
    "registered_name", "variant_of",
]  # fmt: skip


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
