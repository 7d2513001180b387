"""`--env-import MODULE`, which every command takes: modules that register environments of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from smac.errors import UserError
from smac.tasks.environments import module_of, register_env_module

OPTION, TASKS = "--env-import", ("--task", "--env")
HELP = f"  {OPTION} MODULE,...  import modules that register environments of your own (or SMAC_ENV_IMPORT)"


def without_env_import(arguments: Sequence[str]) -> list[str]:
    """The arguments without `--env-import`, whose modules are imported now; so are those of named tasks."""
    kept: list[str] = []
    modules: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name == OPTION:
            value = value if equals else next(words, "")
            if not value.strip(",") or value.startswith("-"):
                raise UserError(f"{OPTION} needs the name of a module, as in {OPTION} my_package.envs")
            modules += [part.strip() for part in value.split(",") if part.strip()]
        else:
            kept.append(word)
    register_env_module(*modules, *_of_tasks(kept))
    return kept


def _of_tasks(words: Sequence[str]) -> list[str]:
    """Modules of the tasks that the words name, `module:Id-v0`: child processes meet them in files."""
    named = [word.partition("=")[2] for word in words if word.partition("=")[0] in TASKS]
    named += [value for option, value in pairwise(words) if option in TASKS]
    return [module for task in named if (module := module_of(task))]
