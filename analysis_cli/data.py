"""`smac data ...`: collect, import, list and describe datasets."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from smac.data.adroit import checksum, import_door_human
from smac.data.collect import collect
from smac.data.minari_io import check_new_dataset, minari_root, write_dataset
from smac.data.summary import DatasetSummary, describe_dataset, list_datasets, summarise
from smac.data.transitions import Episode
from smac.errors import UserError
from smac.tasks import Task, get_task

console = Console()


@dataclass(frozen=True)
class Collect:
    """Collect a dataset with a scripted controller and write it as a Minari dataset."""

    task: str
    """Name of a PointMaze task."""
    dataset: str | None = None
    """Id of the new dataset, such as smac/my-maze-v0; default: the task's own."""
    episodes: int = 500
    """Number of episodes."""
    noise: float = 0.3
    """Standard deviation of the Gaussian noise on each action (actions lie in [-1, 1])."""
    wander: float = 0.003
    """Probability per step of a detour to a random cell; larger values lower the success rate."""
    seed: int = 0
    """Seed of everything random; the same seed gives the same dataset with any number of workers."""
    workers: int = 1
    """Processes."""
    out: Path | None = None
    """Folder of datasets to write to; default: Minari's own (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Collects, writes, and prints where and what."""
        task = get_task(self.task)
        dataset_id = task.data(self.dataset)
        check_new_dataset(dataset_id, self.out)
        options = {
            "episodes": self.episodes,
            "noise": self.noise,
            "wander": self.wander,
            "seed": self.seed,
        }
        with Progress(console=console, transient=True) as bar:
            line = bar.add_task(f"collecting {task.name}", total=self.episodes)
            episodes = collect(
                task,
                episodes=self.episodes,
                noise=self.noise,
                wander=self.wander,
                seed=self.seed,
                workers=self.workers,
                progress=lambda done, total: bar.update(line, completed=done),
            )
        _write(episodes, task, dataset_id, self.out, {"collector": "waypoint", **options})


@dataclass(frozen=True)
class Import:
    """Convert the human door demonstrations of hand_dapg (door_human.npz) into a Minari dataset."""

    source: Path
    """Path of door_human.npz."""
    task: str = "door-binary"
    """Task the demonstrations are for."""
    dataset: str | None = None
    """Id of the new dataset; default: the task's own."""
    seed: int = 0
    """Taken by every command that writes; an import draws nothing at random."""
    out: Path | None = None
    """Folder of datasets to write to; default: Minari's own (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Converts, writes, and prints where and what."""
        task = get_task(self.task)
        if task.family != "adroit":
            raise UserError(f"task {task.name} has nothing to import: use `smac data collect`")
        dataset_id = task.data(self.dataset)
        check_new_dataset(dataset_id, self.out)
        episodes = import_door_human(self.source)
        provenance = {"collector": "human", "source": self.source.name, "sha256": checksum(self.source)}
        _write(episodes, task, dataset_id, self.out, provenance)


@dataclass(frozen=True)
class List:
    """List the datasets there are."""

    out: Path | None = None
    """Folder of datasets; default: Minari's own (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Prints one line per dataset."""
        table = Table(
            "dataset", "task", "episodes", "transitions", title=f"datasets in {minari_root(self.out)}"
        )
        for entry in list_datasets(self.out):
            table.add_row(entry.dataset_id, entry.task or "", str(entry.episodes), str(entry.transitions))
        console.print(table)


@dataclass(frozen=True)
class Info:
    """Describe one dataset: returns, success, lengths, actions, and how it was made."""

    dataset: tyro.conf.Positional[str]
    """Dataset id, or path of a dataset's folder."""
    out: Path | None = None
    """Folder of datasets; default: Minari's own (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Prints the description."""
        _print_summary(describe_dataset(self.dataset, self.out))


def _write(episodes: list[Episode], task: Task, dataset_id: str, out: Path | None, provenance: dict) -> None:
    folder = write_dataset(episodes, task=task, dataset_id=dataset_id, root=out, provenance=provenance)
    _print_summary(
        summarise(episodes, dataset_id=dataset_id, path=folder, task=task.name, provenance=provenance)
    )
    console.print(f"wrote {dataset_id} to {folder}", soft_wrap=True)


def _print_summary(summary: DatasetSummary) -> None:
    table = Table("", "", title=f"{summary.dataset_id} ({summary.task})", show_header=False)
    for name, value in (
        ("folder", str(summary.path)),
        ("episodes, transitions", f"{summary.episodes}, {summary.transitions}"),
        ("success rate", f"{summary.success_rate:.3f}"),
        ("return mean, min, max", _three(summary.return_mean, summary.return_min, summary.return_max)),
        ("length mean, min, max", _three(summary.length_mean, summary.length_min, summary.length_max)),
        ("action mean", " ".join(f"{x:.2f}" for x in summary.action_mean)),
        ("action std", " ".join(f"{x:.2f}" for x in summary.action_std)),
        ("action entries at the bound", f"{summary.action_at_bound:.1%}"),
        *((f"made with: {key}", str(value)) for key, value in summary.provenance.items()),
    ):
        table.add_row(name, value)
    console.print(table)


def _three(mean: float, low: float, high: float) -> str:
    return f"{mean:.1f}, {low:.0f}, {high:.0f}"
