"""How time and memory grow with points, with seeds, and with the size of a dataset."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.landscape import policies
from benchmarks.tables import Options, Table
from benchmarks.timing import Cost, Run, cost
from benchmarks.updates import agent_of, data_of, loop
from landscape.evaluate import Evaluation, evaluate
from smac.data.replay import OfflineData
from smac.data.transitions import Episode, Transitions
from smac.tasks import get_task

TASK, EPISODES, WIDTH = "Pendulum-v1", 4, 64
POINTS, SEEDS, SIZES = (11, 21, 41), (1, 5), (10_000, 100_000, 1_000_000)
BATCH, UPDATES, BATCHES = 256, 20, 200


class Grown(NamedTuple):
    what: str
    size: int
    cost: Cost
    stored: int | None = None
    """Bytes on disk."""


def line(points: int, store: Path | None) -> Run:
    """Play so many points; each is a policy of its own."""
    spec, some = policies(get_task(TASK), WIDTH)
    many = [{name: x + k * 1e-6 for name, x in some[k % len(some)].items()} for k in range(points)]
    evaluation = Evaluation(episodes=EPISODES, store=store)
    return lambda: evaluate(spec, get_task(TASK), many, points, evaluation)


def updating(seeds: int) -> Run:
    update = loop(agent_of("sac", seeds, WIDTH, BATCH, "cpu").update, data_of(seeds, "cpu"), BATCH)
    return lambda: [update() for _ in range(UPDATES)]


def sampling(transitions: int) -> Run:
    rng = np.random.default_rng(0)
    length = 1000
    episodes = [
        Episode(
            observations=rng.normal(size=(length + 1, 11)).astype(np.float32),
            actions=rng.uniform(-1, 1, size=(length, 3)).astype(np.float32),
            rewards=np.ones(length, np.float32),
            success=np.zeros(length, bool),
            terminated=False,
            truncated=True,
        )
        for _ in range(transitions // length)
    ]
    data = OfflineData(Transitions.from_episodes(episodes, discount=0.99, failure_reward=None), range(1))
    data.sample(BATCH)
    return lambda: [data.sample(BATCH) for _ in range(BATCHES)]


def lines() -> list[Grown]:
    found = []
    for points in POINTS:
        found.append(Grown("a line, points", points, cost(line(points, None))))
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder)
            playing = cost(line(points, store))
            size = sum(path.stat().st_size for path in store.iterdir())
            found.append(Grown("a line with a store, points", points, playing, size))
            found.append(
                Grown("a line all of which is in the store, points", points, cost(line(points, store)))
            )
    return found


def each(what: str, sizes: tuple[int, ...], made: Callable[[int], Run]) -> list[Grown]:
    return [Grown(what, size, cost(made(size))) for size in sizes]


def run(options: Options) -> Table:
    found = sorted(lines(), key=lambda one: one.what)
    found += each(f"{UPDATES} updates of SAC, stacked seeds", SEEDS, updating)
    found += each(f"{BATCHES} batches of {BATCH} from a dataset of so many transitions", SIZES, sampling)
    first = {one.what: one for one in reversed(found)}
    rows = [
        (
            one.what, one.size, f"{one.size / first[one.what].size:.2f}",
            f"{one.cost.seconds / first[one.what].cost.seconds:.2f}", f"{one.cost.seconds:.3f}",
            f"{one.cost.memory:.1f}",
            "–" if one.stored is None else f"{one.stored / one.size / EPISODES:.0f}",
        )
        for one in found
    ]  # fmt: skip
    last = {one.what: one for one in found}
    played, drawn = "a line, points", found[-1].what
    return Table(
        "Growth: points of a line, seeds of a stack, transitions of a dataset",
        "Each row in a process of its own, which has all imports. Ratios are over the first row of its "
        f"kind. A line of {TASK}: {EPISODES} episodes per point, actors of width {WIDTH}. Memory is the "
        "peak beyond what the process had.",
        (
            "what",
            "size",
            "size over the first",
            "processor time over the first",
            "seconds",
            "MiB",
            "bytes per episode",
        ),
        rows,
        f"{POINTS[-1] / POINTS[0]:.1f} times the points take {_times(last[played], first[played])} times "
        f"the time and {last[played].cost.memory - first[played].cost.memory:+.0f} MiB; batches from "
        f"{SIZES[-1] // SIZES[0]} times the transitions {_times(last[drawn], first[drawn])} times the time.",
        details={"rows": [one._asdict() | {"cost": vars(one.cost)} for one in found]},
    )


def _times(last: Grown, first: Grown) -> str:
    return f"{last.cost.seconds / first.cost.seconds:.2f}"
