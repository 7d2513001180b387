"""What of a run, or of checkpoints, goes to the Hugging Face hub, and the card that says what it is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import safetensors
from safetensors.torch import save_file

from smac.agents import method_label
from smac.api import SHOWN, Place, TrainingRun
from smac.checkpoint import Checkpoint, load_checkpoint
from smac.errors import UserError
from smac.hub import MAIN, Parcel, Progress, client, pull, push
from smac.optim import MOMENTS
from smac.training.comparison import Mean, offline_numbers, online_numbers
from smac.training.run import finished

LIBRARY = "smac-landscape"
OF_RUN = ("config.json", "metrics.csv", "summary.json", "evaluations.npz")
CHECKPOINTS = ("offline.safetensors", "online.safetensors", "trajectory/step-*.safetensors")  # of a seed
LEFT_OUT = (
    "What the optimisers remember was left out (`smac push --with-state` keeps it), so to fine-tune say "
    "`--optimiser-state reset`."
)


def push_to_hub(
    what: Place | Sequence[Place],
    repo: str,
    *,
    private: bool = False,
    revision: str = MAIN,
    with_state: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> str:
    """Push a run, or files of checkpoints, with a card, as `smac push`; the commit's address.

    `with_state` also sends what the optimisers remember. Further arguments and errors: `smac.hub.push`.
    """
    places: Sequence[Place] = [what] if isinstance(what, str | os.PathLike) else what
    with parcel([Path(place) for place in places], repo, with_state=with_state) as found:
        return push(found, repo, private=private, revision=revision, replace=replace, progress=progress)


def pull_from_hub(
    repo: str, out: Place | None = None, *, revision: str = MAIN, progress: Progress | None = None
) -> Path:
    """Fetch a run, or checkpoints, into a new directory, which is returned; see `smac.hub.pull`.

    `smac.load` reads a run from there.
    """
    place = None if out is None else Path(out)
    return pull(repo, "model", place, revision=revision, progress=progress)[1]


@contextmanager
def parcel(places: Sequence[Path], repo: str, *, with_state: bool = False) -> Iterator[Parcel]:
    """What is pushed of a run directory, or of files of checkpoints; its files are there while it is open.

    Raises:
        UserError: a place is neither, a run has not ended, or two files have one name.
    """
    with TemporaryDirectory() as folder:
        room = None if with_state else Path(folder)
        if len(places) == 1 and places[0].is_dir():
            yield _of_run(TrainingRun(places[0]), repo, room)
        else:
            yield _of_files(places, repo, room)


def _of_run(run: TrainingRun, repo: str, room: Path | None) -> Parcel:
    directory, config = run.directory, run.config
    if not finished(directory, config):
        raise UserError(f"{directory}: has not ended; `smac resume {directory}` first")
    patterns = (*OF_RUN, *(f"seed-*/{pattern}" for pattern in CHECKPOINTS))
    found = {p.relative_to(directory).as_posix(): p for pattern in patterns for p in directory.glob(pattern)}
    files, lighter = _without_state(found, room)
    task, seeds, final = str(config["task"]), run.seeds, run.final
    numbers = offline_numbers(directory) if run.command == "pretrain" else online_numbers(directory)
    means = {name: Mean(**mean) for name, mean in numbers["over_seeds"].items()}
    title = f"{run.method} on {task}"
    python = f'run = smac.load(smac.pull_from_hub("{repo}"))\nrun.seed({seeds[0]}), run.final'
    page = [
        f"# {title}",
        f"{len(seeds)} training seed{'s' * (len(seeds) != 1)} of `smac {run.command}` of {LIBRARY}.",
        "## Numbers",
        "Of each seed's last evaluation:",
        table(("seed", *SHOWN), [(seed, *map(_cell, map(of.get, SHOWN))) for seed, of in final.items()]),
        "Means over seeds with 95 % intervals, where so many seeds support one:",
        table(("number", "mean"), [(name, mean.text(3, len(seeds))) for name, mean in means.items()]),
        "## Load it",
        code("sh", f"smac pull {repo} --out run\nsmac evaluate run"),
        code("python", f"import smac\n\n{python}"),
        *([LEFT_OUT] if lighter else []),
        "## How it was made",
        code("sh", str(config.get("command_line", ""))),
        versions_text(config.get("versions", {})),
    ]
    about = front_matter(title, task, [str(config["algorithm"])], seeds, means)
    return Parcel("model", files, about, "\n\n".join(page) + "\n")


def _of_files(places: Sequence[Path], repo: str, room: Path | None) -> Parcel:
    if not places:
        raise UserError("name a run directory, or files of checkpoints")
    if len({place.name for place in places}) < len(places):
        raise UserError("two of these files have one name, which a repository holds once: rename one")
    found = [load_checkpoint(place) for place in places]
    files, lighter = _without_state({one.path.name: one.path for one in found}, room)
    first = found[0]
    tasks, algorithms = (
        _unique(getattr(one.description, of) for one in found) for of in ("task", "algorithm")
    )
    title = f"{', '.join(map(method_label, algorithms))} on {', '.join(tasks)}"
    python = f'folder = smac.pull_from_hub("{repo}")\nsmac.evaluate(folder / "{first.path.name}")'
    page = [
        f"# {title}",
        f"Checkpoints of {LIBRARY}.",
        "## Numbers",
        table(("file", "algorithm", "moment", "step", "seed", *SHOWN), [_row(one) for one in found]),
        "Return, score and success are of the training's last evaluation before the checkpoint.",
        "## Load it",
        code("sh", f"smac pull {repo} --out checkpoints\nsmac evaluate checkpoints/{first.path.name}"),
        code("python", f"import smac\n\n{python}"),
        *([LEFT_OUT] if lighter else []),
    ]
    seeds = sorted({one.description.seed for one in found})
    return Parcel(
        "model", files, front_matter(title, tasks[0], algorithms, seeds, {}), "\n\n".join(page) + "\n"
    )


def _row(one: Checkpoint) -> tuple[object, ...]:
    about = one.description
    reached = (about.metrics.get(f"eval/{name}") for name in SHOWN)
    return one.path.name, about.algorithm, about.moment, about.step, about.seed, *map(_cell, reached)


def _without_state(files: Mapping[str, Path], room: Path | None) -> tuple[dict[str, Path], bool]:
    """The files, checkpoints without what optimisers remember if there is a room to write them to, and
    whether any had something."""
    found = dict(sorted(files.items()))
    for number, (name, path) in enumerate(found.items() if room else ()):
        if path.suffix == ".safetensors" and (tensors := _light(path)) is not None:
            assert room is not None
            with safetensors.safe_open(path, framework="pt") as file:
                header = file.metadata()
            found[name] = room / f"{number}.safetensors"
            save_file(tensors, found[name], metadata=header)
    return found, any(found[name] != path for name, path in files.items())


def _light(path: Path) -> dict[str, Any] | None:
    """A checkpoint's tensors but those of its optimisers; None if it has none of these."""
    with safetensors.safe_open(path, framework="pt") as file:
        names = list(file.keys())
        kept = [name for name in names if not name.startswith(MOMENTS)]
        return {name: file.get_tensor(name) for name in kept} if len(kept) < len(names) else None


def front_matter(
    title: str, task: str, algorithms: Sequence[str], seeds: Sequence[int], means: Mapping[str, Mean]
) -> dict[str, Any]:
    """The card's metadata: what the hub searches by, and the numbers over seeds as its evaluation results."""
    name = task.partition("@")[0]
    about: dict[str, Any] = {
        "library_name": LIBRARY,
        "pipeline_tag": "reinforcement-learning",
        "tags": _unique(["reinforcement-learning", "offline-to-online", *algorithms, name]),
        "task": task,
        "algorithm": list(algorithms),
        "seeds": list(seeds),
    }
    result = client().EvalResult
    found = [
        result(
            task_type="reinforcement-learning", dataset_type=name, dataset_name=task,
            metric_type=of, metric_name=of, metric_value=round(mean.mean, 6),
            metric_args={"interval_95": [mean.low, mean.high], "seeds": mean.seeds}
            if mean.low == mean.low else {"seeds": mean.seeds},
        )
        for of, mean in means.items()
    ]  # fmt: skip
    return about | ({"eval_results": found, "model_name": title} if found else {})


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '¦') for cell in line)} |" for line in lines)


def code(language: str, text: str) -> str:
    """A fenced block; the fence is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def versions_text(versions: Mapping[str, str]) -> str:
    """`Versions: python 3.11.7, torch 2.13.0, ...`."""
    return f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}."


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
