"""Any module or function as a policy."""

import numpy as np
import pytest
import torch
from torch import nn

from landscape.evaluate import Evaluation
from landscape.study import interpolate
from smac.collect.collecting import collect
from smac.errors import UserError
from smac.policies import load_policy, policy_of_module, stack_actor
from smac.tasks import get_task

TASK = "Pendulum-v1@horizon=20,random=-1200,expert=-150"
OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.bn = nn.Linear(3, 8), nn.Linear(8, 1), nn.BatchNorm1d(8)

    def forward(self, x):
        y = torch.relu(self.a(x))
        return torch.tanh(self.b(y + self.bn(y)))

def first():
    torch.manual_seed(1)
    return Net()

def second():
    torch.manual_seed(2)
    return Net()

def rule(observations):
    return -observations[:, 2:]

def broken(observations):
    return observations
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_policies.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


class Residual(nn.Module):
    def __init__(self, data_dependent: bool = False):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 1)
        self.data_dependent = data_dependent

    def forward(self, x):
        if self.data_dependent and x.sum() > 1e9:  # which vmap cannot follow
            return x
        return self.b(x + torch.tanh(self.a(x)))


@pytest.mark.parametrize("data_dependent", [False, True])
def test_a_stack_of_modules_acts_as_each(data_dependent, caplog):
    modules = [Residual(data_dependent) for _ in range(3)]
    policies = [policy_of_module(module, TASK, "env") for module in modules]
    assert policies[0].spec == policies[1].spec
    rows = torch.randn(3, 10, 3)
    with caplog.at_level("WARNING"):
        found = stack_actor(policies[0].spec, [policy.params for policy in policies]).act(rows)
    expected = torch.stack([module(row) for module, row in zip(modules, rows, strict=True)]) / 2
    torch.testing.assert_close(found, expected.clamp(-1, 1))
    assert ("played in a loop" in caplog.text) == data_dependent


def test_a_line_between_modules_named_from_the_shell(own):
    ends = "own_policies:first", "own_policies:second"
    found = interpolate(
        *ends, points=3, evaluation=Evaluation(episodes=2, task=TASK, action_units="unit", workers=2)
    )
    assert found.rollouts.returns.shape == (3, 2)
    assert np.isfinite(found.rollouts.returns).all()
    alone = interpolate(*ends, points=3, evaluation=Evaluation(episodes=2, task=TASK, action_units="unit"))
    np.testing.assert_array_equal(found.rollouts.returns, alone.rollouts.returns)
    with pytest.raises(UserError, match="--action-units env"):
        load_policy(ends[0], TASK)
    with pytest.raises(UserError, match="function without parameters"):
        load_policy("own_policies:rule", TASK, "env")


def test_a_function_collects(own):
    task = get_task(TASK)
    options = {"episodes": 1, "seed": 0, "workers": 1}
    episode = collect(task, policy="own_policies:rule", action_units="env", **options)[0]
    expected = np.clip(-episode.observations[:-1, 2:] / 2, -1, 1)
    np.testing.assert_allclose(episode.actions, expected, atol=1e-6)
    with pytest.raises(UserError, match=r"gives \[1, 3\] for observations \[1, 3\], not \[1, 1\]"):
        collect(task, policy="own_policies:broken", action_units="env", **options)
    with pytest.raises(UserError, match=r"cannot be imported .*no attribute 'nothing'"):
        collect(task, policy="own_policies:nothing", action_units="env", **options)
