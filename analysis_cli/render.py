"""`smac render` and `smac data render`: an episode as a GIF."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from analysis_cli.console import console, wrote
from figures.dataset import coverage, draw_dataset
from smac.data.belonging import task_of
from smac.data.minari_io import find_dataset, iterate_dataset, read_metadata
from smac.envs import reports_success
from smac.errors import UserError
from smac.files import default_directory
from smac.policies.playing import playable
from smac.rendering import check, check_gif, draw_observations, film, seconds_per_step, write_gif
from smac.rollout import LockStep, Rollouts, episode_seeds
from smac.tasks import Task, get_task


@dataclass(frozen=True)
class Render:
    """Draw an episode that a policy plays, as a GIF."""

    examples: ClassVar = (
        "smac render runs/smac/seed-0/offline.safetensors",
        "smac render td3.zip --task Hopper-v5 --normaliser none --out hopper.gif",
    )
    often: ClassVar = ("task", "episode", "seed", "out")
    checkpoint: tyro.conf.Positional[Path]
    """Checkpoint of ours, or another library's policy (docs/formats.md)."""
    task: str | None = None
    """Task, or id of an environment, of a policy whose file does not say."""
    action_units: Literal["env", "unit"] | None = None
    """Units of such a policy's actions, if its file does not say: the environment's (env) or [-1, 1]
    (unit)."""
    normaliser: str | None = None
    """Its observation normaliser, if its file does not say: the file of a VecNormalize, or none."""
    episode: int = 0
    """Which episode, counted from 0; they are those of `smac evaluate` with the same seed."""
    seed: int = 0
    """Seed of the episodes."""
    stochastic: bool = False
    """Sample actions instead of using the mean action."""
    every: int = 5
    """Steps from picture to picture; the last state is always drawn."""
    size: int = 240
    """Pixels of a side; time grows with its square (environments without MuJoCo draw in their own size)."""
    out: Path | None = None
    """The GIF; default: a new one in runs/."""

    def run(self) -> None:
        """Plays, draws, and says how the episode went."""
        _check_episode(self.episode)
        if self.seed < 0:
            raise UserError(f"--seed must not be negative, got {self.seed}")
        player = playable(self.checkpoint, self.task, self.action_units, self.normaliser)
        task = player.task
        out = _gif(self.out, task.name, player.algorithm, self.episode)
        player.check(self.stochastic)
        filmed = film(task, size=self.size, every=self.every)
        seed = episode_seeds(self.seed, self.episode + 1)[-1]
        lock_step = LockStep(lambda: filmed, task.horizon)
        try:
            played = lock_step.play(player.policy, 1, [seed], stochastic=self.stochastic)
            frames, seconds = filmed.frames, self.every * seconds_per_step(filmed)
        finally:
            filmed.close()
        console.print(f"episode {self.episode}: {outcome(task, played)}, {len(frames)} pictures")
        wrote(write_gif(out, frames, seconds))


@dataclass(frozen=True)
class RenderData:
    """Draw an episode of a dataset, as a GIF.

    Datasets hold observations and not the simulator's states, so the state is set from each observation, as
    far as it tells: a runner is drawn on the spot, and Kitchen with the sensor noise of its observations.
    """

    examples: ClassVar = (
        "smac data render smac/pointmaze-umaze-v0",
        "smac data render smac/pointmaze-umaze-v0 --episode 3 --out maze.gif",
    )
    often: ClassVar = ("episode", "task", "out")
    dataset: tyro.conf.Positional[str]
    """Dataset id, or path of a dataset's folder."""
    episode: int = 0
    """Which episode, counted from 0."""
    task: str | None = None
    """Task to read it for; default: the one it was made for."""
    every: int = 5
    """Steps from picture to picture; the last state is always drawn."""
    size: int = 240
    """Pixels of a side; time grows with its square."""
    data_root: Path | None = None
    """Folder of datasets; default: Minari's own (MINARI_DATASETS_PATH or ~/.minari/datasets)."""
    out: Path | None = None
    """The GIF; default: a new one in runs/."""

    def run(self) -> None:
        """Reads, draws, and says what the episode was."""
        check(self.size, self.every)
        _check_episode(self.episode)
        path, task = find(self.dataset, self.data_root, self.task)
        out = _gif(self.out, task.name, "data", self.episode)
        episodes = list(islice(iterate_dataset(path, task), self.episode + 1))
        if self.episode >= len(episodes):
            raise UserError(f"--episode {self.episode}: {path} holds {len(episodes)}, counted from 0")
        chosen = episodes[self.episode]
        frames, seconds = draw_observations(task, chosen.observations, size=self.size, every=self.every)
        told = ("success, " if chosen.success.any() else "no success, ") if task.has_success else ""
        console.print(
            f"episode {self.episode}: return {chosen.rewards.sum():.1f}, length {len(chosen)}, "
            f"{told}{len(frames)} pictures"
        )
        wrote(write_gif(out, frames, self.every * seconds))


def draw(dataset: str, root: Path | None, named: str | None, figure: Path) -> None:
    """Draws what a dataset holds, see `figures.dataset`."""
    path, task = find(dataset, root, named)
    shown = coverage(dataset, list(iterate_dataset(path, task)), task)
    try:
        for file in draw_dataset(shown, _stem(figure)):
            wrote(file)
    except OSError as error:
        raise UserError(f"--figure {figure}: cannot be written ({error})") from None


def check_figure(figure: Path) -> None:
    """UserError if one of the two files of a figure exists."""
    for suffix in (".png", ".pdf"):
        file = _stem(figure).with_name(_stem(figure).name + suffix)
        if file.exists():
            raise UserError(f"--figure: {file} exists already; choose another name")


def _stem(figure: Path) -> Path:
    return figure.with_suffix("") if figure.suffix in (".png", ".pdf") else figure


def find(dataset: str, root: Path | None, named: str | None) -> tuple[Path, Task]:
    """Where a dataset is, and the task it is read for: the one named, else its own."""
    path = find_dataset(dataset, root)
    name = named or (task_of(read_metadata(path)) if path.is_dir() else None)
    if name is None:
        raise UserError(f"{path} does not say which task it is for: name one with --task")
    return path, get_task(name)


def _check_episode(episode: int) -> None:
    if episode < 0:
        raise UserError(f"--episode is counted from 0, got {episode}")


def _gif(out: Path | None, task: str, algorithm: str, episode: int) -> Path:
    """Where the GIF goes; asked before anything is drawn."""
    path = out or default_directory("render", task, algorithm) / f"episode-{episode}.gif"
    check_gif(path)
    return path


def outcome(task: Task, played: Rollouts) -> str:
    """Return, length and success of the one episode that was played."""
    words = [f"return {played.returns[0, 0]:.1f}", f"length {played.lengths[0, 0]}"]
    if reports_success(task):
        words.append("success" if played.successes[0, 0] else "no success")
    return ", ".join(words)
