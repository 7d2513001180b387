"""Two workers against one: processes of this machine, and those of a Dask scheduler."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from benchmarks.landscape import EPISODES, POINTS, policies
from benchmarks.tables import Options, Table, times
from benchmarks.timing import Spent, spread, with_children
from landscape.backends import connect
from landscape.evaluate import Evaluation, evaluate
from smac.tasks import get_task

TASK, STACKS = "Pendulum-v1", 48  # 1,536 episodes, a small surface
ALONE = "this process"


@contextmanager
def dask(workers: int) -> Iterator[Evaluation]:
    """A scheduler with so many processes."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=40
    ) as cluster:
        address = str(cluster.scheduler_address).removeprefix("tcp://")
        yield Evaluation(episodes=EPISODES, backend="dask", address=address)
        connect("dask", address).client.close()  # before there is no scheduler to reconnect to


def run(options: Options) -> Table:
    task = get_task(TASK)
    spec, some = policies(task, 64)
    many = [some[k % POINTS] for k in range(STACKS * POINTS)]

    def spent(evaluation: Evaluation) -> Spent:
        before, began = with_children(), time.perf_counter()
        evaluate(spec, task, many, len(many), evaluation)
        return Spent(with_children() - before, time.perf_counter() - began)

    local = {ALONE: 1, "two local workers": 2}
    evaluations = {name: Evaluation(episodes=EPISODES, workers=count) for name, count in local.items()}
    found = _turns(spent, evaluations, options.repeats)
    notes: tuple[str, ...] = ()
    if find_spec("distributed") is None:
        notes = ("Dask was not timed: distributed is not installed.",)
    else:
        with dask(1) as one, dask(2) as two:
            those = {ALONE: evaluations[ALONE], "one worker of Dask": one, "two workers of Dask": two}
            clusters = _turns(spent, those, options.repeats)
        found = [
            a | {name: b[name] for name in those if name != ALONE}
            for a, b in zip(found, clusters, strict=True)
        ]
    processor = {name: spread([t[name].processor / t[ALONE].processor for t in found]) for name in found[0]}
    wall = {name: spread([t[ALONE].wall / t[name].wall for t in found]) for name in found[0]}
    return Table(
        "Workers: two against one",
        f"{len(many)} policies of {TASK}, {EPISODES} episodes each, by workers that run already. Processor "
        "time is of all processes over that of one process that plays by itself: what handing out costs, 1 "
        "at best. Dask's includes that of its scheduler, and of workers that only wait, which matters less "
        "the longer a study takes. Speed by the wall clock, over the same, is what a machine with other "
        f"work gives; medians of {options.repeats} turns (range).",
        ("who plays", "processor time", "speed by the wall clock"),
        [(name, times(processor[name]), times(wall[name])) for name in found[0]],
        "; ".join(
            f"{name}: {processor[name]['median']:.2f} times the processor time, {wall[name]['median']:.2f} "
            "times the speed"
            for name in found[0]
            if name.startswith("two")
        ),
        notes,
        {"turns": [{name: vars(x) for name, x in turn.items()} for turn in found]},
    )


def _turns(spent, evaluations: dict[str, Evaluation], repeats: int) -> list[dict[str, Spent]]:
    found = [{name: spent(one) for name, one in evaluations.items()} for _ in range(repeats + 1)]
    return found[1:]  # the first starts them
