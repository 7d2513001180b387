"""A whole update as one compiled program: losses, gradients, optimisers and targets.

    update = CompiledUpdate(agent)
    metrics = update(batch)

The networks of this field are so small that on a CPU most of an update is the dispatch of its several
hundred operations. Here `agent.learn` is traced once with its backward passes (`make_fx`), the optimisers'
steps are written out on tensors, and the whole becomes one shared library (AOTInductor). That takes a minute
or more the first time and is kept on disk: the next run with the same algorithm, sizes and torch loads it.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from smac.agents.base import Agent, Metrics
from smac.data.replay import Batch
from smac.errors import UserError
from smac.optim import COUNT, Muon, Optimiser, adam_step, muon_step, single_optimisers, singles
from smac.streams import Streams
from smac.training.state import restore, state_of

Draw = tuple[str, tuple[int, ...]]  # "normal" or "uniform", and the shape
CACHE = "SMAC_CACHE"  # environment variable: the folder of compiled updates


def cache_folder() -> Path:
    """Where compiled updates are kept: $SMAC_CACHE, else smac/ in the user's folder of caches."""
    if CACHE in os.environ:
        return Path(os.environ[CACHE]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "smac"


# ---- random numbers, drawn before the update -------------------------------------------------------------


class Noting:
    """An agent's `Streams` that also note what is drawn from them."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.draws: list[Draw] = []

    def normal(self, *shape: int) -> Tensor:
        self.draws.append(("normal", shape))
        return self.streams.normal(*shape)

    def uniform(self, *shape: int) -> Tensor:
        self.draws.append(("uniform", shape))
        return self.streams.uniform(*shape)


class Drawn:
    """In the place of an agent's `Streams`: numbers that were drawn beforehand, in their order."""

    def __init__(self, numbers: Sequence[Tensor]) -> None:
        self.numbers, self.used = numbers, 0

    def normal(self, *shape: int) -> Tensor:
        self.used += 1
        return self.numbers[self.used - 1]

    uniform = normal


# ---- what an update reads and writes ---------------------------------------------------------------------

Slot = tuple[dict[str, Any], str]  # a dictionary and a key at which a tensor of the agent is found


def slots(agent: Agent) -> list[Slot]:
    """Every place where the agent keeps a tensor: its networks' parameters and buffers, and its own."""
    found: list[Slot] = [(vars(agent), name) for name, x in vars(agent).items() if isinstance(x, Tensor)]
    for module in (x for x in vars(agent).values() if isinstance(x, nn.Module)):
        for part in module.modules():
            for place in (part._parameters, part._buffers):
                found += [(place, name) for name, x in place.items() if x is not None]
    return found


def learning(optimiser: torch.optim.Optimizer) -> Callable[..., None]:
    """The step of an optimiser as a function of tensors; UserError for one that has none."""
    if isinstance(optimiser, Muon):
        return muon_step
    plain = all(
        not group["weight_decay"] and not group["amsgrad"] and not group["maximize"]
        for group in optimiser.param_groups
        if isinstance(optimiser, torch.optim.Adam)
    )
    if type(optimiser) is torch.optim.Adam and plain:
        return adam_step
    raise UserError(
        f"--updates compile knows Adam without weight decay and Muon, not {type(optimiser).__name__}: "
        "take eager"
    )


def begin(optimiser: torch.optim.Optimizer) -> None:
    """Give every parameter the zeros that its first step would give it."""
    learning(optimiser)
    for p in (p for group in optimiser.param_groups for p in group["params"]):
        if not optimiser.state[p]:
            kinds = ("momentum_buffer",) if isinstance(optimiser, Muon) else ("exp_avg", "exp_avg_sq")
            optimiser.state[p] = {kind: torch.zeros_like(p) for kind in kinds}
            if not isinstance(optimiser, Muon):
                optimiser.state[p][COUNT] = torch.zeros(())


@dataclass
class Memory:
    """The tensors of an agent in a fixed order: its own, then what its optimisers remember, then rates."""

    agent: Agent

    def __post_init__(self) -> None:
        self.slots = slots(self.agent)
        own = {id(place[name]): place[name] for place, name in self.slots}
        self.tensors: list[Tensor] = list(own.values())
        self.index = {key: k for k, key in enumerate(own)}  # id of a tensor -> its place
        self.singles = singles(self.agent.optimisers())
        self.groups = [group for single in self.singles for group in single.param_groups]
        for single in self.singles:
            begin(single)
        self.buffers: list[Tensor] = []
        self.remembered: dict[int, dict[str, int]] = {}  # id of a parameter -> kind -> place in `buffers`
        for single in self.singles:
            for p, state in single.state.items():
                kinds = self.remembered[id(p)] = {}
                for kind, buffer in state.items():
                    kinds[kind] = len(self.buffers)
                    self.buffers.append(buffer)
        self.rates = [torch.zeros(()) for _ in self.groups]

    def inputs(self) -> list[Tensor]:
        """All of them, sharing memory with the agent, with the rates of now."""
        for rate, group in zip(self.rates, self.groups, strict=True):
            rate.fill_(float(group["lr"]))
        return [x.detach() for x in self.tensors] + self.buffers + self.rates

    @contextmanager
    def replaced(self, tensors: Sequence[Tensor]) -> Iterator[None]:
        """Let the agent work on other tensors than its own."""
        before = [(place, name, place[name]) for place, name in self.slots]
        for place, name, x in before:
            place[name] = tensors[self.index[id(x)]]
        try:
            yield
        finally:
            for place, name, x in before:
                place[name] = x


# ---- tracing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Program:
    """A traced update, and how to call what becomes of it."""

    graph: torch.fx.GraphModule
    examples: list[Tensor]  # inputs of the right shapes
    names: tuple[str, ...]  # of the metrics, the rows of its result [metrics, seeds]


def trace(agent: Agent, memory: Memory, batch: Batch, draws: Sequence[Draw]) -> Program:
    """`agent.learn` on one flat list of tensors: memory, the batch's columns, random numbers.

    The agent and its streams stay as they are.
    """
    names: list[str] = []
    columns = batch.columns
    counts = (len(memory.tensors), len(memory.buffers), len(memory.rates), len(columns), len(draws))

    def step(*inputs: Tensor) -> Tensor:
        own, buffers, rates, values, numbers = _cut(inputs, counts)
        leaves = [
            x.detach().requires_grad_(original.requires_grad)
            for x, original in zip(own, memory.tensors, strict=True)
        ]

        def descend(optimiser: Optimiser, loss: Tensor) -> None:
            parts = single_optimisers(optimiser)
            group_of = {id(p): group for s in parts for group in s.param_groups for p in group["params"]}
            parameters = [leaves[memory.index[key]] for key in group_of]
            gradients = torch.autograd.grad(loss.sum(), parameters, allow_unused=True)
            of = dict(zip(group_of, gradients, strict=True))
            with torch.no_grad():
                for single in parts:
                    take = learning(single)
                    for group in single.param_groups:
                        rate = rates[next(k for k, g in enumerate(memory.groups) if g is group)]
                        for p in group["params"]:
                            if (gradient := of[id(p)]) is not None:
                                kinds = memory.remembered[id(p)]
                                remembered = {kind: buffers[k] for kind, k in kinds.items()}
                                take(leaves[memory.index[id(p)]], gradient, remembered, group, rate)

        streams = agent.noise
        agent.noise = Drawn(numbers)  # type: ignore[assignment]
        vars(agent)["_step"] = descend
        try:
            with memory.replaced(leaves):
                metrics = agent.learn(replace(batch, **dict(zip(columns, values, strict=True))))
        finally:
            agent.noise = streams
            del vars(agent)["_step"]
        names[:] = metrics
        return torch.stack(list(metrics.values())).detach()

    numbers = [torch.zeros(len(agent.seeds), *shape) for _, shape in draws]
    examples = [x.clone() for x in (*memory.inputs(), *columns.values(), *numbers)]
    graph = make_fx(step, tracing_mode="real")(*examples)
    return Program(graph, examples, tuple(names))


def _cut(inputs: Sequence[Tensor], counts: Sequence[int]) -> list[Sequence[Tensor]]:
    """The inputs in parts of so many."""
    parts, first = [], 0
    for count in counts:
        parts.append(inputs[first : first + count])
        first += count
    return parts


# ---- compiling -------------------------------------------------------------------------------------------


def digest(program: Program) -> str:
    """What a compiled program is kept under: all that it depends on, of the code and of the machine."""
    about = hashlib.sha256()
    for name, x in constants(program.graph).items():
        about.update(f"{name}{x.dtype}{tuple(x.shape)}".encode() + x.detach().contiguous().numpy().tobytes())
    shapes = [(str(x.dtype), tuple(x.shape), x.stride()) for x in program.examples]
    machine = torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    about.update(repr((program.graph.code, shapes, machine)).encode())
    return about.hexdigest()[:32]


def constants(graph: torch.fx.GraphModule) -> dict[str, Tensor]:
    """Tensors that the traced code holds itself."""
    targets = [str(node.target) for node in graph.graph.nodes if node.op == "get_attr"]
    return {name: getattr(graph, name) for name in targets}


def compiled(program: Program) -> Callable[..., Tensor]:
    """The program as machine code, from the cache if it is there. UserError without a C++ compiler."""
    path = cache_folder() / "updates" / f"{digest(program)}.pt2"
    if not path.exists():
        if shutil.which(os.environ.get("CXX", "g++")) is None and shutil.which("clang++") is None:
            raise UserError("--updates compile needs a C++ compiler: install g++, or take auto")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, quiet():
            exported = torch.export.export(program.graph, tuple(program.examples), strict=False)
            made = torch._inductor.aoti_compile_and_package(
                exported, package_path=str(Path(folder) / "update.pt2")
            )
            os.replace(made, path)
    with quiet():
        return torch._inductor.aoti_load_package(str(path))


@contextmanager
def quiet() -> Iterator[None]:
    """Without the compiler's notices, which are nothing to a user."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Compiled:
    """One variant of an update for one shape of batch."""

    run: Callable[..., Tensor]
    names: tuple[str, ...]
    draws: tuple[Draw, ...]


class CompiledUpdate:
    """`agent.update` as one compiled program for every variant of it and every shape of batch.

    Draws from a generator do not compile, so they are made before the update, the same ones in the same order
    as within it. Which ones, an update of each variant shows that is taken and undone.
    """

    def __init__(self, agent: Agent, made: Callable[[Program], Callable[..., Tensor]] = compiled) -> None:
        """`made` turns a traced program into something that runs it."""
        self.agent, self.made = agent, made
        self.programs: dict[tuple[object, ...], Compiled] = {}
        self.memory: Memory | None = None
        for single in singles(agent.optimisers()):
            learning(single)  # a UserError now, not at the first update
            single.register_load_state_dict_post_hook(self.forget)

    @torch.no_grad()
    def __call__(self, batch: Batch, actor: bool = True) -> Metrics:
        self.agent.begin_update(actor)
        columns = batch.columns
        key = (self.agent.variant, *((name, x.shape) for name, x in columns.items()))
        if key not in self.programs:
            self.programs[key] = self.build(batch)
        program = self.programs[key]
        if self.memory is None:
            self.memory = Memory(self.agent)
        numbers = [getattr(self.agent.noise, kind)(*shape) for kind, shape in program.draws]
        metrics = program.run(*self.memory.inputs(), *columns.values(), *numbers)
        return dict(zip(program.names, metrics, strict=True))

    def build(self, batch: Batch) -> Compiled:
        draws = self.draws_of(batch)
        self.memory = Memory(self.agent)
        with torch.enable_grad():
            program = trace(self.agent, self.memory, batch, draws)
        return Compiled(self.made(program), program.names, tuple(draws))

    def draws_of(self, batch: Batch) -> list[Draw]:
        """What an update draws; the agent stays as it is."""
        before, streams = deepcopy(state_of(self.agent)), self.agent.noise
        noting = Noting(streams)
        self.agent.noise = noting  # type: ignore[assignment]
        with torch.enable_grad():
            self.agent.learn(batch)
        self.agent.noise = streams
        restore(self.agent, before)
        return noting.draws

    def forget(self, _: object = None) -> None:
        """A loaded state is new memory."""
        self.memory = None
