"""Policies of other libraries act in the landscape as they do where they come from."""

import json
import os
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from landscape.evaluate import Evaluation
from landscape.study import align, interpolate
from smac.errors import UserError
from smac.policies import load_policy, save_policy, stack_actor
from smac.policies.acting import load_policy as read_policy

SHARED = os.environ.get("SMAC_SHARED_DATA")
TASK = "Pendulum-v1@horizon=20,random=-1200,expert=-150"


def act(policy, observations: np.ndarray) -> np.ndarray:
    rows = torch.from_numpy(np.asarray(observations, np.float32))[None]
    return stack_actor(policy.spec, [policy.params]).act(rows)[0].numpy()


def state_dict(path: Path, seed: int = 0, **stated) -> nn.Module:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    tensors = {f"actor.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save(tensors | {"critic.weight": torch.zeros(1, 4), "critic.bias": torch.zeros(1)}, path)
    about = {"task": TASK, "activation": "tanh", "output": "tanh", "prefix": "actor.", "action_units": "unit"}
    about |= stated
    path.with_suffix(".policy.json").write_text(json.dumps(about))
    return net


@pytest.fixture
def observations():
    return np.random.default_rng(0).normal(size=(50, 3)) * 3


@pytest.mark.parametrize("output", ["tanh", "clip"])
def test_a_state_dict_acts_as_its_network(tmp_path, observations, output):
    net = state_dict(tmp_path / "a.pt", output=output)
    policy = load_policy(tmp_path / "a.pt")
    with torch.no_grad():
        raw = net(torch.from_numpy(observations).float()).numpy()
    np.testing.assert_allclose(
        act(policy, observations), np.tanh(raw) if output == "tanh" else np.clip(raw, -1, 1), atol=1e-6
    )
    again = load_policy(save_policy(tmp_path / "a.safetensors", policy))
    np.testing.assert_array_equal(act(again, observations), act(policy, observations))
    assert again.spec == policy.spec


def test_a_normaliser_is_folded_and_its_clipping_becomes_bounds(tmp_path, observations):
    """What VecNormalize does before the network: clip((o - mean) / sqrt(var + epsilon), -c, c)."""
    mean, var, epsilon, clip = [0.1, -0.3, 2.0], [0.5, 1.5, 9.0], 1e-8, 1.2
    normaliser = {"mean": mean, "var": var, "epsilon": epsilon, "clip": clip}
    net = state_dict(tmp_path / "a.pt", normaliser=normaliser)
    policy = load_policy(tmp_path / "a.pt")
    seen = np.clip((observations - mean) / np.sqrt(np.array(var) + epsilon), -clip, clip)
    assert (np.abs(seen) == clip).any()
    with torch.no_grad():
        expected = torch.tanh(net(torch.from_numpy(seen).float())).numpy()
    np.testing.assert_allclose(act(policy, observations), expected, atol=1e-6)
    assert "folded" in policy.converted
    again = load_policy(save_policy(tmp_path / "a.safetensors", policy))
    np.testing.assert_array_equal(act(again, observations), act(policy, observations))


def test_lines_between_other_peoples_policies_with_other_normalisers(tmp_path):
    """Different normalisers are different functions of the raw state; folded, a line is between functions."""
    for k in (0, 1):
        state_dict(tmp_path / f"{k}.pt", seed=k, normaliser={"mean": [k, 0, 0], "std": [1, 1, 1 + k]})
    paths = tmp_path / "0.pt", tmp_path / "1.pt"
    found = interpolate(*paths, points=3, evaluation=Evaluation(episodes=2))
    assert found.rollouts.returns.shape == (3, 2)
    assert found.task.name == TASK
    aligned = align(*paths, points=3, evaluation=Evaluation(episodes=2))
    assert aligned.alignment.function_change < 1e-5
    assert found.start.name == "policy 0"
    for k in (0, 1):
        clipped = {"mean": [k, 0, 0], "std": [1, 1, 1], "clip": 5}
        state_dict(tmp_path / f"{k}.pt", seed=k, normaliser=clipped)
    with pytest.raises(UserError, match="different architectures"):
        interpolate(*paths, points=3, evaluation=Evaluation(episodes=2))


def test_an_sb3_agent_acts_as_in_sb3(tmp_path, observations):
    sb3 = pytest.importorskip("stable_baselines3")
    for kind in (sb3.SAC, sb3.TD3):
        agent = kind("MlpPolicy", gymnasium.make("Pendulum-v1"), policy_kwargs={"net_arch": [16, 16]}, seed=3)
        path = tmp_path / f"{kind.__name__}.zip"
        agent.save(path)
        policy = load_policy(path, TASK, normaliser="none")
        theirs, _ = agent.predict(observations.astype(np.float32), deterministic=True)
        np.testing.assert_allclose(2 * act(policy, observations), theirs, atol=1e-5)  # the torque is +-2


@pytest.mark.skipif(SHARED is None, reason="SMAC_SHARED_DATA names the folder of published policies")
@pytest.mark.parametrize(
    ("file", "task", "dim"),
    [("hand_dapg/policy_pen.npz", "pen-binary", 45), ("rl_trained_agents/sac-Hopper-v3.npz", "hopper", 11)],
)
def test_published_arrays_act_as_their_own_reader_says(file, task, dim):
    path = Path(str(SHARED)) / file
    policy, theirs = load_policy(path, task), read_policy(path)
    states = np.random.default_rng(0).normal(size=(20, dim))
    expected = np.stack([theirs.action(state) for state in states])
    np.testing.assert_allclose(act(policy, states), expected, atol=1e-4)


def test_wrong_files_are_named(tmp_path):
    state_dict(tmp_path / "a.pt")
    beside = tmp_path / "a.policy.json"
    with pytest.raises(UserError, match="no such policy file"):
        load_policy(tmp_path / "b.zip", TASK)
    with pytest.raises(UserError, match="but --task is Pendulum-v1"):
        load_policy(tmp_path / "a.pt", "Pendulum-v1")
    state_dict(tmp_path / "a.pt", task="hopper")
    with pytest.raises(UserError, match="a policy of 3 observations and 1 actions, but task hopper"):
        load_policy(tmp_path / "a.pt")
    beside.write_text('{"activation": "tanh", "output": "tanh", "prefix": "actor."}')
    with pytest.raises(UserError, match="name it with --task"):
        load_policy(tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"does not say whether its actions .*\[-2, 2\].* --action-units"):
        load_policy(tmp_path / "a.pt", TASK)
    beside.write_text('{"activation": "relu"}')
    with pytest.raises(UserError, match=r"must say what a computes: activation .* and output"):
        load_policy(tmp_path / "a.pt", TASK)
    state_dict(tmp_path / "a.pt", prefix="")
    with pytest.raises(UserError, match="Leave other networks out with a prefix"):
        load_policy(tmp_path / "a.pt")
    state_dict(tmp_path / "a.pt", normaliser={"mean": [0, 0]})
    with pytest.raises(UserError, match="needs mean, and std or var"):
        load_policy(tmp_path / "a.pt")


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


def test_loading_a_file_never_executes_code_from_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state_dict(tmp_path / "a.pt")
    torch.save({"actor.0.weight": Harmful()}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="holds code"):
        load_policy(tmp_path / "a.pt")
    assert not (tmp_path / "harmed").exists()
