"""Reward landscapes between policy checkpoints, with error control.

`landscape.interpolate`, `trajectory`, `plane`, `project`, `curve`, `align`, `report`, `compare` and
`load` are what a program needs; they and what they need, torch above all, are imported when they are first
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_FUNCTIONS = ("align", "curve", "interpolate", "plane", "project", "report", "trajectory")
_RESULTS = ("LandscapeResult", "PathResult", "PlaneResult", "ProjectionResult", "ReportResult", "load")
_EXPORTS = dict.fromkeys(_FUNCTIONS, "landscape.api") | dict.fromkeys(_RESULTS, "landscape.results")
_EXPORTS |= {
    "UserError": "smac.errors",
    "Adaptive": "landscape.statistics",
    "FieldOptions": "landscape.fields",
    "compare": "landscape.comparing",
    "log_to": "landscape.logged",
    "push_to_hub": "landscape.published",
    "pull_from_hub": "landscape.published",
    "register": "smac.policies.readers",
}
__all__ = [
    "Adaptive",
    "FieldOptions",
    "LandscapeResult",
    "PathResult",
    "PlaneResult",
    "ProjectionResult",
    "ReportResult",
    "UserError",
    "align",
    "compare",
    "curve",
    "interpolate",
    "load",
    "log_to",
    "plane",
    "project",
    "pull_from_hub",
    "push_to_hub",
    "register",
    "report",
    "trajectory",
]

if TYPE_CHECKING:
    from landscape.api import align, curve, interpolate, plane, project, report, trajectory
    from landscape.comparing import compare
    from landscape.fields import FieldOptions
    from landscape.logged import log_to
    from landscape.published import pull_from_hub, push_to_hub
    from landscape.results import (
        LandscapeResult,
        PathResult,
        PlaneResult,
        ProjectionResult,
        ReportResult,
        load,
    )
    from landscape.statistics import Adaptive
    from smac.errors import UserError
    from smac.policies.readers import register


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return [*__all__]
