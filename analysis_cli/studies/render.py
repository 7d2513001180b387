"""`landscape render`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from analysis_cli.console import console, wrote
from analysis_cli.render import outcome
from figures.draw import draw
from figures.files import read_as
from landscape.results import PathResult
from landscape.videos import Films, film_line

NAMES = {"from": "from", "lowest": "lowest between", "to": "to"}


@dataclass(frozen=True)
class RenderLine:
    """Draw one episode of a finished line at both ends and at its lowest point, as GIFs in its page.

    All three begin alike: it is an episode of the study, played again from the checkpoints.
    """

    examples: ClassVar = (
        "landscape render runs/interpolate",
        "landscape render runs/interpolate --episode 3 --every 2 --size 320",
    )
    often: ClassVar = ("episode", "every", "size")
    directory: Positional[Path]
    """Directory of `landscape interpolate`; its checkpoints must be where they were."""
    episode: int = 0
    """Which episode of the study, counted from 0."""
    every: int = 5
    """Steps from picture to picture; the last state is always drawn."""
    size: int = 240
    """Pixels of a side; time grows with its square (environments without MuJoCo draw in their own size)."""
    task: str | None = None
    """Task, or id of an environment, of policies whose files do not say."""
    action_units: Literal["env", "unit"] | None = None
    """Units of such policies' actions: the environment's (env) or [-1, 1] (unit)."""
    normaliser: str | None = None
    """Observation normaliser of such policies: the file of a VecNormalize, or none."""

    def run(self) -> None:
        result = read_as(PathResult, self.directory)
        films = film_line(
            result,
            self.directory,
            episode=self.episode,
            size=self.size,
            every=self.every,
            task=self.task,
            action_units=self.action_units,
            normaliser=self.normaliser,
        )
        say(films)
        for path in [*films.write(self.directory), *draw(self.directory)]:
            wrote(path)


def say(films: Films) -> None:
    """How every episode went, and where that is not what the study has."""
    for video, measured in zip(films.videos, films.measured, strict=True):
        same = math.isclose(video.episode_return, measured, rel_tol=1e-3)
        console.print(
            f"alpha {video.alpha:.2f} ({NAMES[video.name]}): {outcome(films.task, video.played)}, "
            f"{len(video.frames)} pictures{'' if same else f'; in the study its return is {measured:.1f}'}",
            markup=False,
        )
