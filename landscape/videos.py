"""Episodes on a line as pictures: at both ends and at its lowest point, from the same start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landscape.evaluate import Evaluation
from landscape.geometry import Params, hold, point_on_line
from landscape.results import PathResult
from landscape.study.common import load_policies
from smac.errors import UserError
from smac.files import new_directory, read_json, write_json
from smac.policies.actors import ActorSpec, stack_actor
from smac.rendering import film, seconds_per_step, write_gif
from smac.rollout import LockStep, Rollouts, episode_seeds
from smac.tasks import Task, get_task

FOLDER, LIST = "videos", "videos.json"


@dataclass(frozen=True)
class Video:
    """One episode as pictures."""

    name: str
    """from, lowest or to."""
    index: int
    """Of the point."""
    alpha: float
    played: Rollouts
    """[1, 1]."""
    frames: Sequence[np.ndarray]
    """uint8 [height, width, 3] each."""
    seconds: float
    """From frame to frame."""

    @property
    def episode_return(self) -> float:
        return float(self.played.returns[0, 0])


@dataclass(frozen=True)
class Films:
    """The films of a line, all from one start."""

    task: Task
    episode: int
    seed: int
    """Of the reset."""
    videos: Sequence[Video]
    measured: Sequence[float]
    """What the study had as the return of these episodes; nan where none finished."""

    def write(self, directory: Path) -> list[Path]:
        """`videos/NAME.gif` each, and `videos/videos.json`, which pages read."""
        folder = directory / FOLDER
        files = [write_gif(folder / f"{one.name}.gif", one.frames, one.seconds) for one in self.videos]
        about = [
            {"name": one.name, "alpha": one.alpha, "return": one.episode_return, "length": len_of(one)}
            for one in self.videos
        ]
        listed = {"episode": self.episode, "seed": self.seed, "videos": about}
        return [*files, write_json(folder / LIST, listed)]


def len_of(video: Video) -> int:
    """Steps of a film's episode."""
    return int(video.played.lengths[0, 0])


def film_line(
    result: PathResult,
    directory: Path,
    *,
    episode: int = 0,
    size: int = 240,
    every: int = 5,
    **unsaid: Any,
) -> Films:
    """Play an episode of a finished line again, at alpha = 0, the lowest point and alpha = 1, and draw it.

    Args:
        result: of `interpolate`, whose checkpoints must be where they were.
        directory: of the study.
        episode: which of its episodes, counted from 0.
        size: pixels of a side, for environments that can be drawn in any size.
        every: steps from picture to picture.
        unsaid: task, action_units and normaliser of policies whose files do not say them.

    Raises:
        UserError: the result is of another kind, an episode was not played, a checkpoint is gone, or nothing
            here can draw without a screen.
    """
    if result.kind != "interpolate":
        raise UserError(
            f"{directory}: films are of the line of `landscape interpolate`, not of {result.kind}"
        )
    if (directory / FOLDER).exists():
        new_directory(directory / FOLDER)  # refused if there is anything in it
    count = result.returns.shape[1]
    if not 0 <= episode < count:
        raise UserError(f"--episode {episode}: {directory} has {count}, counted from 0")
    spec, task, ends = _ends(result, directory, unsaid)
    stochastic = result.result.get("actions") == "sampled"
    seed = int(_seeds(result, count)[episode])
    filmed = film(task, size=size, every=every)
    lock_step = LockStep(lambda: filmed, task.horizon)
    videos = []
    try:
        for name, index in chosen(result).items():
            alpha = float(result.alphas[index])
            actor = stack_actor(spec, [point_on_line(*ends, alpha)])
            played = lock_step.play(actor, 1, [seed], stochastic=stochastic)
            seconds = every * seconds_per_step(filmed)
            videos.append(Video(name, index, alpha, played, list(filmed.frames), seconds))
    finally:
        filmed.close()
    return Films(task, episode, seed, videos, [float(result.returns[one.index, episode]) for one in videos])


def chosen(result: PathResult) -> dict[str, int]:
    """Name -> index of the points that are filmed, in the order of the line."""
    inside = np.flatnonzero((result.alphas > 0) & (result.alphas < 1) & np.isfinite(result.means))
    ends = {name: int(np.argmin(np.abs(result.alphas - at))) for name, at in (("from", 0), ("to", 1))}
    if not len(inside):
        return ends
    lowest = int(inside[np.argmin(result.means[inside])])
    return {"from": ends["from"], "lowest": lowest, "to": ends["to"]}


def _ends(
    result: PathResult, directory: Path, unsaid: dict[str, Any]
) -> tuple[ActorSpec, Task, tuple[Params, Params]]:
    """Both ends of the line as they were played, of one kind."""
    asked = read_json(directory / "study.json") if (directory / "study.json").exists() else {}
    paths = [str(end["path"]) for end in result.ends]
    how = Evaluation(stochastic=result.result.get("actions") == "sampled", **unsaid)
    a, b = load_policies(paths, how)
    task = get_task(a.description.task)
    if task.name != result.task:
        raise UserError(f"{directory}: is a line on {result.task}, but {paths[0]} is of {task.name}")
    moving = result.result.get("moving") or ()
    if not moving:
        return a.spec, task, (a.params, b.params)
    held = hold([a.params, b.params], moving, at=-1 if asked.get("hold_at") == "to" else 0)
    return a.spec, task, (held[0], held[1])


def _seeds(result: PathResult, count: int) -> Sequence[int]:
    """The seeds of the resets, of every episode."""
    if "episode_seeds" in result.arrays:
        return list(result.arrays["episode_seeds"])
    return episode_seeds(int(result.result["seed"]), count)
