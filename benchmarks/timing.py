"""How the benchmarks measure: contestants in turn, medians over the turns, ratios within a turn."""

from __future__ import annotations

import gc
import importlib.metadata
import multiprocessing
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import torch

from smac.provenance import versions

Run = Callable[[], object]
Clock = Callable[[], float]


def clock(device: str, threads: int) -> Clock:
    """Seconds; with one thread on the CPU those this process was given, which other work does not take."""
    if device == "cuda":

        def after_the_device() -> float:
            torch.cuda.synchronize()
            return time.perf_counter()

        return after_the_device
    return time.process_time if threads == 1 else time.perf_counter


def seconds(run: Run, times: int, now: Clock) -> float:
    """Mean time of one call."""
    start = now()
    for _ in range(times):
        run()
    return (now() - start) / times


@dataclass(frozen=True)
class Contestant:
    run: Run
    setting: Callable[[], AbstractContextManager[None]] = nullcontext  # entered for its turns, untimed


def turns(
    contestants: Mapping[str, Contestant], repeats: int, now: Clock, per_turn: float
) -> list[dict[str, float]]:
    """Seconds per call of every contestant, turn by turn; a turn is about `per_turn` seconds of each."""

    def turn(one: Contestant, times: int) -> float:
        with one.setting():
            return seconds(one.run, times, now)

    times = {name: max(1, int(per_turn / turn(one, 2))) for name, one in contestants.items()}
    return [{name: turn(one, times[name]) for name, one in contestants.items()} for _ in range(repeats)]


def medians(values: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(v[name] for v in values) for name in values[0]}


def ratios(values: list[dict[str, float]], base: str) -> dict[str, dict[str, Any]]:
    """Speed of every contestant over that of `base` in the same turn, median and range; above 1 is faster."""
    relative = [{name: v[base] / v[name] for name in v} for v in values]
    spans = {name: [min(r[name] for r in relative), max(r[name] for r in relative)] for name in relative[0]}
    return {"median": medians(relative), "range": spans}


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _program() -> list[str]:
    """What was run: a module by its name, a file by its path."""
    spec = sys.modules["__main__"].__spec__
    return [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]


def circumstances(*packages: str) -> dict[str, Any]:
    """Command, versions (also of these packages) and machine of a benchmark."""
    return {
        "command": shlex.join(["python", *_program(), *sys.argv[1:]]),
        "versions": versions() | {name: importlib.metadata.version(name) for name in packages},
        "machine": platform.machine(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "range": [min(values), max(values)]}


def with_children() -> float:
    """Processor seconds of this process and of all that descend from it and still run."""
    found = 0.0
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            taken = process.cpu_times()
            found += taken.user + taken.system
    return found


@dataclass(frozen=True)
class Cost:
    seconds: float
    """Of the processor."""
    memory: float
    """MiB at most, beyond what there was before."""


def cost(run: Run) -> Cost:
    """What a call takes in a fork of this process, which has all imports."""
    context = multiprocessing.get_context("fork")
    answer, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_tell_cost, args=(run, theirs))
    child.start()
    theirs.close()
    try:
        return Cost(*answer.recv())
    finally:
        child.join()


def _tell_cost(run: Run, answer: Connection) -> None:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = _peak(), time.process_time()
    run()
    answer.send((time.process_time() - began, _peak() - before))


def _peak() -> float:
    """MiB that the process has held at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@dataclass(frozen=True)
class Spent:
    processor: float
    wall: float


def spent_on(command: Sequence[str], folder: Path) -> Spent:
    """Seconds that a command takes in a folder, all its processes together; an error if it fails."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Spent(processor, time.perf_counter() - began)
