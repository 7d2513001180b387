"""Checkpoints come back bit for bit, and anything else is told in one line."""

import json
import pickle
import re

import pytest
import torch
from safetensors.torch import save_file
from support import assert_same_tensors, described, small_agent

from smac.checkpoint import load_checkpoint, save_checkpoint
from smac.errors import UserError


@pytest.fixture
def saved(tmp_path):
    agent, description = small_agent("pointmaze-umaze", "smac", diffusion_hidden=(8,))
    return save_checkpoint(tmp_path / "seed-0" / "offline.safetensors", agent.tensors(0), description)


def test_round_trip(saved):
    agent, description = small_agent("pointmaze-umaze", "smac", diffusion_hidden=(8,))
    checkpoint = load_checkpoint(saved)
    assert_same_tensors(checkpoint.tensors, agent.tensors(0))
    assert checkpoint.description.task == "pointmaze-umaze"
    assert checkpoint.description.algorithm == "smac"
    assert checkpoint.description.config == json.loads(json.dumps(description.config))
    assert {name.split(".")[0] for name in checkpoint.tensors} == {
        "actor", "critic", "target", "log_alpha", "tau", "diffusion",
    }  # fmt: skip


def test_nothing_but_the_checkpoint_is_left_behind(saved):
    assert [p.name for p in saved.parent.iterdir()] == ["offline.safetensors"]


def test_loading_into_an_agent_restores_every_network(saved):
    agent, _ = small_agent("pointmaze-umaze", "smac", seed=9, diffusion_hidden=(8,))
    checkpoint = load_checkpoint(saved)
    agent.load_tensors([checkpoint.tensors])
    assert_same_tensors(agent.tensors(0), checkpoint.tensors)


@pytest.mark.parametrize("keep", [0, 3, 100, -10])
def test_a_truncated_file(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"offline\.safetensors: damaged"):
        load_checkpoint(saved)


def test_a_missing_file_and_a_directory(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint file"):
        load_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="is a directory"):
        load_checkpoint(tmp_path)


def test_a_pickle_is_refused_and_never_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    path = tmp_path / "policy.pt"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="not a safetensors checkpoint"):
        load_checkpoint(path)
    assert not (tmp_path / "executed").exists()


def test_a_foreign_safetensors_file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="does not describe a checkpoint"):
        load_checkpoint(path)


def test_a_newer_format(saved):
    checkpoint = load_checkpoint(saved)
    save_checkpoint(saved, checkpoint.tensors, described(checkpoint.description, format=99))
    with pytest.raises(UserError, match="format 99 is newer"):
        load_checkpoint(saved)


def test_a_missing_or_misshapen_tensor_is_named(saved):
    agent, _ = small_agent("pointmaze-umaze", "smac", diffusion_hidden=(8,))
    tensors = load_checkpoint(saved).tensors
    with pytest.raises(UserError, match=r"no tensor 'critic\.net\.head\.weight'"):
        agent.load_tensors([{k: v for k, v in tensors.items() if k != "critic.net.head.weight"}])
    with pytest.raises(UserError, match=r"'log_alpha' has shape \(3,\)"):
        agent.load_tensors([tensors | {"log_alpha": torch.zeros(3)}])


@pytest.mark.parametrize("part", ["actor.", "critic.", "diffusion."])
def test_a_number_that_is_not_finite_is_refused_wherever_it_is(saved, tmp_path, part):
    """Once a diffusion model's or a critic's was found out only by what was trained with it."""
    checkpoint = load_checkpoint(saved)
    name = next(name for name in checkpoint.tensors if name.startswith(part))
    checkpoint.tensors[name].view(-1)[0] = float("nan")
    path = save_checkpoint(tmp_path / "a.safetensors", checkpoint.tensors, checkpoint.description)
    with pytest.raises(UserError, match=rf"tensor {re.escape(name)} has values that are not finite"):
        load_checkpoint(path)
