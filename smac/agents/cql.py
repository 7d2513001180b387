"""CQL: conservative Q-learning (Kumar et al. 2020), the variant CQL(H), on SAC's actor and temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smac.agents.base import Metrics, at_least, bellman_target, positive
from smac.agents.registry import register
from smac.agents.sac import SAC, SACConfig
from smac.data.replay import Batch

MULTIPLIER_LIMIT = 1e6
INITIAL_LOG_MULTIPLIER = 1.0  # as in the code of CQL and Cal-QL


@dataclass(frozen=True)
class CQLConfig(SACConfig):
    cql_alpha: float = 5.0
    """Weight of the conservative penalty relative to the Bellman loss."""
    cql_actions: int = 10
    """Actions sampled per state for the log-sum-exp, from each of: uniform, pi(s), pi(s')."""
    cql_gap: float | None = None
    """Target gap of the Lagrange version: the penalty's weight is alpha' * `cql_alpha`, where the multiplier
    alpha' grows while the penalty exceeds the gap; default: no Lagrange multiplier."""
    multiplier_lr: float = 3e-4
    """Learning rate of the log-multiplier alpha'."""
    max_target_backup: bool = True
    """Max-Q backup: the target uses the best of `cql_actions` sampled next actions."""
    importance_sampling: bool = True
    """Importance-sampling correction: subtract each sampled action's log-density in the log-sum-exp."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "cql_actions")
        at_least(self, 0, "cql_alpha")
        if self.cql_gap is not None:
            positive(self, "cql_alpha")


def conservative_penalty(
    q_data: Tensor,
    q_random: Tensor,
    q_policy: Tensor,
    log_density_random: Tensor | float,
    log_density_policy: Tensor | float,
    floor: Tensor | None,
) -> Tensor:
    """log-sum-exp over sampled actions minus the value of the data action, [..., batch].

    q_data [..., batch]; q_random and q_policy [..., batch, samples], the latter of actions from pi(s) and
    pi(s'); log-densities broadcast against them. With a `floor` [..., batch], policy values below it are
    lifted to it (Cal-QL, Nakamoto et al. 2023), so that the penalty cannot push them further down; the
    values of random actions are not lifted.
    """
    if floor is not None:
        q_policy = torch.maximum(q_policy, floor.unsqueeze(-1))
    samples = torch.cat([q_random - log_density_random, q_policy - log_density_policy], dim=-1)
    return torch.logsumexp(samples, dim=-1) - q_data


@register("cql", offline=True)
class CQL(SAC):
    """SAC whose critics are pushed down at sampled actions and up at the data's."""

    label = "CQL"
    Config = CQLConfig
    config: CQLConfig

    def build(self) -> None:
        super().build()
        if self.config.cql_gap is not None:
            self.log_multiplier = nn.Parameter(
                torch.full(self.stack, INITIAL_LOG_MULTIPLIER, device=self.device)
            )
            self.multiplier_optimiser = self.adam([self.log_multiplier], self.config.multiplier_lr)

    def numbers(self) -> dict[str, Tensor]:
        own = {} if self.config.cql_gap is None else {"log_multiplier": self.log_multiplier}
        return super().numbers() | own

    @torch.no_grad()
    def target_values(self, batch: Batch) -> Tensor:
        if not self.config.max_target_backup:
            return super().target_values(batch)
        n = self.config.cql_actions
        actions, log_probs = self.actor.sample(batch.next_observations, self.policy_noise(batch, n))
        observations = batch.next_observations.repeat_interleave(n, dim=-2)
        values = self.pessimistic(self.target(observations, actions)).unflatten(-1, (-1, n))
        best, index = values.max(-1)
        log_prob = log_probs.unflatten(-1, (-1, n)).gather(-1, index.unsqueeze(-1)).squeeze(-1)
        alpha = self.alpha if self.config.backup_entropy else 0.0
        return bellman_target(batch.rewards, batch.masks, best, log_prob, alpha, self.config.discount)

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """L_AC + cql_alpha * penalty, or with a gap L_AC + alpha' * cql_alpha * (penalty - gap)."""
        bellman, metrics = self.bellman_loss(batch)
        penalty = self.penalty(batch).mean((-2, -1))
        metrics["train/cql_penalty"] = penalty.detach()
        if self.config.cql_gap is None:
            return bellman + self.config.cql_alpha * penalty, metrics
        self._step(self.multiplier_optimiser, self.multiplier_loss(penalty.detach()))
        multiplier = self.multiplier().detach()
        metrics["train/cql_multiplier"] = multiplier
        return bellman + multiplier * self.config.cql_alpha * (penalty - self.config.cql_gap), metrics

    def multiplier(self) -> Tensor:
        """alpha' per seed, [seeds]."""
        return self.log_multiplier.exp().clamp(0.0, MULTIPLIER_LIMIT)

    def multiplier_loss(self, penalty: Tensor) -> Tensor:
        """-alpha' * cql_alpha * (penalty - gap) for a penalty [seeds] without a gradient."""
        assert self.config.cql_gap is not None
        return -self.multiplier() * self.config.cql_alpha * (penalty - self.config.cql_gap)

    def floor(self, batch: Batch) -> Tensor | None:
        """Values below which policy actions are not pushed, [seeds, batch]; CQL has none."""
        return None

    def penalty(self, batch: Batch) -> Tensor:
        """The conservative penalty of every member, [seeds, members, batch]."""
        n, config, floor = self.config.cql_actions, self.config, self.floor(batch)
        batch_size = batch.rewards.shape[-1]
        with torch.no_grad():
            random = 2.0 * self.noise.uniform(batch_size * n, self.action_dim) - 1.0
            here, log_here = self.actor.sample(batch.observations, self.policy_noise(batch, n))
            there, log_there = self.actor.sample(batch.next_observations, self.policy_noise(batch, n))
            # Rows b * 3n + i: the 3n sampled actions of state b side by side, all valued at s (not s').
            actions = torch.cat([x.unflatten(-2, (-1, n)) for x in (random, here, there)], dim=-2)
            log_policy = torch.cat([x.unflatten(-1, (-1, n)) for x in (log_here, log_there)], dim=-1)
        observations = batch.observations.repeat_interleave(3 * n, dim=-2)
        q = self.critic(observations, actions.flatten(-3, -2)).unflatten(-1, (-1, 3 * n))
        log_random = -self.action_dim * math.log(2.0)  # uniform on [-1, 1]^d
        return conservative_penalty(
            self.critic(batch.observations, batch.actions),
            q[..., :n],
            q[..., n:],
            log_random if config.importance_sampling else 0.0,
            log_policy.unsqueeze(-3) if config.importance_sampling else 0.0,
            None if floor is None else floor.unsqueeze(-2),
        )
