"""The losses have the right value, gradient and sign."""

import dataclasses

import pytest
import torch
from support import toy_transitions

from smac.agents.cal_ql import CalQL, CalQLConfig, conservative_penalty
from smac.agents.sac import SAC, SACConfig, bellman_target
from smac.agents.smac import SMAC, SMACConfig, action_gradient, matching_points, score_matching_loss
from smac.data.replay import Batch, OfflineData
from smac.nets import CriticEnsemble, initialise
from smac.streams import Streams
from smac.training.offline import dataset_scores

OBS, ACT = 3, 2
SMALL = {"hidden": (16, 16), "batch_size": 8}


def random_batch(seeds: list[int], size: int = 8, purpose: str = "batch") -> Batch:
    draws = Streams(seeds, purpose)
    return Batch(
        observations=draws.normal(size, OBS),
        actions=1.8 * draws.uniform(size, ACT) - 0.9,
        next_observations=draws.normal(size, OBS),
        rewards=-draws.uniform(size),
        masks=(draws.uniform(size) > 0.2).float(),
        mc_returns=-5 * draws.uniform(size),
        outcomes=draws.normal(size),
        scores=draws.normal(size, ACT),
    )


def one(batch: Batch, k: int) -> Batch:
    return Batch(*(getattr(batch, f.name)[k : k + 1] for f in dataclasses.fields(batch)))


AGENTS = {
    "sac": (SAC, SACConfig(**SMALL)),
    "cal_ql": (CalQL, CalQLConfig(**SMALL, cql_actions=3)),
    "smac": (SMAC, SMACConfig(**SMALL, diffusion_hidden=(16,))),
}


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


@pytest.mark.parametrize("name", AGENTS)
def test_seed_k_alone_equals_seed_k_in_a_stack(name):
    kind, config = AGENTS[name]
    together, alone = kind(config, OBS, ACT, [3, 4, 5]), kind(config, OBS, ACT, [4])
    for step in range(50):
        batch = random_batch([3, 4, 5], purpose=f"batch {step}")
        together.update(batch)
        alone.update(one(batch, 1))
    left, right = together.tensors(1), alone.tensors(0)
    assert left.keys() == right.keys()
    for key in left:
        torch.testing.assert_close(left[key], right[key], atol=1e-4, rtol=1e-4, msg=key)


def test_targets_follow_slowly():
    agent = SAC(SACConfig(**SMALL, target_rate=0.25), OBS, ACT, [0])
    before = [p.clone() for p in agent.target.parameters()]
    with torch.no_grad():
        for p in agent.critic.parameters():
            p.add_(1.0)
    agent.update_targets()
    for old, new in zip(before, agent.target.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)


# ---- Cal-QL --------------------------------------------------------------------------------------------


def penalty_inputs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(6,), (6, 3), (6, 4), (6, 3), (6, 4)]
    return [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]


def test_penalty_gradient_against_finite_differences():
    q_data, q_random, q_policy, d_random, d_policy = penalty_inputs()
    for q in (q_data, q_random, q_policy):
        q.requires_grad_(True)
    mc = torch.full((6,), -0.3, dtype=torch.float64)

    def total(*q: torch.Tensor) -> torch.Tensor:
        return conservative_penalty(*q, d_random, d_policy, mc)

    assert torch.autograd.gradcheck(total, (q_data, q_random, q_policy), eps=1e-6, atol=1e-6)
    (gradient,) = torch.autograd.grad(total(q_data, q_random, q_policy).sum(), q_random)
    assert gradient.abs().min() > 0  # a public code base has a penalty without a gradient


def test_calibration_clamps_policy_actions_only():
    q_data, q_random, q_policy, d_random, d_policy = penalty_inputs()
    high = torch.full((6,), 50.0, dtype=torch.float64)  # above every value
    lifted = conservative_penalty(q_data, q_random, q_policy, d_random, d_policy, high)
    q_all = torch.full_like(q_policy, 50.0)
    torch.testing.assert_close(
        lifted, conservative_penalty(q_data, q_random, q_all, d_random, d_policy, None)
    )
    low = torch.full((6,), -50.0, dtype=torch.float64)
    plain = conservative_penalty(q_data, q_random, q_policy, d_random, d_policy, None)
    torch.testing.assert_close(
        conservative_penalty(q_data, q_random, q_policy, d_random, d_policy, low), plain
    )


def test_clamped_policy_values_are_not_pushed_down():
    q_data, q_random, q_policy, d_random, d_policy = penalty_inputs()
    q_policy.requires_grad_(True)
    q_random.requires_grad_(True)
    mc = torch.zeros(6, dtype=torch.float64)
    conservative_penalty(q_data, q_random, q_policy, d_random, d_policy, mc).sum().backward()
    below = q_policy.detach() < 0
    assert below.any()
    assert not below.all()
    assert q_policy.grad[below].abs().max() == 0
    assert q_policy.grad[~below].min() > 0
    assert q_random.grad.min() > 0


def test_penalty_of_the_agent_equals_a_loop():
    """The batched penalty is the one computed state by state from the same noise."""
    config = CalQLConfig(**SMALL, cql_actions=3)
    agent, batch = CalQL(config, OBS, ACT, [0]), random_batch([0])
    penalty = agent.penalty(batch)
    noise = Streams([0], "agent/noise")
    random = 2 * noise.uniform(24, ACT) - 1
    here = agent.actor.sample(batch.observations, noise.normal(24, ACT))
    there = agent.actor.sample(batch.next_observations, noise.normal(24, ACT))
    for b in range(8):
        rows = slice(3 * b, 3 * b + 3)
        state = batch.observations[:, b : b + 1].expand(-1, 3, -1)
        q = [agent.critic(state, a[:, rows])[0] for a in (random, here[0], there[0])]
        floor = batch.mc_returns[0, b]
        parts = [
            q[0] + 2 * torch.log(torch.tensor(2.0)),
            q[1].clamp_min(floor) - here[1][0, rows],
            q[2].clamp_min(floor) - there[1][0, rows],
        ]
        q_data = agent.critic(batch.observations[:, b : b + 1], batch.actions[:, b : b + 1])[0, :, 0]
        torch.testing.assert_close(penalty[0, :, b], torch.logsumexp(torch.cat(parts, -1), -1) - q_data)


def test_max_target_backup_takes_the_best_of_the_twin_minima():
    agent = CalQL(CalQLConfig(**SMALL, cql_actions=4), OBS, ACT, [0])
    batch = random_batch([0])
    target = agent.target_values(batch)
    noise = Streams([0], "agent/noise").normal(32, ACT)
    actions, _ = agent.actor.sample(batch.next_observations, noise)
    for b in range(8):
        state = batch.next_observations[:, b : b + 1].expand(-1, 4, -1)
        best = agent.target(state, actions[:, 4 * b : 4 * b + 4]).amin(-2).max()
        expected = batch.rewards[0, b] + 0.99 * batch.masks[0, b] * best
        torch.testing.assert_close(target[0, b], expected)


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
    for _ in range(600):
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
    data.scores = dataset_scores(agent, data)
    batch = data.sample(16)
    fresh = agent.score(batch.observations, batch.actions, batch.outcomes)
    torch.testing.assert_close(batch.scores, fresh, atol=1e-4, rtol=1e-4)


def test_smac_tau_stays_positive():
    agent = SMAC(SMACConfig(**SMALL, initial_tau=0.05), OBS, ACT, [0])
    tau = agent.tau(100 * random_batch([0]).observations)
    assert tau.min() > 0
    assert agent.tau(torch.zeros(1, 4, OBS)).mean().item() == pytest.approx(0.05, rel=0.5)
