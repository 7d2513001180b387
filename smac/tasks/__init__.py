"""The tasks, by name: one file per family, those of other packages, and any environment of gymnasium."""

import difflib
import re
from dataclasses import replace

from smac.errors import UserError
from smac.tasks import adroit, antmaze, kitchen, locomotion, pointmaze
from smac.tasks.environments import env_spec_of, knows, module_of, register_env_module
from smac.tasks.registry import TASKS, register_task, registered, task_names
from smac.tasks.task import REWARDS, Convention, Task, option_names

__all__ = [
    "REWARDS", "Convention", "Task", "get_task", "is_own", "register_env_module",
    "register_task", "task_names",
]  # fmt: skip

_FAMILIES = (adroit, kitchen, antmaze, pointmaze, locomotion)
_OWN = {register_task(task).name for family in _FAMILIES for task in family.TASKS}
_VERSIONED = re.compile(r".+-v\d+")  # what an environment's id looks like


def get_task(name: str) -> Task:
    """The task called `name`, or the environment of that id as a task; UserError if neither.

    An id may name the module that registers it, as in `package.module:Id-v0`. Options follow an @, see
    `Task.with_options`.
    """
    base, at, options = name.partition("@")
    found = registered(base)
    if found is None and (module_of(base) or _VERSIONED.fullmatch(base) or knows(base)):
        found = _environment(base, options)
    if found is None:
        close = difflib.get_close_matches(base, TASKS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UserError(
            f"unknown task {base!r}: {hint}tasks are {', '.join(TASKS)}, or the id of an environment"
        )
    task = found.with_options(options) if at else found
    if is_own(task) or (base in TASKS and not knows(task.env_id)):  # the latter is for `make_env` to say
        return task
    return _with_specification(task)


def is_own(task: Task) -> bool:
    """Whether it is one of this package's tasks, whose environments have been measured and checked."""
    return task.name.partition("@")[0] in _OWN


def _environment(env_id: str, options: str) -> Task:
    """Any gymnasium environment, with its own reward, termination and time limit."""
    spec, stated = env_spec_of(env_id), option_names(options)
    if spec.max_episode_steps is None and "horizon" not in stated:
        raise UserError(f"{env_id} has no time limit of its own: state one, as in {env_id}@horizon=1000")
    wrong_sign = spec.id in adroit.WRONG_SIGN
    if wrong_sign and "reward" not in stated:
        raise UserError(
            f"the dense reward of {env_id} grows with the palm's distance, a sign error: state "
            f"{env_id}@reward=corrected for D4RL's sign, or @reward=own for the reward as it is"
        )
    return Task(
        name=env_id,
        family="other",
        env_id=env_id,
        horizon=spec.max_episode_steps or 1,
        description=f"the environment {spec.id}",
        reward="own",
        rewards=("own", "success", "corrected") if wrong_sign else ("own", "success"),
    )


def _with_specification(task: Task) -> Task:
    """The task with what builds its environment, which then needs no registration in another process."""
    spec = env_spec_of(task.env_id)
    return replace(task, env_id=spec.id, spec=spec)
