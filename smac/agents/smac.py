"""SMAC: Score-Matched Actor-Critic (de Lara and Shkurti 2026, arXiv 2602.17632).

Offline, the critic's action gradient is matched to the score of the dataset's actions given an outcome:
with pi ~ exp(Q / tau), grad_a Q = tau grad_a log pi. Online SMAC is gone and plain SAC continues.

`--variant paper` is the method as its authors describe it (https://delara38.github.io/smac/). They write the
target as alpha_psi(s) eps(s, a, w, 1) with a noise prediction eps. Here it is tau_psi(s) score with
score = -eps / sigma, so that tau = -sigma alpha: a positive tau points to the data. The model is asked at
sqrt(abar) a, which makes it the score at a; their formula feeds it a itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from smac.agents.base import Metrics, Preparation, at_least, positive, within
from smac.agents.registry import register
from smac.agents.sac import SAC, SACConfig
from smac.data.replay import Batch, OfflineData
from smac.data.transitions import OutcomeKind, outcomes
from smac.diffusion import (
    EDM,
    VP,
    ActionDiffusion,
    DiffusionTrainer,
    Parametrisation,
    ScoreNetwork,
    VPLevels,
)
from smac.errors import UserError
from smac.nets import CriticEnsemble, StackedMLP

Form = Literal["normalised", "paper"]
Place = Literal["data", "policy", "segment", "noised", "uniform"]
MatchAt = Literal["data", "policy", "segment", "noised", "uniform", "uniform+policy"]
TauKind = Literal["positive", "free", "scalar", "temperature"]

SCORE_BATCH = 16_384  # rows per pass when the dataset's scores are computed
TAU_FLOOR = 1e-4  # the normalised form divides by tau
FORMER_TAU = {"state": "positive"}  # names in older checkpoints

PAPER: Mapping[str, Any] = {
    "form": "paper",
    "match_at": "uniform+policy",
    "tau": "free",
    "initial_tau": 0.0,
    "outcome": "trajectory_return",
    "condition": "own",
    "diffusion": "vp",
    "vp_steps": 5,
    "sigma": 0.5,
    "score_network": "residual",
    "optimiser": "muon",
    "layer_norm": False,  # as in SAC; with it the critic's action gradient hardly turns to the score
}


@dataclass(frozen=True)
class SMACConfig(SACConfig):
    kappa: float = 0.1
    """Weight of the score-matching loss relative to the Bellman loss."""
    form: Form = "normalised"
    """Score-matching loss. `paper`: |grad_a Q - tau score|^2, which a constant Q with tau = 0 minimises;
    `normalised`: divided by tau."""
    match_at: MatchAt = "segment"
    """Actions at which the score-matching loss is evaluated. `uniform+policy`: half uniform, half from the
    policy (the paper's B(A)). Otherwise half of the batch at the dataset's actions and the other half at the
    dataset's, at the policy's, on the segment between the two, at noised dataset actions, or uniform."""
    tau: TauKind = "positive"
    """Scale tau between the critic's action gradient and the score: a learned positive function of the state,
    an unconstrained one (the paper; with --form paper), one learned positive number, or the temperature."""
    initial_tau: float = 0.1
    """Initial value of tau."""
    sigma: float = 0.1
    """Noise level at which the diffusion model's score is evaluated; actions lie in [-1, 1]."""
    score_network: ScoreNetwork = "mlp"
    """Network of the diffusion model: an MLP with LayerNorm, or IDQL's residual blocks, one per width in
    --diffusion-hidden."""
    outcome: OutcomeKind = "average_return_to_go"
    """Outcome that the diffusion model is conditioned on."""
    condition: Literal["own", "quantile", "none"] = "own"
    """Outcome at which the score is evaluated: the transition's own, a quantile of the dataset's, or none
    (unconditional)."""
    outcome_quantile: float = 0.9
    """Quantile for --condition quantile."""
    diffusion: Parametrisation = "edm"
    """Parametrisation of the diffusion model: `edm` predicts the denoised action, `vp` the noise of a
    variance-preserving process. Both give the score at any --sigma; EDM needs somewhat fewer updates."""
    vp_steps: int = 0
    """Discrete noise levels of `vp`; 0: continuous time. The score is taken at the level at or below --sigma;
    the lowest sigma is 0.494 with 5 levels, 0.132 with 20, 0.039 with 100."""
    diffusion_steps: int = 10_000
    """Gradient steps of the diffusion model, before actor and critics are trained."""
    diffusion_hidden: tuple[int, ...] = (256, 256, 256)
    """Widths of the hidden layers of the diffusion model."""
    diffusion_lr: float = 1e-3
    """Learning rate of the diffusion model."""
    diffusion_ema: float = 0.995
    """Decay of the exponential moving average (EMA) of the diffusion model's weights."""
    outcome_dropout: float = 0.1
    """Probability of dropping the outcome in training (classifier-free guidance), for the unconditional
    score."""
    initial_temperature: float = 0.1
    """Initial temperature (entropy coefficient alpha); near tau, so that the policy's entropy falls early."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "tau", FORMER_TAU.get(self.tau, self.tau))
        positive(self, "sigma")
        at_least(self, 0, "vp_steps", "kappa")
        at_least(self, 1, "diffusion_steps")
        within(self, 0, 1, "outcome_quantile", "outcome_dropout")
        if not 0.0 <= self.diffusion_ema < 1.0:
            raise UserError(f"--diffusion-ema must lie in [0, 1), got {self.diffusion_ema}")
        if any(width < 1 for width in self.diffusion_hidden):
            raise UserError(f"--diffusion-hidden takes widths of at least 1, got {self.diffusion_hidden}")
        if self.tau != "free":
            positive(self, "initial_tau")
        elif self.form != "paper":
            raise UserError(
                "--tau free needs --form paper: the normalised form divides by tau, which may then be zero"
            )
        if self.diffusion == "vp":
            VPLevels(self.vp_steps).at_or_below(self.sigma)
        elif self.vp_steps:
            raise UserError(f"--vp-steps {self.vp_steps} needs --diffusion vp; leave it out, or add that")


def score_matching_loss(action_gradient: Tensor, tau: Tensor, score: Tensor, form: Form) -> Tensor:
    """|grad_a Q / tau - score|^2 (`normalised`) or |grad_a Q - tau score|^2 (`paper`), [..., batch].

    action_gradient and score are [..., batch, action], tau [..., batch]. Score points toward the data, so
    with tau > 0 the critic learns to rise toward the data; with a tau of free sign, to be parallel to it.
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


def places(at: MatchAt) -> tuple[Place, Place]:
    """Where the two halves of a batch are matched."""
    return ("uniform", "policy") if at == "uniform+policy" else ("data", at)


def matching_points(at: Place, actions: Tensor, policy: Tensor, u: Tensor, noise: Tensor) -> Tensor:
    """Where a half of a batch is matched, [..., batch, action]; u [..., batch] is in [0, 1]."""
    if at == "segment":
        return actions + u.unsqueeze(-1) * (policy - actions)
    return {"data": actions, "policy": policy, "noised": (actions + noise).clamp(-1.0, 1.0)}[at]


@register("smac", offline=True)
class SMAC(SAC):
    """SAC whose critics are score-matched; `diffusion` is trained first and stays frozen."""

    label = "SMAC"
    Config = SMACConfig
    config: SMACConfig
    variants: ClassVar = {"sharp": {}, "paper": PAPER}

    def build(self) -> None:
        config = self.config
        self.tau_head = TauHead(self.stack, self.observation_dim, config)
        self.new(self.tau_head, "tau")
        shape = (self.stack, self.observation_dim, self.action_dim, config.diffusion_hidden)
        network = config.score_network
        self.diffusion: ActionDiffusion = (
            VP(*shape, steps=config.vp_steps, network=network)
            if config.diffusion == "vp"
            else EDM(*shape, network=network)
        )
        self.new(self.diffusion, "diffusion")
        self.diffusion.requires_grad_(False)
        self.query_outcome: float | None = None  # the data's quantile, set by `prepare`
        super().build()

    # ---- the diffusion model, before the offline phase ---------------------------------------------------

    def prepare(self, data: OfflineData, *, horizon: int) -> Preparation:
        """Outcomes of the data, and the phase that fits the model of its actions, which is frozen then."""
        config, transitions = self.config, data.transitions
        data.outcomes = outcomes(config.outcome, transitions, horizon=horizon)
        self.query_outcome = float(torch.quantile(data.outcomes, config.outcome_quantile))
        self.diffusion.set_statistics(transitions.actions, data.outcomes)
        trainer = DiffusionTrainer(
            self.diffusion.requires_grad_(True),
            self.seeds,
            lr=config.diffusion_lr,
            outcome_dropout=config.outcome_dropout,
            ema=config.diffusion_ema,
            device=self.device,
        )
        self.diffusion = trainer.ema

        def update(batch: Batch) -> Metrics:
            assert batch.outcomes is not None
            return trainer.update(batch.observations, batch.actions, batch.outcomes)

        return Preparation("diffusion", config.diffusion_steps, update, trainer)

    @torch.no_grad()
    def complete(self, data: OfflineData) -> None:
        """The frozen model's score at every dataset action, [seeds, transitions, action], where it is used.

        It is a constant of the dataset, so it is computed once.
        """
        if not self.matches_data:
            return
        assert data.outcomes is not None
        columns = (data.transitions.observations, data.transitions.actions, data.outcomes)
        parts = [
            self.score(*(x.to(self.device).expand(*self.stack, *x.shape) for x in part))  # mapped data: CPU
            for part in zip(*(x.split(SCORE_BATCH) for x in columns), strict=True)
        ]
        data.scores = torch.cat(parts, dim=1)

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

    @property
    def matches_data(self) -> bool:
        """Whether the scores at the data's actions are needed, which are worth keeping."""
        return "data" in places(self.config.match_at)

    def tau(self, observations: Tensor) -> Tensor:
        """tau_psi(s), [seeds, batch]; positive unless it is `free`."""
        if self.config.tau == "temperature":
            return self.alpha.expand(observations.shape[:-1])
        return self.tau_head(observations)

    def matching_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """L_SM per seed, each half of the batch where `match_at` says."""
        half = batch.rewards.shape[-1] // 2
        halves = batch.rows(slice(None, half)), batch.rows(slice(half, None))
        matched = [
            self.matched(place, rows)
            for place, rows in zip(places(self.config.match_at), halves, strict=True)
        ]
        actions, scores = (torch.cat(parts, dim=-2) for parts in zip(*matched, strict=True))
        gradient = action_gradient(self.critic, batch.observations, actions)
        tau = self.tau(batch.observations)
        loss = score_matching_loss(gradient, tau.unsqueeze(-2), scores.unsqueeze(-3), self.config.form)
        loss = loss.mean((-2, -1))
        metrics = {
            "train/score_matching_loss": loss.detach(),
            "train/tau": tau.detach().mean(-1),
            "train/negative_tau": (tau.detach() < 0.0).float().mean(-1),
        }
        return loss, metrics

    def matched(self, place: Place, rows: Batch) -> tuple[Tensor, Tensor]:
        """Actions at a place, and the scores there, both [seeds, rows, action]."""
        if place == "data":
            assert rows.scores is not None, "matching at data needs the scores there"
            return rows.actions, rows.scores
        actions = self.actions_at(place, rows)
        return actions, self.score(rows.observations, actions, rows.outcomes)

    @torch.no_grad()
    def actions_at(self, place: Place, rows: Batch) -> Tensor:
        """Actions at a place, [seeds, rows, action]."""
        size = rows.rewards.shape[-1]
        if place == "uniform":
            return 2.0 * self.noise.uniform(size, self.action_dim) - 1.0
        u, noise = self.noise.uniform(size), self.policy_noise(rows)
        policy, _ = self.actor.sample(rows.observations, self.policy_noise(rows))
        return matching_points(place, rows.actions, policy, u, self.config.sigma * noise)

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        """kappa L_SM + L_AC."""
        bellman, metrics = self.bellman_loss(batch)
        if self.config.kappa == 0.0:
            return bellman, metrics
        matching, more = self.matching_loss(batch)
        return bellman + self.config.kappa * matching, metrics | more

    def diagnostics(self, batch: Batch) -> Metrics:
        """Norms of grad_a Q and the score, and their cosines, at data, policy and uniform actions."""
        metrics: Metrics = {}
        for place in ("data", "policy", "uniform"):
            actions = batch.actions if place == "data" else self.actions_at(place, batch)
            gradient = action_gradient(self.critic, batch.observations, actions).detach()
            score = self.score(batch.observations, actions, batch.outcomes).unsqueeze(-3)
            cosine = F.cosine_similarity(gradient, score.expand_as(gradient), dim=-1)
            metrics[f"train/cosine_{place}"] = cosine.mean((-2, -1))
            metrics[f"train/abs_cosine_{place}"] = cosine.abs().mean((-2, -1))  # tau may have either sign
            metrics[f"train/gradient_norm_{place}"] = gradient.norm(dim=-1).mean((-2, -1))
            metrics[f"train/score_norm_{place}"] = score.norm(dim=-1).mean((-2, -1))
        return metrics


class TauHead(nn.Module):
    """tau_psi(s) = softplus(f(s) + c) + TAU_FLOOR, with c such that tau starts near `initial_tau`.

    If it is free, tau_psi(s) = f(s) + `initial_tau`.
    """

    def __init__(self, stack: Sequence[int], observation_dim: int, config: SMACConfig) -> None:
        super().__init__()
        self.free = config.tau == "free"
        self.offset = config.initial_tau if self.free else math.log(math.expm1(config.initial_tau))
        of_state = config.tau in ("positive", "free")
        self.net = StackedMLP(stack, observation_dim, config.hidden, 1) if of_state else None
        self.raw = nn.Parameter(torch.zeros(*stack)) if config.tau == "scalar" else None

    def forward(self, observations: Tensor) -> Tensor:
        if self.net is not None:
            raw = self.net(observations).squeeze(-1)
        else:
            assert self.raw is not None
            raw = self.raw.unsqueeze(-1).expand(observations.shape[:-1])
        return raw + self.offset if self.free else F.softplus(raw + self.offset) + TAU_FLOOR
