"""Fast updates are the same updates; on machines without a GPU a tape stands in for CUDA graphs."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import product

import pytest
import torch
from support import ACT, OBS, SMALL, SMALLER, assert_same_tensors, random_batch, toy_transitions
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from smac.agents import AGENTS
from smac.agents.base import Agent, Metrics
from smac.data.replay import Batch, OfflineData, ReplayBuffer
from smac.errors import UserError
from smac.optim import adam_step
from smac.streams import Streams
from smac.training.compiled import CompiledUpdate, Program, cache_folder, digest
from smac.training.fast import GraphedUpdate, Recorded, fast_update
from smac.training.metrics import RunningMeans
from smac.training.state import restore, state_of
from smac.trees import read_tree, write_tree

SEEDS = [3, 4]
VARIANTS = {
    **{name: (name, {}) for name in AGENTS},
    "bc by least squares": ("bc", {"loss": "mse"}),
    "sac with a random subset": ("sac", {"ensemble": 4, "target_subset": 2, "actor_value": "mean"}),
    "sac with muon": ("sac", {"optimiser": "muon"}),
    "cql with a gap": ("cql", {"cql_gap": 0.8}),
    "td3 with a delay of 3": ("td3", {"policy_delay": 3}),
    "iql with a decay": ("iql", {"actor_decay_steps": 20}),
    "iql with a decay and muon": ("iql", {"actor_decay_steps": 20, "optimiser": "muon"}),
    "smac with muon": ("smac", {"optimiser": "muon"}),
    "smac with vp": ("smac", {"diffusion": "vp"}),
    "smac at noised actions": ("smac", {"match_at": "noised", "tau": "temperature"}),
}
variants = pytest.mark.parametrize("variant", VARIANTS)
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def agent_of(variant: str, device: str = "cpu") -> Agent:
    name, options = VARIANTS[variant]
    kind = AGENTS[name]
    return kind(kind.Config(**SMALL | SMALLER.get(name, {}) | options), OBS, ACT, SEEDS, device)


def batch_of(step: int, device: str = "cpu") -> Batch:
    batch = random_batch(SEEDS, purpose=f"batch {step}")
    return replace(batch, **{f.name: getattr(batch, f.name).to(device) for f in fields(batch)})


def assert_same_future(agent: Agent, other: Agent, **tolerance: float) -> None:
    """Networks, numbers and the next random draws."""
    observations = batch_of(0, agent.device.type).observations[:, 0]
    torch.testing.assert_close(agent.explore(observations), other.explore(observations), **tolerance)
    for k in range(len(SEEDS)):
        torch.testing.assert_close(agent.tensors(k), other.tensors(k), **tolerance)


# ---- a stand-in for CUDA graphs ------------------------------------------------------------------------

# operations that wait for the device, and `lift_fresh` on a tensor of numbers from the host
HOST = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2", "lift_fresh")


class Tape(TorchDispatchMode):
    """Notes the operations on tensors with the very tensors that they read and write.

    As in a CUDA graph, what happens between the operations is not noted: numbers of the host stay as they
    were, and memory that somebody else has taken the place of is still what is read and written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple] = []
        self.before: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert func.overloadpacket.__name__ not in HOST, f"{func} in the loop waits for the device"
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                self.before += [(x, x.clone()) for x in tensors(value)]
        out = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, out))
        return out

    @torch.no_grad()
    def undo(self) -> None:
        for x, old in reversed(self.before):
            x.copy_(old)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, noted in self.calls:
            out = func(*args, **kwargs)
            for x, new in zip(tensors(noted), tensors(out), strict=True):
                if place(x) != place(new):  # neither a view nor in place
                    x.copy_(new)


def tensors(tree: object) -> list[Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def place(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


class TapeGraphs:
    """What `CudaGraphs` does, on the CPU: recording leaves everything as it was."""

    def run(self, work: Callable[[], Metrics]) -> Metrics:
        return work()

    def record(self, work: Callable[[], Tensor], streams: Sequence[Streams]) -> Recorded:
        generators = [g for stream in streams for g in stream.generators]
        states = [g.get_state() for g in generators]
        with Tape() as tape:
            result = work()
        tape.undo()
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        return tape.replay, result


def taped(agent: Agent) -> GraphedUpdate:
    """Recorded updates on the CPU, where a learning rate that changes is a tensor only if it began as one."""
    if getattr(agent.config, "actor_decay_steps", 0):
        for group in agent.actor_optimiser.param_groups:
            group["lr"] = torch.tensor(group["lr"])
    return GraphedUpdate(agent, TapeGraphs())


@variants
def test_replayed_updates_are_the_agents_updates(variant):
    agent, twin = agent_of(variant), agent_of(variant)
    update = taped(twin)
    for step in range(16 if "td3" in variant else 8):
        batch = batch_of(step)
        expected, metrics = agent.update(batch), update(batch)
        torch.testing.assert_close(metrics, expected)
        assert not any(x.requires_grad for x in metrics.values())
    kinds = 2 if "td3" in variant else 1
    assert len(update.recordings) == kinds
    assert sum(update.warm.values()) == 3 * kinds
    assert_same_future(agent, twin)


@pytest.mark.parametrize("variant", ["smac", "td3", "sac with muon"])
def test_a_restored_run_records_again_and_continues_bit_for_bit(variant, tmp_path):
    """Saved and restored in the middle, by recorded updates and into an agent with recordings of its own."""
    agent, twin, other = (agent_of(variant) for _ in range(3))
    update, again = taped(twin), taped(other)
    for step in range(9):
        agent.update(batch_of(step))
        update(batch_of(step))
        again(batch_of(100 + step))
    path = write_tree(tmp_path / "state", state_of(twin))
    assert_same_tensors(dict(flat(state_of(twin))), dict(flat(state_of(agent))))
    restore(other, read_tree(path))
    assert not again.recordings
    for step in range(9, 18):
        agent.update(batch_of(step))
        again(batch_of(step))
    assert again.recordings
    for k in range(len(SEEDS)):
        assert_same_tensors(agent.tensors(k), other.tensors(k))


def flat(tree: object, name: str = "") -> list[tuple[str, Tensor]]:
    """Leaves of a tree by their paths, numbers as tensors."""
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in flat(value, f"{name}/{key}")]
    if isinstance(tree, (list, tuple)):
        return [leaf for i, value in enumerate(tree) for leaf in flat(value, f"{name}/{i}")]
    return [] if tree is None or isinstance(tree, str) else [(name, torch.as_tensor(tree))]


def test_another_shape_of_batch_is_recorded_by_itself():
    agent, twin = agent_of("sac"), agent_of("sac")
    update = taped(twin)
    for step in range(10):
        batch = batch_of(step).rows(slice(4 if step % 2 else None))
        agent.update(batch)
        update(batch)
    assert len(update.recordings) == 2
    assert_same_future(agent, twin, atol=0, rtol=0)


def test_metrics_are_not_overwritten_by_the_next_update():
    update = taped(agent_of("sac"))
    kept = [update(batch_of(step))["train/actor_loss"] for step in range(6)]
    assert len({float(x[0]) for x in kept}) == 6


@pytest.mark.parametrize(
    ("variant", "mode"),
    [
        *product(["sac", "cal_ql", "smac", "td3"], ["auto", "eager"]),
        pytest.param("smac", "compile", marks=pytest.mark.slow),
        pytest.param("td3", "compile", marks=pytest.mark.slow),
    ],
)
def test_fast_updates_on_the_cpu_are_the_agents_updates(variant, mode):
    agent, twin = agent_of(variant), agent_of(variant)
    update = fast_update(twin, mode)
    for step in range(8):
        torch.testing.assert_close(update(batch_of(step)), agent.update(batch_of(step)), atol=1e-5, rtol=1e-5)
    assert_same_future(agent, twin, atol=1e-5, rtol=1e-5)


def test_graphs_without_a_gpu_are_refused():
    with pytest.raises(UserError, match="needs a CUDA device, and this is cpu"):
        fast_update(agent_of("sac"), "graph")


# ---- compiling -----------------------------------------------------------------------------------------


TRACED = ["td3", "smac with muon"]  # the others take seconds each


def traced(program: Program) -> Callable[..., Tensor]:
    """The traced program itself, which is not compiled."""
    return program.graph


@pytest.mark.parametrize(
    "variant", [pytest.param(v, marks=() if v in TRACED else pytest.mark.slow) for v in VARIANTS]
)
def test_a_traced_update_is_the_agents_update(variant, tmp_path):
    """Losses, gradients, optimisers and targets; `other` takes over in the middle from a saved state."""
    agent, twin, other = (agent_of(variant) for _ in range(3))
    update = CompiledUpdate(twin, traced)
    for step in range(4):
        torch.testing.assert_close(update(batch_of(step)), agent.update(batch_of(step)), atol=1e-5, rtol=1e-5)
    restore(other, read_tree(write_tree(tmp_path / "state", state_of(twin))))
    again = CompiledUpdate(other, traced)
    for step in range(4, 8):
        agent.update(batch_of(step))
        update(batch_of(step))
        again(batch_of(step))
    for k in range(len(SEEDS)):
        torch.testing.assert_close(twin.tensors(k), other.tensors(k), atol=0, rtol=0)
    assert_same_future(agent, twin, atol=1e-5, rtol=1e-5)


def test_a_compiled_update_is_kept_on_disk(monkeypatch, tmp_path):
    """One program per kind of update, under a name that the traced code, the sizes and torch decide."""
    monkeypatch.setenv("SMAC_CACHE", str(tmp_path))
    agents = [agent_of("bc"), agent_of("bc"), agent_of("bc by least squares")]
    names = []
    for agent in agents:
        update = CompiledUpdate(agent, lambda program: names.append(digest(program)) or program.graph)
        update(batch_of(0))
    assert names[0] == names[1] != names[2]
    assert cache_folder() == tmp_path


def test_an_optimiser_that_cannot_be_compiled_is_refused_at_once():
    agent = agent_of("bc")
    agent.actor_optimiser = torch.optim.SGD(agent.actor.parameters(), lr=0.1)
    with pytest.raises(UserError, match="knows Adam without weight decay and Muon, not SGD"):
        CompiledUpdate(agent)


def test_adams_step_on_tensors_is_torchs():
    torch.manual_seed(0)
    p, q = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    theirs = torch.optim.Adam([p], lr=0.1)
    state = {"step": torch.zeros(()), "exp_avg": torch.zeros(2, 3), "exp_avg_sq": torch.zeros(2, 3)}
    for _ in range(5):
        p.grad = torch.randn(2, 3)
        with torch.no_grad():
            adam_step(q, p.grad, state, theirs.param_groups[0], 0.1)
        theirs.step()
    torch.testing.assert_close(p, q)
    torch.testing.assert_close(state["exp_avg_sq"], theirs.state[p]["exp_avg_sq"])


@pytest.mark.parametrize(
    "backend",
    [
        "eager",
        pytest.param("inductor", marks=pytest.mark.slow),
    ],  # traced only, or compiled by the C++ compiler
)
def test_the_score_matching_loss_compiles_as_one_graph(backend):
    """The trap: with `autograd.grad(create_graph=True)` in place of `func.grad` it does not."""
    name, options = "smac", {"match_at": "data"}
    kind = AGENTS[name]
    agent = kind(kind.Config(**SMALL | SMALLER[name] | options), OBS, ACT, SEEDS)
    weights = [p for module in agent.critic_modules() for p in module.parameters()]
    compiled = torch.compile(agent.matching_loss, fullgraph=True, backend=backend)
    results = []
    for function in (compiled, agent.matching_loss):
        loss, _ = function(batch_of(0))
        gradient = torch.autograd.grad(loss.sum(), weights, allow_unused=True, materialize_grads=True)
        results.append((loss.detach(), *gradient))
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)


# ---- on a GPU ------------------------------------------------------------------------------------------


class DrawnOnTheCpu(Streams):
    """The CPU's random numbers on another device, whose own generators draw others."""

    def __init__(self, seeds: Sequence[int], purpose: str, device: str) -> None:
        super().__init__(seeds, purpose)
        self.target = device

    def normal(self, *shape: int) -> Tensor:
        return super().normal(*shape).to(self.target)

    def uniform(self, *shape: int) -> Tensor:
        return super().uniform(*shape).to(self.target)


def losses_and_gradients(variant: str, device: str) -> tuple[Metrics, dict[str, Tensor]]:
    """Of one update, on the CPU."""
    agent = agent_of(variant, device)
    agent.updates = agent.config.policy_delay - 1 if "td3" in variant else 0  # so that the actor is due
    agent.noise = DrawnOnTheCpu(SEEDS, "agent/noise", device)
    metrics = agent.update(batch_of(0, device))
    gradients = {name: p.grad.cpu() for p, name in agent.parameter_names().items() if p.grad is not None}
    return {name: x.cpu() for name, x in metrics.items()}, gradients


@gpu
@variants
def test_losses_and_gradients_on_cpu_and_gpu_agree(variant):
    for on_cpu, on_gpu in zip(*(losses_and_gradients(variant, d) for d in ("cpu", "cuda")), strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, atol=1e-4, rtol=1e-4)


@gpu
@variants
def test_graphed_updates_are_the_eager_updates(variant):
    agent, twin = agent_of(variant, "cuda"), agent_of(variant, "cuda")
    update = fast_update(twin, "graph")
    for step in range(16):
        batch = batch_of(step, "cuda")
        torch.testing.assert_close(update(batch), agent.update(batch), atol=1e-5, rtol=1e-5)
    assert isinstance(update, GraphedUpdate)
    assert update.recordings
    assert_same_future(agent, twin, atol=1e-5, rtol=1e-5)


@gpu
def test_a_run_on_the_gpu_continues_from_its_saved_state(tmp_path):
    agent, twin = agent_of("iql with a decay", "cuda"), agent_of("iql with a decay", "cuda")
    updates = [fast_update(a, "graph") for a in (agent, twin)]
    for step in range(6):
        updates[0](batch_of(step, "cuda"))
    restore(twin, read_tree(write_tree(tmp_path / "state", state_of(agent))))
    for step in range(6, 14):
        for update in updates:
            update(batch_of(step, "cuda"))
    assert_same_future(agent, twin, atol=1e-5, rtol=1e-5)


@gpu
@pytest.mark.parametrize("mode", ["eager", "graph"])
@variants
def test_the_loop_never_waits_for_the_gpu(variant, mode):
    """Sampling, updating and adding up metrics, offline and, for agents that can, online."""
    agent = agent_of(variant, "cuda")
    data, buffer = dataset("cuda"), filled_buffer("cuda")
    update, means = fast_update(agent, mode), RunningMeans()
    needs_data = "bc" in variant or "cal_ql" in variant or "smac" in variant

    def loop(times: int) -> None:
        for _ in range(times):
            means.add(update(data.sample(8) if needs_data else buffer.sample(8)))

    loop(16)  # records on the way
    torch.cuda.set_sync_debug_mode("error")
    try:
        loop(16)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(x.shape == (len(SEEDS),) for x in means.take().values())


def dataset(device: str) -> OfflineData:
    data, draws = OfflineData(toy_transitions(100, OBS, ACT), SEEDS, device), Streams(SEEDS, "data", device)
    data.outcomes, data.scores = draws.normal(100)[0], draws.normal(100, ACT)
    return data


def filled_buffer(device: str) -> ReplayBuffer:
    buffer, batch = ReplayBuffer(SEEDS, 8, OBS, ACT, device), batch_of(0, device)
    for i in range(8):
        rows = (batch.observations, batch.actions, batch.next_observations, batch.rewards, batch.masks < 1)
        buffer.add(*(x[:, i] for x in rows))
    return buffer


# ---- memory --------------------------------------------------------------------------------------------


FAULTS = """
import resource, torch
from smac.training.fast import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

freed, kept = faults(), None
if keep_freed_memory():
    faults()  # the first time fills what is kept
    kept = faults()
print(freed, kept)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of the C library on Linux")
def test_freed_memory_is_kept():
    """Without it 64 MiB are 16,384 pages (or 32 huge ones) to fault in for every tensor.

    In a process of its own: memory that other tests have left behind would be used again without faults.
    """
    freed, kept = subprocess.run(
        [sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True
    ).stdout.split()
    assert int(freed) >= 10 * 32
    assert kept == "None" or int(kept) < 10
