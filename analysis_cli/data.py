"""`smac data ...`: collect, import, list and describe datasets, and take subsets of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
from rich.table import Table
from tyro.conf import subcommand

from analysis_cli.console import console, progress, wrote
from analysis_cli.dry import TRIAL_EPISODES, Planned, Watch
from analysis_cli.render import RenderData, check_figure, draw
from smac.collect.collecting import (
    check_counts,
    collect_parts,
    find_disturbance,
    forget,
    resumable_folder,
)
from smac.collect.recipes import Part, Recipe, parse_mixture, plain, recipe
from smac.data.belonging import task_of
from smac.data.imports import import_dataset, mix
from smac.data.minari_io import (
    check_new_dataset,
    find_dataset,
    minari_root,
    read_dataset,
    read_metadata,
    write_dataset,
)
from smac.data.subset import subset_indices
from smac.data.summary import DatasetSummary, describe_dataset, list_datasets, summarise
from smac.data.transitions import Episode
from smac.errors import UserError
from smac.files import write_json
from smac.tasks import Task, get_task


@dataclass(frozen=True)
class Collect:
    """Collect a dataset with a scripted controller or a policy and write it as a Minari dataset.

    PointMaze and Kitchen have controllers; other tasks need --policy. After an interruption the same command
    continues with what was finished.
    """

    examples: ClassVar = (
        "smac data collect --task pointmaze-umaze --episodes 500 --workers 8",
        "smac data collect --task Hopper-v5 --policy td3.zip --dataset me/hopper-v0 --episodes 200",
    )
    often: ClassVar = ("dataset", "policy", "episodes", "noise", "success_rate", "seed", "workers", "out")
    task: str
    """Name of a task, such as pointmaze-umaze, kitchen-mixed, or antmaze-umaze@torque=30."""
    dataset: str | None = None
    """Id of the new dataset, such as smac/my-maze-v0; default: the task's own."""
    policy: Path | None = None
    """File of a policy: a checkpoint of ours, or of another library (docs/formats.md), of which only tensors
    are read. AntMaze's walking policy (policy_ant_goal.npz) is led to the goal."""
    action_units: Literal["env", "unit"] | None = None
    """Units of that policy's actions, if its file does not say: the environment's (env) or [-1, 1] (unit)."""
    normaliser: str | None = None
    """Its observation normaliser, if its file does not say: the file of a VecNormalize, or none."""
    stochastic: bool = False
    """Sample the policy's actions instead of using the mean action."""
    episodes: int = 500
    """Number of episodes."""
    noise: float | None = None
    """Standard deviation of the Gaussian noise on each action (actions lie in [-1, 1]); default: 0.3 for the
    controller of PointMaze, 0 for all others."""
    wander: float | None = None
    """PointMaze: probability per step of a detour to a random cell; larger values lower the success rate;
    default: 0.003."""
    success_rate: float | None = None
    """Target success rate: the noise (PointMaze: the wander) is chosen to reach it."""
    rate_episodes: int = 100
    """Episodes per noise level in the search for the success rate."""
    mixture: str | None = None
    """Shares of episodes by how they are made, such as expert:0.2,noisy:0.8. Names: expert (no noise and no
    wander), noisy (as --noise, --wander or --success-rate say), random (uniform actions), a noise level such
    as 0.1, or the file of a policy."""
    any_cells: bool = False
    """AntMaze: start and goal in any two cells, instead of the task's own."""
    seed: int = 0
    """Random seed; the same seed gives the same dataset with any number of workers."""
    workers: int = 1
    """Number of processes."""
    out: Path | None = None
    """Root folder of datasets to write to; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Collects, writes, and prints where and what."""
        task = get_task(self.task)
        dataset_id = task.data(self.dataset)
        check_new_dataset(dataset_id, self.out)
        check_counts(self.episodes, self.seed, self.workers)
        made_by = self._recipe(task)
        parts = self._parts(made_by, task)
        aimed: dict[str, Any] = {}
        if self.success_rate is not None:
            made_by, aimed = self._disturbed(made_by, task, self.success_rate)
            parts = self._parts(made_by, task)
        keep = resumable_folder(minari_root(self.out), task, parts, episodes=self.episodes, seed=self.seed)
        with progress(f"collecting {task.name}") as bar:
            episodes = collect_parts(
                task,
                parts,
                episodes=self.episodes,
                seed=self.seed,
                workers=self.workers,
                keep=keep,
                progress=bar,
            )
        _write(episodes, task, dataset_id, self.out, self._provenance(made_by, parts) | aimed)
        forget(keep)

    def planned(self) -> Planned:
        task = get_task(self.task)
        check_new_dataset(task.data(self.dataset), self.out)
        check_counts(self.episodes, self.seed, self.workers)
        _, each = self.in_brief()
        seconds = each * self.episodes / self.workers
        amounts = {"episodes": self.episodes, "environment steps, at most": self.episodes * task.horizon}
        search = "" if self.success_rate is None else ", after a search for --success-rate, not counted"
        return Planned(f"{task.name}{search}", amounts, seconds)

    def in_brief(self) -> tuple[list[Episode], float]:
        """Two of the episodes, and the seconds that one took."""
        task = get_task(self.task)
        parts = self._parts(self._recipe(task), task)
        with Watch() as watch:
            episodes = collect_parts(task, parts, episodes=TRIAL_EPISODES, seed=self.seed, workers=1)
        return episodes, watch.seconds / TRIAL_EPISODES

    def _recipe(self, task: Task) -> Recipe:
        return recipe(
            task,
            policy=self.policy,
            action_units=self.action_units,
            normaliser=self.normaliser,
            noise=self.noise,
            wander=self.wander,
            stochastic=self.stochastic,
            any_cells=self.any_cells,
        )

    def _parts(self, made_by: Recipe, task: Task) -> tuple[Part, ...]:
        if self.mixture is None:
            return (Part("all", 1.0, made_by),)
        return parse_mixture(self.mixture, made_by, task)

    def _disturbed(self, made_by: Recipe, task: Task, rate: float) -> tuple[Recipe, dict[str, Any]]:
        """The recipe with the success rate asked for, and how that was found."""
        if getattr(self, made_by.disturbance) is not None:
            raise UserError(
                f"--success-rate chooses the {made_by.disturbance}: leave out --{made_by.disturbance}"
            )
        with progress(f"finding the {made_by.disturbance} for success rate {rate:g}") as bar:
            found = find_disturbance(
                task,
                made_by,
                success_rate=rate,
                episodes=self.rate_episodes,
                seed=self.seed,
                workers=self.workers,
                progress=bar,
            )
        console.print(
            f"{found.disturbance} {found.amount:.4g} gives success {found.rate:.3f} "
            f"+- {found.standard_error:.3f} on {found.episodes} episodes"
        )
        aimed = {
            "success_rate_wanted": rate,
            "success_rate_measured": found.rate,
            "success_rate_episodes": found.episodes,
        }
        return made_by.disturbed(found.amount), aimed

    def _provenance(self, made_by: Recipe, parts: tuple[Part, ...]) -> dict[str, Any]:
        values = {"collector": made_by.collector, "episodes": self.episodes, **plain(made_by)}
        if self.mixture is not None:
            values["mixture"] = self.mixture
            values["parts"] = {part.name: {"share": part.share, **plain(part.recipe)} for part in parts}
        return values | {"seed": self.seed}


@dataclass(frozen=True)
class Subset:
    """Write a random share of a dataset's episodes as a dataset; smaller shares lie in larger ones."""

    examples: ClassVar = (
        "smac data subset smac/pen-v0 --fraction 0.25 --dataset me/pen-quarter-v0",
        "smac data subset smac/pen-v0 --fraction 0.5 --dataset me/pen-half-v0 --seed 1",
    )
    often: ClassVar = ("seed", "out")
    source: tyro.conf.Positional[str]
    """Dataset id, or path of a dataset's folder."""
    fraction: float
    """Share of the episodes, such as 0.25."""
    dataset: str
    """Id of the new dataset, such as smac/my-maze-quarter-v0."""
    seed: int = 0
    """Seed of the choice; shares of the same dataset and seed are nested."""
    out: Path | None = None
    """Root folder of datasets; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Reads, writes, and prints where and what."""
        check_new_dataset(self.dataset, self.out)
        path = find_dataset(self.source, self.out)
        if not path.is_dir():
            raise UserError(f"{path}: a file has no episodes to choose from yet: `smac data import` it first")
        metadata = read_metadata(path)
        name = task_of(metadata)
        if name is None:
            raise UserError(f"dataset {self.source} does not say which task or environment it belongs to")
        task = get_task(name)
        episodes = read_dataset(self.source, task, self.out)
        chosen = subset_indices(len(episodes), self.fraction, self.seed)
        provenance = {
            "collector": str(metadata.get("provenance", {}).get("collector", "unknown")),
            "subset_of": metadata["dataset_id"],
            "fraction": self.fraction,
            "seed": self.seed,
            "source_provenance": metadata.get("provenance", {}),
        }
        _write([episodes[i] for i in chosen], task, self.dataset, self.out, provenance)


@dataclass(frozen=True)
class Import:
    """Convert a recorded dataset into a Minari dataset in a task's convention, actions clipped to [-1, 1].

    For the human Adroit demonstrations: door_human.npz with door-binary, relocate_human.npz with
    relocate-binary.
    """

    examples: ClassVar = (
        "smac data import --source door_human.npz --task door-binary",
        "smac data import --source hopper_medium.hdf5 --task Hopper-v5 --dataset me/hopper-v0",
    )
    often: ClassVar = ("task", "dataset", "action_units", "out")
    source: str
    """A .npz file, a .hdf5 file in D4RL's layout, or the id or folder of a Minari dataset."""
    task: str = "door-binary"
    """Task the data are for."""
    dataset: str | None = None
    """Id of the new dataset; default: the task's own."""
    action_units: Literal["env", "unit"] | None = None
    """Units of the recorded actions, if the file does not say: the environment's (env) or [-1, 1] (unit)."""
    replay: bool = True
    """Set recorded states, take recorded actions, and refuse data whose steps the environment does not
    repeat; where its state cannot be set, the reason is said."""
    seed: int = 0
    """Taken by every command that writes; an import draws nothing at random."""
    out: Path | None = None
    """Root folder of datasets to write to; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Converts, writes, and prints where and what."""
        task = get_task(self.task)
        dataset_id = task.data(self.dataset)
        check_new_dataset(dataset_id, self.out)
        episodes, provenance = import_dataset(
            self.source, task, self.out, self.action_units, replayed=self.replay
        )
        _write(episodes, task, dataset_id, self.out, provenance)


@dataclass(frozen=True)
class Mix:
    """Concatenate datasets of one task, such as demonstrations and rollouts of a policy cloned from them."""

    examples: ClassVar = (
        "smac data mix --parts smac/human-v0 me/bc-v0 --task door-binary --dataset smac/door-binary-v0",
        "smac data mix --parts a/x-v0 b/y-v0 --task Hopper-v5 --dataset me/both-v0 --only-successes",
    )
    often: ClassVar = ("only_successes", "out")
    parts: tuple[str, ...]
    """Dataset ids, or paths of their folders or files; their episodes follow one another."""
    task: str
    """Task the parts are for."""
    dataset: str
    """Id of the new dataset, such as smac/door-binary-v0."""
    only_successes: bool = False
    """Leave out episodes that fail, as AWAC and Cal-QL do for the binary Adroit tasks."""
    seed: int = 0
    """Taken by every command that writes; mixing draws nothing at random."""
    out: Path | None = None
    """Root folder of datasets; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Reads, writes, and prints where and what."""
        task = get_task(self.task)
        check_new_dataset(self.dataset, self.out)
        episodes, provenance = mix(self.parts, task, self.out, only_successes=self.only_successes)
        _write(episodes, task, self.dataset, self.out, provenance)


@dataclass(frozen=True)
class List:
    """List the available datasets."""

    examples: ClassVar = (
        "smac data list",
        "smac data list --data-root my-datasets",
    )
    former: ClassVar = {"--out": "--data-root"}
    often: ClassVar = ("data_root",)
    data_root: Path | None = None
    """Root folder of datasets; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""

    def run(self) -> None:
        """Prints one line per dataset."""
        table = Table(
            "dataset", "task", "episodes", "transitions", title=f"datasets in {minari_root(self.data_root)}"
        )
        for entry in list_datasets(self.data_root):
            table.add_row(entry.dataset_id, entry.task or "", str(entry.episodes), str(entry.transitions))
        console.print(table)


@dataclass(frozen=True)
class Info:
    """Describe one dataset: returns, success, lengths, actions, and how it was made."""

    examples: ClassVar = (
        "smac data info smac/pointmaze-umaze-v0",
        "smac data info me/hopper-v0 --figure hopper.png --json hopper.json",
    )
    former: ClassVar = {"--out": "--data-root"}
    often: ClassVar = ("task", "data_root", "figure", "json")
    dataset: tyro.conf.Positional[str]
    """Dataset id, or path of a dataset's folder, .hdf5 or .npz file."""
    task: str | None = None
    """Task to read it for; default: the one it was made for."""
    data_root: Path | None = None
    """Root folder of datasets; default: Minari's (MINARI_DATASETS_PATH or ~/.minari/datasets)."""
    figure: Path | None = None
    """Draw returns, lengths, success, actions, and in a maze the places visited, to FIGURE.png and .pdf."""
    json: Path | None = None
    """Write the description as a new JSON file."""

    def run(self) -> None:
        """Prints the description, and writes and draws it if asked to."""
        if self.json is not None and self.json.exists():
            raise UserError(f"--json {self.json}: exists already; choose another file")
        if self.figure is not None:
            check_figure(self.figure)
        summary = describe_dataset(self.dataset, self.data_root, self.task)
        _print_summary(summary)
        if self.json is not None:
            _write_json(self.json, summary)
        if self.figure is not None:
            draw(self.dataset, self.data_root, self.task, self.figure)


@dataclass(frozen=True)
class Data:
    """Collect, import, mix, list, describe and draw datasets."""

    examples: ClassVar = (
        "smac data list",
        "smac data collect --task pointmaze-umaze",
    )
    often: ClassVar = ()
    command: (
        Annotated[Collect, subcommand("collect")]
        | Annotated[Import, subcommand("import")]
        | Annotated[Mix, subcommand("mix")]
        | Annotated[Subset, subcommand("subset")]
        | Annotated[List, subcommand("list")]
        | Annotated[Info, subcommand("info")]
        | Annotated[RenderData, subcommand("render")]
    )

    def run(self) -> None:
        self.command.run()


def _write(episodes: list[Episode], task: Task, dataset_id: str, out: Path | None, provenance: dict) -> None:
    folder = write_dataset(episodes, task=task, dataset_id=dataset_id, root=out, provenance=provenance)
    _print_summary(
        summarise(episodes, dataset_id=dataset_id, path=folder, task=task.name, provenance=provenance)
    )
    console.print(f"wrote {dataset_id} to {folder}", markup=False)


def _write_json(path: Path, summary: DatasetSummary) -> None:
    try:
        wrote(write_json(path, summary.plain()))
    except OSError as error:
        raise UserError(f"--json {path}: cannot be written ({error})") from None


def _print_summary(summary: DatasetSummary) -> None:
    table = Table("", "", title=f"{summary.dataset_id} ({summary.task})", show_header=False)
    for name, value in (
        ("folder", str(summary.path)),
        ("episodes, transitions", f"{summary.episodes}, {summary.transitions}"),
        *([] if summary.success_rate is None else [("success rate", f"{summary.success_rate:.3f}")]),
        *_subtasks(summary),
        ("return mean, min, max", _three(summary.return_mean, summary.return_min, summary.return_max)),
        ("length mean, min, max", _three(summary.length_mean, summary.length_min, summary.length_max)),
        ("action mean", " ".join(f"{x:.2f}" for x in summary.action_mean)),
        ("action std", " ".join(f"{x:.2f}" for x in summary.action_std)),
        ("action entries at the bound", f"{summary.action_at_bound:.1%}"),
        *((f"made with: {key}", str(value)) for key, value in summary.provenance.items()),
    ):
        table.add_row(name, value)
    console.print(table)


def _subtasks(summary: DatasetSummary) -> list[tuple[str, str]]:
    if summary.subtasks_mean is None:
        return []
    counts = ", ".join(f"{k}: {n}" for k, n in enumerate(summary.subtasks_solved) if n)
    return [("sub-tasks solved", f"{summary.subtasks_mean:.2f} on average (number: episodes) {counts}")]


def _three(mean: float, low: float, high: float) -> str:
    return f"{mean:.1f}, {low:.0f}, {high:.0f}"
