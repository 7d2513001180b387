"""The protocol of the online phase: one rule for every method, and each told apart from the others."""

import math
from dataclasses import replace

import pytest
import torch
from support import ACT, OBS, assert_same_tensors, random_batch, small_agent, toy_agent, toy_transitions

from smac.agents import OFFLINE, ONLINE
from smac.agents.sac import SAC, SACConfig, balance
from smac.checkpoint import load_checkpoint
from smac.data.replay import OfflineData
from smac.errors import UserError
from smac.nets import fold_input
from smac.optim import fold_moments
from smac.streams import Streams
from smac.tasks import get_task
from smac.training.jobs import finetune_defaults
from smac.training.offline import OfflineOptions, observation_statistics, pretrain, take_diffusion
from smac.training.online import FinetuneOptions, OnlineOptions, finetune
from smac.training.run import Run, read_metrics
from smac.training.switch import switch

TASK = get_task("pointmaze-umaze")


def pretrained(folder, algorithm: str, **config: object):
    agent, _ = small_agent("pointmaze-umaze", algorithm, batch_size=8, **config)
    data = OfflineData(toy_transitions(200, 6, 2), [0])
    options = OfflineOptions(steps=4, log_every=4, eval_every=4, eval_episodes=1)
    pretrain(Run(folder / algorithm, {}), TASK, agent, data, options)
    return agent, load_checkpoint(folder / algorithm / "seed-0" / "offline.safetensors")


# ---- temperature ---------------------------------------------------------------------------------------


def test_the_balanced_temperature_is_that_of_a_policy_made_from_its_critic():
    """pi = exp(Q / 0.3) / Z(s): Q = 0.3 log pi + 0.3 log Z(s), whatever Z."""
    log_probs = Streams([0, 1], "test").normal(50, 16)
    q = 0.3 * log_probs + Streams([0, 1], "z").normal(50, 1)
    torch.testing.assert_close(balance(q, log_probs), torch.full((2,), 0.3))


def test_the_balanced_temperature_by_hand_on_a_linear_critic():
    """Q = 2 a on pi = N(0, 0.1^2), nearly linear under the tanh: sd Q = 0.2, sd log pi = sqrt(1 / 2)."""
    noise = Streams([0], "test").normal(4, 20_000)
    q = 2.0 * torch.tanh(0.1 * noise)
    log_probs = -0.5 * noise**2 + 2.0 * torch.log(torch.cosh(0.1 * noise))
    assert balance(q, log_probs).item() == pytest.approx(0.2 / math.sqrt(0.5), rel=0.05)


@pytest.mark.parametrize("offline", ["smac", "cal_ql", "iql", "td3_bc"])
def test_every_method_gets_its_temperature_by_the_same_rule(offline, tmp_path):
    extra = {"smac": {"diffusion_hidden": (8,), "diffusion_steps": 2}}.get(offline, {})
    _, checkpoint = pretrained(tmp_path, offline, **extra)
    options = FinetuneOptions(steps=10, log_every=10, eval_every=10, eval_episodes=1, trajectory_every=0)
    found = {}
    for rule in ("entropy", 0.25):
        agent = SAC(SACConfig(hidden=(16, 16), batch_size=8, temperature_lr=0.0), 6, 2, [0])
        run = Run(tmp_path / str(rule), {})
        finetune(run, TASK, agent, [checkpoint], replace(options, temperature_at_switch=rule))
        found[rule] = float(read_metrics(run.directory)[-1]["switch/temperature"])
        assert agent.log_alpha.exp().item() == pytest.approx(found[rule])
    assert found[0.25] == pytest.approx(0.25)
    assert 1e-6 < found["entropy"] < 1.0  # not the untrained agent's 1


def test_a_temperature_that_was_not_learned_is_not_made_up(tmp_path):
    for algorithm in ("iql", "td3_bc"):
        _, checkpoint = pretrained(tmp_path, algorithm)
        agent = SAC(SACConfig(hidden=(16, 16)), 6, 2, [0])
        with pytest.raises(UserError, match=f"{algorithm} has learned no temperature"):
            switch(agent, [checkpoint], temperature="learned")
    with pytest.raises(UserError, match="--temperature-at-switch must be positive"):
        FinetuneOptions(temperature_at_switch=0.0)


# ---- when and how often to learn -----------------------------------------------------------------------


def test_learning_starts_after_one_episode_unless_told_otherwise():
    assert OnlineOptions(steps=20_000).first_update(horizon=300) == 300
    assert OnlineOptions(steps=1_000).first_update(horizon=300) == 100  # at most a tenth of the run
    assert OnlineOptions(steps=1_000, learning_starts=0).first_update(300) == 1
    assert OnlineOptions(steps=1_000, learning_starts=50).first_update(300) == 50
    assert OnlineOptions(steps=1_000, learning_starts=50, warmup_steps=500).first_update(300) == 501
    for option in ("learning_starts", "warmup_steps"):
        with pytest.raises(UserError, match="leaves no update"):
            OnlineOptions(steps=100, **{option: 101})


def test_evaluations_may_be_rarer_after_the_first_steps():
    options = OnlineOptions(steps=12_000, eval_every=500, late_eval_every=2_000, late_from=5_000)
    due = [step for step in range(1, 12_001) if options.evaluation_due(step)]
    assert due == [*range(500, 5_001, 500), 6_000, 8_000, 10_000, 12_000]
    assert sum(OnlineOptions(eval_every=500).evaluation_due(s) for s in range(1, 12_001)) == 24


@pytest.mark.parametrize("algorithm", ONLINE)
def test_of_several_updates_a_step_the_actor_has_one(algorithm, monkeypatch):
    """WSRL and RLPD: U critic updates, then one of the actor and of the temperature."""
    agent = toy_agent(algorithm, [0], **({"policy_delay": 1} if "td3" in algorithm else {}))
    before = agent.tensors(0)
    agent.update(random_batch([0]), actor=False)
    after = agent.tensors(0)
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved - {"target_actor"} == {"critic", "target"}
    agent.update(random_batch([0]))
    last = agent.tensors(0)
    assert not torch.equal(after["actor.net.head.bias"], last["actor.net.head.bias"])
    if algorithm == "sac":
        assert not torch.equal(after["log_alpha"], last["log_alpha"])


def test_td3_delays_the_turns_of_its_actor():
    """Four critic updates a step and a delay of 2: the actor moves every second step, the targets oftener."""
    agent = toy_agent("td3", [0], policy_delay=2)
    actor_moves, target_moves = [], []
    for i in range(16):
        before = agent.tensors(0)
        agent.update(random_batch([0], purpose=str(i)), actor=i % 4 == 3)
        after = agent.tensors(0)
        actor_moves += [i] * (not torch.equal(before["actor.net.head.bias"], after["actor.net.head.bias"]))
        target_moves += [i] * (not torch.equal(before["target.net.head.bias"], after["target.net.head.bias"]))
    assert actor_moves == [7, 15]
    assert target_moves == [1, 3, 5, 7, 9, 11, 13, 15]


def test_more_turns_of_the_actor_than_updates_are_refused():
    with pytest.raises(UserError, match="--actor-updates-per-step 2 exceeds"):
        OnlineOptions(actor_updates_per_step=2)


# ---- the switch continues ------------------------------------------------------------------------------


@pytest.mark.parametrize("offline", [name for name in OFFLINE if name != "bc"])
def test_optimiser_and_rewards_of_the_checkpoint_are_continued(offline, tmp_path):
    extra = {"smac": {"diffusion_hidden": (8,), "diffusion_steps": 2}}.get(offline, {})
    _, checkpoint = pretrained(
        tmp_path, offline, optimiser="muon", reward_scale=10.0, reward_bias=5.0, **extra
    )
    for algorithm in ONLINE:
        config = finetune_defaults(checkpoint.path, algorithm)
        assert (config.optimiser, config.reward_scale, config.reward_bias) == ("muon", 10.0, 5.0)
        assert not config.standardise_observations


# ---- a score model that is there already ------------------------------------------------------------


def test_the_score_model_of_another_run_is_taken_over_or_refused(tmp_path):
    small = {"diffusion_hidden": (8,), "diffusion_steps": 4}
    first, _ = pretrained(tmp_path, "smac", **small)
    again, _ = small_agent("pointmaze-umaze", "smac", batch_size=8, kappa=0.5, **small)
    data = OfflineData(toy_transitions(200, 6, 2), [0])
    options = OfflineOptions(
        steps=4, log_every=4, eval_every=4, eval_episodes=1, score_from=tmp_path / "smac"
    )
    pretrain(Run(tmp_path / "again", {}), TASK, again, data, options)
    model = {n: x for n, x in first.tensors(0).items() if n.startswith("diffusion.")}
    assert_same_tensors({n: again.tensors(0)[n] for n in model}, model)
    assert not any(row["phase"] == "diffusion" for row in read_metrics(tmp_path / "again"))
    other, _ = small_agent("pointmaze-umaze", "smac", diffusion_hidden=(9,))
    with pytest.raises(UserError, match="not of the kind that the options ask for"):
        take_diffusion(other, tmp_path / "smac")
    with pytest.raises(UserError, match="no such checkpoint file"):
        take_diffusion(other, tmp_path / "missing")
    with pytest.raises(UserError, match="--score-from is for smac"):
        take_diffusion(small_agent("pointmaze-umaze", "iql")[0], tmp_path / "smac")


# ---- standardised observations -------------------------------------------------------------------------


def test_a_checkpoint_of_standardised_networks_is_the_same_function_of_raw_observations(tmp_path):
    agent, checkpoint = pretrained(tmp_path, "td3_bc")
    assert agent.actor.net.input_mean is not None
    plain, _ = small_agent("pointmaze-umaze", "td3_bc")
    plain.load_tensors([checkpoint.tensors])
    assert plain.actor.net.input_mean is None
    batch = random_batch([0], observation_dim=6)
    o, a = 5.0 + 2.0 * batch.observations, batch.actions
    torch.testing.assert_close(plain.actor(o), agent.actor(o), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(plain.critic(o, a), agent.critic(o, a), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(plain.target(o, a), agent.target(o, a), atol=1e-5, rtol=1e-5)


def test_statistics_are_those_of_td3_bc():
    data = toy_transitions(200, OBS, ACT)
    mean, std = observation_statistics(data)
    torch.testing.assert_close(mean, data.observations.mean(0))
    torch.testing.assert_close(std, data.observations.std(0) + 1e-3)


def test_moments_of_a_folded_layer_are_those_of_its_own_gradients():
    """exp_avg after one step of Adam is 0.1 times the gradient; that of the folded map by autograd."""
    draws = Streams([0], "test")
    weight, bias, x = draws.normal(4, 3)[0].double(), draws.normal(4)[0].double(), draws.normal(16, 3)[0]
    mean, std = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.5, 2.0, 1.0]).double()

    def gradients(weight, bias, inputs):
        w, b = weight.clone().requires_grad_(True), bias.clone().requires_grad_(True)
        return torch.autograd.grad(torch.tanh(inputs @ w.T + b).square().sum(), (w, b))

    of_w, of_b = gradients(weight, bias, (x.double() - mean) / std)
    raw, shifted = fold_input(weight, bias, mean, std)
    expected_w, expected_b = gradients(raw, shifted, x.double())
    torch.testing.assert_close(of_b, expected_b)
    found = {"moments/exp_avg/net.hidden.0.weight": of_w, "moments/exp_avg/net.hidden.0.bias": of_b}
    folded = fold_moments(found, "net.hidden.0", mean, std)
    torch.testing.assert_close(folded["moments/exp_avg/net.hidden.0.weight"], expected_w)


# ---- AWR -----------------------------------------------------------------------------------------------


def test_the_actor_of_awr_imitates_by_exponentiated_advantage(monkeypatch):
    agent, batch = toy_agent("awr", [0], inverse_temperature=2.0), random_batch([0])
    advantages = torch.tensor([[9.0, -9.0, 0.1, 0, 0, 0, 0, 0]])
    monkeypatch.setattr(agent, "advantages", lambda _: advantages)
    loss, metrics = agent.actor_loss(batch)
    log_probs = agent.actor.log_prob(batch.observations, batch.actions)
    weights = torch.tensor([20.0, math.exp(-18), math.exp(0.2), 1, 1, 1, 1, 1])
    torch.testing.assert_close(loss, -(weights * log_probs).mean(-1))
    assert metrics["train/clipped_weights"].item() == pytest.approx(1 / 8)


def test_the_advantage_is_q_minus_its_mean_over_the_policy():
    """A policy that always acts tanh(0.5): V(s) = Q(s, tanh 0.5)."""
    agent, batch = toy_agent("awr", [0]), random_batch([0])
    with torch.no_grad():
        agent.actor.net.head.weight.zero_()
        agent.actor.net.head.bias.copy_(torch.tensor([[0.5, 0.5, -20.0, -20.0]]))
    usual = torch.full_like(batch.actions, math.tanh(0.5))
    expected = agent.critic(batch.observations, batch.actions).amin(-2) - agent.critic(
        batch.observations, usual
    ).amin(-2)
    torch.testing.assert_close(agent.advantages(batch), expected, atol=1e-5, rtol=1e-4)


def test_awr_backs_up_the_policys_next_action_without_entropy():
    agent, batch = toy_agent("awr", [0]), random_batch([0])
    with torch.no_grad():
        agent.actor.net.head.weight.zero_()
        agent.actor.net.head.bias.copy_(torch.tensor([[0.5, 0.5, -20.0, -20.0]]))
    usual = torch.full_like(batch.actions, math.tanh(0.5))
    q = agent.target(batch.next_observations, usual).amin(-2)
    expected = batch.rewards + 0.99 * batch.masks * q
    torch.testing.assert_close(agent.target_values(batch), expected, atol=1e-5, rtol=1e-4)


def test_awr_starts_from_any_checkpoint(tmp_path):
    for offline in ("iql", "td3_bc"):
        source, checkpoint = pretrained(tmp_path, offline)
        agent = ONLINE["awr"](ONLINE["awr"].Config(hidden=(16, 16), batch_size=8), 6, 2, [0])
        switch(agent, [checkpoint])
        own = agent.tensors(0)
        critics = {name: x for name, x in own.items() if name.startswith(("critic.", "target."))}
        assert_same_tensors(critics, {name: checkpoint.tensors[name] for name in critics})
        o = random_batch([0], observation_dim=6).observations
        torch.testing.assert_close(agent.actor.act(o), source.actor.act(o), atol=1e-5, rtol=1e-5)
