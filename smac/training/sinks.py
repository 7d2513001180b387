"""Loggers in addition to metrics.csv, for those who want them: TensorBoard and Weights & Biases."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

from smac.errors import UserError
from smac.files import read_json, write_json
from smac.training.run import METRICS, read_metrics

RUN_ID = "run_id"  # of config.json
SinkName = Literal["tensorboard", "wandb"]


class Sink(Protocol):
    """Takes the numbers of one row of metrics.csv."""

    def write(self, phase: str, step: int, seed: int, values: Mapping[str, float]) -> None: ...

    def picture(self, name: str, figure: Any, numbers: Mapping[str, float]) -> None:
        """A matplotlib figure and the numbers beside it."""

    def close(self) -> None: ...


class TensorBoard:
    """One event file per seed and phase, in `tensorboard/` of the run directory."""

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError("--log-to tensorboard needs it: pip install tensorboard") from None
        self.directory, self.writer = directory / "tensorboard", SummaryWriter
        self.writers: dict[str, Any] = {}

    def write(self, phase: str, step: int, seed: int, values: Mapping[str, float]) -> None:
        place = f"{phase}/seed-{seed}"
        if place not in self.writers:
            self.writers[place] = self.writer(str(self.directory / place), purge_step=step)
        for name, value in values.items():
            self.writers[place].add_scalar(name, value, step)

    def picture(self, name: str, figure: Any, numbers: Mapping[str, float]) -> None:
        if name not in self.writers:
            self.writers[name] = self.writer(str(self.directory / name), purge_step=0)  # of a former time
        writer = self.writers[name]
        writer.add_figure(name, figure, global_step=0, close=False)
        for of, value in numbers.items():
            writer.add_scalar(f"{name}/{of}", value, global_step=0)

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


class WandB:
    """One Weights & Biases run per run directory; WANDB_PROJECT and WANDB_MODE are its own settings."""

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError:
            raise UserError("--log-to wandb needs it: pip install wandb") from None
        self.wandb = wandb
        self.directory = directory
        self.run = wandb.init(
            dir=str(directory), name="/".join(directory.resolve().parts[-3:]), config=dict(config),
            id=config[RUN_ID], resume="allow", reinit="create_new",
        )  # fmt: skip

    def write(self, phase: str, step: int, seed: int, values: Mapping[str, float]) -> None:
        """The step is W&B's own, so that it ignores what a run that was resumed repeats."""
        named = {f"seed-{seed}/{phase}/{name}": value for name, value in values.items()}
        self.run.log(named | {"step": step}, step=step)

    def picture(self, name: str, figure: Any, numbers: Mapping[str, float]) -> None:
        """After the last step: W&B drops what comes at earlier ones."""
        file = self.directory / METRICS
        last = (
            max((int(row["step"]) for row in read_metrics(self.directory)), default=-1)
            if file.exists()
            else -1
        )
        named = {f"{name}/{of}": value for of, value in numbers.items()}
        self.run.log({name: self.wandb.Image(figure)} | named, step=max(self.run.step, last + 1))

    def close(self) -> None:
        self.run.finish()


SINKS: dict[str, Callable[[Path, Mapping[str, Any]], Sink]] = {"tensorboard": TensorBoard, "wandb": WandB}


def check_sinks(names: Sequence[str]) -> None:
    """UserError for a logger whose package is not installed."""
    for name in names:
        package = find_spec(name)
        if package is None or package.origin is None:  # wandb leaves a folder of its name where it ran
            raise UserError(f"--log-to {name} needs it: pip install {name}")


def open_sinks(names: Sequence[str], directory: Path) -> list[Sink]:
    """Loggers of a run; what `config.json` holds is the configuration that they show."""
    if not names:
        return []
    config = identified(directory)
    return [SINKS[name](directory, config) for name in names]


def identified(directory: Path) -> dict[str, Any]:
    """`config.json` of a run with its `run_id`, which is made at the first call and kept, so that a run which
    is resumed goes on under it. Of older versions, whose id was the folder's name, that is kept.
    """
    place = directory / "config.json"
    config: dict[str, Any] = read_json(place)
    if RUN_ID not in config:
        known = (directory / "wandb").is_dir()
        config[RUN_ID] = directory.name if known else uuid.uuid4().hex
        write_json(place, config)
    return config
