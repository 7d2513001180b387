"""Updates per second of the agents, and what the ways to run them faster gain.

    python benchmarks/updates.py
    python benchmarks/updates.py --compile --algorithms sac cal_ql smac --seeds 1 --out compiled.json

An update is what the training loops do: a batch from the data, `agent.update`, metrics added up. In every
turn each contestant runs once; ratios are speeds over `eager` in the same turn, so above 1 is faster.

eager           agent.update
graph           the same from a CUDA graph (smac.training.fast); with a CUDA device only
memory kept     eager, with `smac.training.fast.keep_freed_memory`; on the CPU only
compiled        memory kept and the whole update compiled; only with --compile and on the CPU. The first time
                it takes `compile_seconds`, which pay for themselves after `pays_after` updates (null: never);
                from the disk it takes `load_seconds`
plain           SAC without LayerNorm, for comparison with the next
stable-baselines3  its SAC.train(gradient_steps=1), networks and batches of the same size, once for each seed
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import torch._inductor.config
import tyro
from stable_baselines3 import SAC as TheirSAC
from stable_baselines3.common.logger import Logger
from timing import Contestant, Run, circumstances, clock, medians, ratios, turns
from torch import nn

from smac.agents import AGENTS
from smac.agents.base import Agent
from smac.data.replay import OfflineData
from smac.data.transitions import Episode, Transitions
from smac.files import write_json
from smac.streams import Streams
from smac.training.compiled import CACHE, CompiledUpdate
from smac.training.fast import Update, fast_update, keep_freed_memory
from smac.training.metrics import RunningMeans

OBSERVATION_DIM, ACTION_DIM, TRANSITIONS = 45, 24, 5_000  # AdroitHandPen's
BATCH = 256
SECONDS_PER_TURN = 0.2


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


def stable_baselines3(seeds: int, width: int, batch: int, device: str) -> Run:
    model = TheirSAC(
        "MlpPolicy", Spaces(), buffer_size=TRANSITIONS, batch_size=batch, device=device,
        policy_kwargs={"net_arch": [width, width], "activation_fn": nn.SiLU},
    )  # fmt: skip
    model.set_logger(Logger(None, []))
    rng = np.random.default_rng(0)
    for _ in range(TRANSITIONS):
        s, n = rng.normal(size=(2, 1, OBSERVATION_DIM))
        model.replay_buffer.add(s, n, rng.uniform(-1, 1, (1, ACTION_DIM)), -np.ones(1), np.zeros(1), [{}])

    def run() -> None:
        for _ in range(seeds):
            model.train(gradient_steps=1, batch_size=batch)

    return run


def contestants(algorithm: str, seeds: int, width: int, batch: int, device: str) -> dict[str, Contestant]:
    """All but the compiled one."""
    data = data_of(seeds, device)

    def looping(update: Update) -> Contestant:
        return Contestant(loop(update, data, batch))

    eager = agent_of(algorithm, seeds, width, batch, device).update
    found = {"eager": looping(eager)}
    if device == "cuda":
        found["graph"] = looping(fast_update(agent_of(algorithm, seeds, width, batch, device), "graph"))
        for _ in range(10):
            found["graph"].run()  # records
    else:
        found["memory kept"] = with_memory_kept(loop(eager, data, batch))
    if algorithm == "sac":
        plain = agent_of(algorithm, seeds, width, batch, device, layer_norm=False, backup_entropy=True)
        found["plain"] = looping(plain.update)
        found["stable-baselines3"] = Contestant(stable_baselines3(seeds, width, batch, device))
    return found


def compile_in_time(algorithm: str, seeds: int, width: int, batch: int) -> tuple[Contestant, float, float]:
    """The compiled contestant on the CPU, and what compiling and loading took: CPU time, compiler's too."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE] = folder
        seconds = []
        for _ in range(2):
            run = loop(
                CompiledUpdate(agent_of(algorithm, seeds, width, batch, "cpu")), data_of(seeds, "cpu"), batch
            )
            start = sum(os.times()[:4])
            run()
            seconds.append(sum(os.times()[:4]) - start)
    return with_memory_kept(run), seconds[0], seconds[1]


def measure(
    algorithm: str,
    seeds: int,
    width: int,
    batch: int,
    device: str,
    *,
    threads: int,
    repeats: int,
    compiles: bool,
) -> dict[str, Any]:
    found, compile_seconds, load_seconds = contestants(algorithm, seeds, width, batch, device), None, None
    if compiles and device == "cpu":
        torch.compiler.reset()
        found["compiled"], compile_seconds, load_seconds = compile_in_time(algorithm, seeds, width, batch)
    values = turns(found, repeats, clock(device, threads), SECONDS_PER_TURN)
    middle = medians(values)
    row = {
        "device": device,
        "algorithm": algorithm,
        "seeds": seeds,
        "width": width,
        "batch": batch,
        "updates_per_second": {name: 1.0 / t for name, t in middle.items()},
        "speed_over_eager": ratios(values, "eager"),
    }
    if "stable-baselines3" in found:
        row["speed_over_stable_baselines3"] = ratios(values, "stable-baselines3")
    if compile_seconds is not None:
        gained = middle["memory kept"] - middle["compiled"]
        pays_after = round(compile_seconds / gained) if gained > 0 else None
        row |= {"compile_seconds": compile_seconds, "load_seconds": load_seconds, "pays_after": pays_after}
    return row


def line(row: dict[str, Any]) -> str:
    speeds = row["speed_over_eager"]["median"]
    cells = [f"{name} {row['updates_per_second'][name]:.1f}/s ({speeds[name]:.2f}x)" for name in speeds]
    note = f"; compiled in {row['compile_seconds']:.0f} s" if "compile_seconds" in row else ""
    head = f"{row['device']} {row['algorithm']:7} {row['seeds']} seeds, width {row['width']}: "
    return head + ", ".join(cells) + note


def main(
    algorithms: tuple[str, ...] = ("sac", "cal_ql", "smac", "td3", "iql"),
    widths: tuple[int, ...] = (256,),
    seeds: tuple[int, ...] = (1, 5),
    batch: int = BATCH,
    compile: bool = False,
    repeats: int = 5,
    threads: int = 1,
    out: Path = Path("results/benchmarks/updates.json"),
) -> None:
    """Time updates and write the table.

    Args:
        algorithms: the agents to time.
        widths: of the two hidden layers of actor and critics.
        seeds: sizes of the stack.
        batch: transitions in a batch, per seed.
        compile: also compiled updates on the CPU; each takes minutes to compile.
        repeats: turns of every contestant.
        threads: threads of torch on the CPU.
        out: where the numbers go.
    """
    torch.set_num_threads(threads)
    torch._inductor.config.compile_threads = 1  # in this process, whose time is measured
    rows = []
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        for case in product(algorithms, seeds, widths):
            rows.append(measure(*case, batch, device, threads=threads, repeats=repeats, compiles=compile))
            print(line(rows[-1]), flush=True)
    write_json(
        out,
        circumstances("stable-baselines3")
        | {
            "what": f"passes of the training loop, batch {batch} per seed; one updates all stacked seeds",
            "clock": "wall" if threads > 1 else "CPU time of the process on the CPU, wall on CUDA",
            "threads": threads,
            "repeats": repeats,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    tyro.cli(main)
