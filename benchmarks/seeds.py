"""What five stacked seeds cost beside one, and what threads and neighbouring processes do to them.
A worker process trains SAC, as `smac.training` does, for a fixed time and says how many updates it made. In
every turn each case runs once: one process alone and two side by side, each with one and with two threads of
torch. Times are of the processor, all threads of a process together; ratios are between cases of the same
turn. `cost_of_the_stack` is the time of an update of all stacked seeds over that of one seed, so below the
number of seeds the stack saves time; `slowdown` is the time of an update over that with one process and one
thread.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Sequence
from itertools import product
from multiprocessing.connection import Connection
from typing import Any

import torch

from benchmarks.tables import Options, Table, times
from benchmarks.timing import Run, spread
from benchmarks.updates import BATCH, agent_of, data_of, loop

WIDTHS, STACK = (64, 256), 5
CASES = list(product((1, 2), (1, 2)))  # (processes, threads of each)
Turn = dict[tuple[int, int, int], float]  # seconds of an update by (seeds, processes, threads of each)


def case_name(processes: int, threads: int) -> str:
    return f"{processes} process{'es' * (processes > 1)}, {threads} thread{'s' * (threads > 1)}"


def work(orders: Connection) -> None:
    """Obey orders (seeds, width, threads, seconds): answer with the seconds of an update."""
    runs: dict[tuple[int, int], Run] = {}
    while order := orders.recv():
        seeds, width, threads, duration = order
        torch.set_num_threads(threads)
        if (seeds, width) not in runs:
            runs[seeds, width] = loop(
                agent_of("sac", seeds, width, BATCH, "cpu").update, data_of(seeds, "cpu"), BATCH
            )
            runs[seeds, width]()
        orders.send(seconds_per_update(runs[seeds, width], duration))


def seconds_per_update(run: Run, duration: float) -> float:
    """Mean over the updates that begin within `duration` seconds; a slow first one is enough."""
    start = time.process_time()
    run()
    first = time.process_time() - start
    if first > duration:
        return first
    start, count = time.process_time(), 0
    while time.process_time() - start < duration:
        run()
        count += 1
    return (time.process_time() - start) / count


def measure(
    workers: Sequence[Connection], seeds: int, width: int, processes: int, threads: int, duration: float
) -> float:
    """Mean seconds of an update over the processes that work side by side."""
    for worker in workers[:processes]:
        worker.send((seeds, width, threads, duration))
    return statistics.mean([worker.recv() for worker in workers[:processes]])


def row(width: int, stack: int, turns: Sequence[Turn]) -> dict[str, Any]:
    """The figures of one width."""
    found: dict[str, Any] = {
        "width": width,
        "turns": len(turns),
        "milliseconds": {},
        "cost_of_the_stack": {},
        "slowdown": {},
    }
    for processes, threads in CASES:
        name = case_name(processes, threads)
        found["cost_of_the_stack"][name] = spread(
            [t[stack, processes, threads] / t[1, processes, threads] for t in turns]
        )
        for seeds in (1, stack):
            times = [t[seeds, processes, threads] for t in turns]
            key = f"{seeds} seed{'s' * (seeds > 1)}, {name}"
            found["milliseconds"][key] = 1e3 * statistics.median(times)
            found["slowdown"][key] = spread([x / t[seeds, 1, 1] for x, t in zip(times, turns, strict=True)])
    return found


def run(options: Options) -> Table:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    for _, end in pipes:
        context.Process(target=work, args=(end,), daemon=True).start()
    workers, found = [end for end, _ in pipes], []
    for width in WIDTHS:
        turns: list[Turn] = [
            {
                (seeds, processes, threads): measure(
                    workers, seeds, width, processes, threads, options.seconds
                )
                for (processes, threads), seeds in product(CASES, (1, STACK))
            }
            for _ in range(options.repeats)
        ]
        found.append(row(width, STACK, turns))
    for worker in workers:
        worker.send(None)
    rows = [
        (one["width"], case_name(*case), times(one["cost_of_the_stack"][case_name(*case)]),
         *(times(one["slowdown"][f"{n} seed{'s' * (n > 1)}, {case_name(*case)}"]) for n in (1, STACK)))
        for one, case in product(found, CASES)
    ]  # fmt: skip
    alone = [one["cost_of_the_stack"][case_name(1, 1)]["median"] for one in found]
    return Table(
        f"{STACK} stacked seeds beside one, with threads and neighbours",
        f"SAC, batch {BATCH} per seed. Processor time of a process with all its threads; medians of "
        f"{options.repeats} turns (range). The stack saves time below {STACK}. The last columns are over "
        "one process with one thread: what threads waste, and what a neighbour takes away; two threads can "
        "be faster than one by the wall clock where they are below 2.",
        (
            "width",
            "processes and threads",
            f"{STACK} seeds over one",
            "over one thread, one seed",
            f"over one thread, {STACK} seeds",
        ),
        rows,
        f"{STACK} seeds take {min(alone):.2f} to {max(alone):.2f} times the time of one.",
        details={"rows": found},
    )
