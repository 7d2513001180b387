"""Cal-QL: calibrated conservative Q-learning (Nakamoto et al. 2023), CQL's H variant with a lower bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from smac.agents.sac import SAC, Metrics, SACConfig, bellman_target
from smac.data.replay import Batch


@dataclass(frozen=True)
class CalQLConfig(SACConfig):
    cql_alpha: float = 5.0
    """Weight of the conservative penalty against the Bellman error."""
    cql_actions: int = 10
    """Actions sampled per state from each of: uniform, pi(s), pi(s')."""
    calibrate: bool = True
    """Bound the values of policy actions from below by the data's return-to-go; off is plain CQL."""
    max_target_backup: bool = True
    """Back up the best of `cql_actions` next actions instead of one."""
    importance_sampling: bool = True
    """Subtract each sampled action's log-density inside the log-sum-exp."""


def conservative_penalty(
    q_data: Tensor,
    q_random: Tensor,
    q_policy: Tensor,
    log_density_random: Tensor | float,
    log_density_policy: Tensor | float,
    mc_returns: Tensor | None,
) -> Tensor:
    """log-sum-exp over sampled actions minus the value of the data action, [..., batch].

    q_data [..., batch]; q_random and q_policy [..., batch, samples], the latter of actions from pi(s) and
    pi(s'); log-densities broadcast against them. With `mc_returns` [..., batch], policy values below the
    data's return-to-go are lifted to it (Nakamoto et al. 2023), so that the penalty cannot push them further
    down; the values of random actions are not lifted.
    """
    if mc_returns is not None:
        q_policy = torch.maximum(q_policy, mc_returns.unsqueeze(-1))
    samples = torch.cat([q_random - log_density_random, q_policy - log_density_policy], dim=-1)
    return torch.logsumexp(samples, dim=-1) - q_data


class CalQL(SAC):
    """SAC's actor and temperature; the critic adds the calibrated conservative penalty."""

    label = "Cal-QL"
    Config = CalQLConfig
    config: CalQLConfig

    def target_values(self, batch: Batch) -> Tensor:
        if not self.config.max_target_backup:
            return super().target_values(batch)
        n = self.config.cql_actions
        with torch.no_grad():
            actions, log_probs = self.actor.sample(batch.next_observations, self.policy_noise(batch, n))
            observations = batch.next_observations.repeat_interleave(n, dim=-2)
            values = self.target(observations, actions).amin(-2).unflatten(-1, (-1, n))
            best, index = values.max(-1)
            log_prob = log_probs.unflatten(-1, (-1, n)).gather(-1, index.unsqueeze(-1)).squeeze(-1)
            alpha = self.alpha if self.config.backup_entropy else 0.0
            return bellman_target(batch.rewards, batch.masks, best, log_prob, alpha, self.config.discount)

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        bellman, metrics = self.bellman_loss(batch)
        penalty = self.penalty(batch).mean((-2, -1))
        metrics["train/cql_penalty"] = penalty.detach()
        return bellman + self.config.cql_alpha * penalty, metrics

    def penalty(self, batch: Batch) -> Tensor:
        """The conservative penalty of every member, [seeds, members, batch]."""
        n, config = self.config.cql_actions, self.config
        assert batch.mc_returns is not None, "Cal-QL needs the data's returns-to-go"
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
            batch.mc_returns.unsqueeze(-2) if config.calibrate else None,
        )
