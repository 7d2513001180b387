"""Diffusion models of the dataset's actions, conditioned on state and outcome, and their score.

The noise level sigma is chosen when the score is asked for, in the action's own units, and the score is that
of the action density convolved with N(0, sigma^2). Two parametrisations learn it: `EDM`, a denoiser (Karras
et al. 2022), and `VP`, a predictor of the noise in sqrt(abar) a + sqrt(1 - abar) eps (Ho et al. 2020; Song
et al. 2021), where sigma = sqrt((1 - abar) / abar).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from smac.errors import UserError
from smac.nets import StackedMLP, StackedResidualMLP
from smac.streams import Streams

Parametrisation = Literal["edm", "vp"]
ScoreNetwork = Literal["mlp", "residual"]
Time = TypeVar("Time", float, Tensor)

LOG_SIGMA_MEAN, LOG_SIGMA_STD = -1.2, 1.2  # EDM's noise levels in training, Karras et al. 2022, Table 1
BETA_MIN, BETA_MAX = 0.1, 10.0  # VP's schedule, as in Diffusion-QL and IDQL
FIRST_TIME = 1e-3  # where VP's time begins if it is continuous; sigma is 0.0102 there
NOISE_FEATURES = 8
TIME_WIDTH = 128  # of the residual network's embedding of the noise level, as in IDQL


def noise_features(sigma: Tensor) -> Tensor:
    """sigma [...] -> sines and cosines of ln(sigma)/4 at octaves, [..., 2 * NOISE_FEATURES]."""
    octaves = math.pi * 2.0 ** torch.arange(-3, NOISE_FEATURES - 3, device=sigma.device)
    angles = (sigma.log() / 4.0).unsqueeze(-1) * octaves
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ResidualDenoiser(nn.Module):
    """IDQL's network: the noise level goes through two layers of its own, all else into residual blocks.

    The last 2 * NOISE_FEATURES inputs are those of the noise level. IDQL learns the frequencies of its
    Fourier features; here they are fixed octaves.
    """

    def __init__(self, stack: Sequence[int], inputs: int, width: int, blocks: int, outputs: int) -> None:
        super().__init__()
        self.level = StackedMLP(stack, 2 * NOISE_FEATURES, (TIME_WIDTH,), TIME_WIDTH, activation="mish")
        rest = inputs - 2 * NOISE_FEATURES
        self.body = StackedResidualMLP(stack, rest + TIME_WIDTH, width, blocks, outputs)

    def forward(self, x: Tensor) -> Tensor:
        rest, level = x[..., : -2 * NOISE_FEATURES], x[..., -2 * NOISE_FEATURES :]
        return self.body(torch.cat([rest, self.level(level)], dim=-1))


def score_network(
    kind: ScoreNetwork, stack: Sequence[int], inputs: int, hidden: Sequence[int], outputs: int
) -> nn.Module:
    """The network of a diffusion model; as `residual`, `hidden` is one width, once for every block."""
    if kind == "mlp":
        return StackedMLP(stack, inputs, hidden, outputs, activation="silu", layer_norm=True)
    if not hidden or len(set(hidden)) > 1:
        raise UserError(
            f"--diffusion-hidden {' '.join(map(str, hidden))}: the blocks of --score-network residual have "
            "one width, as in 256 256 256"
        )
    return ResidualDenoiser(stack, inputs, hidden[0], len(hidden), outputs)


class ActionDiffusion(nn.Module, ABC):
    """A network of (noisy action; s, w, sigma) of a stack of seeds, with the outcome's statistics inside.

    Outcomes w are raw numbers, [stack, batch]; `None` stands for "outcome dropped", the unconditional model.
    """

    outcome_mean: Tensor
    outcome_std: Tensor

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        *,
        network: ScoreNetwork = "mlp",
    ) -> None:
        super().__init__()
        inputs = observation_dim + action_dim + 2 + 2 * NOISE_FEATURES
        self.net = score_network(network, stack, inputs, hidden, action_dim)
        self.register_buffer("outcome_mean", torch.zeros(*stack))
        self.register_buffer("outcome_std", torch.ones(*stack))

    @torch.no_grad()
    def set_statistics(self, actions: Tensor, outcomes: Tensor) -> None:
        """Mean and spread of the outcomes [N]; a parametrisation may want the actions [N, action] too."""
        self.outcome_mean.fill_(float(outcomes.mean()))
        self.outcome_std.fill_(max(float(outcomes.std()), 1e-6))

    def output(
        self,
        observations: Tensor,
        inputs: Tensor,
        outcomes: Tensor | None,
        keep: Tensor | None,
        sigma: Tensor,
    ) -> Tensor:
        """What the network says of noisy actions that were scaled to be its inputs, [stack, batch, action].

        sigma and keep are [stack, batch]; keep is 0 where w is dropped, and None keeps every w.
        """
        if outcomes is None:
            outcomes = keep = torch.zeros_like(sigma)
        elif keep is None:
            keep = torch.ones_like(outcomes)
        w = keep * (outcomes - self.outcome_mean.unsqueeze(-1)) / self.outcome_std.unsqueeze(-1)
        columns = [inputs, observations, w.unsqueeze(-1), keep.unsqueeze(-1), noise_features(sigma)]
        return self.net(torch.cat(columns, dim=-1))

    @abstractmethod
    def score(self, observations: Tensor, actions: Tensor, outcomes: Tensor | None, sigma: float) -> Tensor:
        """grad_a log p_sigma(a | s, w), [stack, batch, action]: it points *toward* the data."""

    @abstractmethod
    def loss(
        self, observations: Tensor, actions: Tensor, outcomes: Tensor, keep: Tensor, z: Tensor, noise: Tensor
    ) -> Tensor:
        """Training loss per seed, [stack]; it is near 1 for a network that outputs zero.

        z [stack, batch], from which the noise levels follow, and noise [stack, batch, action] are standard
        normal.
        """


class EDM(ActionDiffusion):
    """The network as denoiser D(a_noisy; s, w, sigma), preconditioned as in Karras et al. 2022."""

    sigma_data: Tensor

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        *,
        network: ScoreNetwork = "mlp",
    ) -> None:
        super().__init__(stack, observation_dim, action_dim, hidden, network=network)
        self.register_buffer("sigma_data", torch.ones(*stack))

    @torch.no_grad()
    def set_statistics(self, actions: Tensor, outcomes: Tensor) -> None:
        """Scale of the actions [N, action] and mean and spread of the outcomes [N]."""
        super().set_statistics(actions, outcomes)
        self.sigma_data.fill_(float(actions.std()))

    def forward(
        self, observations: Tensor, noisy: Tensor, outcomes: Tensor | None, keep: Tensor | None, sigma: Tensor
    ) -> Tensor:
        """The denoised action, [stack, batch, action]; keep [stack, batch] is 0 where w is dropped."""
        data, s = self.sigma_data[..., None, None], sigma.unsqueeze(-1)
        variance = s**2 + data**2
        output = self.output(observations, noisy / variance.sqrt(), outcomes, keep, sigma)
        return noisy * data**2 / variance + output * s * data / variance.sqrt()

    def score(
        self, observations: Tensor, actions: Tensor, outcomes: Tensor | None, sigma: float | Tensor
    ) -> Tensor:
        """By Tweedie's formula score = (D(a) - a) / sigma^2; any sigma > 0, which may vary over the batch."""
        level = sigma if isinstance(sigma, Tensor) else actions.new_full((), sigma)  # without a host copy
        level = level.expand(actions.shape[:-1])
        denoised = self(observations, actions, outcomes, None, level)
        return (denoised - actions) / level.unsqueeze(-1) ** 2

    def loss(
        self, observations: Tensor, actions: Tensor, outcomes: Tensor, keep: Tensor, z: Tensor, noise: Tensor
    ) -> Tensor:
        """Weighted denoising error (Karras et al. 2022, eq. 8) at sigma = exp(mean + std z)."""
        sigma = (LOG_SIGMA_MEAN + LOG_SIGMA_STD * z).exp()
        denoised = self(observations, actions + sigma.unsqueeze(-1) * noise, outcomes, keep, sigma)
        data = self.sigma_data.unsqueeze(-1)
        weight = (sigma**2 + data**2) / (sigma * data) ** 2
        return (weight * ((denoised - actions) ** 2).mean(-1)).mean(-1)


def beta_integral(t: Time) -> Time:
    """-ln abar(t), for a beta that rises linearly from BETA_MIN at t = 0 to BETA_MAX at t = 1."""
    return BETA_MIN * t + 0.5 * (BETA_MAX - BETA_MIN) * t * t


def vp_sigma(t: float) -> float:
    """The noise per unit of action at time t, sqrt((1 - abar) / abar)."""
    return math.sqrt(math.expm1(beta_integral(t)))


def vp_time(sigma: float) -> float:
    """The time t with vp_sigma(t) = sigma, from abar = 1 / (1 + sigma^2)."""
    integral = math.log1p(sigma**2)
    # the root of a quadratic, in the form that does not subtract nearly equal numbers at low sigma
    return 2.0 * integral / (BETA_MIN + math.sqrt(BETA_MIN**2 + 2.0 * (BETA_MAX - BETA_MIN) * integral))


@dataclass(frozen=True)
class VPLevels:
    """The noise levels that a VP model knows.

    They are those of the times i / steps, i = 1..steps, as in DDPM; with steps = 0 of all times in
    [FIRST_TIME, 1].
    """

    steps: int = 0

    @property
    def first_time(self) -> float:
        return 1.0 / self.steps if self.steps else FIRST_TIME

    def at_or_below(self, sigma: float) -> float:
        """The highest known level that does not exceed sigma; a sigma below all of them is a UserError."""
        time = min(vp_time(sigma) * (1.0 + 1e-12), 1.0)  # a level must find itself in spite of rounding
        if time < self.first_time:
            lowest = math.ceil(1e4 * vp_sigma(self.first_time)) / 1e4
            finer = f", or train with --vp-steps 0 or at least {math.ceil(1.0 / time)}" if self.steps else ""
            raise UserError(
                f"--sigma {sigma:g} lies below {lowest:.4f}, the lowest noise level of "
                f"--diffusion vp --vp-steps {self.steps}: ask for that or more{finer}"
            )
        return vp_sigma(math.floor(time * self.steps) / self.steps if self.steps else time)

    def draw(self, z: Tensor) -> Tensor:
        """Levels to train at from standard normal z, of its shape.

        Discrete times are drawn evenly. Continuous ones are drawn evenly in ln t: the popular even t leaves
        4 % of the training to sigma < 0.1, but nothing is sampled here, and low levels are asked for.
        """
        u = torch.special.ndtr(z)
        if self.steps:
            t = ((u * self.steps).floor() + 1.0).clamp(max=self.steps) / self.steps
        else:
            t = FIRST_TIME ** (1.0 - u)
        return beta_integral(t).expm1().sqrt()


class VP(ActionDiffusion):
    """The network as predictor of eps in a_noisy = a + sigma eps, from sqrt(abar) a_noisy, s, w and sigma."""

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        *,
        steps: int = 0,
        network: ScoreNetwork = "mlp",
    ) -> None:
        super().__init__(stack, observation_dim, action_dim, hidden, network=network)
        self.levels = VPLevels(steps)

    def forward(
        self, observations: Tensor, noisy: Tensor, outcomes: Tensor | None, keep: Tensor | None, sigma: Tensor
    ) -> Tensor:
        """The predicted noise, [stack, batch, action].

        The noisy action comes in the clean action's units; sqrt(abar) = 1 / sqrt(1 + sigma^2) makes it
        sqrt(abar) a + sqrt(1 - abar) eps.
        """
        root_abar = (1.0 + sigma**2).rsqrt().unsqueeze(-1)
        return self.output(observations, root_abar * noisy, outcomes, keep, sigma)

    def score(self, observations: Tensor, actions: Tensor, outcomes: Tensor | None, sigma: float) -> Tensor:
        """score = -eps / sigma, with the network asked at sqrt(abar) a.

        The scaled action x = sqrt(abar) a has score -eps / sqrt(1 - abar); the change of variables
        multiplies it by dx/da = sqrt(abar), which gives -eps / sigma.
        With discrete times the level is the highest that does not exceed sigma.
        """
        level = self.levels.at_or_below(sigma)
        noise = self(observations, actions, outcomes, None, actions.new_full(actions.shape[:-1], level))
        return -noise / level

    def loss(
        self, observations: Tensor, actions: Tensor, outcomes: Tensor, keep: Tensor, z: Tensor, noise: Tensor
    ) -> Tensor:
        """Mean squared error of the predicted noise (Ho et al. 2020, eq. 14)."""
        sigma = self.levels.draw(z)
        predicted = self(observations, actions + sigma.unsqueeze(-1) * noise, outcomes, keep, sigma)
        return ((predicted - noise) ** 2).mean((-2, -1))


class DiffusionTrainer:
    """Adam and an exponential moving average of the weights; `ema` is the model to use afterwards."""

    def __init__(
        self,
        model: ActionDiffusion,
        seeds: Sequence[int],
        *,
        lr: float,
        outcome_dropout: float,
        ema: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model = model.to(device)
        self.ema = deepcopy(model).requires_grad_(False)
        self.outcome_dropout, self.decay, self.step = outcome_dropout, ema, 0
        self.noise = Streams(seeds, "diffusion/noise", device)
        self.optimiser = torch.optim.Adam(model.parameters(), lr=lr)

    def update(self, observations: Tensor, actions: Tensor, outcomes: Tensor) -> dict[str, Tensor]:
        """One step on a batch [stack, batch, .]; returns the loss per seed."""
        batch, action_dim = actions.shape[-2:]
        keep = (self.noise.uniform(batch) >= self.outcome_dropout).float()
        z, noise = self.noise.normal(batch), self.noise.normal(batch, action_dim)
        loss = self.model.loss(observations, actions, outcomes, keep, z, noise)
        self.optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()
        self.optimiser.step()
        self.step += 1
        rate = 1.0 - min(self.decay, (1.0 + self.step) / (10.0 + self.step))  # short memory at the start
        with torch.no_grad():
            for average, parameter in zip(self.ema.parameters(), self.model.parameters(), strict=True):
                average.lerp_(parameter, rate)
        return {"train/diffusion_loss": loss.detach()}
