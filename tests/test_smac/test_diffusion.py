"""The score has the right sign and size where the truth is known, from either parametrisation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import assert_same_tensors, small_agent
from torch import nn

from smac.agents.smac import SMACConfig
from smac.checkpoint import load_checkpoint, save_checkpoint
from smac.diffusion import (
    EDM,
    VP,
    ActionDiffusion,
    DiffusionTrainer,
    VPLevels,
    beta_integral,
    vp_sigma,
    vp_time,
)
from smac.errors import UserError
from smac.nets import initialise
from smac.streams import Streams

STD, MODE_STD = 0.2, 0.15
GAUSSIAN, MIXTURE, OUTCOME = PROBLEMS = (0, 1, 2)  # the toy problems are members of one stack
STACK = (len(PROBLEMS),)
KINDS = {"edm": EDM, "vp": VP}


def mean(s):
    """Of the Gaussian, a ~ N((s, -s) / 2, STD^2) whatever the outcome."""
    return torch.cat([s, -s], -1) / 2


def modes(s):
    """Of the mixture, a ~ N(+-(1, s) / 2, MODE_STD^2) with even odds whatever the outcome."""
    centre = torch.cat([torch.ones_like(s), s], -1) / 2
    return torch.stack([centre, -centre])


def mixture_score(s, a, sigma):
    """Of the mixture convolved with N(0, sigma^2)."""
    variance = MODE_STD**2 + sigma**2
    toward = modes(s) - a
    odds = (-(toward**2).sum(-1, keepdim=True) / (2 * variance)).softmax(0)
    return (odds * toward).sum(0) / variance


def toy_data(count):
    """Observations [3, count, 1] and outcomes [3, count] ~ U(-1, 1), and the actions of each problem."""
    draws = Streams(PROBLEMS, "toy")
    s, w = 2 * draws.uniform(count, 1) - 1, 2 * draws.uniform(count) - 1
    z, side = draws.normal(count, 2), (draws.uniform(count, 1) < 0.5).float()
    centre = modes(s[MIXTURE])[0] * (2 * side[MIXTURE] - 1)
    actions = torch.stack([
        mean(s[GAUSSIAN]) + STD * z[GAUSSIAN],
        centre + MODE_STD * z[MIXTURE],
        0.5 * w[OUTCOME].sign().unsqueeze(-1) + 0.1 * z[OUTCOME],
    ])  # fmt: skip
    return s, actions, w


def fit(model, *, steps, lr=4e-3, ema=0.99):
    """The averaged model after training on all toy problems."""
    s, actions, w = toy_data(4096)
    initialise(model, Streams(PROBLEMS, "init").generators)
    model.set_statistics(actions, w)
    trainer = DiffusionTrainer(model, PROBLEMS, lr=lr, outcome_dropout=0.1, ema=ema)
    draws = Streams([0], "batches")
    for _ in range(steps):
        index = draws.integers(4096, 256)[0]
        trainer.update(s[:, index], actions[:, index], w[:, index])
    return trainer.ema


@pytest.fixture(scope="module", params=KINDS)
def model(request) -> ActionDiffusion:
    return fit(KINDS[request.param](STACK, 1, 2, (64, 64)), steps=600)


def score(model, problem, s, a, w, sigma):
    """One problem's score at s [n, 1], a [n, 2], w [n] or None."""
    s, a, w = (None if x is None else x.expand(len(PROBLEMS), *x.shape) for x in (s, a, w))
    return model.score(s, a, w, sigma)[problem]


def cosine(x, y):
    return F.cosine_similarity(x, y, dim=-1).mean().item()


def test_score_sign_and_size_on_a_gaussian(model):
    """At noise level sigma the truth is -(a - mean) / (STD^2 + sigma^2)."""
    sigma, draws = 0.1, Streams([7], "test")
    s, w = 2 * draws.uniform(512, 1)[0] - 1, draws.uniform(512)[0]
    actions = mean(s) + STD * draws.normal(512, 2)[0]
    got = score(model, GAUSSIAN, s, actions, w, sigma)
    truth = -(actions - mean(s)) / (STD**2 + sigma**2)
    assert cosine(got, truth) > 0.95
    assert ((mean(s) - actions) * got).sum(-1).gt(0).float().mean() > 0.95  # toward the data
    slope = (got * truth).sum() / (truth * truth).sum()
    assert slope.item() == pytest.approx(1.0, abs=0.1 if isinstance(model, EDM) else 0.15)
    assert cosine(score(model, GAUSSIAN, s, actions, None, sigma), truth) > 0.95


def test_the_noise_level_is_chosen_when_asked(model):
    """A larger sigma blurs the density, so the score shrinks as 1 / (STD^2 + sigma^2)."""
    s, w, actions = torch.zeros(64, 1), torch.zeros(64), 0.3 * torch.ones(64, 2)
    norms = [score(model, GAUSSIAN, s, actions, w, sigma).norm(dim=-1).mean() for sigma in (0.05, 0.4)]
    expected = (STD**2 + 0.4**2) / (STD**2 + 0.05**2)
    assert (norms[0] / norms[1]).item() == pytest.approx(expected, rel=0.2)


def test_score_of_a_mixture_of_two_modes(model):
    s, actions, w = (x[MIXTURE] for x in toy_data(2000))
    got = score(model, MIXTURE, s, actions, w, 0.1)
    assert cosine(got, mixture_score(s, actions, 0.1)) > 0.95


def test_the_outcome_moves_the_score(model):
    """Good outcomes come from a = +0.5, bad ones from a = -0.5: at a = 0 the score points either way."""
    s, a = torch.zeros(16, 1), torch.zeros(16, 2)
    good, bad = (score(model, OUTCOME, s, a, torch.full((16,), w), 0.3) for w in (0.8, -0.8))
    assert good.min() > 1.0
    assert bad.max() < -1.0
    dropped = score(model, OUTCOME, s, a, None, 0.3)
    assert dropped.abs().max() < 0.5 * min(good.min(), -bad.max())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "steps", "sigmas"),
    [(EDM, None, (0.05, 0.1, 0.2)), (VP, 0, (0.05, 0.1, 0.2)), (VP, 20, (vp_sigma(1 / 20), 0.2))],
)
def test_longer_training_brings_the_score_closer(kind, steps, sigmas):
    options = {} if steps is None else {"steps": steps}
    model = fit(kind(STACK, 1, 2, (64, 64), **options), steps=6000, lr=1e-3, ema=0.995)
    s, actions, w = (x[MIXTURE] for x in toy_data(2000))
    for sigma in sigmas:
        truth = mixture_score(s, actions, model.levels.at_or_below(sigma) if kind is VP else sigma)
        assert cosine(score(model, MIXTURE, s, actions, w, sigma), truth) > 0.97


# ---- exact answers, without training -------------------------------------------------------------------


class ExactNoise(nn.Module):
    """E[eps | x] for x = sqrt(abar) a + sqrt(1 - abar) eps and a ~ N(0.3, STD^2)."""

    def __init__(self, abar: float) -> None:
        super().__init__()
        self.abar = abar

    def forward(self, inputs):
        x = inputs[..., :2]
        variance = self.abar * STD**2 + 1 - self.abar
        return math.sqrt(1 - self.abar) * (x - math.sqrt(self.abar) * 0.3) / variance


@pytest.mark.parametrize("sigma", [0.05, 0.5, 3.0])
def test_vp_asks_the_network_at_the_scaled_action(sigma):
    """With a perfect network the score is exactly that of N(0.3, STD^2 + sigma^2) in the action's units."""
    model = VP((1,), 1, 2, (8,))
    model.net = ExactNoise(math.exp(-beta_integral(vp_time(sigma))))
    actions = Streams([0], "actions").normal(100, 2)
    truth = -(actions - 0.3) / (STD**2 + sigma**2)
    torch.testing.assert_close(
        model.score(torch.zeros(1, 100, 1), actions, None, sigma), truth, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_loss_of_a_network_that_outputs_zero_is_one(kind):
    """EDM weights its error to be so for actions of the measured scale; VP's is the variance of the noise."""
    model, draws = kind((2,), 1, 2, (8,)), Streams([0, 1], "test")
    initialise(model, Streams([0, 1], "init").generators)
    nn.init.zeros_(model.net.head.weight)
    nn.init.zeros_(model.net.head.bias)
    actions, w, noise = 0.3 * draws.normal(50_000, 2), draws.normal(50_000), draws.normal(50_000, 2)
    model.set_statistics(actions, w)
    s, z = draws.normal(50_000, 1), draws.normal(50_000)
    loss = model.loss(s, actions, w, torch.ones_like(w), z, noise)
    assert loss.tolist() == pytest.approx([1.0, 1.0], abs=0.02)
    if kind is VP:
        torch.testing.assert_close(loss, (noise**2).mean((-2, -1)))


def test_time_and_noise_level_are_each_others_inverse():
    times = np.geomspace(1e-6, 1.0, 200)
    sigmas = np.array([vp_sigma(t) for t in times])
    assert (np.diff(sigmas) > 0).all()
    np.testing.assert_allclose([vp_time(sigma) for sigma in sigmas], times, rtol=1e-12)
    abar = [math.exp(-beta_integral(t)) for t in times]
    np.testing.assert_allclose(sigmas[80:], np.sqrt(1 / np.array(abar[80:]) - 1), rtol=1e-9)


@pytest.mark.parametrize(
    ("steps", "lowest"), [(5, 0.443), (10, 0.240), (20, 0.131), (50, 0.063), (100, 0.039), (1000, 0.010)]
)
def test_few_steps_leave_no_low_noise_level(steps, lowest):
    """The lowest sqrt(1 - abar) of the popular discrete schedules, and every level from their own formula."""
    i = np.arange(1, steps + 1)
    alpha = np.exp(-0.1 / steps - 0.5 * (10 - 0.1) * (2 * i - 1) / steps**2)  # as in Diffusion-QL
    abar = np.cumprod(alpha)
    levels = np.array([vp_sigma(k / steps) for k in i])
    np.testing.assert_allclose(levels, np.sqrt((1 - abar) / abar), rtol=1e-9)
    assert levels[0] / math.sqrt(1 + levels[0] ** 2) == pytest.approx(lowest, abs=5e-4)
    known = VPLevels(steps)
    np.testing.assert_allclose([known.at_or_below(level) for level in levels], levels, rtol=1e-12)
    between = (levels[:-1] + levels[1:]) / 2
    np.testing.assert_allclose([known.at_or_below(level) for level in between], levels[:-1], rtol=1e-12)
    assert known.at_or_below(100.0) == levels[-1]


def test_continuous_time_knows_every_level():
    known = VPLevels()
    for sigma in (0.0103, 0.05, 0.1, 0.2, 5.0):
        assert known.at_or_below(sigma) == pytest.approx(sigma, rel=1e-11)
    with pytest.raises(UserError, match=r"--sigma 0\.01 lies below 0\.0103"):
        known.at_or_below(0.01)


def test_a_level_below_the_lowest_is_refused_and_the_advice_works():
    with pytest.raises(UserError, match=r"below 0\.4936.*--vp-steps 0 or at least 28"):
        SMACConfig(diffusion="vp", vp_steps=5, sigma=0.1)
    assert SMACConfig(diffusion="vp", vp_steps=5, sigma=0.4936).vp_steps == 5
    assert SMACConfig(diffusion="vp", vp_steps=28, sigma=0.1).sigma == 0.1
    with pytest.raises(UserError, match="lies below"):
        SMACConfig(diffusion="vp", vp_steps=27, sigma=0.1)
    model = VP((1,), 1, 2, (8,), steps=5)
    with pytest.raises(UserError, match="lies below"):
        model.score(torch.zeros(1, 1, 1), torch.zeros(1, 1, 2), None, 0.1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"vp_steps": 5}, "needs --diffusion vp"),
        ({"vp_steps": -1, "diffusion": "vp"}, "--vp-steps must be at least 0"),
        ({"sigma": 0.0}, "--sigma must be positive"),
    ],
)
def test_options_that_make_no_sense(options, told):
    with pytest.raises(UserError, match=told):
        SMACConfig(**options)


def test_levels_in_training_follow_the_schedule():
    """Discrete times come evenly; of continuous ones as many below as above the geometric mean."""
    z = Streams([0], "levels").normal(60_000)
    drawn = VPLevels(5).draw(z)
    levels = torch.tensor([vp_sigma(i / 5) for i in range(1, 6)])
    shares = (drawn - levels.unsqueeze(-1)).abs().lt(1e-4).float().mean(-1)
    assert shares.tolist() == pytest.approx([0.2] * 5, abs=0.01)
    far = torch.tensor([-40.0, 0.0, 40.0])
    ends = [vp_sigma(t) for t in (1e-3, math.sqrt(1e-3), 1.0)]
    assert VPLevels().draw(far).tolist() == pytest.approx(ends, rel=1e-4)
    assert VPLevels(5).draw(far).tolist() == pytest.approx(levels[[0, 2, 4]].tolist(), rel=1e-4)


# ---- what travels in a checkpoint ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS.values())
def test_outcome_statistics_travel_in_the_state_dict(kind):
    model = kind((1,), 1, 2, (8,))
    initialise(model, Streams([0], "init").generators)
    model.set_statistics(torch.randn(100, 2), torch.randn(100) * 3 + 5)
    copy = kind((1,), 1, 2, (8,))
    copy.load_state_dict(model.state_dict())
    w = torch.tensor([[4.0]])
    inputs = (torch.zeros(1, 1, 1), torch.zeros(1, 1, 2), w, 0.1)
    assert torch.equal(model.score(*inputs), copy.score(*inputs))
    assert copy.outcome_mean.item() == pytest.approx(5.0, abs=1.0)


@pytest.mark.parametrize("options", [{}, {"diffusion": "vp"}, {"diffusion": "vp", "vp_steps": 40}])
def test_an_agents_checkpoint_gives_the_same_score(tmp_path, options):
    agent, description = small_agent(algorithm="smac", diffusion_hidden=(8,), **options)
    assert type(agent.diffusion) is KINDS[options.get("diffusion", "edm")]
    draws = Streams([0], "test")
    s, a, w = draws.normal(32, agent.observation_dim), draws.uniform(32, agent.action_dim), draws.normal(32)
    agent.diffusion.set_statistics(a, 3 * w + 5)
    path = save_checkpoint(tmp_path / "offline.safetensors", agent.tensors(0), description)
    other, _ = small_agent(algorithm="smac", seed=9, diffusion_hidden=(8,), **options)
    assert not torch.equal(agent.score(s, a, w), other.score(s, a, w))
    other.load_tensors([load_checkpoint(path).tensors])
    assert_same_tensors(agent.tensors(0), other.tensors(0))
    assert torch.equal(agent.score(s, a, w), other.score(s, a, w))
    assert other.diffusion.outcome_mean.item() == pytest.approx((3 * w + 5).mean().item())


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_seed_in_a_stack_learns_as_it_does_alone(kind):
    """Noise, dropout and initial weights of seed k come from its own streams."""
    losses = {}
    for seeds in ((3, 4), (4,)):
        model = kind((len(seeds),), 1, 2, (8,))
        initialise(model, Streams(seeds, "init").generators)
        trainer = DiffusionTrainer(model, seeds, lr=1e-3, outcome_dropout=0.5, ema=0.9)
        s, a, w = (Streams(seeds, "data").normal(16, n) for n in (1, 2, 3))
        losses[seeds] = [trainer.update(s, a, w[..., 0])["train/diffusion_loss"] for _ in range(5)]
    together, alone = torch.stack(losses[3, 4])[:, 1], torch.stack(losses[(4,)])[:, 0]
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
