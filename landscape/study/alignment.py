"""`align`: is the valley between two policies real, or an artefact of the order of their hidden units?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from landscape import geometry
from landscape.evaluate import DEFAULT, Evaluation, Progress
from landscape.geometry import Alignment, Params, distance, line, line_alphas
from landscape.probe import probe_of_policy
from landscape.statistics import PathReport, sentence
from landscape.study.common import load_policies, none_solved, path_margin
from landscape.study.path import PathStudy, analysed, play_in_turn
from smac.policies import PolicyCheckpoint, stack_actor
from smac.rollout import episode_seeds
from smac.streams import derive_seed
from smac.tasks import Task, get_task

STATES_FROM = 2  # episodes of each policy in whose states the function is checked


@dataclass(frozen=True, repr=False, kw_only=True)
class AlignmentStudy(PathStudy):
    """Returns on the line to a policy with aligned hidden units, compared with those to it as trained."""

    kind = "align"
    straight_report: PathReport
    aligned: PolicyCheckpoint
    alignment: Alignment

    @property
    def sentence(self) -> str:
        """What alignment found, then both verdicts."""
        names = self.start.name, self.end.name
        units = sum(map(len, self.alignment.permutations))
        if self.alignment.identity:
            first = f"No hidden unit changed place or sign: {names[1]} is aligned with {names[0]} as it is."
        else:
            first = (
                f"Alignment moved {self.alignment.moved_units} of {units} hidden units and brought the ends "
                f"from {self.alignment.distance_before:.3g} to {self.alignment.distance_after:.3g} apart."
            )
        aligned = sentence(self.report, *names, where="on the line after alignment")
        raw = sentence(self.straight_report, *names, where="on the line as trained")
        return f"{first} {raw} {aligned}" + none_solved(self.task, self.rollouts)

    def about(self) -> dict[str, Any]:
        return {
            "alignment": self.alignment.to_json(),
            "distance": distance(self.start.params, self.aligned.params),
        }


def align(
    start: Path | str | PolicyCheckpoint,
    end: Path | str | PolicyCheckpoint,
    *,
    rescale: bool = True,
    points: int = 21,
    margin: float | None = None,
    confidence: float = 0.95,
    evaluation: Evaluation = DEFAULT,
    progress: Progress | None = None,
) -> AlignmentStudy:
    """Align the hidden units of `end` with those of `start`, and evaluate the line before and after.

    Permutations always; signs where the activation is tanh; scales where it is ReLU, unless `rescale` is
    False. The aligned policy must act as before on states that the two policies visit, to 1e-5, or a
    UserError says so.
    """
    a, b = load_policies([start, end], evaluation)
    task = get_task(a.description.task)
    allowed = path_margin(task, margin, confidence, points)
    aligned, alignment = aligned_with(a, b, task, rescale=rescale, seed=evaluation.seed)
    alphas = line_alphas(points)
    paths = [line(a.params, target.params, alphas) for target in (aligned, b)]
    played = play_in_turn(a.spec, task, paths, points, evaluation, progress)
    report, straight_report = (
        analysed(rollouts, alphas, task, allowed, confidence=confidence, evaluation=evaluation)
        for rollouts in played
    )
    return AlignmentStudy(
        task=task, start=a, end=b, alphas=alphas, evaluation=evaluation, rollouts=played[0], report=report,
        margin=allowed, straight=played[1], straight_report=straight_report, aligned=aligned,
        alignment=alignment,
    )  # fmt: skip


def aligned_with(
    reference: PolicyCheckpoint, other: PolicyCheckpoint, task: Task, *, rescale: bool = True, seed: int = 0
) -> tuple[PolicyCheckpoint, Alignment]:
    """`other` with hidden units aligned with those of `reference`; its actions are checked on states."""
    seeds = episode_seeds(derive_seed(seed, "states"), STATES_FROM)
    probes = [probe_of_policy(policy, policy.name, task, seeds) for policy in (reference, other)]
    states = np.concatenate([probe.observations.numpy() for probe in probes])

    def actions(params: Params, observations: np.ndarray) -> np.ndarray:
        """In float64: where actions are steep, single precision alone changes them by more than 1e-5."""
        actor = stack_actor(other.spec, [params]).double()
        rows = torch.from_numpy(np.asarray(observations, np.float64))[None]
        return actor.act(rows)[0].numpy()

    found = geometry.align(
        reference.params,
        other.params,
        other.spec.activation,  # type: ignore[arg-type]  # others are refused there
        observations=states,
        compute=actions,
        rescale=rescale,
    )
    how = "hidden units aligned with those of the first checkpoint; its actions are kept"
    converted = "; ".join(filter(None, (other.converted, how)))
    return replace(other, params=found.params, converted=converted), found
