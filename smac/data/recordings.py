"""Episodes as others recorded them: checked against a task's environment and put into its convention."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from smac.data.transitions import Episode, sparse_episode
from smac.envs import EnvDims
from smac.errors import UserError
from smac.tasks import Task
from smac.tasks.adroit import WRONG_SIGN, reach
from smac.tasks.kitchen import rewards, satisfied, solved_so_far

logger = logging.getLogger(__name__)

GAP = 1e-6  # a next observation further from the following one than this ends an episode (CORL)
ROUNDING = 4.0  # and so many roundings of the coarser of their two types
OUTLIER = 2.0  # actions beyond this were recorded in other units: clipping would make others of them
CHUNK = 2**18  # rows looked at together


@dataclass(frozen=True)
class Recording:
    """One episode of T steps as it was recorded. `where` names it in errors."""

    where: str
    observations: np.ndarray  # [T + 1, obs]
    actions: np.ndarray  # [T, act]
    rewards: np.ndarray  # [T]
    success: np.ndarray | None  # [T] bool, if recorded
    terminated: bool
    end_observed: bool = True  # False: the last observation repeats the one before, the true one is unknown
    env_id: str | None = None  # that the rewards are of, if known; "D4RL" for its files

    def __len__(self) -> int:
        return len(self.actions)


def cut(
    columns: Mapping[str, Any], where: str, env_id: str | None = None, limit: int | None = None
) -> Iterator[Recording]:
    """The episodes of columns recorded end to end, one row a step.

    `columns` (arrays, or h5py datasets, which are read episode by episode): observations, actions, rewards,
    and at least one of terminations, truncations and episode_lengths; next_observations and success where
    there are. An episode ends at a termination or truncation, where `episode_lengths` says so, and where the
    next observation is not the one that follows. Where only terminations tell, the resets at the time limit
    show nowhere: an episode then ends after `limit` steps too, as D4RL's `qlearning_dataset` cuts, and the
    log says so. Without next_observations, what the last action of an
    episode led to is unknown: that step is dropped, unless it terminated; then it is kept, since its next
    state has no value, with the last observation repeated.
    """
    count = len(columns["actions"])
    for name, column in columns.items():
        if name != "episode_lengths" and len(column) != count:
            raise UserError(f"{where}: {name} has {len(column)} rows, actions {count}")
    terminations = _flags(columns, "terminations", count)
    ends = terminations | _flags(columns, "truncations", count) | _stated_ends(columns, count, where)
    ends |= _gaps(columns, count)
    if limit is not None and not columns.keys() & {"truncations", "episode_lengths", "next_observations"}:
        late = _time_limit(ends, limit)
        if late.any():
            logger.warning(
                "%s: nothing says where episodes were stopped (timeouts, next_observations): cut after %d "
                "steps, the environment's limit, as D4RL does, at %d places", where, limit, late.sum()
            )  # fmt: skip
        ends |= late
    start = 0
    for number, last in enumerate(np.flatnonzero(ends)):
        recording = _episode(columns, start, int(last), bool(terminations[last]))
        start = int(last) + 1
        if len(recording):
            yield replace(recording, where=f"{where}, episode {number}", env_id=env_id)


def _flags(columns: Mapping[str, Any], name: str, count: int) -> np.ndarray:
    """A column of flags, bool [count]; all False if it is missing."""
    if name not in columns:
        return np.zeros(count, dtype=bool)
    return np.asarray(columns[name][:]).reshape(-1).astype(bool)


def _stated_ends(columns: Mapping[str, Any], count: int, where: str) -> np.ndarray:
    """Ends by `episode_lengths`, and that of the file; bool [count]."""
    ends = np.zeros(count, dtype=bool)
    ends[-1:] = True
    if "episode_lengths" not in columns:
        return ends
    lengths = np.asarray(columns["episode_lengths"])
    if lengths.ndim != 1 or not np.issubdtype(lengths.dtype, np.integer) or np.any(lengths < 1):
        raise UserError(f"{where}: episode_lengths must be whole numbers of at least 1 in one row")
    if lengths.sum() != count:
        raise UserError(f"{where}: episode_lengths sum to {lengths.sum()}, actions has {count} rows")
    ends[np.cumsum(lengths) - 1] = True
    return ends


def _time_limit(ends: np.ndarray, limit: int) -> np.ndarray:
    """Where an episode has had `limit` steps and goes on, bool [count]."""
    late, start = np.zeros(len(ends), dtype=bool), 0
    for last in np.flatnonzero(ends):
        late[start + limit - 1 : last : limit] = True
        start = int(last) + 1
    return late


def _gaps(columns: Mapping[str, Any], count: int) -> np.ndarray:
    """Steps whose next observation is not the one that follows, bool [count]; read in pieces."""
    gaps = np.zeros(count, dtype=bool)
    if "next_observations" not in columns:
        return gaps
    types = [columns[name].dtype for name in ("observations", "next_observations")]
    step = ROUNDING * max((float(np.finfo(t).eps) for t in types if t.kind == "f"), default=0.0)
    for i in range(0, count - 1, CHUNK):
        j = min(i + CHUNK, count - 1)
        led_to, following = columns["next_observations"][i:j], columns["observations"][i + 1 : j + 1]
        gaps[i:j] = (np.abs(led_to - following) > GAP + step * np.abs(following)).any(axis=1)
    return gaps


def _episode(columns: Mapping[str, Any], first: int, last: int, terminated: bool) -> Recording:
    """Rows `first` to `last`, see `cut`."""
    end = last + 1
    observations = columns["observations"][first:end]
    known = "next_observations" in columns
    if known:
        observations = np.concatenate([observations, columns["next_observations"][last:end]])
    elif terminated:
        observations = np.concatenate([observations, observations[-1:]])
    else:
        end -= 1
    success = columns["success"][first:end].reshape(-1).astype(bool) if "success" in columns else None
    return Recording(
        where="",
        observations=observations,
        actions=columns["actions"][first:end],
        rewards=columns["rewards"][first:end].reshape(-1),
        success=success,
        terminated=terminated,
        end_observed=known or not terminated,
    )


def split(recording: Recording, terminations: np.ndarray, truncations: np.ndarray) -> Iterator[Recording]:
    """The parts of an episode that has flags [T] before its last step: each ends at one of them."""
    ends = (terminations | truncations)[:-1]
    bounds = [0, *(np.flatnonzero(ends) + 1).tolist(), len(recording)]
    for first, end in pairwise(bounds):
        yield replace(
            recording,
            observations=recording.observations[first : end + 1],
            actions=recording.actions[first:end],
            rewards=recording.rewards[first:end],
            success=None if recording.success is None else recording.success[first:end],
            terminated=bool(terminations[end - 1 : end].any()),
        )


def check(recording: Recording, dims: EnvDims) -> None:
    """UserError that names the field which does not fit an environment of these sizes."""
    steps, where = len(recording), recording.where
    if steps == 0:
        raise UserError(f"{where}: actions is empty")
    for name, array, shape in (
        ("observations", recording.observations, (steps + 1, dims.observation_dim)),
        ("actions", recording.actions, (steps, dims.action_dim)),
        ("rewards", recording.rewards, (steps,)),
    ):
        if array.shape != shape:
            raise UserError(f"{where}: {name} has shape {array.shape}, the task needs {shape}{_known(array)}")
        if not np.issubdtype(array.dtype, np.number):
            raise UserError(f"{where}: {name} must hold numbers, not {array.dtype}")
        _check_finite(array, f"{where}: {name}")
    largest = float(np.abs(recording.actions).max())
    if largest > 1.0 + 1e-6:
        raise UserError(
            f"{where}: actions reach {largest:.3g}, the task's environment takes [-1, 1]; `smac data import` "
            f"clips those up to {OUTLIER:g}"
        )


def _check_finite(array: np.ndarray, what: str) -> None:
    """UserError with the index of the first number that is not finite, or that float32 cannot hold."""
    good = np.abs(array) <= np.finfo(np.float32).max  # NaN is not below anything
    if good.all():
        return
    index = np.argwhere(~good)[0]
    number, at = array[tuple(index)], ", ".join(map(str, index))
    if np.isfinite(number):
        raise UserError(f"{what}[{at}] is {number:.3g}, which overflows float32")
    raise UserError(f"{what}[{at}] is {number}: a number that is not finite")


_LAYOUTS = {
    4: "D4RL's maze2d, without the goal",
    29: "D4RL's AntMaze, without the goal, of an ant with other torques",
    60: "D4RL's Kitchen, of another robot model",
}


def _known(array: np.ndarray) -> str:
    """What is known of a layout of others that looks like ours and is not."""
    layout = _LAYOUTS.get(array.shape[1]) if array.ndim == 2 else None
    return f" ({array.shape[1]} numbers is the layout of {layout})" if layout else ""


def clipped(recording: Recording) -> Recording:
    """Actions clipped to [-1, 1], as the environments do; UserError beyond 2, which is no overshoot."""
    largest = float(np.abs(recording.actions).max(initial=0.0))
    if largest > OUTLIER:
        raise UserError(
            f"{recording.where}: actions reach {largest:.3g}; they must be scaled to the task's [-1, 1] first"
        )
    return replace(recording, actions=np.clip(recording.actions, -1.0, 1.0))


def converted(recording: Recording, task: Task, dims: EnvDims) -> Episode:
    """A checked episode in the task's convention; UserError if it does not fit or cannot be converted.

    Under the reward `success` it is cut at its first success (terminated), with rewards success - 1, where
    success is the recorded one or else read from the observation each step led to. Kitchen rewards are
    counted anew from the observations, and the episode cut once all sub-tasks have been solved (unless the
    reward is `satisfied`). Otherwise rewards and endings are those recorded; dense Adroit rewards
    with the wrong sign are corrected if the task's are.
    """
    flags = len(task.subtasks) if "flags" in task.wrappers else 0
    check(recording, replace(dims, observation_dim=dims.observation_dim - flags))
    if task.subtasks:
        return _kitchen(_seen(recording), task)
    if task.reward == "success":
        if recording.success is None:
            recording = _seen(recording)
        return sparse_episode(recording.observations, recording.actions, _success(recording, task))
    success = recording.success
    if success is None and task.solved is not None:
        success = task.solved(recording.observations[1:])
    return Episode(
        observations=recording.observations.astype(np.float32),
        actions=recording.actions.astype(np.float32),
        rewards=_dense_rewards(recording, task),
        success=np.zeros(len(recording), bool) if success is None else success,
        terminated=recording.terminated,
        truncated=not recording.terminated,
    )


def _success(recording: Recording, task: Task) -> np.ndarray:
    if recording.success is not None:
        return recording.success
    if task.solved is None:
        raise UserError(f"{recording.where}: success is missing, which the reward `success` is made of")
    return task.solved(recording.observations[1:])


def _seen(recording: Recording) -> Recording:
    """Without a last step whose outcome was not observed: nothing is read from a repeated observation."""
    if recording.end_observed:
        return recording
    if len(recording) == 1:
        raise UserError(f"{recording.where}: observations holds nothing after its only step")
    return replace(
        recording,
        observations=recording.observations[:-1],
        actions=recording.actions[:-1],
        rewards=recording.rewards[:-1],
        success=None if recording.success is None else recording.success[:-1],
        terminated=False,
        end_observed=True,
    )


def _dense_rewards(recording: Recording, task: Task) -> np.ndarray:
    wrong = recording.env_id in WRONG_SIGN
    if task.reward == "corrected" and wrong:
        return (recording.rewards - 0.2 * reach(task.env_id, recording.observations[1:])).astype(np.float32)
    if task.reward == "own" and task.env_id in WRONG_SIGN and recording.env_id == "D4RL":
        raise UserError(
            f"{recording.where}: rewards have D4RL's sign, {task.env_id}'s own have the other: "
            f"use {task.env_id}@reward=corrected"
        )
    return recording.rewards.astype(np.float32)


def _kitchen(recording: Recording, task: Task) -> Episode:
    now = satisfied(recording.observations[1:], task.subtasks)
    done = solved_so_far(now) == len(task.subtasks)
    ends = task.reward != "satisfied" and bool(done[-1])
    steps = int(done.argmax()) + 1 if ends else len(done)
    observations = recording.observations[: steps + 1].astype(np.float32)
    if "flags" in task.wrappers:
        none_yet = np.zeros((1, len(task.subtasks)), dtype=bool)
        flags = np.concatenate([none_yet, np.logical_or.accumulate(now[:steps], axis=0)])
        observations = np.concatenate([observations, flags.astype(np.float32)], axis=1)
    return Episode(
        observations=observations,
        actions=recording.actions[:steps].astype(np.float32),
        rewards=rewards(now[:steps], task.reward),
        success=done[:steps],
        terminated=ends,
        truncated=not ends,
    )
