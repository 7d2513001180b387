"""`landscape merge`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from analysis_cli.console import console
from analysis_cli.studies.evaluation import EPISODES, REQUEST
from landscape.store import SUFFIX, merge
from smac.errors import UserError


@dataclass(frozen=True)
class Merge:
    """Put the episodes of several stores, such as those of the shares of a study, into a new one."""

    examples: ClassVar = (
        "landscape merge share-1 share-2 --out merged",
        "landscape merge share-* --out merged --repair",
    )
    often: ClassVar = ("repair",)
    stores: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Stores of episodes, or directories of studies, whose `episodes` are meant."""
    out: Path
    """Directory of the new store, to be named with --store."""
    repair: bool = False
    """Leave out damaged lines instead of refusing their stores; what they were is then played again."""

    def run(self) -> None:
        if not self.stores:
            raise UserError("name at least one store of episodes to merge")
        merged = merge([store_of(path) for path in self.stores], self.out, self.repair)
        twice = f"; {merged.duplicates} were there more than once" if merged.duplicates else ""
        damaged = f"; {merged.damaged} damaged lines were left out" if merged.damaged else ""
        console.print(
            f"{merged.episodes} episodes of {merged.points} policies from {merged.stores} stores are in "
            f"{self.out}{twice}{damaged}",
            markup=False,
        )


def store_of(path: Path) -> Path:
    """The store that a path means: itself, or the episodes of a study."""
    own = any(path.glob(f"*{SUFFIX}"))
    study = (path / REQUEST).exists() or (path / "result.json").exists() or (path / EPISODES).is_dir()
    return path / EPISODES if study and not own else path
