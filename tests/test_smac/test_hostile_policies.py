"""Broken and hostile files: each is refused in one line that names it, and none takes memory or time."""

import io
import json
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from smac.errors import UserError
from smac.policies.acting import load_policy
from smac.tasks import get_task

PENDULUM = get_task("Pendulum-v1")
DESCRIPTION = {"activation": "tanh", "output": "tanh", "action_units": "unit"}


def tensors(**changes) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).state_dict() | changes


def described(path: Path, **keys) -> Path:
    path.with_suffix(".policy.json").write_text(json.dumps(DESCRIPTION | keys))
    return path


def refused(path: Path, match: str = "") -> str:
    """The refusal, which is one line that names the file, comes within 2 s and within 200 MB."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(UserError, match=match) as found:
            load_policy(path, PENDULUM)
        assert time.process_time() - begun < 2
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    text = str(found.value)
    assert "\n" not in text
    assert path.stem in text
    assert len(text) < 700
    return text


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool, torch.int64, torch.complex64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_tensors_that_are_not_floats(tmp_path, dtype, suffix):
    path = described(tmp_path / f"a{suffix}")
    held = tensors(**{"2.weight": torch.ones(1, 4).to(dtype)})
    torch.save(held, path) if suffix == ".pt" else save_file(held, path)
    refused(path, rf"tensor 2\.weight is of {dtype}; a network's must be floating-point")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_read(tmp_path, dtype):
    path = described(tmp_path / "a.pt")
    torch.save({name: t.to(dtype) for name, t in tensors().items()}, path)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    net.load_state_dict({name: t.to(dtype).float() for name, t in tensors().items()})
    expected = torch.tanh(net(torch.ones(3))).detach().numpy()
    np.testing.assert_allclose(load_policy(path, PENDULUM).action(np.ones(3)), expected, atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_found_before_any_episode(tmp_path, value):
    path = described(tmp_path / "a.pt")
    torch.save(tensors(**{"0.bias": torch.tensor([0, 0, 0, value])}), path)
    refused(path, r"tensor 0\.bias has values that are not finite")


def test_zip_bombs(tmp_path):
    for name in ("policy.pth", "data"):
        with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("policy.pth" if name == "data" else "data", "{}")
            archive.writestr(name, b" " * 50_000_000)
        refused(tmp_path / "bomb.zip", f"member {name} unpacks to 50000000 bytes: a zip bomb")
    with zipfile.ZipFile(tmp_path / "arrays.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mu_weight.npy", bytes(50_000_000))
    refused(tmp_path / "arrays.npz", "a zip bomb")


def torch_file(path: Path, pickled: bytes, storage: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/data/0", storage)
    return described(path)


def tensor_pickle(size: tuple[int, ...], stride: tuple[int, ...], count: int) -> bytes:
    """A state dict of one tensor that says this of itself."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, thing):
            return ("storage", torch.FloatStorage, "0", "cpu", count) if thing is Pickler else None

    class Claim:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (Pickler, 0, size, stride, False, OrderedDict())

    file = io.BytesIO()
    Pickler(file, 2).dump({"0.weight": Claim()})
    return file.getvalue()


def test_tensors_larger_than_their_storage(tmp_path):
    four = np.zeros(4, np.float32).tobytes()
    path = torch_file(tmp_path / "a.pt", tensor_pickle((100_000, 100_000), (0, 0), 4), four)
    refused(path, "in a storage of 4 numbers")
    refused(torch_file(path, tensor_pickle((2, 4), (4, 1), 8), four), "a storage of 8 numbers in 16 bytes")
    refused(torch_file(path, tensor_pickle((2, 2), (4, 1), 4), four), "in a storage of 4 numbers")
    refused(torch_file(path, tensor_pickle((2**70,), (1,), 4), four), "impossible size")


def nested_tuple_as_a_key() -> bytes:
    """A mapping whose key is a tuple of tuples of ..., 60 deep: its hash takes 2^60 steps."""
    return b"\x80\x02})" + b"2\x86" * 60 + b"K\x01s."


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\xe4\x0b\x54\x02\x85R.",  # bytearray(10**10)
        b"\x80\x05\x96" + struct.pack("<Q", 10**11) + b".",  # BYTEARRAY8 of 100 GB
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo of 2^31 places
        b"\x80\x05\x8e" + struct.pack("<Q", 10**11) + b".",  # BINBYTES8 of 100 GB
        b"\x80\x04\x95" + struct.pack("<Q", 10**11) + b".",  # a frame of 100 GB
        nested_tuple_as_a_key(),
        b"\x80\x02" + b"N0" * 400_000 + b".",
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02.",
        b"\x80\x02N.",
        b"\x80\x02cposix\nsystem\nX\x05\x00\x00\x00touch\x85R.",
        b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aK\x01sb.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00bz2\x86R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00functionNsb.",
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_pickles(tmp_path, pickled, inside):
    path = tmp_path / "a.pt"
    torch_file(path, pickled) if inside else described(path).write_bytes(pickled)
    refused(path)


def test_arrays_that_claim_too_much(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("mu_weight.npy", file.getvalue())
    refused(tmp_path / "a.npz", r"an array of shape \(1000000, 1000000\) in 0 bytes")


def test_one_name_twice_and_other_oddities(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("data", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("data", "{}")
    refused(tmp_path / "a.zip", "two members have one name")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("data", "[" * 100_000)
        archive.writestr("policy.pth", b"")
    refused(tmp_path / "b.zip", "not an agent that Stable-Baselines3 saved")
    torch.save(tensors(), described(tmp_path / "c.pt"), _use_new_zipfile_serialization=False)
    refused(tmp_path / "c.pt", "format before 1.6")
    torch.save(tensors(), tmp_path / "d.pt")
    (tmp_path / "d.policy.json").write_text("[" * 100_000)
    refused(tmp_path / "d.pt")
    (tmp_path / "d.policy.json").write_bytes(b"\xff\xfe{")
    refused(tmp_path / "d.pt", "not a readable JSON file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_not_called_missing(tmp_path):
    torch.save(tensors(), tmp_path / "a.pt")
    (tmp_path / "a.pt").chmod(0)
    refused(tmp_path / "a.pt", "cannot be read \\(Permission denied\\)")


# --- fuzz: whatever a file says, it is read or refused ---

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refused(path: Path) -> None:
    try:
        load_policy(path, PENDULUM).action(np.zeros(3))
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017  # either outcome is right


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("samples")
    torch.save(tensors(), folder / "a.pt")
    save_file(tensors(), folder / "a.safetensors")
    arrays = {f"{name}_weight": np.zeros((4, 3)) for name in ("latent_pi_0", "latent_pi_2", "mu", "log_std")}
    arrays |= {name.replace("weight", "bias"): np.zeros(4) for name in arrays}
    np.savez(folder / "a.npz", **arrays)
    (folder / "a.d3").write_bytes(pickle.dumps({"torch": b"PK\x03\x04", "config": "{}", "version": "2"}))
    policy = (folder / "a.pt").read_bytes()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr(
            "data", json.dumps({"policy_class": {"__module__": "stable_baselines3.sac.policies"}})
        )
        archive.writestr("policy.pth", policy)
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


@given(data=st.data())
@QUICK
def test_fuzz_damaged_bytes(samples, tmp_path, data):
    suffix = data.draw(st.sampled_from(sorted(samples)))
    content = bytearray(samples[suffix])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = described(tmp_path / f"a{suffix}")
    path.write_bytes(
        content[: data.draw(st.integers(1, len(content)))] if data.draw(st.booleans()) else content
    )
    read_or_refused(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from([
    "task", "algorithm", "step", "seed", "activation", "output", "prefix", "layers", "layer_norms", "head",
    "log_std", "unused", "action_units", "action_scale", "normaliser", "check", "mean",
])  # fmt: skip


@given(keys=st.dictionaries(KEYS, JSON, min_size=1, max_size=3))
@QUICK
def test_fuzz_descriptions(samples, tmp_path, keys):
    path = described(tmp_path / "a.pt", **keys)
    path.write_bytes(samples[".pt"])
    read_or_refused(path)


@given(settings_=st.dictionaries(
    st.sampled_from(["policy_class", "policy_kwargs", "action_space", "observation_space", "use_sde"]), JSON
))  # fmt: skip
@QUICK
def test_fuzz_settings_of_a_zip(samples, tmp_path, settings_):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        about = {"policy_class": {"__module__": "stable_baselines3.sac.policies"}} | settings_
        archive.writestr("data", json.dumps(about))
        archive.writestr("policy.pth", samples[".pt"])
    read_or_refused(tmp_path / "a.zip")


@given(
    header=st.dictionaries(
        st.sampled_from(["0.weight", "0.bias", "2.weight", "2.bias", "__metadata__"]),
        JSON | st.fixed_dictionaries({
            "dtype": st.sampled_from(["F32", "F64", "I8", "BOOL", "C64", "X"]),
            "shape": st.lists(st.integers(-1, 5) | st.just(2**62), max_size=3),
            "data_offsets": st.lists(st.integers(0, 64), min_size=2, max_size=2),
        }),
    ),
    body=st.binary(max_size=64),
)  # fmt: skip
@QUICK
def test_fuzz_safetensors_headers(tmp_path, header, body):
    text = json.dumps(header).encode()
    described(tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    read_or_refused(tmp_path / "a.safetensors")


@given(st.dictionaries(st.sampled_from(["0.weight", "0.bias", "2.weight", "2.bias", "x"]), st.tuples(
    st.sampled_from([torch.float32, torch.float16, torch.int8, torch.bool, torch.complex64, torch.int64]),
    st.lists(st.integers(0, 4), max_size=3),
)))  # fmt: skip
@QUICK
def test_fuzz_dtypes_and_shapes(tmp_path, held):
    path = described(tmp_path / "a.pt")
    torch.save({name: torch.ones(shape).to(dtype) for name, (dtype, shape) in held.items()}, path)
    read_or_refused(path)
