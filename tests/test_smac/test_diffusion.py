"""The score has the right sign and size where the truth is known."""

import pytest
import torch
import torch.nn.functional as F

from smac.diffusion import ActionDiffusion, DiffusionTrainer
from smac.nets import initialise
from smac.streams import Streams

STD = 0.2


def fit(actions_of, *, steps: int, seed: int = 0) -> DiffusionTrainer:
    """Train on actions_of(observations, outcomes, noise); observations, outcomes ~ U(-1, 1)."""
    draws = Streams([seed], "toy")
    model = ActionDiffusion((1,), 1, 2, (64, 64))
    initialise(model, Streams([seed], "init").generators)
    observations, outcomes = 2 * draws.uniform(4096, 1) - 1, 2 * draws.uniform(4096) - 1
    actions = actions_of(observations, outcomes, draws.normal(4096, 2))
    model.set_statistics(actions[0], outcomes[0])
    trainer = DiffusionTrainer(model, [seed], lr=2e-3, outcome_dropout=0.1, ema=0.99)
    for _ in range(steps):
        index = draws.integers(4096, 256)[0]
        trainer.update(observations[:, index], actions[:, index], outcomes[:, index])
    return trainer


@pytest.fixture(scope="module")
def gaussian() -> DiffusionTrainer:
    """a ~ N((s, -s) / 2, STD^2), whatever the outcome."""
    return fit(lambda s, w, z: torch.cat([s, -s], -1) / 2 + STD * z, steps=1500)


def test_score_sign_and_size_on_a_gaussian(gaussian):
    """At noise level sigma the truth is -(a - mean) / (STD^2 + sigma^2)."""
    sigma, draws = 0.1, Streams([7], "test")
    s, w = 2 * draws.uniform(512, 1) - 1, draws.uniform(512)
    mean = torch.cat([s, -s], -1) / 2
    actions = mean + STD * draws.normal(512, 2)
    score = gaussian.ema.score(s, actions, w, sigma)
    truth = -(actions - mean) / (STD**2 + sigma**2)
    assert F.cosine_similarity(score, truth, dim=-1).mean() > 0.95
    assert ((mean - actions) * score).sum(-1).gt(0).float().mean() > 0.95  # toward the data
    slope = (score * truth).sum() / (truth * truth).sum()
    assert slope.item() == pytest.approx(1.0, abs=0.1)


def test_the_noise_level_is_chosen_when_asked(gaussian):
    """A larger sigma blurs the density, so the score shrinks as 1 / (STD^2 + sigma^2)."""
    s, w = torch.zeros(1, 64, 1), torch.zeros(1, 64)
    actions = 0.3 * torch.ones(1, 64, 2)
    norms = [gaussian.ema.score(s, actions, w, sigma).norm(dim=-1).mean() for sigma in (0.05, 0.4)]
    expected = (STD**2 + 0.4**2) / (STD**2 + 0.05**2)
    assert (norms[0] / norms[1]).item() == pytest.approx(expected, rel=0.2)


def test_the_outcome_moves_the_score():
    """Good outcomes come from a = +0.5, bad ones from a = -0.5: at a = 0 the score points either way."""
    model = fit(lambda s, w, z: 0.5 * w.sign().unsqueeze(-1) + 0.1 * z, steps=1000).ema
    s, a = torch.zeros(1, 16, 1), torch.zeros(1, 16, 2)
    good, bad = (model.score(s, a, torch.full((1, 16), w), 0.3) for w in (0.8, -0.8))
    assert good.min() > 1.0
    assert bad.max() < -1.0
    dropped = model.score(s, a, None, 0.3)
    assert dropped.abs().max() < 0.5 * min(good.min(), -bad.max())


def test_outcome_statistics_travel_in_the_state_dict():
    model = ActionDiffusion((1,), 1, 2, (8,))
    initialise(model, Streams([0], "init").generators)
    model.set_statistics(torch.randn(100, 2), torch.randn(100) * 3 + 5)
    copy = ActionDiffusion((1,), 1, 2, (8,))
    copy.load_state_dict(model.state_dict())
    w = torch.tensor([[4.0]])
    inputs = (torch.zeros(1, 1, 1), torch.zeros(1, 1, 2), w, 0.1)
    assert torch.equal(model.score(*inputs), copy.score(*inputs))
    assert copy.outcome_mean.item() == pytest.approx(5.0, abs=1.0)
