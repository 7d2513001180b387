"""What a task is: an environment, the reward it is given, when it counts as solved, and its references.

Neither torch nor gymnasium is imported here, so listing tasks costs nothing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smac.errors import UserError

# Reward conventions, by the name that the option `reward` takes
REWARDS = {
    "success": "success - 1 at each step; the episode terminates at the first success",
    "own": "the environment's own reward and termination",
}


@dataclass(frozen=True)
class Task:
    """One environment with a stated reward convention.

    Returns are undiscounted and in the task's own reward. `random_return` and `expert_return` are the
    references of the normalised score, measured as the comment above each entry of a registry says; an
    environment that is no registered task has none unless they are stated.

    A task is its name: `get_task(task.name)` is the same task again, also with options, which the name
    carries behind an @, as in `Pendulum-v1@horizon=100,expert=-150`.
    """

    name: str
    family: str
    env_id: str
    horizon: int
    description: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    observation_keys: tuple[str, ...] = ()  # entries of a dict observation, in this order; () for a Box
    reward: str = "success"  # the convention, of REWARDS
    rewards: tuple[str, ...] = ("success",)  # the conventions this task may be given
    has_success: bool = True  # whether an episode can be told to have succeeded
    random_return: float | None = None
    expert_return: float | None = None
    dataset: str | None = None  # dataset id used where none is named
    # flat observations [T, obs] -> bool [T], for data that does not record success
    solved: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)
    # algorithm ("all" for every one) -> fields of its configuration that this task wants otherwise
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False, repr=False)

    @property
    def reward_convention(self) -> str:
        """The reward convention in words."""
        return REWARDS[self.reward]

    @property
    def failure_reward(self) -> float | None:
        """The reward of a step that does not succeed, if a failing episode gets it for ever; else None."""
        return -1.0 if self.reward == "success" else None

    @property
    def margin(self) -> float:
        """Smallest difference of returns that matters: 5 % of the way from random to expert."""
        if self.random_return is None or self.expert_return is None:
            raise UserError(f"task {self.name} has no reference returns, so the margin must be stated")
        return 0.05 * (self.expert_return - self.random_return)

    def score(self, returns: float | np.ndarray) -> float | np.ndarray:
        """Normalised score: 0 for the random policy, 1 for the expert (may leave that range).

        NaN for a task without reference returns.
        """
        if self.random_return is None or self.expert_return is None:
            return returns * float("nan")
        return (returns - self.random_return) / (self.expert_return - self.random_return)

    def data(self, named: str | None) -> str:
        """The dataset that was named, or the task's own; UserError if there is neither."""
        if named is None and self.dataset is None:
            raise UserError(f"task {self.name} has no dataset of its own: name one with --dataset")
        return named or str(self.dataset)

    def with_options(self, text: str) -> "Task":
        """This task with options KEY=VALUE, separated by commas.

        `horizon=100`, `reward=own`, `random=-1200` and `expert=-150` (reference returns of the score),
        `keys=a+b` (entries of a dict observation), `env.NAME=VALUE` (argument of the environment, as JSON).
        """
        changes: dict[str, Any] = {}
        kwargs: dict[str, Any] = dict(self.env_kwargs)
        for item in text.split(","):
            key, equals, value = item.partition("=")
            if not equals or not value:
                raise UserError(f"task {self.name}: option {item!r} is not of the form KEY=VALUE")
            if key.startswith("env."):
                kwargs[key.removeprefix("env.")] = _json(value)
            elif key in _READERS:
                name, read = _READERS[key]
                changes[name] = _read(self.name, key, value, read)
            else:
                known = ", ".join([*_READERS, "env.NAME"])
                raise UserError(f"task {self.name}: unknown option {key!r}; options are {known}")
        if changes.get("reward", self.reward) not in self.rewards:
            allowed = ", ".join(self.rewards)
            raise UserError(f"task {self.name}: unknown reward {changes['reward']!r}; rewards are {allowed}")
        if changes.get("horizon", 1) < 1:
            raise UserError(f"task {self.name}: horizon must be at least 1, got {changes['horizon']}")
        if {"reward", "horizon"} & changes.keys() or kwargs != self.env_kwargs:
            # the references were measured without these changes
            changes = {"random_return": None, "expert_return": None} | changes
        if changes.get("reward") == "success":
            changes["has_success"] = True
        return replace(self, name=f"{self.name}@{text}", env_kwargs=kwargs, **changes)


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value  # a bare word is a string


def _read(task: str, key: str, value: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(value)
    except ValueError:
        raise UserError(f"task {task}: option {key} cannot be {value!r}") from None


_READERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "horizon": ("horizon", int),
    "reward": ("reward", str),
    "random": ("random_return", float),
    "expert": ("expert_return", float),
    "keys": ("observation_keys", lambda text: tuple(text.split("+"))),
}
