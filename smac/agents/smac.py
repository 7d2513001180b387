"""SMAC: Score-Matched Actor-Critic (de Lara and Shkurti 2026, arXiv 2602.17632).

Offline, the critic's action gradient is matched to the score of the dataset's actions given a good outcome:
with pi ~ exp(Q / tau), grad_a Q = tau grad_a log pi. Online SMAC is gone and plain SAC continues.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from smac.agents.base import Metrics, at_least, positive
from smac.agents.sac import SAC, SACConfig
from smac.data.replay import Batch
from smac.data.transitions import OutcomeKind
from smac.diffusion import EDM, VP, ActionDiffusion, Parametrisation, VPLevels
from smac.errors import UserError
from smac.nets import CriticEnsemble, StackedMLP, initialise
from smac.streams import Streams

Form = Literal["normalised", "paper"]
MatchAt = Literal["data", "policy", "segment", "noised"]

TAU_FLOOR = 1e-4  # the normalised form divides by tau


@dataclass(frozen=True)
class SMACConfig(SACConfig):
    kappa: float = 0.1
    """Weight of the score-matching loss against the Bellman error."""
    form: Form = "normalised"
    """`paper`: |grad Q - tau score|^2, which a flat Q with tau = 0 minimises; `normalised` divides by tau."""
    match_at: MatchAt = "segment"
    """Where half of the batch is matched: at policy actions, between data and policy actions, or at noised
    data actions. The other half is matched at data actions; with `data` the whole batch is."""
    tau: Literal["state", "scalar", "temperature"] = "state"
    """What ties gradient and score: a learned head of the state, one learned number, or the temperature."""
    initial_tau: float = 0.1
    """tau at the start."""
    sigma: float = 0.1
    """Noise level at which the score is asked for, in units of the action box [-1, 1]."""
    outcome: OutcomeKind = "average_return_to_go"
    """What the diffusion model is conditioned on."""
    condition: Literal["own", "quantile", "none"] = "own"
    """The outcome asked for in the score: the transition's own, a high quantile of the data's, or none."""
    outcome_quantile: float = 0.9
    """The quantile, with `--condition quantile`."""
    diffusion: Parametrisation = "edm"
    """What the diffusion model learns: `edm` to denoise, `vp` to predict the noise of a variance-preserving
    process. Either gives the score at any `--sigma`; EDM needs somewhat fewer updates for it."""
    vp_steps: int = 0
    """Noise levels of `vp`: 0 for continuous time, or a number of discrete ones, of which the one at or below
    `--sigma` gives the score. The lowest sigma is 0.494 with 5, 0.132 with 20, 0.039 with 100."""
    diffusion_steps: int = 10_000
    """Updates of the diffusion model before the critic's first."""
    diffusion_hidden: tuple[int, ...] = (256, 256, 256)
    """Widths of the diffusion model."""
    diffusion_lr: float = 1e-3
    """Adam's learning rate for the diffusion model."""
    diffusion_ema: float = 0.995
    """Memory of the moving average of the diffusion model's weights."""
    outcome_dropout: float = 0.1
    """Share of training rows whose outcome is hidden, so that an unconditional score exists."""
    initial_temperature: float = 0.1
    """The actor's entropy weight at the start, near tau, so that the actor sharpens early."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "sigma")
        at_least(self, 0, "vp_steps")
        if self.diffusion == "vp":
            VPLevels(self.vp_steps).at_or_below(self.sigma)
        elif self.vp_steps:
            raise UserError(f"--vp-steps {self.vp_steps} needs --diffusion vp; leave it out, or add that")


def score_matching_loss(action_gradient: Tensor, tau: Tensor, score: Tensor, form: Form) -> Tensor:
    """|grad_a Q / tau - score|^2 (`normalised`) or |grad_a Q - tau score|^2 (`paper`), [..., batch].

    action_gradient and score are [..., batch, action], tau [..., batch] > 0. Score points toward the data,
    so the critic learns to rise toward the data.
    """
    tau = tau.unsqueeze(-1)
    error = action_gradient / tau - score if form == "normalised" else action_gradient - tau * score
    return (error**2).sum(-1)


def action_gradient(critic: CriticEnsemble, observations: Tensor, actions: Tensor) -> Tensor:
    """grad_a Q of every member, [seeds, members, batch, action], differentiable in the critic's weights.

    Samples and members do not interact, so one gradient of the sum holds them all; `torch.func.grad`
    rather than `autograd.grad(create_graph=True)`, which does not compile.
    """
    return torch.func.grad(lambda a: critic(observations, a).sum())(critic.per_member(actions))


def matching_points(at: MatchAt, actions: Tensor, policy: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    """Where the second half of a batch is matched, [..., batch, action]; u [..., batch] is in [0, 1]."""
    if at == "segment":
        return actions + u.unsqueeze(-1) * (policy - actions)
    return {"data": actions, "policy": policy, "noised": (actions + noise).clamp(-1.0, 1.0)}[at]


class SMAC(SAC):
    """SAC whose critics are score-matched; `diffusion` is trained first and stays frozen."""

    label = "SMAC"
    Config = SMACConfig
    config: SMACConfig

    def __init__(
        self,
        config: SMACConfig,
        observation_dim: int,
        action_dim: int,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
    ) -> None:
        stack = (len(seeds),)
        self.tau_head = TauHead(stack, observation_dim, config)
        initialise(self.tau_head, Streams(seeds, "tau/init").generators)
        self.tau_head.to(device)
        shape = (stack, observation_dim, action_dim, config.diffusion_hidden)
        self.diffusion: ActionDiffusion = (
            VP(*shape, steps=config.vp_steps) if config.diffusion == "vp" else EDM(*shape)
        )
        initialise(self.diffusion, Streams(seeds, "diffusion/init").generators)
        self.query_outcome: float | None = None  # the data's quantile, set by the offline phase
        super().__init__(config, observation_dim, action_dim, seeds, device)
        self.diffusion.to(device).requires_grad_(False)

    def critic_modules(self) -> list[nn.Module]:
        return [*super().critic_modules(), self.tau_head]

    def modules(self) -> dict[str, nn.Module]:
        return super().modules() | {"tau": self.tau_head, "diffusion": self.diffusion}

    def score(self, observations: Tensor, actions: Tensor, outcomes: Tensor | None) -> Tensor:
        """The frozen model's score at the configured noise level and outcome, [seeds, batch, action]."""
        if self.config.condition == "none":
            outcomes = None
        elif self.config.condition == "quantile":
            assert self.query_outcome is not None
            outcomes = observations.new_full(observations.shape[:-1], self.query_outcome)
        with torch.no_grad():
            return self.diffusion.score(observations, actions, outcomes, self.config.sigma)

    def tau(self, observations: Tensor) -> Tensor:
        """tau_psi(s) > 0, [seeds, batch]."""
        if self.config.tau == "temperature":
            return self.alpha.expand(observations.shape[:-1])
        return self.tau_head(observations)

    def matching_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """L_SM per seed: half of the batch at data actions, half where `match_at` says."""
        assert batch.scores is not None, "SMAC needs the scores at the data's actions"
        half = batch.rewards.shape[-1] if self.config.match_at == "data" else batch.rewards.shape[-1] // 2
        rest = batch.rows(slice(half, None))
        actions, scores = batch.actions[:, :half], batch.scores[:, :half]
        if self.config.match_at != "data":
            points = self._second_half(rest)
            actions = torch.cat([actions, points], dim=-2)
            scores = torch.cat([scores, self.score(rest.observations, points, rest.outcomes)], dim=-2)
        gradient = action_gradient(self.critic, batch.observations, actions)
        tau = self.tau(batch.observations)
        loss = score_matching_loss(gradient, tau.unsqueeze(-2), scores.unsqueeze(-3), self.config.form)
        loss = loss.mean((-2, -1))
        return loss, {"train/score_matching_loss": loss.detach(), "train/tau": tau.detach().mean(-1)}

    def _second_half(self, rest: Batch) -> Tensor:
        size = rest.rewards.shape[-1]
        u, noise = self.noise.uniform(size), self.policy_noise(rest)
        with torch.no_grad():
            policy, _ = self.actor.sample(rest.observations, self.policy_noise(rest))
        return matching_points(self.config.match_at, rest.actions, policy, u, self.config.sigma * noise)

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """kappa L_SM + L_AC."""
        bellman, metrics = self.bellman_loss(batch)
        if self.config.kappa == 0.0:
            return bellman, metrics
        matching, more = self.matching_loss(batch)
        return bellman + self.config.kappa * matching, metrics | more

    def diagnostics(self, batch: Batch) -> Metrics:
        """Norms of grad_a Q and the score, and their cosines at data and at policy actions."""
        with torch.no_grad():
            policy, _ = self.actor.sample(batch.observations, self.policy_noise(batch))
        metrics: Metrics = {}
        for place, actions in (("data", batch.actions), ("policy", policy)):
            gradient = action_gradient(self.critic, batch.observations, actions).detach()
            score = self.score(batch.observations, actions, batch.outcomes).unsqueeze(-3)
            cosine = F.cosine_similarity(gradient, score.expand_as(gradient), dim=-1)
            metrics[f"train/cosine_{place}"] = cosine.mean((-2, -1))
            metrics[f"train/gradient_norm_{place}"] = gradient.norm(dim=-1).mean((-2, -1))
            metrics[f"train/score_norm_{place}"] = score.norm(dim=-1).mean((-2, -1))
        return metrics


class TauHead(nn.Module):
    """tau_psi(s) = softplus(f(s) + c) + TAU_FLOOR, with c such that tau starts near `initial_tau`."""

    def __init__(self, stack: Sequence[int], observation_dim: int, config: SMACConfig) -> None:
        super().__init__()
        self.offset = math.log(math.expm1(config.initial_tau))
        self.net = StackedMLP(stack, observation_dim, config.hidden, 1) if config.tau == "state" else None
        self.raw = nn.Parameter(torch.zeros(*stack)) if config.tau == "scalar" else None

    def forward(self, observations: Tensor) -> Tensor:
        if self.net is not None:
            raw = self.net(observations).squeeze(-1)
        else:
            assert self.raw is not None
            raw = self.raw.unsqueeze(-1).expand(observations.shape[:-1])
        return F.softplus(raw + self.offset) + TAU_FLOOR
