"""Offline-to-online reinforcement learning: data, agents and training on stacked networks.

`smac.pretrain`, `finetune`, `train`, `resume`, `evaluate` and `load` are what a program needs; they and what
they need, torch above all, are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "pretrain": "smac.api",
    "finetune": "smac.api",
    "train": "smac.api",
    "resume": "smac.api",
    "evaluate": "smac.api",
    "load": "smac.api",
    "push_to_hub": "smac.published",
    "pull_from_hub": "smac.published",
    "TrainingRun": "smac.api",
    "UserError": "smac.errors",
    "register": "smac.agents.registry",
    "Task": "smac.tasks",
    "register_task": "smac.tasks",
    "register_env_module": "smac.tasks",
}
__all__ = [
    "Task",
    "TrainingRun",
    "UserError",
    "evaluate",
    "finetune",
    "load",
    "pretrain",
    "pull_from_hub",
    "push_to_hub",
    "register",
    "register_env_module",
    "register_task",
    "resume",
    "train",
]

if TYPE_CHECKING:
    from smac.agents.registry import register
    from smac.api import TrainingRun, evaluate, finetune, load, pretrain, resume, train
    from smac.errors import UserError
    from smac.published import pull_from_hub, push_to_hub
    from smac.tasks import Task, register_env_module, register_task


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
