"""Fields without episodes: the agents' own losses, at any point, however the points are cut."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from support import small_agent

from landscape.evaluate import POINTS_PER_STACK, Evaluation
from landscape.fields import FieldOptions, Judge, Measurement, Meter, agreement
from landscape.geometry import line, line_alphas
from landscape.probe import Probe, probe_of_dataset, probe_of_policy
from landscape.study import interpolate
from smac.checkpoint import save_checkpoint
from smac.collect.collecting import collect
from smac.data.minari_io import write_dataset
from smac.data.replay import Batch
from smac.errors import UserError
from smac.policies import load_policy
from smac.tasks import get_task

PENDULUM = "Pendulum-v1@horizon=12"
ALL = ("q", "actor_loss", "critic_loss", "policy_shift")
ROWS = 20


def saved(folder: Path, name: str, algorithm: str = "sac", seed: int = 0, task: str = PENDULUM, **config):
    """An agent with critics apart from their targets, and its checkpoint."""
    agent, about = small_agent(task, algorithm, seed, hidden=(8, 8), **config)
    with torch.no_grad():
        if hasattr(agent, "target"):
            for tensor in agent.target.parameters():
                tensor.mul_(0.9)
        if hasattr(agent, "log_alpha"):
            agent.log_alpha.fill_(-0.7)
    return agent, save_checkpoint(folder / f"{name}.safetensors", agent.tensors(0), about)


@pytest.fixture(scope="module")
def probe() -> Probe:
    draw = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=draw)

    masks = (torch.rand(ROWS, generator=draw) > 0.3).float()
    return Probe(normal(ROWS, 3), normal(ROWS, 1).tanh(), normal(ROWS, 3), normal(ROWS), masks, "random rows")


def as_batch(probe: Probe) -> Batch:
    names = ("observations", "actions", "next_observations", "rewards", "masks")
    return Batch(**{name: getattr(probe, name)[None] for name in names})


def meter_of(path: Path, probe: Probe, fields=ALL) -> tuple[Meter, dict]:
    policy = load_policy(path)
    judge = Judge(policy, policy.name)
    return Meter(fields, policy.spec, probe, judge=judge, reference=policy.params, seed=0), policy.params


@pytest.mark.parametrize("backup_entropy", [False, True])
def test_the_fields_of_a_checkpoint_are_its_agent_s_own_losses(tmp_path, probe, backup_entropy):
    """SAC's losses on the same transitions and noise, with its temperature and target critics."""
    agent, path = saved(tmp_path, "sac", backup_entropy=backup_entropy)
    meter, params = meter_of(path, probe)
    found = {name: value[0] for name, value in meter.measure([params], 1).items()}
    batch = as_batch(probe)
    values = agent.critic(batch.observations, agent.actor.act(batch.observations))
    assert found["q"] == pytest.approx(values.amin(-2).mean().item(), rel=1e-5)
    assert found["policy_shift"] == 0.0
    agent.policy_noise = lambda _: meter.noise[None]
    assert found["actor_loss"] == pytest.approx(agent.actor_loss(batch)[0].item(), rel=1e-5)
    agent.policy_noise = lambda _: meter.next_noise[None]
    assert found["critic_loss"] == pytest.approx(agent.critic_loss(batch)[0].item(), rel=1e-5)
    assert not torch.equal(meter.noise, meter.next_noise)


def test_a_deterministic_policy_by_hand(tmp_path, probe):
    """TD3 has neither noise nor temperature; the target is that of the policy measured, not its slow copy."""
    agent, path = saved(tmp_path, "td3", "td3", discount=0.9)
    meter, params = meter_of(path, probe)
    found = {name: value[0] for name, value in meter.measure([params], 1).items()}

    def network(module, x):
        for layer in module.hidden:
            x = x @ layer.weight[0].transpose(-1, -2).double() + layer.bias[0].unsqueeze(-2).double()
            if len(module.norms):
                norm = module.norms[[*module.hidden].index(layer)]
                x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
                x = x * norm.weight[0].unsqueeze(-2) + norm.bias[0].unsqueeze(-2)
            x = x * torch.sigmoid(x)
        return (
            x @ module.head.weight[0].transpose(-1, -2).double() + module.head.bias[0].unsqueeze(-2).double()
        )

    s, a, following = (x.double() for x in (probe.observations, probe.actions, probe.next_observations))

    def q(critic, states, actions):
        return network(critic.net, torch.cat([states, actions], -1))[..., 0]  # [members, n]

    act = network(agent.actor.net, s).tanh()
    target = probe.rewards + 0.9 * probe.masks * q(
        agent.target, following, network(agent.actor.net, following).tanh()
    ).amin(0)
    assert found["q"] == pytest.approx(q(agent.critic, s, act).amin(0).mean().item(), rel=1e-5)
    assert found["actor_loss"] == -found["q"]
    assert found["critic_loss"] == pytest.approx(
        ((q(agent.critic, s, a) - target) ** 2).mean().item(), rel=1e-5
    )


def test_fields_do_not_depend_on_how_the_points_are_cut(tmp_path, probe):
    """Bit for bit: all at once, one at a time, backwards."""
    (_, a), (_, b) = (saved(tmp_path, str(seed), seed=seed) for seed in (0, 1))
    meter, _ = meter_of(a, probe)
    count = POINTS_PER_STACK + 3
    ends = [load_policy(path).params for path in (a, b)]
    points = [*line(*ends, line_alphas(count))]
    whole = meter.measure(iter(points), count)
    backwards = meter.measure(points[::-1], count)
    for name in ALL:
        assert len(set(whole[name])) == count
        np.testing.assert_array_equal(whole[name], backwards[name][::-1])
        alone = [meter.measure([point], 1)[name][0] for point in points]
        np.testing.assert_array_equal(whole[name], alone)
        only = Meter((name,), meter.spec, probe, judge=meter.judge, reference=ends[0], seed=0).measure(
            points, count
        )
        np.testing.assert_array_equal(whole[name], only[name])


def test_the_policy_shift_is_the_root_mean_square_of_the_change(tmp_path, probe):
    (first, a), (second, b) = (saved(tmp_path, str(seed), seed=seed) for seed in (0, 1))
    meter, _ = meter_of(a, probe, ("policy_shift",))
    means = [agent.actor.act(probe.observations[None])[0].detach().numpy() for agent in (first, second)]
    found = meter.measure([load_policy(b).params], 1)["policy_shift"][0]
    assert found == pytest.approx(np.sqrt(np.mean((means[0] - means[1]) ** 2)), rel=1e-5)


def test_a_probe_of_a_policy_holds_whole_transitions(tmp_path):
    """Every next observation is the following one, actions are the policy's, and time-outs bootstrap."""
    agent, path = saved(tmp_path, "sac")
    task = get_task(PENDULUM)
    probe = probe_of_policy(load_policy(path), "offline SAC", task, [3, 4])
    assert len(probe) == 24
    assert probe.source == "24 transitions of 2 episodes of offline SAC with mean actions"
    inside = [i for i in range(23) if i != 11]
    torch.testing.assert_close(probe.next_observations[inside], probe.observations[[i + 1 for i in inside]])
    torch.testing.assert_close(probe.actions, agent.actor.act(probe.observations[None])[0].detach())
    assert (probe.masks == 1).all()
    cos, sin, speed = probe.observations.T
    torque = 2 * probe.actions[:, 0]
    angle = torch.atan2(sin, cos)
    torch.testing.assert_close(probe.rewards, -(angle**2 + 0.1 * speed**2 + 0.001 * torque**2))


def test_a_probe_of_a_dataset_is_a_fixed_draw_from_it(tmp_path):
    task = get_task("pointmaze-umaze")
    episodes = collect(task, episodes=3, seed=0, workers=1)
    write_dataset(episodes, task=task, dataset_id="some/data-v0", root=tmp_path, provenance={})
    one, again, other = (probe_of_dataset("some/data-v0", tmp_path, task, seed) for seed in (0, 0, 1))
    torch.testing.assert_close(one.observations, again.observations)
    assert one.source == f"{len(one)} transitions of the dataset some/data-v0"
    assert 0 <= (one.masks == 0).sum() <= 3
    assert len(one) == len(other)


def test_an_interpolation_says_whether_the_critic_sees_the_valley(tmp_path):
    (_, a), (_, b) = (saved(tmp_path, str(seed), seed=seed) for seed in (0, 1))
    few = Evaluation(episodes=2)
    study = interpolate(
        a, b, points=5, margin=1.0, beside=FieldOptions(("q", "policy_shift")), evaluation=few
    )
    found = study.to_json()
    assert found["fields"]["policy_shift"][0] == 0.0
    rho = spearmanr(found["fields"]["q"], found["fields"]["return"]).statistic
    assert found["correlation"] == {"q": pytest.approx(rho), "with": "return", "points": 5}
    assert f"rank correlation of {rho:+.2f} with the return over 5 points" in study.sentence
    assert found["probe"] == {
        "transitions": "60 transitions of 5 episodes of offline SAC with mean actions",
        "critic": "offline SAC",
    }  # fmt: skip
    without = interpolate(a, b, points=5, margin=1.0, evaluation=few).to_json()
    assert (without["probe"], without["correlation"]) == (None, None)
    assert without["analysis"] == found["analysis"]
    other = interpolate(
        a, b, points=3, margin=1.0, beside=FieldOptions(("q",), critic="to"), evaluation=few
    ).to_json()
    assert other["fields"]["q"][0] != found["fields"]["q"][0]


def test_rank_correlation_is_over_points_that_finished():
    q = np.array([1.0, 2.0, 3.0, np.nan, -7.0])
    returns = np.array([-30.0, -20.0, -10.0, 5.0, np.nan])
    assert agreement(q, returns) == {"q": 1.0, "with": "return", "points": 3}
    assert agreement(-q, returns)["q"] == -1.0
    assert agreement(np.ones(5), returns)["q"] is None


def test_a_checkpoint_without_a_critic_is_named(tmp_path):
    _, path = saved(tmp_path, "cloned", "bc")
    policy = load_policy(path)
    ends, task = [(policy, policy.name)] * 2, get_task(PENDULUM)
    with pytest.raises(UserError, match=r"cloned.safetensors: offline BC has no critic, .* q actor_loss"):
        Measurement(FieldOptions(("q",)), ends, task, Evaluation())
    shift = Measurement(FieldOptions(("policy_shift",)), ends, task, Evaluation())
    assert shift.of([policy.params], 1).fields["policy_shift"] == [0.0]
