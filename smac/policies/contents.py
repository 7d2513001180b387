"""Files by their content, read within bounds and without executing anything.

A pickle is read by Python's own interpreter in Python, in which every global is either one of a few
functions defined here or a refusal. PyTorch's `weights_only` is not enough: it allows `bytearray(10**11)`,
and tensors that are larger than their storage.
"""

from __future__ import annotations

import collections
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from smac.errors import UserError
from smac.plugins import load_plugins
from smac.policies.flax import begins_like_flax, read_flax

SMALL = 16 * 2**20  # bytes; what unpacks to less is no bomb,
EXPANSION = 10  # and neither is what unpacks to less than this times the file
PICKLE_LIMIT = 2**20  # bytes of a pickle without its tensors,
STEPS = 200_000  # and its instructions; larger ones hold other things than a policy
FORMATS = "landscape.policies"  # entry points whose modules register formats (`readers`)
LARGEST = 2**40  # of a tensor's sizes

Kind = str  # sb3, torch, pickle, arrays, safetensors, flax, or the name of a format of another package
OPENERS: dict[bytes, tuple[str, Callable[[Path], Any]]] = {}
"""Bytes that files of other packages' formats begin with -> name, and what unpacks them (`readers`)."""


@dataclass(frozen=True)
class Contents:
    """What lies in a file: nested dicts, lists, numbers, text and tensors."""

    path: Path
    kind: Kind
    value: Any
    settings: Mapping[str, Any] = field(default_factory=dict)  # further JSON of the file


def state_dict(value: Any) -> Mapping[str, Tensor]:
    """A state dict, or nothing."""
    if (
        isinstance(value, Mapping)
        and value
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    ):
        return value
    return {}


@contextmanager
def refusing(path: Path, what: str) -> Iterator[None]:
    """Whatever goes wrong in reading a foreign file is the file's fault, told in one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: not {what} ({reason})") from None


def read_contents(path: Path) -> Contents:
    """The file's contents, by what it holds and not by its name; UserError names what is wrong."""
    if path.is_dir():
        raise UserError(f"{path}: is a directory; name the policy's file in it")
    if not path.is_file():
        raise UserError(f"{path}: no such policy file")
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if start[:4] == b"PK\x03\x04":
        return _zipped(path)
    if is_safetensors(path):
        return _safetensors(path)
    if start[:1] == b"\x80":
        with refusing(path, "a pickle of plain values and tensors"):
            return Contents(path, "pickle", unpickle(_bounded(path), path))
    if begins_like_flax(start):
        with refusing(path, "parameters that flax.serialization.to_bytes wrote"):
            return Contents(path, "flax", read_flax(_bounded(path)))
    load_plugins(FORMATS)
    for beginning, (name, opener) in OPENERS.items():
        if start.startswith(beginning):
            with refusing(path, f"a readable file of the format {name}"):
                return Contents(path, name, opener(path))
    raise UserError(
        f"{path}: damaged, or something else: not a policy; use a checkpoint (.safetensors), arrays (.npz), "
        "Stable-Baselines3's .zip, d3rlpy's .d3, or a state dict that torch.save wrote"
    )


def is_safetensors(path: Path) -> bool:
    """Whether a file begins like one: eight bytes of length, then JSON."""
    try:
        with open(path, "rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:
        return False


def safetensors_header(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself in addition to its tensors."""
    with (
        refusing(path, "a readable safetensors file (it is damaged, or something else)"),
        safetensors.safe_open(path, framework="pt") as file,
    ):
        return dict(file.metadata() or {})


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > 64 * SMALL:
        raise UserError(f"{path}: a pickle of {path.stat().st_size} bytes is no policy")
    return path.read_bytes()


class Archive:
    """A zip of which no more is unpacked than its size allows."""

    def __init__(self, file: Path | io.BytesIO, path: Path) -> None:
        self.path = path
        self.zip = zipfile.ZipFile(file)
        if isinstance(file, Path):
            size = path.stat().st_size
            self.left = max(SMALL, min(EXPANSION * size, 2 * size + 4 * SMALL))
        else:  # a zip inside a file, as PyTorch writes it: without compression
            self.left = SMALL + len(file.getbuffer())
        self.names = self.zip.namelist()
        if len(set(self.names)) != len(self.names):
            raise UserError(f"{path}: a zip in which two members have one name")

    def read(self, name: str) -> bytes:
        info = self.zip.getinfo(name)
        self.left -= info.file_size
        if self.left < 0:
            raise UserError(f"{self.path}: member {name} unpacks to {info.file_size} bytes: a zip bomb")
        return self.zip.read(info)


def _zipped(path: Path) -> Contents:
    with refusing(path, "a readable zip (it is damaged, or something else)"):
        archive = Archive(path, path)
    if "policy.pth" in archive.names and "data" in archive.names:
        with refusing(path, "an agent that Stable-Baselines3 saved"):
            settings = json.loads(archive.read("data"))
            value = unpickle(archive.read("policy.pth"), path)
        if not isinstance(settings, dict):
            raise UserError(f"{path}: not an agent that Stable-Baselines3 saved (data is no JSON object)")
        return Contents(path, "sb3", value, settings)
    if any(name.endswith("/constants.pkl") for name in archive.names):
        raise UserError(
            f"{path}: a TorchScript program, and loading one from others is not safe; save the actor's "
            "state_dict(), or name a module of your own that loads it (docs/formats.md): package.module:name"
        )
    if any(name.endswith("data.pkl") for name in archive.names):
        with refusing(path, "a state dict of tensors"):
            return Contents(path, "torch", _from_torch(archive))
    if any(name.endswith(".npy") for name in archive.names):
        with refusing(path, "a readable .npz file of plain arrays"):
            arrays = {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.names}
            return Contents(path, "arrays", arrays)
    raise UserError(f"{path}: not an agent that Stable-Baselines3 saved, nor torch's file, nor arrays")


def _array(data: bytes) -> Tensor:
    """An .npy file of plain numbers."""
    file = io.BytesIO(data)
    major, _ = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    body = data[file.tell() :]
    if dtype.hasobject or dtype.kind not in "fiubc":
        raise ValueError(f"an array of {dtype}, not of numbers")
    if any(n < 0 for n in shape) or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(body):
        raise ValueError(f"an array of shape {shape} in {len(body)} bytes")
    array = np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
    return torch.from_numpy(array.astype(dtype.newbyteorder("="), order="C"))


def _safetensors(path: Path) -> Contents:
    about = safetensors_header(path)
    with refusing(path, "a readable safetensors file (it is damaged, or something else)"):
        return Contents(path, "safetensors", safetensors.torch.load_file(path), about)


# --- pickles ---


def unpickle(data: bytes, path: Path, inert: tuple[str, ...] = ()) -> Any:
    """A pickle, or what torch.save wrote. Classes of the packages `inert` become records without code."""
    if data[:4] == b"PK\x03\x04":
        return _from_torch(Archive(io.BytesIO(data), path))
    found = _Reader(data, path, None, inert).load()
    if isinstance(found, int):  # torch's format before 1.6 begins with a magic number
        raise UserError(
            f"{path}: written by torch.save in its format before 1.6; load it once and save it again"
        )
    return found


def _from_torch(archive: Archive) -> Any:
    (inside,) = [name for name in archive.names if name.split("/")[1:] == ["data.pkl"]]
    folder = inside.removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive.names and archive.read(order) != b"little":
        raise UserError(f"{archive.path}: written on a machine of another byte order")
    data = archive.read(inside)
    if len(data) > PICKLE_LIMIT:
        raise UserError(f"{archive.path}: {inside} of {len(data)} bytes is no state dict")
    return _Reader(data, archive.path, lambda key: archive.read(f"{folder}data/{key}"), ()).load()


_STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64, "ComplexDoubleStorage": torch.complex128,
}  # fmt: skip


class _Known:
    """A function that a pickle may call and not change."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("a function with a state")


class Record:
    """An object of a class that is not known here: what it was made of, and no code."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array:
    """A NumPy array on its way out of a pickle; `value` once its state has been set."""

    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, bytes):
            raise ValueError("an array of objects")
        self.value = np.frombuffer(data, dtype.name).reshape(shape, order="F" if fortran else "C").copy()


class _DType:
    def __init__(self, name: str, *_: Any) -> None:
        if not isinstance(name, str) or np.dtype(name).kind not in "fiub":
            raise ValueError("an array that is not of numbers")
        self.name = name

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", "|", "="):
            raise ValueError("an array of another byte order")


def _scalar(dtype: _DType, data: bytes) -> float:
    return np.frombuffer(data, dtype.name).item()


def _encode(text: str, encoding: str) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("bytes by another codec than latin1")
    return text.encode("latin1")


def _tensor(storage: Tensor, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    """A tensor inside its storage and not larger than it."""
    size, stride = tuple(map(int, size)), tuple(map(int, stride))
    if (
        len(size) != len(stride)
        or len(size) > 8
        or any(not 0 <= n < LARGEST for n in (*size, *stride, offset))
    ):
        raise ValueError("a tensor of impossible size")
    count = int(np.prod(size, dtype=object)) if size else 1
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else 0
    if count > len(storage) or (count and last >= len(storage)):
        raise ValueError(f"a tensor of size {size} in a storage of {len(storage)} numbers")
    return (
        torch.as_strided(storage, size, stride, offset).clone().contiguous() if count else torch.empty(size)
    )


_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("torch", "Size"): lambda *sizes: tuple(*sizes),
    ("collections", "OrderedDict"): lambda: collections.OrderedDict(),
    ("_codecs", "encode"): _encode,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    ("numpy", "dtype"): _DType,
}


class _Instructions(dict):
    """Those of pickles, of which no more than STEPS are followed."""

    left = STEPS

    def __getitem__(self, code: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"more than {STEPS} instructions")
        return super().__getitem__(code)


def _checked(keys: Sequence[Any]) -> None:
    """Plain keys only: hashing nested tuples can take for ever."""
    if not all(isinstance(key, str | int | float) for key in keys):
        raise ValueError("a mapping with keys that are neither text nor numbers")


class _Reader(pickle._Unpickler):
    """Python's interpreter and not C's: its memo is a dict, and no array as long as a file says.

    Sets and bytearrays are left out: the first hash anything, the second allocate what a file says.
    """

    def __init__(
        self, data: bytes, path: Path, storage: Callable[[str], bytes] | None, inert: tuple[str, ...]
    ) -> None:
        super().__init__(io.BytesIO(data))
        self.path, self.storage, self.inert = path, storage, inert
        self.storages: dict[str, Tensor] = {}
        self.dispatch = _Instructions(pickle._Unpickler.dispatch)  # type: ignore[misc]  # of this one reader
        for code in (
            pickle.EMPTY_SET,
            pickle.ADDITEMS,
            pickle.FROZENSET,
            pickle.BYTEARRAY8,
            pickle.NEXT_BUFFER,
        ):
            self.dispatch.pop(code[0])
        self.dispatch[pickle.DICT[0]] = _Reader._dict
        self.dispatch[pickle.SETITEM[0]] = _Reader._item
        self.dispatch[pickle.SETITEMS[0]] = _Reader._items

    def _dict(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        _checked(items[::2])
        self.append(dict(zip(items[::2], items[1::2], strict=True)))  # type: ignore[attr-defined]

    def _item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()  # type: ignore[attr-defined]
        _checked([key])
        self.stack[-1][key] = value  # type: ignore[attr-defined]

    def _items(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        _checked(items[::2])
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))  # type: ignore[attr-defined]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "ndarray"):
            return None  # an argument of _reconstruct, which looks at none
        if (module, name) in _KNOWN:
            return _Known(_KNOWN[module, name])
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module.split(".")[0] in self.inert:
            return Record
        raise UserError(
            f"{self.path}: it holds code or objects ({module}.{name}), which are never loaded; save the "
            "actor's state_dict()"
        )

    def persistent_load(self, pid: Any) -> Tensor:
        if self.storage is None:
            raise ValueError("a tensor without its file")
        _, dtype, key, _, count = pid
        if not isinstance(key, str):
            raise ValueError("a storage without a name")
        if key not in self.storages:
            data = self.storage(str(key))
            if not isinstance(dtype, torch.dtype) or len(data) != count * dtype.itemsize:
                raise ValueError(f"a storage of {count} numbers in {len(data)} bytes")
            self.storages[key] = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0)
        return self.storages[key]
