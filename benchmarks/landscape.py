"""What playing a landscape costs beside the environment itself, and beside Stable-Baselines3.

Every contestant plays the same policies on the same episodes (`POINTS` random networks, `EPISODES` episodes
each); figures are ratios of processor time per environment step within a turn, medians over the turns.

ours                what `landscape` plays with one worker: `landscape.evaluate`
wrapped             the environment with the task's wrappers alone, fed the recorded actions of some episodes
raw                 the environment as gymnasium makes it, fed the same
forward             the stack's forward pass alone, as often as ours takes it
stable-baselines3   its evaluate_policy, one environment, SAC's network of the same widths

Of the time of ours, the environment is `raw`, wrappers what `wrapped` takes beyond, the loop what is left.
Where ours takes direct steps (`smac.envs.direct`) the environment is these, fed the same, and there are no
wrappers.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.wrappers import RescaleAction
from stable_baselines3 import SAC
from stable_baselines3.common.evaluation import evaluate_policy

from benchmarks.tables import Options, Table, times
from benchmarks.timing import Contestant, medians, turns
from landscape.evaluate import Evaluation, evaluate
from landscape.jobs import environments
from smac.agents import AGENTS
from smac.envs import ScaledAction, env_spec, make_env
from smac.envs.direct import direct
from smac.policies import ActorSpec, flat, stack_actor
from smac.rollout import Policy, episode_seeds
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
WIDTH = 64
PARTS = ("environment", "wrappers", "forward pass", "loop")


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


def measure(name: str, repeats: int, seconds: float) -> dict[str, Any]:
    task = get_task(name)
    spec, points = policies(task, WIDTH)
    recorded = record(task, spec, points)
    wrapped, raw, peer = make_env(task), raw_environment(task), make_env(task)
    model = SAC("MlpPolicy", peer, buffer_size=1, policy_kwargs={"net_arch": [WIDTH, WIDTH]}, device="cpu")
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
    steps["forward"], steps["direct"] = POINTS * EPISODES, steps["raw"]
    stack = flat(stack_actor(spec, points), spec)
    seen = torch.zeros(POINTS, EPISODES, spec.observation_dim)
    found = {
        "ours": Contestant(
            lambda: evaluate(spec, task, points, POINTS, Evaluation(episodes=EPISODES)),
        ),
        "wrapped": Contestant(lambda: replay(wrapped, [(e.seed, e.actions) for e in recorded])),
        "raw": Contestant(lambda: replay(raw, [(e.seed, e.raw) for e in recorded])),
        "forward": Contestant(lambda: act(stack, seen)),
        **directly(make_env(task), [(e.seed, e.actions) for e in recorded]),
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
        "microseconds_per_step": {who: 1e6 * t for who, t in medians(values).items()},
        "speed_of_ours": {who: ratio_of(values, who) for who in values[0] if who != "ours"},
        "shares": shares(medians(values)),
    }


def directly(env: gymnasium.Env, episodes: Sequence[tuple[int, np.ndarray]]) -> dict[str, Contestant]:
    """Direct steps, of an environment that has them."""
    stepper = direct(env)
    if stepper is None:
        return {}

    def run() -> None:
        for seed, actions in episodes:
            env.reset(seed=seed)
            stepper.begin()
            for action in actions:
                stepper.step(action)

    return {"direct": Contestant(run)}


@torch.no_grad()
def act(policy: Policy, observations: torch.Tensor) -> np.ndarray:
    return policy.act(observations).numpy()


def shares(taken: dict[str, float]) -> dict[str, float]:
    """Of the time of ours, by what it goes into."""
    step, wrapped = (taken["direct"],) * 2 if "direct" in taken else (taken["raw"], taken["wrapped"])
    parts = {
        "environment": step,
        "wrappers": wrapped - step,
        "forward pass": taken["forward"],
        "loop": taken["ours"] - wrapped - taken["forward"],
    }
    return {name: parts[name] / taken["ours"] for name in PARTS}


def ratio_of(values: Sequence[dict[str, float]], who: str) -> dict[str, Any]:
    """Time of another over that of ours, turn by turn."""
    found = sorted(turn[who] / turn["ours"] for turn in values)
    return {"median": float(np.median(found)), "range": [float(found[0]), float(found[-1])]}


COLUMNS = ("stable-baselines3", "wrapped", "raw")


def run(options: Options) -> Table:
    rows = []
    for name in TASKS:
        rows.append(measure(name, options.repeats, options.seconds))
        shown = {who: round(ratio["median"], 2) for who, ratio in rows[-1]["speed_of_ours"].items()}
        print(name, shown, flush=True)
    peers = [row["speed_of_ours"]["stable-baselines3"]["median"] for row in rows]
    return Table(
        "Playing a landscape: processor time per environment step",
        f"{POINTS} policies of width {WIDTH}, {EPISODES} episodes each, one process, one thread; medians of "
        f"{options.repeats} turns (range). The first columns are times over ours in a turn: above 1 ours is "
        "faster. The environment alone is fed recorded actions. The last "
        "columns say what ours goes into, in per cent.",
        (
            "task",
            "SB3 `evaluate_policy` / ours",
            "with our wrappers / ours",
            "raw / ours",
            "ours, µs",
            *PARTS,
        ),
        [
            (
                row["task"],
                *(times(row["speed_of_ours"][who]) for who in COLUMNS),
                f"{row['microseconds_per_step']['ours']:.1f}",
                *(f"{100 * share:.0f}" for share in row["shares"].values()),
            )
            for row in rows
        ],
        f"Ours takes {1 / max(peers):.2f} to {1 / min(peers):.2f} of the time of SB3's `evaluate_policy`.",
        details={"rows": rows},
    )
