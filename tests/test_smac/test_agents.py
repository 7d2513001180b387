"""The losses have the right value, gradient and sign."""

import dataclasses
import math
from dataclasses import replace

import pytest
import torch
from support import ACT, OBS, SMALL, assert_same_tensors, random_batch, toy_agent, toy_transitions

from smac.agents import AGENTS
from smac.agents.base import bellman_target
from smac.agents.sac import SAC, SACConfig
from smac.agents.smac import PAPER, SMAC, SMACConfig, action_gradient, matching_points, score_matching_loss
from smac.data.replay import Batch, OfflineData
from smac.errors import UserError
from smac.nets import CriticEnsemble, initialise
from smac.streams import Streams
from smac.training.state import restore, state_of
from smac.trees import read_tree, write_tree


def one(batch: Batch, k: int) -> Batch:
    return Batch(*(getattr(batch, f.name)[k : k + 1] for f in dataclasses.fields(batch)))


# ---- the Bellman error ---------------------------------------------------------------------------------


def test_a_terminated_step_does_not_bootstrap_and_a_truncated_one_does():
    target = bellman_target(
        torch.tensor([-1.0, -1.0]), torch.tensor([0.0, 1.0]), torch.tensor([-20.0, -20.0]), 0.0, 0.0, 0.99
    )
    torch.testing.assert_close(target, torch.tensor([-1.0, -20.8]))


def test_entropy_enters_the_target_only_when_asked():
    batch, values = random_batch([0]), []
    for backup in (False, True):
        agent = SAC(SACConfig(**SMALL, backup_entropy=backup, initial_temperature=0.5), OBS, ACT, [0])
        values.append(agent.target_values(batch))
        _, log_probs = agent.actor.sample(batch.next_observations, Streams([0], "agent/noise").normal(8, ACT))
    torch.testing.assert_close(values[0] - values[1], 0.99 * batch.masks * 0.5 * log_probs)


def test_the_temperature_grows_while_entropy_is_below_its_target():
    agent = SAC(SACConfig(**SMALL), OBS, ACT, [0])
    too_certain = torch.full((1, 8), 5.0)  # log-density 5: entropy -5, below the target of -2
    loss, _ = agent.temperature_loss(too_certain)
    loss.sum().backward()
    assert agent.log_alpha.grad.item() == pytest.approx(-3.0)


def test_the_actor_step_leaves_the_critics_untouched():
    agent = SAC(SACConfig(**SMALL), OBS, ACT, [0])
    loss, _, _ = agent.actor_loss(random_batch([0]))
    agent._step(agent.actor_optimiser, loss)
    assert all(p.grad is None for p in agent.critic.parameters())


VARIANTS = {
    **{name: (name, {}) for name in AGENTS},
    "sac with a random subset": ("sac", {"ensemble": 4, "target_subset": 2, "actor_value": "mean"}),
    "cql with a gap": ("cql", {"cql_gap": 0.8}),
    "sac with muon": ("sac", {"optimiser": "muon"}),
    "smac with muon": ("smac", {"optimiser": "muon"}),
    "iql with a decay": ("iql", {"actor_decay_steps": 60}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_seed_k_alone_equals_seed_k_in_a_stack(variant):
    name, options = VARIANTS[variant]
    together, alone = toy_agent(name, [3, 4, 5], **options), toy_agent(name, [4], **options)
    for step in range(20):
        batch = random_batch([3, 4, 5], purpose=f"batch {step}")
        together.update(batch)
        alone.update(one(batch, 1))
    left, right = together.tensors(1), alone.tensors(0)
    assert left.keys() == right.keys()
    for key in left:
        torch.testing.assert_close(left[key], right[key], atol=1e-4, rtol=1e-4, msg=key)
    observations = random_batch([3, 4, 5]).observations[:, 0]
    both, one_seed = together.explore(observations), alone.explore(observations[1:2])
    torch.testing.assert_close(both[1], one_seed[0], atol=1e-4, rtol=1e-4)
    assert both.shape == (3, ACT)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_agent_continues_bit_for_bit_from_its_saved_state(variant, tmp_path):
    """After an odd number of updates, so that TD3's delay and IQL's decay are in the middle of something."""
    name, options = VARIANTS[variant]
    agent, again = toy_agent(name, [0, 1], **options), toy_agent(name, [0, 1], **options)
    for step in range(3):
        agent.update(random_batch([0, 1], purpose=f"batch {step}"))
    restore(again, read_tree(write_tree(tmp_path / "state", state_of(agent))))
    for step in range(3, 6):
        for one_of_two in (agent, again):
            one_of_two.update(random_batch([0, 1], purpose=f"batch {step}"))
    assert_same_tensors(agent.tensors(1), again.tensors(1))
    observations = random_batch([0, 1]).observations[:, 0]
    assert torch.equal(agent.explore(observations), again.explore(observations))


def test_the_target_is_the_minimum_over_a_random_subset_of_each_seed():
    agent = toy_agent("sac", [0, 1], ensemble=5, target_subset=2)
    q = torch.arange(5.0).view(1, 5, 1).expand(2, 5, 8)
    picks = torch.stack([agent.pessimistic(q)[:, 0] for _ in range(2000)])
    for k in range(2):
        # the smaller of two of 0..4: P(0) = 4/10, P(1) = 3/10, P(2) = 2/10, P(3) = 1/10
        shares = torch.bincount(picks[:, k].long(), minlength=5) / 2000
        torch.testing.assert_close(shares, torch.tensor([0.4, 0.3, 0.2, 0.1, 0.0]), atol=0.04, rtol=0)
    assert not torch.equal(picks[:, 0], picks[:, 1])
    everyone = toy_agent("sac", [0, 1], ensemble=5)
    assert everyone.pessimistic(q).max() == 0


def test_what_the_actor_climbs():
    q = torch.tensor([[[3.0], [1.0], [5.0]]])
    for choice, value in (("min", 1.0), ("mean", 3.0), ("first", 3.0)):
        agent = toy_agent("sac", [0], ensemble=3, actor_value=choice)
        assert agent.actor_q(q).item() == value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ensemble": 2, "target_subset": 3}, "--target-subset must lie between 1 and --ensemble 2"),
        ({"ensemble": 0}, "--ensemble must be at least 1"),
        ({"critic_hidden": (0,)}, "--critic-hidden"),
        ({"initial_temperature": 0.0}, "--initial-temperature must be positive"),
        ({"actor_lr": float("nan")}, "--actor-lr must be a finite number, got nan"),
        ({"critic_lr": -1.0}, "--critic-lr must be at least 0"),
        ({"target_entropy": float("inf")}, "--target-entropy must be a finite number"),
        ({"reward_bias": float("nan")}, "--reward-bias must be a finite number"),
    ],
)
def test_senseless_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        SACConfig(**options)


def test_critics_may_have_other_widths_than_the_actor():
    tensors = toy_agent("sac", [0], critic_hidden=(32, 16, 8)).tensors(0)
    assert tensors["critic.net.hidden.0.weight"].shape == (2, 32, OBS + ACT)
    assert tensors["actor.net.hidden.0.weight"].shape == (16, OBS)


def test_targets_follow_slowly():
    agent = SAC(SACConfig(**SMALL, target_rate=0.25), OBS, ACT, [0])
    before = [p.clone() for p in agent.target.parameters()]
    with torch.no_grad():
        for p in agent.critic.parameters():
            p.add_(1.0)
    agent.update_targets()
    for old, new in zip(before, agent.target.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)


# ---- SMAC ----------------------------------------------------------------------------------------------


@pytest.fixture
def critic() -> CriticEnsemble:
    critic = CriticEnsemble((2,), 3, OBS, ACT, (16, 16), layer_norm=True)
    initialise(critic, Streams([0, 1], "init").generators)
    return critic


def test_func_grad_equals_autograd_grad(critic):
    batch = random_batch([0, 1])
    gradient = action_gradient(critic, batch.observations, batch.actions)
    actions = critic.per_member(batch.actions).clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(critic(batch.observations, actions).sum(), actions, create_graph=True)
    torch.testing.assert_close(gradient, expected)
    weights = list(critic.parameters())[:-1]  # the head's bias has no part in the gradient
    left, right = (
        torch.autograd.grad(
            (g**2).sum(), weights, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for g in (gradient, expected)
    )
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b)


def test_action_gradient_against_finite_differences():
    critic = CriticEnsemble((1,), 1, OBS, ACT, (16, 16)).double()
    initialise(critic, Streams([0], "init").generators)
    batch = random_batch([0])
    observations, actions = batch.observations.double(), batch.actions.double()
    gradient = action_gradient(critic, observations, actions)[:, 0]
    for d in range(ACT):
        step = torch.zeros(ACT, dtype=torch.float64)
        step[d] = 1e-5
        difference = critic(observations, actions + step) - critic(observations, actions - step)
        torch.testing.assert_close(gradient[..., d], difference[:, 0] / 2e-5, atol=1e-8, rtol=1e-6)


def test_both_forms_of_the_score_matching_loss():
    gradient, score = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 1.0]])
    tau = torch.tensor([0.5])
    assert score_matching_loss(gradient, tau, score, "normalised").item() == pytest.approx(1 + 1)
    assert score_matching_loss(gradient, tau, score, "paper").item() == pytest.approx(0.25 + 0.25)


def test_the_paper_form_is_minimised_by_switching_itself_off():
    """The trap: with Q flat and tau = 0 the literal loss is exactly zero; the normalised one is not."""
    flat, score = torch.zeros(4, ACT), torch.randn(4, ACT)
    assert score_matching_loss(flat, torch.zeros(4), score, "paper").max() == 0
    off = score_matching_loss(flat, torch.full((4,), 1e-3), score, "normalised")
    torch.testing.assert_close(off, (score**2).sum(-1))


def test_with_relu_the_score_matching_loss_gives_biases_no_gradient():
    """The trap behind the SiLU default."""
    sizes = {}
    for activation in ("relu", "silu"):
        critic = CriticEnsemble((1,), 2, OBS, ACT, (16, 16), activation=activation)
        initialise(critic, Streams([0], "init").generators)
        batch = random_batch([0])
        loss = (action_gradient(critic, batch.observations, batch.actions) ** 2).sum()
        biases = [p for name, p in critic.named_parameters() if "hidden" in name and "bias" in name]
        gradients = torch.autograd.grad(loss, biases, allow_unused=True, materialize_grads=True)
        sizes[activation] = max(g.abs().max().item() for g in gradients)
    assert sizes["relu"] == 0.0
    assert sizes["silu"] > 1e-4


def test_matching_points():
    actions, policy = torch.full((1, 2, ACT), -0.5), torch.full((1, 2, ACT), 0.5)
    u, noise = torch.tensor([[0.0, 0.75]]), torch.full((1, 2, ACT), 0.9)
    segment = matching_points("segment", actions, policy, u, noise)
    torch.testing.assert_close(segment[0, :, 0], torch.tensor([-0.5, 0.25]))
    assert torch.equal(matching_points("policy", actions, policy, u, noise), policy)
    assert torch.equal(matching_points("data", actions, policy, u, noise), actions)
    noised = matching_points("noised", policy, policy, u, noise)
    torch.testing.assert_close(noised, torch.ones(1, 2, ACT))  # 0.5 + 0.9, clipped into the box


@pytest.mark.parametrize("form", ["normalised", "paper"])
def test_after_score_matching_argmax_q_lies_at_the_data_mode(form):
    """The data's actions are N(s / 2, 0.3^2) and their true score is used: uphill is toward the data.

    The paper's form gets the actor's temperature as tau; with a tau of its own it would switch itself off.
    """
    tau = "scalar" if form == "normalised" else "temperature"
    config = SMACConfig(hidden=(64, 64), form=form, match_at="data", tau=tau, critic_lr=3e-3)
    agent, draws = SMAC(config, 1, 1, [0]), Streams([0], "toy")
    for _ in range(300):
        s, wide = 2 * draws.uniform(128, 1) - 1, 2 * draws.uniform(128, 1) - 1
        score = -(wide - s / 2) / 0.3**2
        batch = Batch(s, wide, s, s[..., 0], s[..., 0], scores=score)
        loss, _ = agent.matching_loss(batch)
        agent._step(agent.critic_optimiser, loss)
    grid = torch.linspace(-1, 1, 201)
    for state in (-0.8, 0.0, 0.8):
        q = agent.critic(torch.full((1, 201, 1), state), grid.reshape(1, 201, 1)).mean((0, 1))
        assert grid[q.argmax()].item() == pytest.approx(state / 2, abs=0.1)


def test_cached_scores_equal_fresh_ones():
    agent = SMAC(SMACConfig(**SMALL, diffusion_hidden=(16,)), OBS, ACT, [0, 1])
    data = OfflineData(toy_transitions(100, OBS, ACT), [0, 1])
    data.outcomes = data.transitions.mc_returns
    agent.complete(data)
    batch = data.sample(16)
    fresh = agent.score(batch.observations, batch.actions, batch.outcomes)
    torch.testing.assert_close(batch.scores, fresh, atol=1e-4, rtol=1e-4)


class KnownScore(torch.nn.Module):
    """In the place of a diffusion model: the exact score of actions ~ N((s, -s) / 2, 0.4^2)."""

    def score(self, observations, actions, outcomes, sigma):
        centre = torch.cat([observations, -observations], -1) / 2
        return (centre - actions) / 0.4**2


def matched_agent(tau: str, steps: int = 300) -> SMAC:
    """`paper` with a known score, trained by L_SM alone."""
    options = dict(PAPER) | {"tau": tau, "initial_tau": 0.0 if tau == "free" else 0.1, "optimiser": "adam"}
    config = SMACConfig(hidden=(64, 64), critic_lr=1e-2, ensemble=1, diffusion_hidden=(8,), **options)
    agent = SMAC(config, 1, 2, [0])
    agent.diffusion, draws = KnownScore(), Streams([0], "toy")
    with torch.no_grad():  # so that Q flat with tau = 0 is not where it begins
        agent.critic.net.head.weight.mul_(10.0)
    for _ in range(steps):
        s = 2 * draws.uniform(64, 1) - 1
        loss, _ = agent.matching_loss(Batch(s, s.expand(-1, -1, 2), s, s[..., 0], s[..., 0]))
        agent._step(agent.critic_optimiser, loss)
    return agent


def test_the_papers_loss_makes_the_action_gradient_parallel_to_the_score():
    """alpha is free: the sign is open, the direction is not, anywhere in the box."""
    agent, draws = matched_agent("free"), Streams([1], "test")
    s, a = 2 * draws.uniform(2000, 1) - 1, 2 * draws.uniform(2000, 2) - 1
    gradient = action_gradient(agent.critic, s, a).detach()
    score = agent.score(s, a, None).unsqueeze(-3).expand_as(gradient)
    assert torch.nn.functional.cosine_similarity(gradient, score, dim=-1).abs().mean() > 0.95
    assert gradient.norm(dim=-1).mean() > 0.01  # it did not switch itself off


def test_the_papers_loss_with_a_positive_factor_points_to_the_mode():
    agent = matched_agent("positive")
    axis = torch.linspace(-1, 1, 41)
    grid = torch.cartesian_prod(axis, axis).unsqueeze(0)
    for state in (-0.8, 0.0, 0.8):
        q = agent.critic(torch.full((1, len(grid[0]), 1), state), grid).mean((0, 1))
        best = grid[0, q.argmax()]
        assert best.tolist() == pytest.approx([state / 2, -state / 2], abs=0.15)


def test_the_papers_actions_are_half_uniform_and_half_the_policys(monkeypatch):
    """B(A): no data action, 32 rows over the whole box, 32 at the policy's narrow distribution."""
    agent = SMAC(
        SMACConfig(**SMALL | {"batch_size": 64}, **PAPER, diffusion_hidden=(16, 16)), OBS, ACT, [0, 1]
    )
    with torch.no_grad():
        agent.actor.net.head.weight.zero_()
        agent.actor.net.head.bias.copy_(torch.tensor([0.5, 0.5, -6.0, -6.0]).expand(2, 4))
    asked = []
    score = agent.score
    monkeypatch.setattr(agent, "score", lambda s, a, w: asked.append(a) or score(s, a, w))
    batch = random_batch([0, 1], size=64)
    agent.matching_loss(replace(batch, scores=None))
    uniform, policy = asked
    assert uniform.shape == policy.shape == (2, 32, ACT)
    torch.testing.assert_close(policy, torch.full_like(policy, math.tanh(0.5)), atol=0.01, rtol=0)
    assert uniform.abs().max() <= 1.0
    many = agent.actions_at("uniform", random_batch([0, 1], size=20_000))
    assert many.mean().item() == pytest.approx(0.0, abs=0.01)
    assert many.std().item() == pytest.approx(1 / math.sqrt(3), abs=0.01)


def test_a_free_factor_needs_the_papers_form():
    with pytest.raises(UserError, match="--tau free needs --form paper"):
        SMACConfig(tau="free", form="normalised")
    free = SMAC(SMACConfig(**SMALL, tau="free", form="paper", initial_tau=0.0), OBS, ACT, [0])
    tau = free.tau(100 * random_batch([0], size=200).observations)
    assert tau.min() < 0 < tau.max()


def test_tau_of_an_older_checkpoint_keeps_its_meaning():
    assert SMACConfig(tau="state").tau == "positive"


def test_smac_tau_stays_positive():
    agent = SMAC(SMACConfig(**SMALL, initial_tau=0.05), OBS, ACT, [0])
    tau = agent.tau(100 * random_batch([0]).observations)
    assert tau.min() > 0
    assert agent.tau(torch.zeros(1, 4, OBS)).mean().item() == pytest.approx(0.05, rel=0.5)
