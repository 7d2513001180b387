"""Muon on a stack is `torch.optim.Muon` on every member; heads, biases and norms stay with Adam."""

import copy
import math

import pytest
import torch
from torch import nn

from smac.agents.sac import SAC, SACConfig
from smac.data.replay import Batch
from smac.errors import UserError
from smac.nets import CriticEnsemble, DeterministicActor, StackedMLP, TanhGaussianActor, initialise
from smac.optim import (
    COEFFICIENTS,
    Muon,
    MuonWithAdam,
    learning_rate_scale,
    newton_schulz,
    reset_momentum,
    split_parameters,
)
from smac.streams import Streams

SHAPES = {"tall": (24, 10), "wide": (10, 24), "square": (16, 16)}


def quintic(s: float, steps: int = 5) -> float:
    """What the iteration does to one singular value."""
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return s


def gradients(*shape: int, count: int = 4) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))


def run(optimiser: torch.optim.Optimizer, parameter: torch.Tensor, grads: torch.Tensor) -> None:
    for grad in grads:
        parameter.grad = grad.clone()
        optimiser.step()


# ---- Newton-Schulz -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_batch_is_orthogonalised_member_by_member(shape):
    g = torch.randn(2, 3, *shape) * torch.logspace(-3, 3, 6).reshape(2, 3, 1, 1)
    together = newton_schulz(g)
    assert together.shape == g.shape
    for k in range(2):
        for e in range(3):
            torch.testing.assert_close(together[k, e], newton_schulz(g[k, e]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_singular_vectors_stay_and_singular_values_follow_the_quintic(shape):
    g = torch.randn(*shape, dtype=torch.float64)
    u, s, vh = torch.linalg.svd(g, full_matrices=False)
    moved = torch.tensor([quintic(x.item()) for x in s / g.norm()], dtype=torch.float64)
    torch.testing.assert_close(newton_schulz(g, dtype=torch.float64), u @ moved.diag() @ vh)


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 0.0), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_singular_values_end_near_one(shape, dtype, rounding):
    rank = min(shape)
    u, v = (torch.linalg.qr(torch.randn(3, n, rank))[0] for n in shape)
    g = u @ torch.linspace(0.1, 1.0, rank).diag() @ v.mT
    s = torch.linalg.svdvals(newton_schulz(g, dtype=dtype))
    assert s.min() > 0.68 - rounding
    assert s.max() < 1.25 + rounding


def test_a_single_row_gets_a_fixed_length():
    """Why heads are left to Adam."""
    assert quintic(1.0) == pytest.approx(0.70, abs=0.01)
    for length in (1e-3, 1e3):
        row = length * nn.functional.normalize(torch.randn(1, 32), dim=-1)
        assert newton_schulz(row).norm().item() == pytest.approx(quintic(1.0), abs=1e-5)


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16])
def test_the_argument_keeps_its_value_and_the_result_its_dtype(dtype):
    g = torch.randn(2, 8, 5)
    before = g.clone()
    result = newton_schulz(g, dtype=dtype)
    assert torch.equal(g, before)
    assert result.dtype == g.dtype


def test_float32_on_the_cpu_unless_told_otherwise():
    g = torch.randn(2, 8, 5)
    assert torch.equal(newton_schulz(g), newton_schulz(g, dtype=torch.float32))
    low = newton_schulz(g, dtype=torch.bfloat16)
    assert torch.equal(low, low.bfloat16().float())
    assert 0 < (low - newton_schulz(g)).abs().max() < 0.03


# ---- torch.optim.Muon, one matrix at a time ---------------------------------------------------------------


def in_torch(start: torch.Tensor, grads: torch.Tensor, **options: object) -> torch.Tensor:
    """[stack, out, in] after torch's Muon on every matrix by itself; grads [steps, stack, out, in]."""
    matrices = [nn.Parameter(matrix.clone()) for matrix in start]
    for k, matrix in enumerate(matrices):
        run(torch.optim.Muon([matrix], lr=0.02, **options), matrix, grads[:, k])
    return torch.stack([m.detach() for m in matrices])


@pytest.mark.parametrize("adjust_lr_fn", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equals_torch_in_float32(monkeypatch, shape, weight_decay, nesterov, adjust_lr_fn):
    """torch's Newton-Schulz casts to bfloat16; all of its code runs here but for that cast."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    options = {"weight_decay": weight_decay, "nesterov": nesterov, "adjust_lr_fn": adjust_lr_fn}
    start, grads = torch.randn(3, *shape), gradients(3, *shape, count=5)
    stacked = nn.Parameter(start.clone())
    run(Muon([stacked], lr=0.02, **options), stacked, grads)
    torch.testing.assert_close(stacked.detach(), in_torch(start, grads, **options), atol=1e-5, rtol=0)


def test_close_to_untouched_torch_in_bfloat16():
    start, grads = torch.randn(3, 16, 24), gradients(3, 16, 24, count=5)
    stacked = nn.Parameter(start.clone())
    run(Muon([stacked], lr=0.02, weight_decay=0.1, ns_dtype=torch.bfloat16), stacked, grads)
    expected = in_torch(start, grads, weight_decay=0.1)
    assert (expected - start).abs().max() > 0.03
    torch.testing.assert_close(
        stacked.detach(), expected, atol=3e-3, rtol=0
    )  # 5 steps of 0.02 * 1e-2, and room


def test_learning_rate_scales():
    assert learning_rate_scale(8, 2, "original") == 2.0
    assert learning_rate_scale(2, 8, "original") == 1.0
    assert learning_rate_scale(2, 100, "match_rms_adamw") == pytest.approx(2.0)
    assert learning_rate_scale(100, 2, "match_rms_adamw") == pytest.approx(2.0)


@pytest.mark.parametrize(("rule", "scale"), [("original", 2.0), ("match_rms_adamw", 0.2 * math.sqrt(8))])
def test_the_scale_is_of_out_and_in_whatever_the_stack(rule, scale):
    """The first two axes, which torch's rule reads, are (50, 8) here: 2.5 and 1.41 instead of 2 and 0.57."""
    p = nn.Parameter(torch.zeros(50, 8, 2))
    grad = torch.randn(50, 8, 2)
    run(Muon([p], lr=0.1, adjust_lr_fn=rule), p, grad[None])
    torch.testing.assert_close(p.detach(), -0.1 * scale * newton_schulz(grad), atol=1e-5, rtol=0)


def test_a_matched_update_has_the_root_mean_square_of_adamw():
    """Liu et al. 2025 aim at 0.2 to 0.4 of the learning rate."""
    p = nn.Parameter(torch.zeros(4, 64, 32))
    run(Muon([p], lr=1.0, adjust_lr_fn="match_rms_adamw"), p, torch.randn(1, 4, 64, 32))
    assert 0.15 < p.square().mean().sqrt() < 0.25


# ---- the optimiser as an object ---------------------------------------------------------------------------


@pytest.mark.parametrize("nesterov", [True, False])
def test_gradients_are_left_as_they_were(nesterov):
    p = nn.Parameter(torch.randn(2, 6, 4))
    optimiser = Muon([p], lr=0.1, nesterov=nesterov)
    for grad in gradients(2, 6, 4):
        p.grad = grad.clone()
        optimiser.step()
        assert torch.equal(p.grad, grad)


def test_a_zero_gradient_moves_nothing_in_its_own_member_only():
    p = nn.Parameter(torch.ones(2, 6, 4))
    grad = torch.randn(2, 6, 4)
    grad[0] = 0.0
    run(Muon([p], lr=0.1), p, grad[None])
    assert torch.equal(p[0], torch.ones(6, 4))
    assert p.isfinite().all()
    assert (p[1] - 1.0).abs().max() > 0.01


def test_parameters_without_a_gradient_stay():
    a, b = nn.Parameter(torch.ones(2, 6, 4)), nn.Parameter(torch.ones(2, 6, 4))
    optimiser = Muon([a, b], lr=0.1, weight_decay=0.1)
    run(optimiser, a, gradients(2, 6, 4))
    assert torch.equal(b, torch.ones(2, 6, 4))
    assert b not in optimiser.state


def test_a_step_reads_nothing_back_from_the_device():
    """A meta tensor has no values: reading one raises, as waiting for a GPU would stall."""
    p = nn.Parameter(torch.empty(2, 6, 4, device="meta"))
    optimiser = Muon([p], lr=0.1, weight_decay=0.1)
    for _ in range(2):
        p.grad = torch.empty(2, 6, 4, device="meta")
        optimiser.step()
    with pytest.raises(RuntimeError):
        p.sum().item()


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"\(7,\) to Adam"):
        Muon([nn.Parameter(torch.zeros(7))], lr=0.1)


# ---- which parameters --------------------------------------------------------------------------------------

NETWORKS = {
    "critic": CriticEnsemble((2,), 3, 5, 2, (16, 12, 8), layer_norm=True),
    "actor": TanhGaussianActor((2,), 5, 2, (16, 12, 8), layer_norm=True),
    "deterministic": DeterministicActor((2,), 5, 2, (16, 12, 8)),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(("include_input", "layers"), [(False, [1, 2]), (True, [0, 1, 2])])
def test_muon_gets_hidden_matrices_and_nothing_else(network, include_input, layers):
    """A stacked bias [stack, out] has two axes, and a head [stack, out, in] three: shapes tell nothing."""
    matrices, rest = split_parameters(network, include_input=include_input)
    names = {id(p): name for name, p in network.named_parameters()}
    assert [names[id(p)] for p in matrices] == [f"net.hidden.{i}.weight" for i in layers]
    assert {id(p) for p in matrices} | {id(p) for p in rest} == set(names)
    assert len(matrices) + len(rest) == len(names)


def test_several_networks_split_as_one():
    critic, head = NETWORKS["critic"], StackedMLP((2,), 5, (8, 8), 1)
    both = nn.ModuleList([critic, head])
    both.log_alpha = nn.Parameter(torch.zeros(2, 1))
    matrices, rest = split_parameters(both)
    assert [p.shape[-2:] for p in matrices] == [(12, 16), (8, 12), (8, 8)]
    assert any(p is both.log_alpha for p in rest)


# ---- Muon and Adam as one --------------------------------------------------------------------------------


def critic_of(seeds: list[int]) -> CriticEnsemble:
    critic = CriticEnsemble((len(seeds),), 2, 3, 2, (16, 16), layer_norm=True)
    initialise(critic, Streams(seeds, "init").generators)
    return critic


def both_for(module: nn.Module, **options: object) -> MuonWithAdam:
    return MuonWithAdam(*split_parameters(module), lr=1e-2, **options)


def train(critic: CriticEnsemble, optimiser: MuonWithAdam, draws: Streams, steps: int = 5) -> None:
    """Regression on noise; every seed sees its own stream."""
    for _ in range(steps):
        q = critic(draws.normal(32, 3), draws.normal(32, 2))
        optimiser.zero_grad(set_to_none=True)
        ((q - draws.normal(1, 32)) ** 2).mean((-2, -1)).sum().backward()
        optimiser.step()


def test_a_seed_trains_alone_as_in_a_stack():
    together, alone = critic_of([4, 5, 6]), critic_of([5])
    train(together, both_for(together), Streams([4, 5, 6], "data"))
    train(alone, both_for(alone), Streams([5], "data"))
    for a, b, c in zip(together.parameters(), alone.parameters(), critic_of([5]).parameters(), strict=True):
        torch.testing.assert_close(a[1], b[0], atol=1e-5, rtol=0)
        assert (b - c).abs().max() > 1e-3


def test_heads_biases_norms_and_first_layer_take_adams_step():
    critic, twin = critic_of([0, 1]), critic_of([0, 1])
    train(critic, both_for(critic), Streams([0, 1], "data"), steps=1)
    train(twin, torch.optim.Adam(twin.parameters(), lr=1e-2), Streams([0, 1], "data"), steps=1)
    for (name, a), b in zip(critic.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-7) == (name != "net.hidden.1.weight"), name


def test_one_learning_rate_or_two():
    critic = critic_of([0])
    for options, rates in [({}, [1e-2, 1e-2]), ({"muon_lr": 0.02}, [0.02, 1e-2])]:
        assert [group["lr"] for group in both_for(critic, **options).param_groups] == rates


def test_a_learning_rate_set_in_the_groups_is_used():
    critic = critic_of([0])
    before = copy.deepcopy(critic.state_dict())
    optimiser = both_for(critic)
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    train(critic, optimiser, Streams([0], "data"))
    assert all(torch.equal(before[name], value) for name, value in critic.state_dict().items())


def test_no_hidden_matrix_is_an_error_that_says_what_to_do():
    with pytest.raises(UserError, match="add a hidden layer"):
        both_for(CriticEnsemble((1,), 2, 3, 2, (16,)))


def test_a_restored_state_continues_identically():
    critic, draws = critic_of([0, 1]), Streams([0, 1], "data")
    optimiser = both_for(critic, weight_decay=0.1)
    train(critic, optimiser, draws)
    twin, saved = copy.deepcopy(critic), copy.deepcopy(optimiser.state_dict())
    restored = both_for(twin, weight_decay=0.5)
    restored.load_state_dict(saved)
    train(critic, optimiser, Streams([0, 1], "more"))
    train(twin, restored, Streams([0, 1], "more"))
    for a, b in zip(critic.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", ["muon", "adam"])
def test_reset_forgets_the_past_and_keeping_does_not(kind):
    """The first step after the switch, with the momentum kept, reset, and from a fresh optimiser."""
    after = {}
    for what in ("keep", "reset", "fresh"):
        critic = critic_of([0, 1])
        optimiser = both_for(critic) if kind == "muon" else torch.optim.Adam(critic.parameters(), fused=True)
        train(critic, optimiser, Streams([0, 1], "data"))
        if what == "reset":
            reset_momentum(optimiser)
        elif what == "fresh":
            optimiser = both_for(critic) if kind == "muon" else torch.optim.Adam(critic.parameters())
        train(critic, optimiser, Streams([0, 1], "online"), steps=2)
        after[what] = [p.detach() for p in critic.parameters()]
    for kept, reset, fresh in zip(after["keep"], after["reset"], after["fresh"], strict=True):
        torch.testing.assert_close(reset, fresh, atol=1e-6, rtol=0)
        assert (kept - fresh).abs().max() > 1e-4


def test_an_agent_updates_with_muon():
    agent = SAC(SACConfig(hidden=(16, 16), batch_size=8), 3, 2, [0, 1])
    agent.critic_optimiser, agent.actor_optimiser = both_for(agent.critic), both_for(agent.actor)
    before = [copy.deepcopy(network.state_dict()) for network in (agent.critic, agent.actor)]
    draws = Streams([0, 1], "batch")
    batch = Batch(
        observations=draws.normal(8, 3), actions=draws.uniform(8, 2), next_observations=draws.normal(8, 3),
        rewards=-draws.uniform(8), masks=torch.ones(2, 8), mc_returns=torch.zeros(2, 8),
        outcomes=torch.zeros(2, 8), scores=torch.zeros(2, 8, 2),
    )  # fmt: skip
    agent.update(batch)
    for network, old in zip((agent.critic, agent.actor), before, strict=True):
        for name, value in network.state_dict().items():
            assert value.isfinite().all()
            assert not torch.equal(value, old[name]), name
