"""Which code decides what the environment of a task does: what is kept of its episodes goes with it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import gymnasium

from smac.envs.make import make_env
from smac.tasks import Task

# Known by the versions of their packages, or with Python itself
VERSIONED = frozenset({"gymnasium", "gymnasium_robotics", "mujoco", *sys.stdlib_module_names})


@cache
def sources(task: Task) -> dict[str, str]:
    """Module -> a digest of its file, for all that define the classes of the environment and its wrappers.

    Package -> version for those among them that are installed. Without gymnasium and gymnasium-robotics,
    whose versions say as much. The environment is built for it and closed again.
    """
    env = make_env(task)
    try:
        kinds = [kind for layer in _layers(env) for kind in type(layer).__mro__]
    finally:
        env.close()
    found: dict[str, str] = {}
    for kind in kinds:
        package = kind.__module__.partition(".")[0]
        if package in VERSIONED:
            continue
        found[kind.__module__] = hashlib.sha256(_text(kind)).hexdigest()
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package.replace("_", "-"))
    return dict(sorted(found.items()))


def _layers(env: gymnasium.Env) -> list[gymnasium.Env]:
    """The wrappers from the outermost on, and the environment inside."""
    layers = [env]
    while isinstance(layers[-1], gymnasium.Wrapper):
        layers.append(layers[-1].env)
    return layers


def _text(kind: type) -> bytes:
    """The file of the module of a class; where there is none, the class itself, or at least its name."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is not None:
        with suppress(OSError):
            return Path(file).read_bytes()
    with suppress(OSError, TypeError):
        return inspect.getsource(kind).encode()
    return kind.__qualname__.encode()
