"""Both kinds of actors as parameter mappings, and the line from a tanh-Gaussian to a deterministic one."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from support import described, small_agent

from landscape.study import Evaluation, interpolate
from smac.agents.convert import convert
from smac.checkpoint import save_checkpoint
from smac.errors import UserError
from smac.nets import DeterministicActor, TanhGaussianActor
from smac.policies import (
    ActorSpec,
    flat,
    load_policy,
    mean_actions,
    of_one_kind,
    stack_actor,
    without_noise,
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """An offline SMAC, and an online SAC, TD3 and TD3+BC that could have come of it."""
    folder = tmp_path_factory.mktemp("policies")
    smac, description = small_agent(algorithm="smac", diffusion_hidden=(8,))
    paths = {"smac": save_checkpoint(folder / "smac.safetensors", smac.tensors(0), description)}
    for algorithm in ("sac", "td3", "td3_bc"):
        agent, about = small_agent(algorithm=algorithm)
        agent.load_tensors([convert(smac.tensors(0), agent.tensors(0))])
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in agent.actor.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        paths[algorithm] = save_checkpoint(
            folder / f"{algorithm}.safetensors", agent.tensors(0), described(about, moment="online")
        )
    return paths


def test_the_kind_of_an_actor_is_read_from_its_tensors(paths):
    kinds = {name: load_policy(path).spec.kind for name, path in paths.items()}
    assert kinds == {
        "smac": "tanh_gaussian", "sac": "tanh_gaussian", "td3": "deterministic", "td3_bc": "deterministic",
    }  # fmt: skip
    for name, kind in (("smac", TanhGaussianActor), ("td3", DeterministicActor)):
        policy = load_policy(paths[name])
        assert isinstance(stack_actor(policy.spec, [policy.params]), kind)


def test_without_noise_the_mean_action_is_the_same_bit_for_bit(paths):
    policy = load_policy(paths["smac"])
    silent = without_noise(policy)
    observations = torch.randn(8, 1, 6)
    gaussian, deterministic = (stack_actor(p.spec, [p.params] * 8) for p in (policy, silent))
    assert torch.equal(gaussian.act(observations), deterministic.act(observations))
    assert without_noise(silent) is silent
    assert len(policy.params["net.head.bias"]) == 4  # its source is left alone


def test_two_policies_of_one_kind_are_left_alone(paths):
    for names, stochastic in ((("smac", "sac"), True), (("td3", "td3_bc"), False)):
        before = [load_policy(paths[name]) for name in names]
        after = of_one_kind(before, stochastic=stochastic)
        assert all(a is b for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize(("start", "end"), [("smac", "td3"), ("td3", "smac")])
def test_the_line_between_the_kinds_begins_and_ends_at_the_checkpoints(paths, start, end):
    result = interpolate(paths[start], paths[end], points=3, evaluation=Evaluation(episodes=2))
    assert np.isfinite(result.rollouts.returns).all()
    observations = torch.randn(1, 20, 6)
    for policy, name in ((result.start, start), (result.end, end)):
        own = load_policy(paths[name])
        actions = [stack_actor(p.spec, [p.params]).act(observations) for p in (policy, own)]
        assert torch.equal(*actions)
    text = json.loads(json.dumps(result.to_json()))
    (converted,) = [text[side] for side in ("from", "to") if text[side]["converted"]]
    assert converted["algorithm"] == "smac"
    assert "mean action is kept" in converted["converted"]
    assert text["from"]["actor"] == text["to"]["actor"] == "deterministic"
    assert text["distance"] > 0


@pytest.mark.parametrize(("start", "end"), [("smac", "td3"), ("td3", "td3_bc")])
def test_sampled_actions_of_a_deterministic_actor_are_refused(paths, start, end):
    with pytest.raises(UserError, match=r"online TD3 is deterministic and has no noise.*--stochastic"):
        interpolate(paths[start], paths[end], points=3, evaluation=Evaluation(episodes=2, stochastic=True))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "deterministic"},
        {"kind": "deterministic", "hidden": (8,), "activation": "relu"},
        {"kind": "clipped", "bounds": ((-0.5, 0.5),) * 5},
        {"kind": "deterministic", "mean_bound": 0.3, "rescale": ((0.5, 0.1), (2.0, -0.2))},
        {"kind": "tanh_gaussian"},
    ],
)
def test_a_flat_actor_acts_as_its_stack_in_every_bit(layer_norm, options):
    options = {"hidden": (16, 8), "activation": "silu"} | options
    spec = ActorSpec(5, 2, layer_norm=layer_norm, **options)
    means, _ = mean_actions(spec, [])
    shapes = shapes_of(means, layer_norm)
    rng = np.random.default_rng(0)
    points = [{n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()} for _ in range(8)]
    actor = stack_actor(means, points)
    for rows in (1, 4):
        observations = torch.from_numpy(rng.normal(size=(8, rows, 5)).astype(np.float32))
        assert torch.equal(flat(actor, means).act(observations), actor.act(observations))


def shapes_of(spec, layer_norm):
    widths, shapes = [spec.observation_dim, *spec.hidden], {}
    for i, (a, b) in enumerate(pairwise(widths)):
        shapes |= {f"net.hidden.{i}.weight": (b, a), f"net.hidden.{i}.bias": (b,)}
        if layer_norm:
            shapes |= {f"net.norms.{i}.weight": (b,), f"net.norms.{i}.bias": (b,)}
    return shapes | {"net.head.weight": (spec.action_dim, widths[-1]), "net.head.bias": (spec.action_dim,)}
