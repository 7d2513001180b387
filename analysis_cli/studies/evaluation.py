"""What the commands that evaluate policies share: their options, and a directory that can be resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from analysis_cli.console import console, tell, wrote
from analysis_cli.dry import Planned, of_episodes
from landscape.backends import Backend, connect
from landscape.evaluate import Evaluation
from landscape.statistics import Adaptive
from landscape.study import Incomplete, Study
from landscape.study.runs import Source
from smac.errors import UserError
from smac.files import default_directory, new_directory, read_json, remove_temporaries, write_json
from smac.locks import LOCK, only_writer
from smac.policies import PolicyCheckpoint
from smac.policies.playing import playable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

REQUEST = "study.json"  # what was asked for, written before the first episode; at the end also its files
FILES = "files"
EPISODES = "episodes"
SAID = ("kind", "task", "verdict", "monotone", "falls", "margin", "episodes", "points", "sentence")
OFTEN = ("margin", "episodes", "task", "seed", "workers", "out")  # options that help shows at once
NUMBERS = ("V", "DD", "B_chord", "B_mean", "p_monotone")
# Options that do not change the result, so they may change when a command is resumed
NOT_ASKED = ("workers", "backend", "address", "store", "shard", "out", "evaluation")


@dataclass(frozen=True)
class EvaluationOptions:
    """How policies are evaluated."""

    episodes: int = 20
    """Evaluation episodes per point, with the same seeds at every point."""
    stochastic: bool = False
    """Sample actions instead of using the mean action."""
    seed: int = 0
    """Random seed of the episodes and of the bootstrap."""
    time_limit: float = float("inf")
    """Time limit of one episode in seconds; a longer one is recorded as timed out. A step that hangs is
    stopped."""
    task: str | None = None
    """Task or environment id, for policies of other libraries, whose files do not say it."""
    action_units: Literal["env", "unit"] | None = None
    """Units of the actions of such policies: the environment's (env) or [-1, 1] (unit)."""
    normaliser: str | None = None
    """Observation normaliser of such policies: the file of a VecNormalize, or none."""
    workers: int = 1
    """Number of processes; the result does not depend on it."""
    backend: Backend | None = None
    """Play on the workers of a cluster, as many as it has; default: processes of this machine, which are
    restarted if an environment crashes them."""
    address: str | None = None
    """HOST:PORT of the cluster's scheduler (for dask also the path of its scheduler file)."""
    store: Path | None = None
    """Directory of stored episodes to reuse and add to; default: `episodes` in --out."""
    shard: str | None = None
    """K/N: evaluate only the K-th of N shares of the points, on one of N machines; then `landscape merge`."""
    out: Path | None = None
    """Directory of the result; default: a new one in runs/. The same command resumes one that was killed."""

    def settings(self, out: Path) -> Evaluation:
        return Evaluation(
            episodes=self.episodes,
            seed=self.seed,
            stochastic=self.stochastic,
            time_limit=self.time_limit,
            task=self.task,
            action_units=self.action_units,
            normaliser=self.normaliser,
            workers=self.workers,
            backend=self.backend,
            address=self.address,
            store=self.store or out / EPISODES,
            shard=_share(self.shard),
        )

    def plan(self, policy: Source, what: str, episodes: int) -> Planned:
        """What `--dry-run` says of so many episodes; `policy` is played to measure how long one takes."""
        path = policy.path if isinstance(policy, PolicyCheckpoint) else Path(policy)
        first = playable(path, self.task, self.action_units, self.normaliser)
        return of_episodes(what, first, episodes, self.workers, self.stochastic)

    @contextmanager
    def study(self, command: DataclassInstance) -> Iterator[Path]:
        """The directory to write to, new or of the same command that was killed.

        A new directory is removed again if the command fails before an episode was played. Shares of one
        study may write to the same directory; other commands have it to themselves.
        """
        if self.backend or self.address:
            connect(self.backend, self.address)
        verb = type(command).__name__.lower()
        asked = {"command": verb} | _asked(command) | _asked(self)
        out = self.out or default_directory(verb)
        if (out / REQUEST).exists():
            _check_same(out, asked)
        else:
            new_directory(out)
        with nullcontext() if self.shard else only_writer(out):
            if not self.shard:
                remove_temporaries(out)
            if (out / REQUEST).exists():
                console.print(f"resuming in {out}", markup=False)
            else:
                write_json(out / REQUEST, asked | {FILES: None})
            with _told_or_undone(out):
                yield out


@contextmanager
def _told_or_undone(out: Path) -> Iterator[None]:
    """A share tells what is left to do; a refusal before anything was done leaves no directory."""
    begun = out / REQUEST
    try:
        yield
    except Incomplete as share:
        console.print(str(share), markup=False)
    except UserError:
        if not any(path.name not in (REQUEST, LOCK) for path in out.iterdir()):
            begun.unlink()
            (out / LOCK).unlink(missing_ok=True)
            out.rmdir()
        raise


@dataclass(frozen=True)
class AdaptiveOptions:
    """More episodes only where they are needed."""

    adaptive: bool = False
    """Adaptive number of episodes: more only at points that are not decided, until the verdict is; replaces
    --episodes."""
    first_episodes: int = 10
    """With --adaptive: episodes at every point in the first stage."""
    most_episodes: int = 200
    """With --adaptive: maximum number of episodes per point."""

    def plan(self) -> Adaptive | None:
        return Adaptive(self.first_episodes, self.most_episodes) if self.adaptive else None


def _asked(options: DataclassInstance) -> dict[str, str]:
    """What decides the result, by the options' names."""
    names = (f.name for f in fields(options) if f.name not in NOT_ASKED)
    return {name: str(getattr(options, name)) for name in names}


def finish(result: Study, out: Path, command: str, *further: Path) -> None:
    """Write a result, draw it, and say which files there are, `further` ones among them."""
    from figures.draw import draw  # with matplotlib and plotly, slow to load and for the end

    result.write(out, command)
    tell(said(result.contents(command)) | {"out": str(out)})
    end(out, [out / "returns.npz", out / "result.json", *draw(out), *further])


def said(contents: Mapping[str, Any]) -> dict[str, Any]:
    """What `--json` prints of a result: verdicts, the sentence, and the numbers with their intervals."""
    found = {name: contents[name] for name in SAID if name in contents}
    for where in filter(contents.get, ("straight", "analysis")):
        inner = contents[where]
        numbers = inner.get("analysis", inner)
        told = {name: numbers[name] for name in NUMBERS if name in numbers}
        found |= told if where == "analysis" else {where: {"verdict": inner["verdict"], **told}}
    return found


def end(out: Path, files: Sequence[Path], inside: Sequence[Path] = ()) -> None:
    """Note that a study has ended with these files, and say so; those `inside` are its parts'."""
    names = [str(path.relative_to(out)) for path in (*files, *inside)]
    write_json(out / REQUEST, _request(out) | {FILES: names})
    for path in files:
        wrote(path)


def has_ended(out: Path, result: str = "result.json") -> bool:
    """Whether a study has all its files; of an older version, which did not list them, its result."""
    names = _request(out).get(FILES, [result])
    return names is not None and all((out / name).exists() for name in names)


def check_no_report(out: Path | None) -> None:
    """UserError if the directory holds a finished report."""
    if out is not None and has_ended(out, "report.json"):
        raise UserError(
            f"{out}: holds a finished report, which `landscape plot` draws again; choose another --out for a "
            "new one"
        )


def _request(out: Path) -> dict[str, Any]:
    """`study.json`; empty where it was removed, or an older version wrote none."""
    return read_json(out / REQUEST) if (out / REQUEST).exists() else {}


def _check_same(out: Path, asked: dict[str, str]) -> None:
    """UserError unless this directory belongs to the same command and has not been finished."""
    if has_ended(out):
        raise UserError(
            f"{out}: holds a finished result; choose another --out (its episodes can be used again with "
            f"--store {out / EPISODES})"
        )
    check_asked(out, asked)


def check_asked(out: Path, asked: Mapping[str, str]) -> None:
    """UserError unless this directory was begun by the same command with the same options."""
    before = read_json(out / REQUEST)
    for name, value in asked.items():
        if before.get(name, value) != value:  # an option of later than that directory has its default
            raise UserError(
                f"{out}: was begun with {name} = {before.get(name)}, not {value}; choose another --out, "
                "or repeat the command as it was to resume it"
            )


def _share(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    share, _, shares = text.partition("/")
    try:
        return int(share), int(shares)
    except ValueError:
        raise UserError(f"--shard must be K/N, such as 2/4, got {text!r}") from None
