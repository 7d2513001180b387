"""What a task is: an environment, the reward it is given, when it counts as solved, and its references.

Neither torch nor gymnasium is imported here, so listing tasks costs nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smac.errors import UserError

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec


@dataclass(frozen=True)
class Convention:
    """A reward convention in words, and what follows from it."""

    reward: str
    ends: str
    failure_reward: float | None = None  # see Task.failure_reward
    tells_success: bool = True  # whether every step's info says if the task is solved


_ALL_SOLVED = "the episode terminates when all sub-tasks have been solved"

# By the name that the option `reward` takes; `smac.envs` holds the wrapper of each
REWARDS: Mapping[str, Convention] = {
    "success": Convention(
        "success - 1 at each step", "the episode terminates at the first success", failure_reward=-1.0
    ),
    "own": Convention("the environment's own reward", "its own termination", tells_success=False),
    "remaining": Convention("sub-tasks solved so far minus their number, at each step (WSRL)", _ALL_SOLVED),
    "solved": Convention("sub-tasks solved so far, at each step (Cal-QL's fork of D4RL)", _ALL_SOLVED),
    "completion": Convention(
        "1 for each sub-task at the step that first solves it (environments of D4RL and gymnasium-robotics)",
        _ALL_SOLVED,
    ),
    "satisfied": Convention(
        "sub-tasks satisfied at this moment, which can fall again (datasets of D4RL and Minari)",
        "the episode never terminates",
    ),
    "corrected": Convention(
        "the environment's dense reward with D4RL's sign of the reaching term", "the episode never terminates"
    ),
}


@dataclass(frozen=True)
class Task:
    """One environment with a stated reward convention.

    Returns are undiscounted and in the task's own reward. `random_return` and `expert_return` are the
    references of the normalised score, measured as `references` says; an environment that is no registered
    task has none unless they are stated. Return, score and success are three things: a task with `subtasks`
    has the share of them that an episode solved as its score, whatever its return.

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
    observes: str = ""  # what is in the flat observation, in words and in order
    wrappers: tuple[str, ...] = ()  # beyond those that every task has, by their names in `smac.envs`
    action_scale: float = 1.0  # the environment gets the task's action times this
    reward: str = "success"  # the convention, of REWARDS
    rewards: tuple[str, ...] = ("success",)  # the conventions this task may be given
    success: str = ""  # what counts as success, in words
    subtasks: tuple[str, ...] = ()  # what the score counts, if it is not made of returns
    random_return: float | None = None
    expert_return: float | None = None
    references: str = ""  # whose policies and episodes these two are
    dataset: str | None = None  # dataset id used where none is named
    minari: tuple[str, ...] = ()  # datasets of others, recorded in this environment
    # flat observations [T, obs] after steps 1 to T of one episode -> bool [T], for data without success
    solved: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)
    # algorithm ("all" for every one) -> fields of its configuration that this task wants otherwise
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False, repr=False)
    # options of its own: name -> value -> the fields of Task that it changes
    options: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(
        default_factory=dict, hash=False, repr=False
    )
    # options -> random and expert return measured with just these options
    option_references: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False, repr=False)
    # how the environment is built, if not by `env_id`; `get_task` fills it in for environments of others
    spec: EnvSpec | None = field(default=None, compare=False, repr=False)

    @property
    def reward_convention(self) -> str:
        """The reward convention in words."""
        return f"{REWARDS[self.reward].reward}; {REWARDS[self.reward].ends}"

    @property
    def failure_reward(self) -> float | None:
        """The reward of a step that does not succeed, if a failing episode gets it for ever; else None."""
        return REWARDS[self.reward].failure_reward

    @property
    def has_success(self) -> bool:
        """Whether an episode can be told to have succeeded."""
        return REWARDS[self.reward].tells_success

    @property
    def margin(self) -> float:
        """Smallest difference of returns that matters: 5 % of the way from random to expert."""
        if self.random_return is None or self.expert_return is None:
            raise UserError(
                f"task {self.name} has no reference returns, so the margin must be stated, in returns "
                "with --margin, or through references as in @random=-1200,expert=-150"
            )
        return 0.05 * (self.expert_return - self.random_return)

    def score(
        self, returns: float | np.ndarray, solved: float | np.ndarray | None = None
    ) -> float | np.ndarray:
        """Normalised score: 0 for the random policy, 1 for the expert (may leave that range).

        For a task with sub-tasks: `solved`, the number of them that each episode solved (`info["solved"]` of
        its last step), over all; the return says nothing of it. NaN where the references, or `solved`, are
        missing.
        """
        if self.subtasks:
            return returns * float("nan") if solved is None else solved / len(self.subtasks)
        if self.random_return is None or self.expert_return is None:
            return returns * float("nan")
        return (returns - self.random_return) / (self.expert_return - self.random_return)

    def data(self, named: str | None) -> str:
        """The dataset that was named, or the task's own; UserError if there is neither."""
        if named is None and self.dataset is None:
            raise UserError(f"task {self.name} has no dataset of its own: name one with --dataset")
        return named or str(self.dataset)

    def with_options(self, text: str) -> Task:
        """This task with options KEY=VALUE, separated by commas.

        `horizon=100`, `reward=own`, `random=-1200` and `expert=-150` (reference returns of the score),
        `keys=a+b` (entries of a dict observation), `env.NAME=VALUE` (argument of the environment, as JSON),
        and the task's own, `options`. What the references were measured on is what they are kept for: a
        change of environment, reward or horizon removes them, unless `option_references` has others.
        """
        changes: dict[str, Any] = {}
        kwargs: dict[str, Any] = dict(self.env_kwargs)
        for item in _OPTION_ENDS.split(text):
            key, equals, value = item.partition("=")
            if not equals or not value:
                raise UserError(f"task {self.name}: option {item!r} is not of the form KEY=VALUE")
            if key.startswith("env."):
                kwargs[key.removeprefix("env.")] = _json(value)
            elif key in self.options:
                chosen = dict(self._choice(key, value))
                kwargs |= chosen.pop("env_kwargs", {})
                changes |= chosen
            elif key in _READERS:
                name, read = _READERS[key]
                changes[name] = _read(self.name, key, value, read)
            else:
                known = ", ".join([*self.options, *_READERS, "env.NAME"])
                raise UserError(f"task {self.name}: unknown option {key!r}; options are {known}")
        if changes.get("reward", self.reward) not in self.rewards:
            allowed = ", ".join(self.rewards)
            raise UserError(f"task {self.name}: unknown reward {changes['reward']!r}; rewards are {allowed}")
        if changes.get("horizon", 1) < 1:
            raise UserError(f"task {self.name}: horizon must be at least 1, got {changes['horizon']}")
        changed = replace(self, name=f"{self.name}@{text}", env_kwargs=kwargs, **changes)
        if all(getattr(changed, part) == getattr(self, part) for part in _MEASURED_ON):
            return changed
        random, expert = self.option_references.get(text, (None, None))
        return replace(changed, **{"random_return": random, "expert_return": expert} | _stated(changes))

    def _choice(self, key: str, value: str) -> Mapping[str, Any]:
        values = self.options[key]
        if value not in values:
            known = ", ".join(values)
            raise UserError(f"task {self.name}: option {key} cannot be {value!r}; it can be {known}")
        return values[value]


def option_names(text: str) -> set[str]:
    """The keys of options KEY=VALUE, separated by commas."""
    return {item.partition("=")[0] for item in _OPTION_ENDS.split(text)}


_OPTION_ENDS = re.compile(r",(?=[\w.]+=)")  # a comma inside a value is no end
_MEASURED_ON = ("env_id", "env_kwargs", "reward", "horizon", "action_scale")


def _stated(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: changes[name] for name in ("random_return", "expert_return") if name in changes}


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
