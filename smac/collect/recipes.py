"""How the episodes of a collection are made: one recipe, or a mixture of some in stated shares."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from smac.envs.units import Units
from smac.errors import UserError
from smac.policies.acting import GOAL_REACHING, FilePolicy, check_fits, load_policy
from smac.policies.python import is_reference, source_file
from smac.streams import derive_seed
from smac.tasks import Task

Collector = Literal["waypoint", "ant", "kitchen", "policy", "random"]
POLICY_SUFFIXES = (".npz", ".zip", ".safetensors", ".pt", ".pth", ".d3", ".cleanrl_model")
NOISE, WANDER = 0.3, 0.003  # of PointMaze's controller where none is stated; 0 for all others


@dataclass(frozen=True)
class Recipe:
    """What decides an episode but for its seed."""

    collector: Collector
    noise: float = 0.0  # standard deviation of the noise on actions in [-1, 1]
    wander: float = 0.0  # probability per step of a detour; PointMaze only
    policy: Path | None = None
    sha256: str | None = None  # of the policy's file
    policy_kind: str | None = None  # what it is
    action_units: Units | None = None  # of the policy, where its file does not say
    normaliser: str | None = None  # the same: a VecNormalize's file, or none
    stochastic: bool = False  # the policy's actions are sampled
    any_cells: bool = False  # start and goal in any cells of the maze; AntMaze only
    targets: bool = (
        False  # the task's sub-tasks, to the episode's end, not its mixture of orders; Kitchen only
    )

    def disturbed(self, amount: float) -> Recipe:
        """The same with `wander` (PointMaze, which noise hardly hurts) or `noise` set to `amount`."""
        if self.disturbance == "wander":
            return replace(self, wander=amount)
        return replace(self, noise=amount)

    @property
    def disturbance(self) -> str:
        """Name of what lowers this recipe's success."""
        return "wander" if self.collector == "waypoint" else "noise"


def recipe(
    task: Task,
    *,
    policy: Path | None = None,
    action_units: Units | None = None,
    normaliser: str | None = None,
    noise: float | None = None,
    wander: float | None = None,
    stochastic: bool = False,
    any_cells: bool = False,
) -> Recipe:
    """The recipe for a task; UserError for options that are out of range or have no meaning for it."""
    _check_ranges(noise, wander)
    if action_units is not None and policy is None:
        raise UserError("--action-units is for --policy: our controllers act in [-1, 1]")
    if normaliser is not None and policy is None:
        raise UserError("--normaliser is for --policy")
    loaded = None if policy is None else load_policy(policy, task, action_units, normaliser)
    if policy is not None and loaded is not None:
        check_fits(loaded, task, policy)
    collector = _collector(task, loaded)
    if wander is not None and collector != "waypoint":
        raise UserError(
            f"wander is for PointMaze's waypoint controller, not for task {task.name}: use --noise"
        )
    if stochastic and (loaded is None or not loaded.stochastic):
        raise UserError("--stochastic needs a policy with a distribution to sample from: use --noise instead")
    if any_cells and task.family != "antmaze":
        raise UserError(f"--any-cells is for AntMaze, not for task {task.name}")
    maze = collector == "waypoint"
    return Recipe(
        collector=collector,
        noise=(NOISE if maze else 0.0) if noise is None else noise,
        wander=(WANDER if maze else 0.0) if wander is None else wander,
        policy=policy,
        policy_kind=None if loaded is None else loaded.kind,
        action_units=action_units,
        normaliser=normaliser,
        sha256=None if policy is None else _checksum(policy),
        stochastic=stochastic,
        any_cells=any_cells,
    )


def _checksum(path: Path) -> str | None:
    """Of the policy's file, or of the source of one that is named as package.module:name."""
    source = source_file(path) if is_reference(path) else path
    if source is None:
        return None
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _collector(task: Task, policy: FilePolicy | None) -> Collector:
    if policy is not None:
        return "ant" if policy.kind == GOAL_REACHING else "policy"
    if task.family == "pointmaze":
        return "waypoint"
    if task.family == "kitchen":
        return "kitchen"
    if task.family == "antmaze":
        raise UserError(
            f"task {task.name} has a controller for ways but none for legs: name the walking policy with "
            "--policy policy_ant_goal.npz"
        )
    raise UserError(
        f"task {task.name} has no controller: name a policy with --policy, or bring its data with "
        "`smac data import`"
    )


@dataclass(frozen=True)
class Part:
    """One recipe of a mixture, and the share of episodes that it makes."""

    name: str
    share: float
    recipe: Recipe


def parse_mixture(text: str, base: Recipe, task: Task) -> tuple[Part, ...]:
    """The parts of a mixture NAME:SHARE,NAME:SHARE,...; shares add up to 1.

    A name is `expert` (undisturbed: neither noise nor detours), `noisy` (as the other options say), `random`
    (uniform actions), a number (noise of that size, no detours), or the file of a policy, which gets the
    noise and the sampling of the other options.
    """
    parts = []
    for item in text.split(","):
        name, colon, share = item.rpartition(":")
        if not colon or not name:
            raise UserError(f"mixture: {item!r} is not of the form NAME:SHARE, as in expert:0.2,noisy:0.8")
        parts.append(Part(name, _share(item, share), _named(name, base, task)))
    total = sum(part.share for part in parts)
    if abs(total - 1.0) > 1e-6:
        raise UserError(f"mixture: the shares of {text!r} add up to {total:g} instead of 1")
    return tuple(parts)


def _share(item: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = float("nan")
    if not 0.0 < share <= 1.0:
        raise UserError(f"mixture: the share in {item!r} must be a number above 0 and up to 1")
    return share


def _named(name: str, base: Recipe, task: Task) -> Recipe:
    if name == "expert":
        return replace(base, noise=0.0, wander=0.0)
    if name == "noisy":
        return base
    if name == "random":
        return Recipe("random", any_cells=base.any_cells)
    if name.endswith(POLICY_SUFFIXES) or is_reference(Path(name)):
        noise = 0.0 if base.collector == "waypoint" else base.noise
        return recipe(
            task,
            policy=Path(name),
            action_units=base.action_units,
            normaliser=base.normaliser,
            noise=noise,
            stochastic=base.stochastic,
            any_cells=base.any_cells,
        )
    try:
        noise = float(name)
    except ValueError:
        known = "expert, noisy, random, a noise level such as 0.3, or the file of a policy"
        raise UserError(f"mixture: unknown name {name!r}; it can be {known}") from None
    _check_ranges(noise, None)
    return replace(base, noise=noise, wander=0.0)


def assign(parts: Sequence[Part], episodes: int, seed: int) -> list[Recipe]:
    """The recipe of each episode: counts as close to the shares as whole numbers get, in random order."""
    if len(parts) == 1:
        return [parts[0].recipe] * episodes
    exact = np.array([part.share for part in parts]) * episodes
    counts = np.floor(exact + 1e-9).astype(int)
    remainders = exact - counts
    for i in np.argsort(-remainders, kind="stable")[: episodes - counts.sum()]:
        counts[i] += 1
    which = np.repeat(np.arange(len(parts)), counts)
    order = np.random.default_rng(derive_seed(seed, "mixture")).permutation(which)
    return [parts[i].recipe for i in order]


def plain(made_by: Recipe) -> dict[str, Any]:
    """A recipe as provenance: JSON values, the policy by its file's name, nothing that was not used."""
    values = asdict(made_by)
    values["policy"] = None if made_by.policy is None else made_by.policy.name
    if made_by.policy is not None:
        values["policy_kind"] = made_by.policy_kind
    kept = {"collector", "noise"} | ({"wander"} if made_by.collector == "waypoint" else set())
    return {name: value for name, value in values.items() if name in kept or value}


def _check_ranges(noise: float | None, wander: float | None) -> None:
    if noise is not None and not 0.0 <= noise < float("inf"):
        raise UserError(f"noise must not be negative, got {noise}")
    if wander is not None and not 0.0 <= wander <= 1.0:
        raise UserError(f"wander is a probability in [0, 1], got {wander}")
