"""Files of graphs and programs, and parameters that JAX wrote: they act as they should, or are refused."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import smac
from smac.errors import UserError
from smac.policies import load_policy
from smac.policies.acting import load_policy as load_acting
from smac.policies.flax import read_flax
from smac.tasks import get_task

TASK = "Pendulum-v1@horizon=5"
PENDULUM = get_task(TASK)
ROWS = np.random.default_rng(0).uniform(-1, 1, (100, 3)).astype(np.float32) * np.array([1, 1, 8], np.float32)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 1), nn.Tanh())


def in_unit_box(path, **said) -> np.ndarray:
    policy = load_acting(path, PENDULUM, **said)
    return np.stack([policy.action(row) for row in ROWS])


# --- flax ---


def packed(value) -> bytes:
    """MessagePack as flax writes it."""
    if isinstance(value, dict):
        return bytes([0x80 + len(value)]) + b"".join(packed(part) for pair in value.items() for part in pair)
    if isinstance(value, str):
        return bytes([0xA0 + len(value)]) + value.encode()
    inside = bytes([0x93, 0x90 + value.ndim, *value.shape]) + packed(value.dtype.name)
    inside += b"\xc5" + struct.pack(">H", value.nbytes) + value.tobytes()
    return b"\xc8" + struct.pack(">Hb", len(inside), 1) + inside


def flax_tree(net: nn.Sequential) -> dict:
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    return {
        "params": {
            f"Dense_{k}": {"kernel": layer.weight.detach().numpy().T, "bias": layer.bias.detach().numpy()}
            for k, layer in enumerate(layers)
        }
    }


ABOUT = {"activation": "tanh", "output": "tanh", "action_units": "unit"}


def test_flax_parameters_are_read_without_flax(tmp_path):
    path, net = tmp_path / "a.msgpack", network()
    path.write_bytes(packed(flax_tree(net)))
    with pytest.raises(UserError, match="must say what a computes: activation"):
        in_unit_box(path)
    path.with_suffix(".policy.json").write_text(json.dumps(ABOUT))
    expected = net(torch.from_numpy(ROWS)).detach().numpy()
    np.testing.assert_allclose(in_unit_box(path), expected, atol=1e-6)
    assert load_policy(path, TASK).spec.hidden == (8, 4)
    tree = flax_tree(net)
    tree["params"]["LayerNorm_0"] = {"scale": np.ones(8, np.float32)}
    path.write_bytes(packed(tree))
    with pytest.raises(
        UserError, match=r"tensor params.LayerNorm_0.scale \[8\] is not of a plain perceptron"
    ):
        in_unit_box(path)
    data = packed(flax_tree(net))
    for end in (1, 40, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(UserError, match=r"a\.msgpack: not parameters that flax"):
            in_unit_box(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x81" * 100, "that is no text"),
        (b"\x81\xa1a" * 40, "more than 32 levels"),
        (b"\xdf\xff\xff\xff\xff\xa1a\xc0", "that is no text"),
        (b"\x81\xa1a\xc6\xff\xff\xff\xff", "ends too early"),
        (b"\x81\xa1a\xc1", "means nothing"),
        (b"\x82\xa1a\xc0\xa1a\xc0", "there twice"),
        (b"\x81\xa1a\xd6\x05aaaa", "an extension 5 that is no array"),
        (b"\x81\xa1a\xc0\xc0", "not one map"),
        (b"\x81\xa1a\xc7\x0c\x01\x93\x91\xce\xff\xff\xff\xff\xa2f4\xc4\x00", "."),
    ],
)
def test_what_is_no_message_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        read_flax(data)


@settings(deadline=None, max_examples=100)
@given(st.binary(min_size=1, max_size=80))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "a.msgpack"
    path.write_bytes(b"\x81\xa1a" + data)
    with pytest.raises(UserError, match=r"a\.(msgpack|policy\.json): .") as told:
        in_unit_box(path)
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_flax(tmp_path):
    """An actor of flax itself, its file by flax's own serialization."""
    linen = pytest.importorskip("flax.linen", reason="flax is not installed")
    import flax.serialization
    import jax

    class Actor(linen.Module):
        @linen.compact
        def __call__(self, x):
            for width in (16, 8):
                x = linen.relu(linen.Dense(width)(x))
            return jax.numpy.tanh(linen.Dense(1)(x))

    actor = Actor()
    params = actor.init(jax.random.PRNGKey(3), ROWS)
    (tmp_path / "a.msgpack").write_bytes(flax.serialization.to_bytes(params))
    (tmp_path / "a.policy.json").write_text(json.dumps(ABOUT | {"activation": "relu"}))
    with jax.default_matmul_precision("float32"):
        theirs = np.asarray(actor.apply(params, ROWS))
    np.testing.assert_allclose(in_unit_box(tmp_path / "a.msgpack"), theirs, atol=1e-6)


# --- ONNX and TorchScript ---


def test_onnx_without_onnxruntime_names_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"\x08\x0a\x12\x07pytorch")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"needs onnxruntime: pip install 'smac-landscape\[onnx\]'"):
        in_unit_box(path)
    with pytest.raises(UserError, match="has no parameters that a line could move"):
        load_policy(path, TASK)


@pytest.mark.slow
def test_onnx(tmp_path):
    """Exported by torch, played by onnxruntime; with a normaliser before it, and refused where it must be."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    net, path = network(), tmp_path / "a.onnx"

    def export(module: nn.Module, names: list[str]) -> None:
        rows = torch.zeros(1, 3)
        torch.onnx.export(module, (rows,), path, output_names=names, dynamo=False)

    export(net, ["action"])
    with pytest.raises(UserError, match="ONNX files do not say how observations are normalised"):
        in_unit_box(path, units="unit")
    with pytest.raises(UserError, match="say whether its actions are those of the environment"):
        in_unit_box(path, normaliser="none")
    expected = net(torch.from_numpy(ROWS)).detach().numpy()
    np.testing.assert_allclose(in_unit_box(path, units="unit", normaliser="none"), expected, atol=1e-6)
    np.testing.assert_allclose(in_unit_box(path, units="env", normaliser="none"), expected / 2, atol=1e-6)
    found = smac.evaluate(path, env=TASK, episodes=2, action_units="unit", normaliser="none")
    assert found["length"]["mean"] == 5
    about = {"action_units": "unit", "normaliser": {"mean": [1, 0, 0], "std": [1, 2, 3]}}
    path.with_suffix(".policy.json").write_text(json.dumps(about))
    seen = (torch.from_numpy(ROWS) - torch.tensor([1.0, 0, 0])) / torch.tensor([1.0, 2, 3])
    np.testing.assert_allclose(in_unit_box(path), net(seen).detach().numpy(), atol=1e-6)
    np.savez(tmp_path / "a.check.npz", observations=ROWS, actions=expected)
    with pytest.raises(UserError, match=r"does not act as a\.check\.npz says"):
        in_unit_box(path)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x), 2 * self.net(x)

    export(Two(), ["a", "b"])
    with pytest.raises(UserError, match="one input of observations and one"):
        in_unit_box(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="not a readable ONNX graph"):
        in_unit_box(path)


def test_torchscript_is_no_file_to_load_but_a_module_to_name(tmp_path, monkeypatch):
    """torch.jit.load is not safe on files of others, so only code of the user's own calls it."""
    net, path = network(), tmp_path / "a.pt"
    torch.jit.trace(net, torch.zeros(1, 3)).save(str(path))
    for load in (load_policy, lambda p, task: load_acting(p, PENDULUM)):
        with pytest.raises(UserError, match="a TorchScript program, and loading one from others is not safe"):
            load(path, TASK)
    (tmp_path / "own_actor.py").write_text(
        "import torch\n\ndef actor():\n    return torch.jit.load('a.pt')\n"
    )
    monkeypatch.chdir(tmp_path)
    expected = net(torch.from_numpy(ROWS)).detach().numpy()
    np.testing.assert_allclose(in_unit_box(Path("own_actor:actor"), units="unit"), expected, atol=1e-6)
