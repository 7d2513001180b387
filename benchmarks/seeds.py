"""What five stacked seeds cost beside one, and what threads and neighbouring processes do to them.

    python benchmarks/seeds.py

A worker process trains SAC, as `smac.training` does, for a fixed time and says how many updates it made. In
every turn each case runs once: one process alone and two side by side, each with one and with two threads of
torch. Times are wall times; ratios are between cases of the same turn. `cost_of_the_stack` is the time of an
update of all stacked seeds over that of one seed, so below the number of seeds the stack saves time;
`slowdown` is the time of an update over that with one process and one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import tyro
from timing import Run, circumstances
from updates import BATCH, agent_of, data_of, loop

from smac.files import write_json

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
    start = time.perf_counter()
    run()
    first = time.perf_counter() - start
    if first > duration:
        return first
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < duration:
        run()
        count += 1
    return (time.perf_counter() - start) / count


def measure(
    workers: Sequence[Connection], seeds: int, width: int, processes: int, threads: int, duration: float
) -> float:
    """Mean seconds of an update over the processes that work side by side."""
    for worker in workers[:processes]:
        worker.send((seeds, width, threads, duration))
    return statistics.mean([worker.recv() for worker in workers[:processes]])


def span(values: Sequence[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "range": [min(values), max(values)]}


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
        found["cost_of_the_stack"][name] = span(
            [t[stack, processes, threads] / t[1, processes, threads] for t in turns]
        )
        for seeds in (1, stack):
            times = [t[seeds, processes, threads] for t in turns]
            key = f"{seeds} seed{'s' * (seeds > 1)}, {name}"
            found["milliseconds"][key] = 1e3 * statistics.median(times)
            found["slowdown"][key] = span([x / t[seeds, 1, 1] for x, t in zip(times, turns, strict=True)])
    return found


def recommendation(rows: Sequence[dict[str, Any]], stack: int) -> dict[str, str]:
    """The number of threads with the faster updates, for every width and load."""
    best = {}
    for r, seeds, processes in product(rows, (1, stack), (1, 2)):
        times = {
            n: r["milliseconds"][f"{seeds} seed{'s' * (seeds > 1)}, {case_name(processes, n)}"]
            for n in (1, 2)
        }
        gain = times[1] / times[2]
        key = f"width {r['width']}, {seeds} seed{'s' * (seeds > 1)}, {processes} at a time"
        best[key] = (
            f"{1 if gain < 1.1 else 2} thread{'s' * (gain >= 1.1)}: two are {gain:.2f}x as fast as one"
        )
    return best


def main(
    widths: tuple[int, ...] = (64, 128, 256),
    stack: int = 5,
    repeats: int = 5,
    seconds: float = 0.5,
    limit: float = 240.0,
    out: Path = Path("results/benchmarks/seeds.json"),
) -> None:
    """Time stacks, threads and neighbours on the CPU, and write the table.

    Args:
        widths: of the two hidden layers of actor and critics.
        stack: seeds in the stack.
        repeats: turns of every case.
        seconds: of every measurement.
        limit: no turn begins after so many seconds altogether; each width has at least one.
        out: where the numbers go.
    """
    context, load = multiprocessing.get_context("spawn"), os.getloadavg()[0]
    pipes = [context.Pipe() for _ in range(2)]
    for _, end in pipes:
        context.Process(target=work, args=(end,), daemon=True).start()
    workers, rows = [end for end, _ in pipes], []
    for width in widths:
        turns: list[Turn] = []
        end = time.monotonic() + limit / len(widths)
        while not turns or (len(turns) < repeats and time.monotonic() < end):
            turns.append(
                {
                    (seeds, processes, threads): measure(workers, seeds, width, processes, threads, seconds)
                    for (processes, threads), seeds in product(CASES, (1, stack))
                }
            )
        rows.append(row(width, stack, turns))
        for name, cost in rows[-1]["cost_of_the_stack"].items():
            times = [f"{ms:.1f} ms" for k, ms in rows[-1]["milliseconds"].items() if k.endswith(name)]
            print(f"width {width}, {name}: {' and '.join(times)}, {cost['median']:.2f}x", flush=True)
    for worker in workers:
        worker.send(None)
    write_json(
        out,
        circumstances()
        | {
            "what": f"SAC, batch 256 per seed: 1 and {stack} stacked seeds",
            "cores": os.cpu_count(),
            "other_load": {"before": load, "after": os.getloadavg()[0]},
            "rows": rows,
            "threads": recommendation(rows, stack),
        },
    )


if __name__ == "__main__":
    tyro.cli(main)
