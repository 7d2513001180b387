"""`landscape project`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from rich.table import Table
from tyro.conf import Positional

from analysis_cli.console import command_line, console, progress
from analysis_cli.dry import Planned
from analysis_cli.studies.evaluation import EvaluationOptions, finish
from landscape.study import ProjectionStudy, project
from landscape.study.projection import loaded


@dataclass(frozen=True)
class Project:
    """Draw many fine-tuning runs in two dimensions, with every checkpoint coloured by its return."""

    examples: ClassVar = (
        "landscape project runs/finetune/seed-*",
        "landscape project runs/transfer/finetune/*/seed-0 --by pca --every 2",
    )
    often: ClassVar = ("folders", "by", "every", "episodes", "task", "seed", "workers", "out")
    folders: Positional[tuple[Path, ...]] = ()
    """`seed-K` folders of fine-tuning runs that kept a trajectory, of any methods, as in RUN/seed-0."""
    by: str = "tsne"
    """tsne, pca (principal components) or mds (metric multidimensional scaling), of the distances between
    actors."""
    perplexity: float | None = None
    """Perplexity of t-SNE; default: an eighth of the number of points, at most 30."""
    embedding_seed: int = 0
    """Random seed of t-SNE and MDS; --seed is that of the episodes."""
    every: int = 1
    """Use only every N-th checkpoint of a run, and the last."""
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)

    def run(self) -> None:
        with self.evaluation.study(self) as out:
            with progress("episodes") as show:
                result = project(
                    self.folders,
                    by=self.by,
                    perplexity=self.perplexity,
                    embedding_seed=self.embedding_seed,
                    every=self.every,
                    evaluation=self.evaluation.settings(out),
                    progress=show,
                )
            print_projection(result)
            finish(result, out, command_line("landscape"))

    def planned(self) -> Planned:
        policies = [policy for run in loaded(self.folders, self.every).values() for policy in run]
        what = f"{len(policies)} checkpoints, equal ones once"
        return self.evaluation.plan(policies[0], what, len(policies) * self.evaluation.episodes)


def print_projection(result: ProjectionStudy) -> None:
    """Every run with its returns at the start, at worst and at the end; the sentence; and the warning."""
    returns = result.fields["return"]
    table = Table(
        "run", "checkpoints", "offline", "lowest", "at step", "online",
        title=f"mean return, {result.evaluation.episodes} episodes per checkpoint",
    )  # fmt: skip
    for track in result.tracks:
        own = returns[list(track.points)]
        worst = int(np.nanargmin(own)) if np.isfinite(own).any() else None
        lowest = ("", "") if worst is None else (f"{own[worst]:.1f}", str(track.steps[worst]))
        table.add_row(track.name, str(len(own)), f"{own[0]:.1f}", *lowest, f"{own[-1]:.1f}")
    console.print(table)
    console.print(result.sentence, style="bold", markup=False)
    console.print(result.warning, markup=False)
