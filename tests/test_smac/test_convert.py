"""From any offline agent to any online one: what carries over, what is converted, what is refused."""

import math

import pytest
import torch
from support import ACT, OBS, assert_same_tensors, random_batch, toy_agent

from smac.agents import OFFLINE, ONLINE
from smac.agents.base import Agent
from smac.agents.convert import (
    ADDED_LOG_STD,
    convert,
    convert_moments,
    part,
    to_deterministic,
    to_tanh_gaussian,
)
from smac.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from smac.errors import UserError
from smac.optim import single_optimisers
from smac.tasks import get_task
from smac.training.recorder import describe
from smac.training.switch import switch


def trained(algorithm: str, seeds: list[int], **options: object) -> Agent:
    agent = toy_agent(algorithm, seeds, **options)
    for step in range(4):
        agent.update(random_batch(seeds, purpose=f"offline {step}"))
    return agent


def carried(source: Agent, algorithm: str, *, initialise_critic: bool = False, **options: object) -> Agent:
    """The agent that continues from `source`."""
    agent = toy_agent(algorithm, list(source.seeds), **options)
    agent.load_tensors(
        [
            convert(source.tensors(k), agent.tensors(k), initialise_critic=initialise_critic)
            for k in range(len(source.seeds))
        ]
    )
    return agent


@pytest.mark.parametrize("online", ONLINE)
@pytest.mark.parametrize("offline", OFFLINE)
def test_every_offline_agent_continues_with_every_online_agent(offline, online):
    source = trained(offline, [0, 1])
    agent = carried(source, online, initialise_critic=offline == "bc")
    observations = random_batch([0, 1], size=20, purpose="states").observations
    assert torch.equal(agent.actor.act(observations), source.actor.act(observations))  # bit for bit
    for k in range(2):
        left, right = source.tensors(k), agent.tensors(k)
        for prefix in ("critic.", "target."):
            if offline != "bc":
                assert_same_tensors(part(left, prefix), part(right, prefix))
    for step in range(4):
        metrics = agent.update(random_batch([0, 1], purpose=f"online {step}"))
    assert all(value.isfinite().all() for value in metrics.values())
    assert all(tensor.isfinite().all() for tensor in agent.tensors(0).values())
    assert agent.explore(observations[:, 0]).abs().max() <= 1.0


@pytest.mark.parametrize("hidden", [(8,), (64, 64), (256, 256)])
@pytest.mark.parametrize("rows", [1, 20, 256])
def test_mean_actions_stay_the_same_bit_for_bit(hidden, rows):
    source = toy_agent("sac", [0, 1, 2], hidden=hidden)
    agent = carried(source, "td3", hidden=hidden)
    observations = random_batch([0, 1, 2], size=rows).observations
    assert torch.equal(agent.actor.act(observations), source.actor.act(observations))
    back = carried(agent, "sac", hidden=hidden)
    assert torch.equal(back.actor.act(observations), source.actor.act(observations))


def test_round_trips():
    deterministic = part(trained("td3", [0]).tensors(0), "actor.")
    assert_same_tensors(to_deterministic(to_tanh_gaussian(deterministic)), deterministic)
    gaussian = part(trained("sac", [0]).tensors(0), "actor.")
    back = to_tanh_gaussian(to_deterministic(gaussian))
    for name, tensor in back.items():
        rows = slice(ACT) if "head" in name else slice(None)
        assert torch.equal(tensor[rows], gaussian[name][rows])


def test_an_added_log_std_is_one_number_at_every_observation():
    agent = carried(trained("td3_bc", [0]), "sac")
    _, log_std = agent.actor(100 * random_batch([0]).observations)
    assert (log_std == ADDED_LOG_STD).all()
    assert math.exp(ADDED_LOG_STD) == pytest.approx(0.1)


def test_conversion_leaves_its_source_alone():
    tensors = trained("smac", [0]).tensors(0)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    convert(tensors, toy_agent("td3", [0]).tensors(0))
    assert_same_tensors(tensors, before)


def test_a_missing_target_actor_is_the_actor_and_a_present_one_is_kept():
    agent = carried(trained("smac", [0]), "td3")
    assert_same_tensors(agent.target_actor.state_dict(), agent.actor.state_dict())
    source = trained("td3_bc", [0], target_rate=0.1)
    agent = carried(source, "td3")
    assert_same_tensors(agent.tensors(0), source.tensors(0))
    assert not torch.equal(agent.actor.net.head.weight, agent.target_actor.net.head.weight)


def test_the_temperature_carries_over_or_is_the_initial_one():
    source = trained("cal_ql", [0], temperature_lr=0.1)
    agent = carried(source, "sac", initial_temperature=0.25)
    assert torch.equal(agent.log_alpha, source.log_alpha)
    for name in ("iql", "td3_bc"):
        agent = carried(trained(name, [0]), "sac", initial_temperature=0.25)
        assert agent.alpha.item() == pytest.approx(0.25)


def test_what_the_online_agent_does_not_know_is_left_behind():
    for offline in OFFLINE:
        fresh = toy_agent("sac", [0]).tensors(0)
        assert convert(trained(offline, [0]).tensors(0), fresh, initialise_critic=True).keys() == fresh.keys()


@pytest.mark.parametrize("online", ONLINE)
def test_a_missing_critic_is_refused_unless_a_new_one_is_asked_for(online):
    source = trained("bc", [0])
    with pytest.raises(UserError, match=r"has no critic.*--initialise-critic"):
        carried(source, online)
    agent, fresh = carried(source, online, initialise_critic=True), toy_agent(online, [0])
    for prefix in ("critic.", "target."):
        assert_same_tensors(part(agent.tensors(0), prefix), part(fresh.tensors(0), prefix))


def test_an_existing_critic_is_kept_even_when_a_new_one_would_be_allowed():
    source = trained("iql", [0])
    agent = carried(source, "sac", initialise_critic=True)
    assert_same_tensors(part(agent.tensors(0), "critic."), part(source.tensors(0), "critic."))


def test_a_checkpoint_without_an_actor_is_refused():
    with pytest.raises(UserError, match="holds no actor"):
        convert({}, toy_agent("sac", [0]).tensors(0))


def test_the_switch_converts_checkpoints_and_may_be_repeated(tmp_path):
    source = trained("smac", [0])
    path = tmp_path / "offline.safetensors"
    task = get_task("pointmaze-umaze")
    save_checkpoint(path, source.tensors(0), describe(source, task, "offline", step=4, k=0))
    checkpoint: Checkpoint = load_checkpoint(path)
    agent = toy_agent("td3", [0])
    switch(agent, [checkpoint], optimiser_state="reset")
    once = agent.tensors(0)
    switch(agent, [checkpoint], optimiser_state="reset")
    assert_same_tensors(agent.tensors(0), once)
    observations = random_batch([0]).observations
    assert observations.shape[-1] == OBS
    assert torch.equal(agent.actor.act(observations), source.actor.act(observations))


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
@pytest.mark.parametrize("online", ONLINE)
@pytest.mark.parametrize("offline", ["smac", "td3_bc", "bc"])
def test_moments_carry_over_for_the_parameters_that_do(offline, online, optimiser):
    source = trained(offline, [0, 1], optimiser=optimiser)
    agent = carried(source, online, initialise_critic=offline == "bc", optimiser=optimiser)
    stack = [source.moments(k) for k in range(2)]
    agent.load_moments([convert_moments(moments, agent.tensors(0)) for moments in stack])
    hidden, head = agent.actor.net.hidden[1].weight, agent.actor.net.head
    state = next(
        s.state[hidden] for o in agent.optimisers() for s in single_optimisers(o) if hidden in s.state
    )
    kind = "momentum_buffer" if optimiser == "muon" else "exp_avg"
    for k in range(2):
        assert torch.equal(state[kind][k], stack[k][f"moments/{kind}/actor.net.hidden.1.weight"])
    mean = stack[1]["moments/exp_avg/actor.net.head.bias"][:ACT]
    adam = single_optimisers(agent.actor_optimiser)[-1]
    assert torch.equal(adam.state[head.bias]["exp_avg"][1, :ACT], mean)
    if offline == "td3_bc" and online == "sac":
        assert not adam.state[head.bias]["exp_avg"][1, ACT:].any()  # a log_std without a past
    own = single_optimisers(agent.critic_optimiser)[-1].state
    assert bool(own) == (offline != "bc")
    for step in range(2):
        metrics = agent.update(random_batch([0, 1], purpose=f"online {step}"))
    assert all(value.isfinite().all() for value in metrics.values())


def test_moments_of_the_same_algorithm_continue_it_bit_for_bit():
    source, agent = trained("sac", [0, 1]), toy_agent("sac", [0, 1])
    agent.load_tensors([source.tensors(k) for k in range(2)])
    agent.load_moments([convert_moments(source.moments(k), agent.tensors(k)) for k in range(2)])
    agent.noise = source.noise
    batch = random_batch([0, 1], purpose="next")
    states = [g.get_state() for g in source.noise.generators]
    source.update(batch)
    for generator, bits in zip(source.noise.generators, states, strict=True):
        generator.set_state(bits)
    agent.update(batch)
    for k in range(2):
        assert_same_tensors(source.tensors(k), agent.tensors(k))
