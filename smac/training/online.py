"""The switch and the online phase: an online agent from any of our checkpoints, with an empty buffer."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from smac.agents.base import Agent
from smac.agents.convert import convert
from smac.checkpoint import Checkpoint
from smac.data.replay import ReplayBuffer
from smac.envs import make_env
from smac.errors import UserError
from smac.files import write_atomically, write_json
from smac.streams import derive_seed
from smac.tasks import Task
from smac.training.recorder import Recorder, Schedule
from smac.training.run import Run
from smac.training.summary import summarise


@dataclass(frozen=True)
class OnlineOptions(Schedule):
    """The online phase; steps are environment steps, per seed."""

    steps: int = 10_000
    """Environment steps, per seed."""
    updates_per_step: int = 1
    """Gradient steps per environment step."""
    warmup_steps: int = 0
    """Environment steps with the checkpoint's policy before the first update (WSRL)."""
    dip_within: int = 10_000
    """Environment steps after the switch within which its dip is measured."""
    initialise_critic: bool = False
    """Begin with new critics if the checkpoint has none, as after behaviour cloning."""
    buffer_size: int = 1_000_000
    """Transitions the replay buffer holds, per seed; the oldest go first."""
    eval_every: int = 500
    """Steps between two evaluations."""
    trajectory_every: int = 1_000
    """Steps between two checkpoints in trajectory/; 0 for none."""


def switch(agent: Agent, checkpoints: Sequence[Checkpoint], *, initialise_critic: bool = False) -> None:
    """Carry actor, critics, targets and temperature over, converted if need be; optimisers start afresh."""
    agent.load_tensors(
        [
            convert(checkpoint.tensors, agent.tensors(k), initialise_critic=initialise_critic)
            for k, checkpoint in enumerate(checkpoints)
        ]
    )


class OnlineEnvs:
    """One training environment per seed, stepped in lock-step, each with its own random stream."""

    def __init__(self, task: Task, seeds: Sequence[int]) -> None:
        self.envs, self.seeds = [make_env(task) for _ in seeds], tuple(seeds)
        self.episodes = [-1] * len(seeds)
        self.actions: list[list[np.ndarray]] = [[] for _ in seeds]  # of the episode under way
        self.observations = np.stack([self._reset(k) for k in range(len(seeds))])
        self.returns = np.zeros(len(seeds))
        self.finished: list[list[tuple[float, bool]]] = [[] for _ in seeds]

    def _reset(self, k: int) -> np.ndarray:
        """Begin the next episode of seed k, from a seed of its own: that and its actions are its state."""
        self.episodes[k] += 1
        self.actions[k] = []
        seed = derive_seed(self.seeds[k], "online/env", self.episodes[k]) % 2**31
        return np.asarray(self.envs[k].reset(seed=seed)[0], np.float32)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Next observations, rewards and terminations, [seeds, ...]; an ended episode then starts again.

        The next observation of an episode's last step is its own, not the first of the episode that follows.
        """
        nexts = np.empty_like(self.observations)
        rewards, terminations = np.zeros(len(self.envs), np.float32), np.zeros(len(self.envs), bool)
        for k, env in enumerate(self.envs):
            nexts[k], rewards[k], terminations[k], truncated, info = env.step(actions[k])
            self.observations[k] = nexts[k]
            self.actions[k].append(actions[k].copy())
            self.returns[k] += rewards[k]
            if terminations[k] or truncated:
                self.finished[k].append((self.returns[k], bool(info.get("success", False))))
                self.returns[k] = 0.0
                self.observations[k] = self._reset(k)
        return nexts, rewards, terminations

    def take_finished(self) -> dict[str, np.ndarray]:
        """Means over the episodes that ended since the last call, [seeds]; NaN for none."""
        pairs = [np.array(f, dtype=float).reshape(-1, 2) for f in self.finished]
        self.finished = [[] for _ in self.envs]
        means = np.array([p.mean(0) if len(p) else (np.nan, np.nan) for p in pairs])
        return {"train/episode_return": means[:, 0], "train/episode_success": means[:, 1]}

    def state(self) -> dict[str, Any]:
        """Per seed: the number of the episode under way, its actions so far, and the ones that ended."""
        return {
            "episodes": self.episodes,
            "actions": [torch.from_numpy(np.array(a, np.float32)) for a in self.actions],
            "returns": self.returns.tolist(),
            "finished": self.finished,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Play the unfinished episodes again, action by action: simulators repeat themselves from a seed."""
        for k, actions in enumerate(state["actions"]):
            self.episodes[k] = state["episodes"][k] - 1
            self.observations[k] = self._reset(k)
            for action in actions.numpy():
                self.observations[k] = self.envs[k].step(action)[0]
                self.actions[k].append(action)
        self.returns = np.array(state["returns"])
        self.finished = [[(total, success) for total, success in f] for f in state["finished"]]

    def close(self) -> None:
        for env in self.envs:
            env.close()


def finetune(
    run: Run, task: Task, agent: Agent, checkpoints: Sequence[Checkpoint], options: OnlineOptions
) -> None:
    """Fine-tune `agent` from `checkpoints`, one per seed.

    Writes `seed-*/offline` (a copy of the checkpoint), `online`, and the trajectory between them. The first
    row of metrics.csv, step 0, is the checkpoint as it came.
    """
    if len(checkpoints) != len(agent.seeds):
        raise UserError(f"{len(checkpoints)} checkpoints for {len(agent.seeds)} seeds")
    switch(agent, checkpoints, initialise_critic=options.initialise_critic)
    for seed, checkpoint in zip(agent.seeds, checkpoints, strict=True):
        write_atomically(run.checkpoint_path(seed, "offline"), partial(shutil.copyfile, checkpoint.path))
    history = [
        [*c.description.history, {k: v for k, v in asdict(c.description).items() if k != "history"}]
        for c in checkpoints
    ]
    envs = OnlineEnvs(task, agent.seeds)
    capacity = min(options.buffer_size, options.steps)
    buffer = ReplayBuffer(
        agent.seeds, capacity, agent.observation_dim, agent.action_dim, agent.device, run.replay_folder
    )
    parts = {"envs": envs, "buffer": buffer}
    recorder = Recorder(run, task, agent, "online", options.steps, options, parts, history)
    start = recorder.start()
    if start == 0:
        recorder.evaluate(0)
    for step in range(start + 1, options.steps + 1):
        collect_step(agent, envs, buffer)
        if step > options.warmup_steps and len(buffer) >= agent.config.batch_size:
            for _ in range(options.updates_per_step):
                recorder.add(agent.update(buffer.sample(agent.config.batch_size)))
        recorder.after(step, envs.take_finished)
    recorder.finish()
    write_json(run.directory / "summary.json", summarise(run.rows, dip_within=options.dip_within))
    envs.close()


@torch.no_grad()
def collect_step(agent: Agent, envs: OnlineEnvs, buffer: ReplayBuffer) -> None:
    """One environment step per seed with the agent's exploring policy."""
    observations = torch.from_numpy(envs.observations.copy()).to(agent.device)
    actions = agent.explore(observations)
    nexts, rewards, terminations = envs.step(actions.cpu().numpy())
    to = agent.device
    buffer.add(
        observations,
        actions,
        torch.from_numpy(nexts).to(to),
        torch.from_numpy(rewards).to(to),
        torch.from_numpy(terminations).to(to),
    )
