"""The first updates on a few transitions, looked at from the critic's action gradient."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support import random_batch, run, small_agent, toy_agent, toy_transitions

from analysis_cli import landscape
from smac.agents.sac import SAC, SACConfig
from smac.checkpoint import load_checkpoint
from smac.data.replay import OfflineData
from smac.errors import UserError
from smac.tasks import get_task
from smac.training.forecast import experience, forecast, mean_gradient
from smac.training.offline import OfflineOptions, pretrain
from smac.training.online import FinetuneOptions
from smac.training.run import Run

TASK = get_task("pointmaze-umaze@horizon=20")
OPTIONS = FinetuneOptions(eval_episodes=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("forecast") / "run"
    agent, _ = small_agent("pointmaze-umaze", "cql", batch_size=8, cql_actions=2)
    data = OfflineData(toy_transitions(200, 6, 2), [0])
    options = OfflineOptions(steps=4, log_every=4, eval_every=4, eval_episodes=1)
    pretrain(Run(directory, {"command": "pretrain"}), TASK, agent, data, options)
    return directory


def checkpoint(directory: Path):
    return load_checkpoint(directory / "seed-0" / "offline.safetensors")


def online(seeds=(0,)) -> SAC:
    return SAC(SACConfig(hidden=(16, 16), batch_size=8, actor_lr=1e-2, critic_lr=1e-2), 6, 2, list(seeds))


def test_row_zero_is_the_checkpoint_and_the_gradient_turns_from_there(trained):
    found = forecast(TASK, online(), [checkpoint(trained)], OPTIONS, updates=(0, 5, 20))
    assert found.gradient_cosine[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert found.moved[0, 0] == 0.0
    assert (found.gradient_cosine[1:] < 0.99).all()
    assert 0.0 < found.moved[1, 0] < found.moved[2, 0]
    assert found.returns.shape == (3, 1)
    assert found.temperature.shape == (1,)


def test_the_same_forecast_twice_and_for_a_seed_in_a_stack(trained):
    one = forecast(TASK, online(), [checkpoint(trained)], OPTIONS, updates=(0, 5))
    two = forecast(TASK, online((0, 1)), [checkpoint(trained)] * 2, OPTIONS, updates=(0, 5))
    np.testing.assert_allclose(one.gradient_cosine[:, 0], two.gradient_cosine[:, 0], atol=1e-5)
    np.testing.assert_allclose(one.returns[:, 0], two.returns[:, 0])


def test_the_gradient_is_that_of_the_mean_over_critics():
    agent, batch = toy_agent("sac", [0]), random_batch([0])
    actions = batch.actions.clone().requires_grad_(True)
    q = agent.critic(batch.observations, actions).mean(-2).sum()
    (expected,) = torch.autograd.grad(q, actions)
    torch.testing.assert_close(mean_gradient(agent, batch.observations, batch.actions), expected)


def test_experience_is_the_checkpoints_own(trained):
    buffer = experience(TASK, online(), 30)
    assert len(buffer) == 30
    assert buffer.rewards[0, :30].le(0).all()


def test_wrong_milestones_are_refused(trained):
    for updates in ((5, 10), (0, 10, 5), (), (0, 5, 5)):
        with pytest.raises(UserError, match="--after must rise from 0"):
            forecast(TASK, online(), [checkpoint(trained)], OPTIONS, updates=updates)


def test_by_command(trained, tmp_path, capsys):
    line = "forecast --after 0 3 --transitions 12 --eval-episodes 1 --batch-size 8 --from"
    assert run(landscape, line, trained, "--out", tmp_path / "f") == 0
    found = json.loads((tmp_path / "f" / "forecast.json").read_text())
    assert found["gradient_cosine"][0] == [pytest.approx(1.0, abs=1e-6)]
    assert (found["updates"], found["seeds"], found["pretrained_with"]) == ([0, 3], [0], "cql")
    capsys.readouterr()
    assert run(landscape, "forecast --from", tmp_path / "missing") == 2
    assert "no such" in capsys.readouterr().err
    assert run(landscape, "forecast --transitions 0 --from", trained, "--out", tmp_path / "g") == 2
    assert "--transitions must be at least 1" in capsys.readouterr().err
    assert not (tmp_path / "g").exists()
