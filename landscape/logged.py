"""Landscapes in the loggers of a training run: its picture and its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from landscape.results import LandscapeResult, Place
from smac.training.run import run_config
from smac.training.sinks import SinkName, check_sinks, open_sinks


def log_to(
    result: LandscapeResult, run: Place, loggers: Sequence[SinkName], *, name: str | None = None
) -> None:
    """Add a landscape to what a run logged: its figure, and every number of `result.numbers()`.

    Args:
        result: of any kind.
        run: directory of a training run, whose id in `config.json` is used.
        loggers: `tensorboard`, `wandb`.
        name: what it is logged as, for several of a kind; default: `landscape/KIND`.

    Raises:
        UserError: a logger is not installed, or the directory is not that of a training run.
    """
    check_sinks(loggers)
    directory = Path(run)
    run_config(directory)
    numbers = {
        f"{row}/{column}".replace(" ", "_"): float(value)
        for row, columns in result.numbers().items()
        for column, value in columns.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
    figure = result.plot()
    for sink in open_sinks(loggers, directory):
        sink.picture(name or f"landscape/{result.kind}", figure, numbers)
        sink.close()
