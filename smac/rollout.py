"""Stacked policies in lock-step environments on fixed episode seeds.

Used by training for evaluation and by the landscape. The unit is the return matrix R[point, episode]: every
point plays the same episodes, with the same start state and the same policy noise (common random numbers).
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from enum import IntEnum
from math import isfinite
from typing import Any, Protocol, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor

from smac.envs.direct import Direct, agrees, direct
from smac.envs.stability import bytes_of, diverged
from smac.errors import UserError
from smac.streams import derive_seed

logger = logging.getLogger(__name__)
MEMORY = 2**30  # bytes that the simulators of a process may take, if one for each point takes less


class Status(IntEnum):
    """How an episode ended. Only a finished one has a return; every other return is NaN."""

    NOT_PLAYED = 0
    FINISHED = 1
    BAD_ACTION = 2  # the policy's action was not finite
    DIVERGED = 3  # the simulation became unstable, gave numbers that are not finite, or raised an error
    TIMED_OUT = 4  # its steps took longer than the limit
    CRASHED = 5  # the environment ended its process, or asked it to exit


class Policy(Protocol):
    """A stack of policies; every actor of `smac.nets` is one."""

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True)
class Rollouts:
    """Results [points, episodes]. A return is NaN wherever the status is not `FINISHED`."""

    returns: np.ndarray  # float64, undiscounted, in the task's own reward
    lengths: np.ndarray  # int64, environment steps
    successes: np.ndarray  # bool
    solved: np.ndarray  # float64, sub-tasks solved at the end; NaN where the environment counts none
    statuses: np.ndarray  # int8, of Status

    @classmethod
    def empty(cls, points: int, episodes: int) -> Self:
        """Nothing played yet: returns are NaN."""
        shape = (points, episodes)
        return cls(
            returns=np.full(shape, np.nan),
            lengths=np.zeros(shape, np.int64),
            successes=np.zeros(shape, bool),
            solved=np.full(shape, np.nan),
            statuses=np.zeros(shape, np.int8),
        )

    def part(self, *, rows: Sequence[int] | None = None, columns: Sequence[int] | None = None) -> Self:
        """The results of some points and episodes, by their indices; None for all."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        if rows is not None:
            found = {name: x[list(rows)] for name, x in found.items()}
        if columns is not None:
            found = {name: x[:, list(columns)] for name, x in found.items()}
        return type(self)(**found)

    def put(self, rows: Sequence[int], columns: Sequence[int], part: Rollouts) -> None:
        """Take over the results of some points and episodes, by their indices."""
        for f in fields(self):
            getattr(self, f.name)[np.ix_(rows, columns)] = getattr(part, f.name)


def joined(parts: Sequence[Rollouts]) -> Rollouts:
    """The same points' episodes, part after part."""
    return Rollouts(
        *(np.concatenate([getattr(part, f.name) for part in parts], axis=1) for f in fields(Rollouts))
    )


def episode_seeds(seed: int, episodes: int) -> list[int]:
    """The environment seeds of episodes 0, 1, ... of a study; more episodes extend the list."""
    return [derive_seed(seed, "episode", j) % 2**31 for j in range(episodes)]


def policy_noise(episode_seed: int, horizon: int, action_dim: int) -> np.ndarray:
    """Standard normal noise [horizon, action] of an episode, indexed by its step; policies share it."""
    generator = np.random.default_rng(derive_seed(episode_seed, "policy"))
    return generator.standard_normal((horizon, action_dim), dtype=np.float32)


def actions_of(env: gymnasium.Env) -> int:
    """How many numbers an action has."""
    return int(np.prod(env.action_space.shape or ()))


class Unplayable(UserError):
    """An environment that cannot play an episode: what is wrong, of which policy and column of seeds."""

    def __init__(self, point: int, column: int, seed: int, what: str) -> None:
        super().__init__(f"policy {point}, episode of seed {seed}: {what}")
        self.point, self.column, self.seed, self.what = point, column, seed, what


class Mark:
    """Which episode a process simulates at this moment, for whoever watches it from outside.

    Four numbers, in memory that may be shared: the cell p * columns + j of the grid, or one below 0; since
    when (seconds, monotonic); seconds that its simulation took before; steps that it has taken.
    """

    NOTHING, MAKING = -1.0, -2.0  # no environment at work; one is being made
    GRACE = 1.0  # seconds over the time limit after which a step is held to hang

    def __init__(self, numbers: list[float] | ctypes.Array[ctypes.c_double] | None = None) -> None:
        self.numbers = numbers if numbers is not None else [self.NOTHING, 0.0, 0.0, 0.0]

    def set(self, cell: float, seconds: float = 0.0, step: int = 0) -> None:
        self.numbers[1], self.numbers[2], self.numbers[3] = time.monotonic(), seconds, step
        self.numbers[0] = cell

    def hangs(self, time_limit: float) -> bool:
        """Whether a step, or a reset, has taken longer than the time limit of its episode and some grace."""
        cell, since, before, _ = self.numbers
        return cell >= 0 and time.monotonic() - since + before > time_limit + self.GRACE


Cell = tuple[int, int]  # point and column
Told = Callable[[Sequence[Cell], Rollouts], None]


class LockStep:
    """A grid of environments, built once and reused: row p plays for point p, column j episode j."""

    def __init__(
        self,
        make_env: Callable[[], gymnasium.Env],
        horizon: int,
        device: torch.device | str = "cpu",
        time_limit: float = float("inf"),
    ) -> None:
        """`time_limit`: seconds that the simulation of one episode may take, the policy not counted."""
        self.make_env, self.horizon, self.device, self.time_limit = make_env, horizon, device, time_limit
        self.envs: list[gymnasium.Env] = []
        self.steppers: dict[gymnasium.Env, Direct] = {}  # of those that can be stepped directly
        self.building = 0.0  # seconds that one environment took to build, on average
        self.played = 0.0  # seconds that all episodes took
        self.mark = Mark()

    def play(
        self,
        policy: Policy,
        points: int,
        seeds: Sequence[int],
        *,
        stochastic: bool = False,
        cells: Sequence[Cell] | None = None,
        told: Told | None = None,
    ) -> Rollouts:
        """Each of `points` stacked policies plays one episode on each seed; all of them are awaited.

        With `cells` only these are played, and the others stay `NOT_PLAYED`: the policy sees observations
        [points, seeds, obs] all the same, zeros where nothing is played, so what it does in one cell depends
        on no other. `told` is called with the cells whose episodes have just ended, and what they came to.
        Unplayable if an environment cannot be reset or gives observations of another shape than its space.
        """
        shape = (points, len(seeds))
        cells = [(p, j) for p in range(points) for j in range(len(seeds))] if cells is None else cells
        self.build(len(cells))
        began = time.monotonic()
        going = [
            _Going(env, cell, cell[0] * shape[1] + cell[1])
            for env, cell in zip(self.envs[: len(cells)], cells, strict=True)
        ]
        observations = self._reset(going, seeds, shape)
        noise = self._noise(seeds) if stochastic else None
        played, t = Rollouts.empty(*shape), 0
        rows = observations.reshape(points * len(seeds), -1)  # the same memory
        while going:
            step_noise = None if noise is None else noise[:, t].expand(points, -1, -1)
            with torch.no_grad():
                chosen = policy.act(torch.from_numpy(observations).to(self.device), step_noise)
            ended = self._step(going, chosen.cpu().numpy().reshape(len(rows), -1), rows, t)
            self.mark.set(Mark.NOTHING)
            t += 1
            if ended:
                going = [one for one in going if one.status is Status.NOT_PLAYED]
                for one in ended:
                    one.put(played)
                if told:
                    told([one.cell for one in ended], played)
        self.played += time.monotonic() - began
        return played

    def build(self, count: int) -> None:
        """Make environments until there are `count`."""
        while len(self.envs) < count:
            began, before = time.monotonic(), len(self.envs)
            self.mark.set(Mark.MAKING)
            self.envs.append(env := self.make_env())
            stepper = direct(env) if self.envs[0] in self.steppers or before == 0 else None
            if stepper is not None and (before > 0 or agrees(env, stepper)):
                self.steppers[env] = stepper
            self.mark.set(Mark.NOTHING)
            self.building += (time.monotonic() - began - self.building) / (before + 1)

    def columns(self, points: int) -> int:
        """How many episodes of so many points should be played together, at least one.

        Their environments are limited by the memory that they take, and building them takes no longer than
        playing has.
        """
        self.build(1)
        in_memory = MEMORY // max(1, bytes_of(self.envs[0]))
        paid = max(len(self.envs), int(self.played / self.building))
        return max(1, min(in_memory, paid) // points)

    def _reset(self, going: Sequence[_Going], seeds: Sequence[int], shape: Cell) -> np.ndarray:
        """Begin every episode; observations [points, columns, obs], zeros where none is played."""
        space = self.envs[0].observation_space.shape
        assert space is not None
        observations = np.zeros((*shape, *space), np.float32)
        for one in going:
            seed = seeds[one.cell[1]]
            self.mark.set(one.index)
            try:
                observation = one.env.reset(seed=seed)[0]
            except UserError:
                raise  # of a whole kind of environment, not of this episode
            except (Exception, SystemExit) as error:
                raise Unplayable(*one.cell, seed, f"reset() of the environment raised {error!r}") from error
            if np.shape(observation) != space:
                raise Unplayable(*one.cell, seed, _other_shape(observation, space))
            one.seed, observations[one.cell] = seed, observation
            if stepper := self.steppers.get(one.env):
                stepper.begin()
                one.step = stepper.step
        return observations

    def _noise(self, seeds: Sequence[int]) -> torch.Tensor:
        dim = actions_of(self.envs[0])
        per_seed = np.stack([policy_noise(seed, self.horizon, dim) for seed in seeds])
        return torch.from_numpy(per_seed).to(self.device)

    def _step(
        self, going: Sequence[_Going], actions: np.ndarray, observations: np.ndarray, t: int
    ) -> list[_Going]:
        """Take step t of all episodes, write what is seen into `observations`; those that ended by it.

        Whole blocks are checked for numbers that are not finite; who is to blame is looked for only then.
        """
        ended: list[_Going] = []
        clock, mark, shape = time.monotonic, self.mark.numbers, observations.shape[1:]
        sound = bool(np.isfinite(actions).all())
        finite = True
        for one in going:
            index = one.index
            if not sound and not np.isfinite(actions[index]).all():
                ended.append(one.end(Status.BAD_ACTION, t))
                continue
            began = clock()
            mark[1], mark[2], mark[3] = began, one.seconds, t
            mark[0] = index
            try:
                observation, reward, terminated, truncated, info = one.step(actions[index])
            except UserError:
                raise
            except (Exception, SystemExit) as error:  # it ends this episode, not the study
                ended.append(one.end(self._replaced(one, error), t))
                continue
            one.seconds += clock() - began
            if observation.shape != shape:
                raise Unplayable(*one.cell, one.seed, _other_shape(observation, shape))
            observations[index] = observation
            one.value += float(reward)
            finite = finite and isfinite(one.value)
            if info.get("success"):
                one.success = True
            if terminated or truncated:
                unstable = diverged(one.env)
                one.solved = info.get("solved", np.nan)
                ended.append(one.end(Status.DIVERGED if unstable else Status.FINISHED, t + 1))
            elif one.seconds > self.time_limit:
                ended.append(one.end(Status.TIMED_OUT, t + 1))
        if not (finite and np.isfinite(observations).all()):
            for one in going:
                if not (isfinite(one.value) and np.isfinite(observations[one.index]).all()):
                    ended += [one] if one.status is Status.NOT_PLAYED else []
                    one.end(Status.DIVERGED, t)
        for one in ended:
            observations[one.index] = 0.0
        return ended

    def _replaced(self, one: _Going, error: BaseException) -> Status:
        """How an episode ended whose environment raised; another stands in its place for the next one.

        There is no telling what state such a simulator is in. One that asks the process to exit crashed.
        """
        logger.warning("an episode was given up: its environment raised %r", error)
        self.envs.remove(one.env)
        self.steppers.pop(one.env, None)
        with suppress(Exception):
            one.env.close()
        return Status.CRASHED if isinstance(error, SystemExit) else Status.DIVERGED

    def close(self) -> None:
        for env in self.envs:
            env.close()
        self.envs.clear()
        self.steppers.clear()


@dataclass(eq=False)
class _Going:
    """An episode that is being played, by one environment."""

    env: gymnasium.Env
    cell: Cell
    index: int  # of the cell, in the flattened grid
    seed: int = 0
    value: float = 0.0
    seconds: float = 0.0
    success: bool = False
    solved: float = np.nan
    status: Status = Status.NOT_PLAYED
    length: int = 0
    step: Callable[[np.ndarray], Any] = field(init=False)  # the environment's, or the same in less time

    def __post_init__(self) -> None:
        self.step = self.env.step

    def end(self, status: Status, length: int) -> Self:
        self.status, self.length = status, length
        return self

    def put(self, played: Rollouts) -> None:
        """Its result in its cell."""
        played.statuses[self.cell], played.lengths[self.cell] = self.status, self.length
        if self.status is Status.FINISHED:
            played.returns[self.cell] = self.value
            played.successes[self.cell], played.solved[self.cell] = self.success, self.solved


def _other_shape(observation: Any, shape: tuple[int, ...]) -> str:
    return f"an observation of the environment has shape {np.shape(observation)}, its space says {shape}"
