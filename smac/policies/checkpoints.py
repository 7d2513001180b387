"""Ends of paths: policies as parameter mappings, of one kind so that there are lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smac.agents import method_label
from smac.checkpoint import Description
from smac.errors import UserError
from smac.policies.actors import ActorSpec, mean_actions


@dataclass(frozen=True)
class PolicyCheckpoint:
    """One end of a path: the actor's tensors as NumPy arrays, without the `actor.` prefix."""

    path: Path
    description: Description
    spec: ActorSpec
    params: dict[str, np.ndarray]
    converted: str | None = None  # what was done to the actor since it was read

    @property
    def name(self) -> str:
        """How sentences call it, such as `online SAC`."""
        algorithm = self.description.algorithm
        label = method_label(algorithm)
        return f"{self.description.moment} {label}"


def without_noise(policy: PolicyCheckpoint) -> PolicyCheckpoint:
    """The policy of its mean actions: a tanh-Gaussian actor loses its rows of log_std, no more."""
    if policy.spec.kind != "tanh_gaussian":
        return policy
    spec, (params,) = mean_actions(policy.spec, [policy.params])
    return replace(
        policy,
        spec=spec,
        params=dict(params),
        converted="tanh-Gaussian to deterministic: the rows of log_std are left out, the mean action is kept",
    )


def of_one_kind(policies: Sequence[PolicyCheckpoint], *, stochastic: bool) -> list[PolicyCheckpoint]:
    """Policies of one kind, as far as they can be: where one is deterministic, all are.

    Their mean actions stay the same. Sampled actions are then refused, as a deterministic actor has no noise.
    """
    silent = next((p for p in policies if p.spec.kind != "tanh_gaussian"), None)
    if silent is None:
        return list(policies)
    if stochastic:
        raise UserError(
            f"{silent.path}: the actor of {silent.name} is deterministic and has no noise to sample; "
            "leave out --stochastic to compare mean actions"
        )
    return [without_noise(policy) for policy in policies]
