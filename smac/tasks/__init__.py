"""The tasks, by name: one file per family, and any other environment that gymnasium knows."""

import difflib
import re

from smac.errors import UserError
from smac.tasks import adroit, antmaze, kitchen, locomotion, pointmaze
from smac.tasks.task import REWARDS, Convention, Task, option_names

__all__ = ["REWARDS", "Convention", "Task", "get_task", "task_names"]

_FAMILIES = (adroit, kitchen, antmaze, pointmaze, locomotion)
_TASKS = {task.name: task for family in _FAMILIES for task in family.TASKS}
_VERSIONED = re.compile(r".+-v\d+")  # what an environment's id looks like


def task_names() -> tuple[str, ...]:
    """Names of all registered tasks."""
    return tuple(_TASKS)


def get_task(name: str) -> Task:
    """The task called `name`, or the gymnasium environment of that id as a task; UserError if neither.

    Options follow an @, see `Task.with_options`.
    """
    base, at, options = name.partition("@")
    if base in _TASKS:
        task = _TASKS[base]
    elif _VERSIONED.fullmatch(base):
        task = _environment(base, options)
    else:
        close = difflib.get_close_matches(base, _TASKS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UserError(
            f"unknown task {base!r}: {hint}tasks are {', '.join(_TASKS)}, or the id of an environment"
        )
    return task.with_options(options) if at else task


def _environment(env_id: str, options: str) -> Task:
    """Any gymnasium environment, with its own reward, termination and time limit."""
    from smac.envs import registered_horizon  # gymnasium is slow to import

    horizon, stated = registered_horizon(env_id), option_names(options)
    if horizon is None and "horizon" not in stated:
        raise UserError(f"{env_id} has no time limit of its own: state one, as in {env_id}@horizon=1000")
    wrong_sign = env_id in adroit.WRONG_SIGN
    if wrong_sign and "reward" not in stated:
        raise UserError(
            f"the dense reward of {env_id} grows with the palm's distance, a sign error: state "
            f"{env_id}@reward=corrected for D4RL's sign, or @reward=own for the reward as it is"
        )
    return Task(
        name=env_id,
        family="other",
        env_id=env_id,
        horizon=horizon or 1,
        description=f"the environment {env_id}",
        reward="own",
        rewards=("own", "success", "corrected") if wrong_sign else ("own", "success"),
    )
