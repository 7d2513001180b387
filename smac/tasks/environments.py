"""Environments by id: those of gymnasium and gymnasium-robotics, and those that other modules register.

An id may name the module that registers it, `package.module:Id-v0`, as for `gymnasium.make`. Modules can also
be stated once for a process and all that it starts, in the environment variable SMAC_ENV_IMPORT, separated by
commas; `--env-import` and `register_env_module` set it. A module is imported because its user named it, never
because a file does, see `check_stated`.

gymnasium is slow to import, so it is imported where it is needed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from smac.errors import UserError

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec

    from smac.tasks.task import Task

log = logging.getLogger(__name__)

ENV_IMPORT = "SMAC_ENV_IMPORT"
GROUP = "gymnasium.envs"  # entry points whose functions register environments, of gymnasium before 1.0
ROOT = "__root__"  # the name of one that registers without a namespace


def stated_modules() -> tuple[str, ...]:
    """The modules of SMAC_ENV_IMPORT, in order."""
    return tuple(name.strip() for name in os.environ.get(ENV_IMPORT, "").split(",") if name.strip())


def register_env_module(*names: str) -> None:
    """Import modules that register environments, here and in every process that is started from here.

    UserError for one that cannot be imported; then nothing has changed.
    """
    for name in names:
        _import(name)
    os.environ[ENV_IMPORT] = ",".join(dict.fromkeys([*stated_modules(), *names]))


def module_of(name: str) -> str | None:
    """The module that the name of a task or an environment names, before a colon."""
    module, colon, _ = name.partition("@")[0].rpartition(":")
    return module if colon else None


def check_stated(task: str, where: object, others: Iterable[str] = ()) -> None:
    """UserError if a file names a module, in its task or as one of `others`, that no one else has named."""
    for module in filter(None, [module_of(task), *others]):
        if module not in sys.modules and module not in stated_modules():
            raise UserError(
                f"{where}: its task {task} needs the module {module}, which is not imported because a file "
                f"says so: add --env-import {module}, or import it first"
            )


def env_spec_of(env_id: str) -> EnvSpec:
    """The specification that `gymnasium.make` would build; UserError if no one has registered it.

    Without a version it is the latest one.
    """
    from gymnasium import error

    module, _, name = env_id.rpartition(":")
    for stated in (module, *stated_modules()):
        if stated:
            _import(stated)
    for register in (lambda: None, register_robotics, _load_plugins):
        register()
        if (found := _registered(name)) is not None:
            return found
    try:
        import gymnasium

        return gymnasium.spec(name)
    except (error.Error, ImportError) as reason:
        raise UserError(
            f"unknown environment {env_id!r}: {str(reason).rstrip('.')}. If a module of yours registers it: "
            f"--env-import MODULE, or MODULE:{name}"
        ) from None


def knows(env_id: str) -> bool:
    """Whether there is an environment of that id."""
    try:
        env_spec_of(env_id)
    except UserError:
        return False
    return True


def specification(task: Task) -> EnvSpec:
    """What builds a task's environment; UserError if no one has registered it."""
    return task.spec or env_spec_of(task.env_id)


@cache
def register_robotics() -> None:
    """Registers the gymnasium-robotics environments; the notice it prints on import goes to the log."""
    import gymnasium

    notice = io.StringIO()
    with contextlib.redirect_stderr(notice):
        import gymnasium_robotics
    gymnasium.register_envs(gymnasium_robotics)
    if notice.getvalue():
        log.debug("gymnasium-robotics says: %s", notice.getvalue().strip())


@cache
def _load_plugins() -> None:
    """Let installed packages that declare it register their environments; one that fails is logged."""
    from gymnasium.envs.registration import namespace

    for point in entry_points(group=GROUP):
        try:
            register = point.load()
            with contextlib.nullcontext() if point.name == ROOT else namespace(point.name):
                if callable(register):
                    register()
        except Exception as error:  # whatever another package's code raises
            log.warning("entry point %r of %s (%s) failed: %r", point.name, GROUP, point.value, error)


def _registered(name: str) -> EnvSpec | None:
    from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id, registry
    from gymnasium.error import Error

    if name in registry:
        return registry[name]
    try:
        namespace, plain, version = parse_env_id(name)
    except Error:
        return None
    latest = find_highest_version(namespace, plain) if version is None else None
    return None if latest is None else registry[get_env_id(namespace, plain, latest)]


def _import(name: str) -> None:
    if name in sys.modules:
        return
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever a module may raise
        raise UserError(
            f"the module {name!r}, which should register environments, cannot be imported ({error!r}); "
            "it must be installed, or in a folder of PYTHONPATH"
        ) from error
