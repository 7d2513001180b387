"""Faster ways to call `agent.update` in a loop, with the same results.

    update = fast_update(agent, mode)  # after a saved state was restored
    recorder.add(update(batch))

On a GPU the networks of this field are so small that launching their kernels takes longer than running them;
a CUDA graph launches the kernels of a whole update at once. On the CPU much of the time of wide stacks goes
into asking the system for memory again and again, which can be had for nothing (updates.md in
results/benchmarks). Compiling a whole update (smac.training.compiled) takes minutes the first time, so it
must be asked for.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from smac.agents.base import Agent, Metrics
from smac.data.replay import Batch
from smac.errors import UserError
from smac.optim import singles
from smac.streams import Streams

Update = Callable[..., Metrics]  # of a batch, and whether the actor has its turn
UpdateMode = Literal["auto", "eager", "graph", "compile"]

WARM_UP = 3  # eager updates before one is recorded, as torch's documentation of CUDA graphs does it


def fast_update(agent: Agent, mode: UpdateMode = "auto") -> Update:
    """`agent.update`, or something that does the same in less time.

    `auto` is `graph` on CUDA; elsewhere it is `eager` and lets the process keep freed memory, as `compile`
    does too, which changes results by rounding. Call this after the agent has loaded a checkpoint or a
    saved state, and give the update batches on the agent's device.
    """
    check_mode(mode, agent.device)
    on_cuda = agent.device.type == "cuda"
    if mode == "graph" or (mode == "auto" and on_cuda):
        return GraphedUpdate(agent, CudaGraphs(agent.device))
    if mode != "eager" and not on_cuda:
        keep_freed_memory()
    if mode == "compile":
        from smac.training.compiled import CompiledUpdate  # which imports torch's compiler

        return CompiledUpdate(agent)
    return agent.update


def check_mode(mode: UpdateMode, device: torch.device) -> None:
    """UserError if updates cannot run like that on the device."""
    if mode == "compile" and device.type != "cpu":
        raise UserError(f"--updates compile is for the CPU, and this is {device}: take auto or graph")
    if mode == "graph" and device.type != "cuda":
        raise UserError(f"--updates graph needs a CUDA device, and this is {device}: take auto or eager")


# ---- CUDA graphs -----------------------------------------------------------------------------------------


Recorded = tuple[Callable[[], None], Tensor]  # (replay, result)


class Graphs(Protocol):
    """Runs device work now, or records it to be run again and again."""

    def run(self, work: Callable[[], Metrics]) -> Metrics:
        """Do the work, where it could be recorded too."""

    def record(self, work: Callable[[], Tensor], streams: Sequence[Streams]) -> Recorded:
        """Nothing is done yet; each replay does the work once and rewrites the result.

        Random numbers may come from these streams, which advance with every replay.
        """


class CudaGraphs:
    """Side stream and CUDA graphs of one device.

    Warm-up and recording share the stream: autograd refuses nodes that an earlier stream left behind.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def run(self, work: Callable[[], Metrics]) -> Metrics:
        current = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = work()
        current.wait_stream(self.stream)
        return result

    def record(self, work: Callable[[], Tensor], streams: Sequence[Streams]) -> Recorded:
        graph = torch.cuda.CUDAGraph()
        for generator in (g for stream in streams for g in stream.generators):
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=self.stream):
            result = work()
        return graph.replay, result


@dataclass(frozen=True)
class Recording:
    """An update whose inputs and outputs stay at their places in memory."""

    batch: Batch
    names: tuple[str, ...]
    values: Tensor  # [metrics, seeds]
    replay: Callable[[], None]

    def __call__(self, batch: Batch) -> Metrics:
        torch._foreach_copy_(list(self.batch.columns.values()), list(batch.columns.values()))
        self.replay()
        return dict(zip(self.names, self.values.clone(), strict=True))  # the next replay overwrites them


class GraphedUpdate:
    """`agent.update`, recorded once for every variant of it and every shape of batch, then replayed.

    The first WARM_UP calls of each are ordinary updates, and recording does nothing yet: a run takes the
    same updates, with the same batches and random numbers, as with `agent.update`. Recordings refer to the
    memory of networks and optimisers; loading an optimiser's state gives it new memory and drops them.
    """

    def __init__(self, agent: Agent, graphs: Graphs) -> None:
        self.agent, self.graphs = agent, graphs
        self.recordings: dict[tuple[object, ...], Recording] = {}
        self.warm: Counter[tuple[object, ...]] = Counter()
        for optimiser in singles(agent.optimisers()):
            optimiser.register_load_state_dict_post_hook(self.forget)

    def __call__(self, batch: Batch, actor: bool = True) -> Metrics:
        self.agent.begin_update(actor)
        key = (self.agent.variant, *shapes(batch))
        if key not in self.recordings:
            if self.warm[key] < WARM_UP:
                self.warm[key] += 1
                return self.graphs.run(lambda: self.agent.learn(batch))
            self.recordings[key] = self.record(batch)
        return self.recordings[key](batch)

    def record(self, batch: Batch) -> Recording:
        static = replace(batch, **{name: x.clone() for name, x in batch.columns.items()})
        names: list[str] = []

        def work() -> Tensor:
            metrics = self.agent.learn(static)
            names.extend(metrics)
            return torch.stack(list(metrics.values()))

        with capturable(singles(self.agent.optimisers())):
            replay, values = self.graphs.record(work, random_streams(self.agent))
        return Recording(static, tuple(names), values, replay)

    def forget(self, _: object = None) -> None:
        """Drop the recordings; the next updates warm up again."""
        self.recordings.clear()
        self.warm.clear()


def shapes(batch: Batch) -> tuple[tuple[str, torch.Size], ...]:
    return tuple((name, x.shape) for name, x in batch.columns.items())


def random_streams(agent: Agent) -> list[Streams]:
    return [x for x in vars(agent).values() if isinstance(x, Streams)]


@contextmanager
def capturable(optimisers: Sequence[torch.optim.Optimizer]) -> Iterator[None]:
    """Adam is recorded only if told that it will be.

    It is told for that moment alone: fused Adam keeps its step count on the device either way, and a saved
    state shall not depend on how the updates ran.
    """
    groups = [group for o in optimisers for group in o.param_groups if "capturable" in group]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in groups:
            group["capturable"] = False


# ---- memory on the CPU -----------------------------------------------------------------------------------

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
KEEP, DEFAULT = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: -1}, {M_MMAP_MAX: 65_536, M_TRIM_THRESHOLD: 128 * 1024}


def keep_freed_memory(keep: bool = True) -> bool:
    """Let the C library keep what torch frees, in the whole process; False if it is not glibc.

    By default the memory of every large tensor goes back to the system at once, and all pages of the next one
    are faulted in again. The process stays as large as it once was.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(name, value) for name, value in (KEEP if keep else DEFAULT).items())
