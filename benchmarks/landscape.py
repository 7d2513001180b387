"""What playing a landscape costs beside the environment itself, and beside Stable-Baselines3.

    python -m benchmarks.landscape

Every contestant plays the same policies on the same episodes (`POINTS` random networks, `EPISODES` episodes
each); figures are ratios of processor time per environment step within a turn, medians over the turns.

ours                what `landscape` plays with one worker: `landscape.evaluate`
wrapped             the environment with the task's wrappers alone, fed the recorded actions of some episodes
raw                 the environment as gymnasium makes it, fed the same
stable-baselines3   its evaluate_policy, one environment, SAC's network of the same widths

`two workers` is of wall time: how many times faster two processes are than one.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro
from gymnasium.wrappers import RescaleAction
from stable_baselines3 import SAC
from stable_baselines3.common.evaluation import evaluate_policy

from benchmarks.timing import Contestant, circumstances, cores, medians, turns
from landscape.evaluate import Evaluation, evaluate
from landscape.jobs import environments
from smac.agents import AGENTS
from smac.envs import ScaledAction, env_spec, make_env
from smac.files import write_json, write_text
from smac.policies import ActorSpec, stack_actor
from smac.rollout import episode_seeds
from smac.tasks import Task, get_task

TASKS = (
    "Pendulum-v1",
    "pointmaze-umaze@horizon=100",
    "hopper@env.terminate_when_unhealthy=false,horizon=100",
    "pen-binary@horizon=40",
    "antmaze-umaze@horizon=60",
    "kitchen-complete@horizon=20",
)
POINTS, EPISODES = 8, 4
REPLAYED = 4  # episodes that the environment alone plays in a turn


@dataclass(frozen=True)
class Recorded:
    """The actions of an episode, as the task takes them and as the environment does."""

    seed: int
    actions: np.ndarray  # float32 [steps, action], in [-1, 1]
    raw: np.ndarray


def policies(task: Task, width: int) -> tuple[ActorSpec, list[dict[str, np.ndarray]]]:
    """Random actors as points."""
    dims, kind = env_spec(task), AGENTS["sac"]
    agent = kind(kind.Config(hidden=(width, width)), dims.observation_dim, dims.action_dim, range(POINTS))
    points = [
        {n.removeprefix("actor."): t.numpy() for n, t in agent.tensors(k).items() if n.startswith("actor.")}
        for k in range(POINTS)
    ]
    spec = ActorSpec(
        dims.observation_dim, dims.action_dim, (width, width), agent.config.activation,
        agent.config.actor_layer_norm,
    )  # fmt: skip
    return spec, points


def raw_environment(task: Task) -> gymnasium.Env:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is out of date")
        return gymnasium.make(
            task.env_id, max_episode_steps=task.horizon, disable_env_checker=True, **task.env_kwargs
        )


def record(task: Task, spec: ActorSpec, points: Sequence[dict[str, np.ndarray]]) -> list[Recorded]:
    """Some of the episodes that all contestants play."""
    env: Any = make_env(task)
    found = []
    for number, seed in enumerate(episode_seeds(0, REPLAYED)):
        actor, ended = stack_actor(spec, [points[number % POINTS]]), False
        observation, _ = env.reset(seed=seed)
        actions: list[np.ndarray] = []
        while not ended:
            with torch.no_grad():
                action = actor.act(torch.from_numpy(observation)[None, None])[0, 0].numpy().copy()
            observation, _, terminated, truncated, _ = env.step(action)
            actions.append(action)
            ended = terminated or truncated
        found.append(Recorded(seed, np.stack(actions), np.stack([in_environment(env, a) for a in actions])))
    env.close()
    return found


def in_environment(env: Any, action: np.ndarray) -> np.ndarray:
    """What the innermost environment gets."""
    while hasattr(env, "env"):
        if isinstance(env, (RescaleAction, ScaledAction)):
            action = env.action(action)
        env = env.env
    return action


def replay(env: gymnasium.Env, episodes: Sequence[tuple[int, np.ndarray]]) -> None:
    for seed, actions in episodes:
        env.reset(seed=seed)
        step = env.step
        for action in actions:
            step(action)


def measure(name: str, width: int, repeats: int, seconds: float) -> dict[str, Any]:
    task = get_task(name)
    spec, points = policies(task, width)
    recorded = record(task, spec, points)
    wrapped, raw, peer = make_env(task), raw_environment(task), make_env(task)
    model = SAC("MlpPolicy", peer, buffer_size=1, policy_kwargs={"net_arch": [width, width]}, device="cpu")
    environments(task).build(POINTS * EPISODES)  # which are there for all contestants
    played = evaluate(spec, task, points, POINTS, Evaluation(episodes=EPISODES))
    steps = {
        "ours": int(played.lengths.sum()),
        "wrapped": sum(len(episode.actions) for episode in recorded),
        "raw": sum(len(episode.actions) for episode in recorded),
    }
    lengths = evaluate_policy(model, peer, n_eval_episodes=REPLAYED, return_episode_rewards=True, warn=False)[
        1
    ]
    steps["stable-baselines3"] = sum(lengths)  # its networks are others, and so are their episodes
    found = {
        "ours": Contestant(
            lambda: evaluate(spec, task, points, POINTS, Evaluation(episodes=EPISODES)),
        ),
        "wrapped": Contestant(lambda: replay(wrapped, [(e.seed, e.actions) for e in recorded])),
        "raw": Contestant(lambda: replay(raw, [(e.seed, e.raw) for e in recorded])),
        "stable-baselines3": Contestant(
            lambda: evaluate_policy(model, peer, n_eval_episodes=REPLAYED, warn=False)
        ),
    }
    values = [
        {who: taken / steps[who] for who, taken in turn.items()}
        for turn in turns(found, repeats, time.process_time, seconds)
    ]
    for env in (wrapped, raw, peer):
        env.close()
    return {
        "task": name,
        "width": width,
        "microseconds_per_step": {who: 1e6 * t for who, t in medians(values).items()},
        "speed_of_ours": {who: ratio_of(values, who) for who in values[0] if who != "ours"},
    }


def ratio_of(values: Sequence[dict[str, float]], who: str) -> dict[str, Any]:
    """Time of another over that of ours, turn by turn."""
    found = sorted(turn[who] / turn["ours"] for turn in values)
    return {"median": float(np.median(found)), "range": [float(found[0]), float(found[-1])]}


def two_workers(name: str, width: int) -> float:
    """Wall time of one process over that of two, which are already there."""
    task = get_task(name)
    spec, points = policies(task, width)
    many = [points[i % POINTS] for i in range(8 * POINTS)]

    def wall(workers: int) -> float:
        began = time.perf_counter()
        evaluate(spec, task, many, len(many), Evaluation(episodes=EPISODES, workers=workers))
        return time.perf_counter() - began

    wall(2)  # starts them
    return wall(1) / wall(2)


COLUMNS = ("stable-baselines3", "wrapped", "raw")


def table(rows: Sequence[dict[str, Any]], about: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    yield "# Playing a landscape: processor time per environment step"
    yield ""
    yield (
        f"{POINTS} policies of width {rows[0]['width']}, {EPISODES} episodes each, one process, one thread; "
        f"medians of {about['repeats']} turns (range). The first columns are times over ours in a turn: "
        "above 1 ours is faster. The environment alone is fed recorded actions: of it, ours can at best be 1."
    )
    yield ""
    yield (
        "| task | SB3 `evaluate_policy` / ours | with our wrappers / ours | raw / ours | ours, µs "
        "| two workers |"
    )
    yield "|---|---|---|---|---|---|"
    for row in rows:
        ratios = [row["speed_of_ours"][who] for who in COLUMNS]
        cells = ["{:.2f} ({:.2f} to {:.2f})".format(r["median"], *r["range"]) for r in ratios]
        both = f"{row['two_workers']:.2f}" if "two_workers" in row else "not measured"
        yield f"| {row['task']} | {' | '.join(cells)} | {row['microseconds_per_step']['ours']:.1f} | {both} |"
    yield ""
    yield f"`{about['command']}`, {about['cores']} cores, {about['machine']}; {versions}."


def main(
    tasks: tuple[str, ...] = TASKS,
    width: int = 64,
    repeats: int = 5,
    seconds: float = 1.0,
    workers: bool = True,
    out: Path = Path("results/benchmarks/landscape.json"),
) -> None:
    """Time playing and write the table, as JSON and as Markdown beside it.

    Args:
        tasks: what is played.
        width: of the two hidden layers of the actors.
        repeats: turns of every contestant.
        seconds: of a turn of every contestant.
        workers: also two processes against one.
        out: where the numbers go.
    """
    torch.set_num_threads(1)
    rows = []
    for name in tasks:
        row = measure(name, width, repeats, seconds)
        if workers:
            row["two_workers"] = two_workers(name, width)
        rows.append(row)
        shown = {who: round(ratio["median"], 2) for who, ratio in row["speed_of_ours"].items()}
        print(name, shown, round(row["microseconds_per_step"]["ours"], 1), row.get("two_workers"), flush=True)
    about = circumstances("stable-baselines3") | {
        "what": f"{POINTS} policies, {EPISODES} episodes each; processor time per step, over that of ours",
        "cores": cores(),
        "threads": 1,
        "repeats": repeats,
    }
    write_json(out, about | {"rows": rows})
    write_text(out.with_suffix(".md"), "\n".join(table(rows, about)) + "\n")


if __name__ == "__main__":
    tyro.cli(main)
