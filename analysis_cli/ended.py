"""Whether a command that others run has ended, by the files that it leaves."""

from __future__ import annotations

from pathlib import Path

from analysis_cli.studies.evaluation import REQUEST
from analysis_cli.studies.evaluation import has_ended as study_has_ended
from analysis_cli.transfer import PLAN as MATRIX
from analysis_cli.transfer import run_has_ended
from smac.files import read_json


def has_ended(done: Path) -> bool:
    """Whether the command that leaves this file has ended: some write it before the last of their files.

    Datasets come with all of their files at once, and a matrix writes its `transfer.json` last.
    """
    if not done.exists():
        return False
    folder = done.parent
    if (folder / "config.json").exists():  # a run of training
        return run_has_ended(folder)
    if (folder / REQUEST).exists():
        return study_has_ended(folder, done.name)
    if (folder / MATRIX).exists():
        return all(run_has_ended(folder / cell) for cell in read_json(folder / MATRIX)["cells"])
    return True
