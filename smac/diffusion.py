"""A diffusion model of the dataset's actions, conditioned on state and outcome, and its score.

EDM parametrisation (Karras et al. 2022): the noise level sigma is chosen when the score is asked for, in the
action's own units, and the score is that of the action density convolved with N(0, sigma^2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from smac.nets import StackedMLP
from smac.streams import Streams

LOG_SIGMA_MEAN, LOG_SIGMA_STD = -1.2, 1.2  # the noise levels trained on, Karras et al. 2022, Table 1
NOISE_FEATURES = 8


def noise_features(sigma: Tensor) -> Tensor:
    """sigma [...] -> sines and cosines of ln(sigma)/4 at octaves, [..., 2 * NOISE_FEATURES]."""
    octaves = math.pi * 2.0 ** torch.arange(-3, NOISE_FEATURES - 3, device=sigma.device)
    angles = (sigma.log() / 4.0).unsqueeze(-1) * octaves
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ActionDiffusion(nn.Module):
    """Denoiser D(a_noisy; s, w, sigma) of a stack of seeds, with the outcome's statistics inside.

    Outcomes w are raw numbers, [stack, batch]; `None` stands for "outcome dropped", the unconditional model.
    """

    outcome_mean: Tensor
    outcome_std: Tensor
    sigma_data: Tensor

    def __init__(
        self, stack: Sequence[int], observation_dim: int, action_dim: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        inputs = observation_dim + action_dim + 2 + 2 * NOISE_FEATURES
        self.net = StackedMLP(stack, inputs, hidden, action_dim, activation="silu", layer_norm=True)
        self.register_buffer("outcome_mean", torch.zeros(*stack))
        self.register_buffer("outcome_std", torch.ones(*stack))
        self.register_buffer("sigma_data", torch.ones(*stack))

    @torch.no_grad()
    def set_statistics(self, actions: Tensor, outcomes: Tensor) -> None:
        """Scale of the actions [N, action] and mean and spread of the outcomes [N]."""
        self.sigma_data.fill_(float(actions.std()))
        self.outcome_mean.fill_(float(outcomes.mean()))
        self.outcome_std.fill_(max(float(outcomes.std()), 1e-6))

    def forward(
        self, observations: Tensor, noisy: Tensor, outcomes: Tensor | None, keep: Tensor | None, sigma: Tensor
    ) -> Tensor:
        """The denoised action, [stack, batch, action]; keep [stack, batch] is 0 where w is dropped."""
        if outcomes is None:
            outcomes = keep = torch.zeros_like(sigma)
        elif keep is None:
            keep = torch.ones_like(outcomes)
        w = keep * (outcomes - self.outcome_mean.unsqueeze(-1)) / self.outcome_std.unsqueeze(-1)
        data, s = self.sigma_data[..., None, None], sigma.unsqueeze(-1)
        variance = s**2 + data**2
        x = torch.cat(
            [
                noisy / variance.sqrt(),
                observations,
                w.unsqueeze(-1),
                keep.unsqueeze(-1),
                noise_features(sigma),
            ],
            dim=-1,
        )
        return noisy * data**2 / variance + self.net(x) * s * data / variance.sqrt()

    def score(
        self, observations: Tensor, actions: Tensor, outcomes: Tensor | None, sigma: float | Tensor
    ) -> Tensor:
        """grad_a log p_sigma(a | s, w), [stack, batch, action]: it points *toward* the data.

        By Tweedie's formula score = (D(a) - a) / sigma^2 = -eps / sigma.
        """
        level = torch.as_tensor(sigma, device=actions.device, dtype=actions.dtype).expand(actions.shape[:-1])
        denoised = self(observations, actions, outcomes, None, level)
        return (denoised - actions) / level.unsqueeze(-1) ** 2

    def loss(
        self, observations: Tensor, actions: Tensor, outcomes: Tensor, keep: Tensor, z: Tensor, noise: Tensor
    ) -> Tensor:
        """Weighted denoising error per seed, [stack] (Karras et al. 2022, eq. 8).

        z [stack, batch] and noise [stack, batch, action] are standard normal.
        """
        sigma = (LOG_SIGMA_MEAN + LOG_SIGMA_STD * z).exp()
        denoised = self(observations, actions + sigma.unsqueeze(-1) * noise, outcomes, keep, sigma)
        data = self.sigma_data.unsqueeze(-1)
        weight = (sigma**2 + data**2) / (sigma * data) ** 2
        return (weight * ((denoised - actions) ** 2).mean(-1)).mean(-1)


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
