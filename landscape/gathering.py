"""What a report is made of: results that exist, and lines of runs that are played for it, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from landscape.results import PathResult, as_pair
from landscape.study.common import Incomplete
from landscape.study.pairs import Beside, Line, Missing, Pair, look_up, read_pair
from smac.api import Place, drawn_by
from smac.errors import UserError

PAIRS = Path("pairs")  # in the directory of a report


@dataclass
class Gathered:
    """Pairs of checkpoints in the order in which they were named, and what goes with them."""

    pairs: list[Pair] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    lines: dict[str, PathResult] = field(default_factory=dict)
    """Those that are not on disk, by the name of the folder that `save` will give them."""


def gather(
    methods: Mapping[str, Iterable[Place | PathResult]],
    play: Callable[[Line, int, int], PathResult],
    out: Path | None = None,
) -> Gathered:
    """Results, their directories, and runs, whose lines are played; `methods` is name -> what is of it.

    `play` takes a line, its number from 0, and how many there are.
    With `out` a line is written there as soon as it has been played, and one that is there is read, so that
    the same call resumes after a kill. What failed is told in `missing`, not dropped. UserError for what is
    named twice; `Incomplete` after all lines, where only a share of their episodes was to be played.
    """
    looked_up = [
        (name, one if isinstance(one, PathResult) else look_up([Path(one)]))
        for name, many in methods.items()
        for one in many
    ]
    on_disk = [one for _, one in looked_up if not isinstance(one, PathResult)]
    lines = [line for one in on_disk for line in one.lines]
    places = [line.run / f"seed-{line.seed}" for line in lines]
    places += [pair.directory for one in on_disk for pair in one.pairs]
    check_once([*places, *(beside.directory for one in on_disk for beside in one.beside)])
    numbered = enumerate(folder_names(lines))
    found, share = Gathered(), None
    for method, one in looked_up:
        if isinstance(one, PathResult):
            name = f"line-{len(found.lines) + 1}"
            found.lines[name] = one
            found.pairs.append(as_pair(one, PAIRS / name, method))
            continue
        found.pairs += [replace(pair, named=method) for pair in one.pairs]
        found.beside += one.beside
        found.missing += one.missing
        for line in one.lines:
            k, name = next(numbered)
            played = partial(play, line, k, len(lines))
            try:
                found.pairs.append(_pair(name, method, played, out, found))
            except Incomplete as error:
                share = share or error
            except UserError as error:
                found.missing.append(Missing(str(line.run / f"seed-{line.seed}"), str(error)))
    if share:
        raise share
    return found


def _pair(name: str, method: str, play: Callable[[], PathResult], out: Path | None, found: Gathered) -> Pair:
    """The pair of a line that is read from `out`, or played and written there, or kept in `found`."""
    if out is None:
        result = found.lines[name] = play()
        return as_pair(result, PAIRS / name, method)
    directory = kept(out / PAIRS / name, play)
    return replace(read_pair(directory), named=method)


def kept(directory: Path, play: Callable[[], PathResult]) -> Path:
    """The directory of a line, which is played and written unless it is there, and drawn where it is not."""
    if not (directory / "result.json").exists():
        play().write(directory)
    if not all((directory / f"plot.{kind}").exists() for kind in ("png", "pdf", "html")):
        drawn_by("figures.draw:draw")(directory)
    return directory


def check_once(places: Sequence[Path]) -> None:
    """UserError for a run or a result that is named twice, also as a cell of its matrix."""
    for place, times in Counter(path.resolve() for path in places).items():
        if times > 1:
            raise UserError(f"{place}: is named {times} times; name it once")


def folder_names(lines: Sequence[Line]) -> list[str]:
    """Of the result of each line; runs of one name also bear their parent's, and a number."""
    runs = list(dict.fromkeys(line.run for line in lines))
    count = Counter(run.name for run in runs)
    names = {
        run: run.name if count[run.name] == 1 else f"{run.resolve().parent.name}-{run.name}-{k}"
        for k, run in enumerate(runs, start=1)
    }
    return [f"{names[line.run]}-seed-{line.seed}" for line in lines]
