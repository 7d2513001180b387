"""Updates of the agents: ways to run them faster, and one update of SAC beside other libraries'.

An update is what the training loops do: a batch from the data, `agent.update`, metrics added up. In every
turn each contestant runs once; ratios are of times within the same turn.

eager               agent.update
memory kept         the same with `smac.training.fast.keep_freed_memory`: `--updates auto` on the CPU
graph               the same from a CUDA graph (smac.training.fast); with a CUDA device only
compiled            memory kept and the whole update compiled: `--updates compile`; on the CPU only, beside
                    other libraries (of every algorithm, and of stacks: `benchmarks.compiled`)
stable-baselines3   its SAC.train(gradient_steps=1)
CleanRL             the update of its sac_continuous_action.py, the actor's at every step
CORL                the update of its sac_n.py, with two critics of two hidden layers

Beside the others SAC has networks like theirs: two hidden layers, ReLU, no LayerNorm, two critics.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import torch
import torch._inductor.config
from stable_baselines3 import SAC as TheirSAC
from stable_baselines3.common.logger import Logger
from torch import nn

from benchmarks import peers
from benchmarks.tables import Options, Table, times
from benchmarks.timing import Contestant, Run, clock, medians, spread, turns
from smac.agents import AGENTS
from smac.agents.base import Agent
from smac.data.replay import OfflineData
from smac.data.transitions import Episode, Transitions
from smac.streams import Streams
from smac.training.compiled import CompiledUpdate
from smac.training.fast import Update, fast_update, keep_freed_memory
from smac.training.metrics import RunningMeans

OBSERVATION_DIM, ACTION_DIM, TRANSITIONS = 45, 24, 5_000  # AdroitHandPen's
BATCH, WIDTH = 256, 256
SIZES = ((64, 64), (128, 256), (256, 256))  # width and batch of the comparison with other libraries
PLAIN = {"layer_norm": False, "backup_entropy": True, "activation": "relu"}
ALGORITHMS = ("sac", "cal_ql", "smac", "td3", "iql")


def agent_of(algorithm: str, seeds: int, width: int, batch: int, device: str, **options: Any) -> Agent:
    kind = AGENTS[algorithm]
    config = kind.Config(hidden=(width, width), batch_size=batch, **options)
    return kind(config, OBSERVATION_DIM, ACTION_DIM, range(seeds), device)


def data_of(seeds: int, device: str) -> OfflineData:
    rng = np.random.default_rng(0)
    episode = Episode(
        observations=rng.normal(size=(TRANSITIONS + 1, OBSERVATION_DIM)).astype(np.float32),
        actions=rng.uniform(-1, 1, size=(TRANSITIONS, ACTION_DIM)).astype(np.float32),
        rewards=np.full(TRANSITIONS, -1, np.float32),
        success=np.zeros(TRANSITIONS, bool),
        terminated=False,
        truncated=True,
    )
    transitions = Transitions.from_episodes([episode], discount=0.99, failure_reward=-1.0)
    data, draws = OfflineData(transitions, range(seeds), device), Streams(range(seeds), "data", device)
    data.outcomes, data.scores = draws.normal(TRANSITIONS)[0], draws.normal(TRANSITIONS, ACTION_DIM)
    return data


def loop(update: Update, data: OfflineData, batch: int) -> Run:
    """One pass of a training loop."""
    means = RunningMeans()
    return lambda: means.add(update(data.sample(batch)))


# ---- contestants -----------------------------------------------------------------------------------------


def with_memory_kept(run: Run) -> Contestant:
    @contextmanager
    def setting() -> Iterator[None]:
        keep_freed_memory()
        run()
        yield
        keep_freed_memory(False)

    return Contestant(run, setting)


class Spaces(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBSERVATION_DIM,))
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION_DIM,))


def stable_baselines3(width: int, batch: int, device: str) -> Run:
    model = TheirSAC(
        "MlpPolicy", Spaces(), buffer_size=TRANSITIONS, batch_size=batch, device=device,
        policy_kwargs={"net_arch": [width, width], "activation_fn": nn.ReLU},
    )  # fmt: skip
    model.set_logger(Logger(None, []))
    rng = np.random.default_rng(0)
    for _ in range(TRANSITIONS):
        s, n = rng.normal(size=(2, 1, OBSERVATION_DIM))
        model.replay_buffer.add(s, n, rng.uniform(-1, 1, (1, ACTION_DIM)), -np.ones(1), np.zeros(1), [{}])

    return lambda: model.train(gradient_steps=1, batch_size=batch)


def contestants(
    algorithm: str, seeds: int, width: int, batch: int, device: str, **options: Any
) -> dict[str, Contestant]:
    """Ours, but the compiled one."""
    data = data_of(seeds, device)

    def looping(update: Update) -> Contestant:
        return Contestant(loop(update, data, batch))

    eager = agent_of(algorithm, seeds, width, batch, device, **options).update
    found = {"eager": looping(eager)}
    if device == "cuda":
        agent = agent_of(algorithm, seeds, width, batch, device, **options)
        found["graph"] = looping(fast_update(agent, "graph"))
        for _ in range(10):
            found["graph"].run()  # records
    else:
        found["memory kept"] = with_memory_kept(loop(eager, data, batch))
    return found


def compiled(algorithm: str, seeds: int, width: int, batch: int, **options: Any) -> tuple[Contestant, float]:
    """The compiled contestant, and the seconds to its first update: to load it, or to compile it."""
    torch.compiler.reset()
    torch._inductor.config.compile_threads = 1  # in this process, whose time is measured
    agent = agent_of(algorithm, seeds, width, batch, "cpu", **options)
    run = loop(CompiledUpdate(agent), data_of(seeds, "cpu"), batch)
    began = time.process_time()
    run()
    return with_memory_kept(run), time.process_time() - began


def measured(found: dict[str, Contestant], device: str, options: Options) -> dict[str, Any]:
    """Milliseconds of every contestant, and its time over that of `eager`."""
    values = turns(found, options.repeats, clock(device, 1), options.seconds)
    return {
        "device": device,
        "milliseconds": {name: 1e3 * t for name, t in medians(values).items()},
        "over_eager": {name: spread([turn[name] / turn["eager"] for turn in values]) for name in found},
    }


def beside_others(width: int, batch: int, device: str, options: Options) -> dict[str, Any]:
    """One update of SAC of one seed, with networks like theirs."""
    found, began = contestants("sac", 1, width, batch, device, **PLAIN), None
    if "sac" in options.compiled and device == "cpu":
        found["compiled"], began = compiled("sac", 1, width, batch, **PLAIN)
    found["stable-baselines3"] = Contestant(stable_baselines3(width, batch, device))
    for name, folder, theirs in (
        ("CleanRL", options.cleanrl, peers.cleanrl),
        ("CORL", options.corl, peers.corl),
    ):
        if folder is not None and device == "cpu":
            found[name] = Contestant(theirs(folder, Spaces(), width, batch, TRANSITIONS))
    return {"width": width, "batch": batch, "seconds_to_first_compiled": began} | measured(
        found, device, options
    )


def of_agent(algorithm: str, seeds: int, device: str, options: Options) -> dict[str, Any]:
    """An agent with its own networks."""
    found = contestants(algorithm, seeds, WIDTH, BATCH, device)
    return {"algorithm": algorithm, "seeds": seeds} | measured(found, device, options)


def run(options: Options) -> Table:
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows, beside, agents = [], [], []
    for device, (width, batch) in product(devices, SIZES):
        beside.append(one := beside_others(width, batch, device, options))
        rows += cells(f"SAC as others have it, width {width}, batch {batch}, {device}", one)
        print(rows[-len(one["milliseconds"]) :], flush=True)
    for device, algorithm, seeds in product(devices, ALGORITHMS, (1, 5)):
        agents.append(one := of_agent(algorithm, seeds, device, options))
        rows += cells(
            f"{algorithm}, width {WIDTH}, batch {BATCH}, {seeds} seed{'s' * (seeds > 1)}, {device}", one
        )
    skipped = [name for name in ("CleanRL", "CORL") if getattr(options, name.lower()) is None]
    return Table(
        "One update of an agent, beside other libraries",
        f"Time of an update over that of ours, eager, in the same turn; medians of {options.repeats} turns "
        "(range). Below 1 it is faster than ours. Processor time of the process, one thread; on CUDA wall "
        "time. All stacked seeds have their update within one. Observations have 45 numbers and actions "
        "24, as Adroit's pen.",
        ("update", "how", "time over ours, eager", "milliseconds"),
        rows,
        finding(beside),
        tuple(f"{name} was not timed: its source is named by --{name.lower()} FOLDER." for name in skipped),
        {"beside_others": beside, "agents": agents},
    )


def cells(what: str, found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (what, name, times(found["over_eager"][name]), f"{ms:.2f}")
        for name, ms in found["milliseconds"].items()
    ]


def finding(beside: list[dict[str, Any]]) -> str:
    """The fastest of ours against every other library, over the sizes."""
    told = []
    for name in [
        name for name in beside[0]["over_eager"] if name in ("stable-baselines3", "CleanRL", "CORL")
    ]:
        ratios = []
        for one in beside:
            middle = {who: ratio["median"] for who, ratio in one["over_eager"].items()}
            ours = min(x for who, x in middle.items() if who in ("eager", "memory kept", "compiled", "graph"))
            ratios.append(middle[name] / ours)
        told.append(f"{name}'s takes {min(ratios):.2f} to {max(ratios):.2f} times")
    return f"{', '.join(told)} as long as the fastest of ours."
