"""The agents, by the name that `--algorithm` takes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from smac.agents.cal_ql import CalQL
from smac.agents.sac import SAC, SACConfig
from smac.agents.smac import SMAC
from smac.checkpoint import Description
from smac.errors import UserError
from smac.tasks import Task

OFFLINE: dict[str, type[SAC]] = {"smac": SMAC, "cal_ql": CalQL}
ONLINE: dict[str, type[SAC]] = {"sac": SAC}
AGENTS = OFFLINE | ONLINE


def agent_class(algorithm: str, among: dict[str, type[SAC]] = AGENTS) -> type[SAC]:
    if algorithm not in among:
        raise UserError(f"unknown algorithm {algorithm!r}: choose from {', '.join(among)}")
    return among[algorithm]


def default_config(algorithm: str, task: Task, among: dict[str, type[SAC]] = AGENTS) -> SACConfig:
    """The algorithm's configuration with the task's own defaults in it."""
    overrides: dict[str, Any] = dict(task.defaults.get("all", {})) | dict(task.defaults.get(algorithm, {}))
    return agent_class(algorithm, among).Config(**overrides)


def config_of(description: Description) -> SACConfig:
    """The configuration that a checkpoint carries; JSON's lists become tuples again."""
    kind = agent_class(description.algorithm).Config
    names = {f.name for f in fields(kind)}
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in description.config.items() if k in names
    }
    return kind(**values)
