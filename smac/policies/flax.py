"""What `flax.serialization.to_bytes` wrote: MessagePack of maps, lists, numbers, text and arrays.

Read here, since the whole format is a page, and a reader that builds nothing but these executes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

DEEPEST = 32  # maps within maps
ARRAY, SCALAR = 1, 3  # flax's extension types: (shape, dtype, bytes); 2 are complex numbers
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h",
    0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_LENGTHS = {
    0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xC7: ">B", 0xC8: ">H", 0xC9: ">I", 0xD9: ">B", 0xDA: ">H",
    0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I",
}  # fmt: skip


def begins_like_flax(start: bytes) -> bool:
    """Whether it is a map that is not empty; an empty one begins as pickles do."""
    return 0x81 <= start[0] <= 0x8F or start[0] in (0xDE, 0xDF) if start else False


def read_flax(data: bytes) -> dict[str, Any]:
    """Nested maps with tensors in them; ValueError for anything else."""
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data) or not isinstance(value, dict):
        raise ValueError("not one map")
    return value


def by_torch_names(value: Any) -> dict[str, Tensor]:
    """Tensors by their path, `params.Dense_0.weight` [out, in] for the kernel [in, out] of a Dense; {} if
    there is anything else in it."""
    found: dict[str, Tensor] = {}

    def walk(place: str, part: Any) -> bool:
        if isinstance(part, Mapping):
            return all(walk(f"{place}.{name}" if place else name, inner) for name, inner in part.items())
        if not isinstance(part, Tensor):
            return False
        stem, _, last = place.rpartition(".")
        if last == "kernel" and part.ndim == 2:
            found[f"{stem}.weight"] = part.T.contiguous()
        else:
            found[place] = part
        return True

    return found if walk("", value) else {}


class _Reader:
    """MessagePack from first byte to last; no length is believed beyond the end of the file."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise ValueError("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def unpack(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels")
        code = self.take(1)[0]
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 0x100
        if code <= 0x8F:
            return self.map(code & 0x0F, depth)
        if code <= 0x9F:
            return [self.value(depth + 1) for _ in range(code & 0x0F)]
        if code <= 0xBF:
            return self.take(code & 0x1F).decode()
        if code in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[code]
        if code in _NUMBERS:
            return self.unpack(_NUMBERS[code])
        if 0xD4 <= code <= 0xD8:
            return self.extension(1 << (code - 0xD4))
        if code not in _LENGTHS:
            raise ValueError(f"a byte {code:#x} that means nothing")
        length = self.unpack(_LENGTHS[code])
        if code <= 0xC6:
            return self.take(length)
        if code <= 0xC9:
            return self.extension(length)
        if code <= 0xDB:
            return self.take(length).decode()
        if code <= 0xDD:
            return [self.value(depth + 1) for _ in range(length)]
        return self.map(length, depth)

    def map(self, length: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(length):
            code = self.data[self.at] if self.at < len(self.data) else 0
            key = self.value(depth) if 0xA0 <= code <= 0xBF or 0xD9 <= code <= 0xDB else None
            if key is None or key in found:
                raise ValueError("a map with a key that is no text, or there twice")
            found[key] = self.value(depth + 1)
        return found

    def extension(self, length: int) -> Tensor:
        kind, inside = self.unpack(">b"), _Reader(self.take(length))
        if kind not in (ARRAY, SCALAR):
            raise ValueError(f"an extension {kind} that is no array")
        parts = inside.value(DEEPEST - 2)  # a list, and in it one more
        if inside.at != length or not isinstance(parts, list) or len(parts) != 3:
            raise ValueError("an array without shape, type and numbers")
        shape, name, data = parts
        if isinstance(name, bytes):
            name = name.decode()
        if not isinstance(data, bytes) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError("an array of impossible size")
        if name == "bfloat16":
            flat = torch.frombuffer(bytearray(data), dtype=torch.bfloat16) if data else torch.empty(0)
        else:
            dtype = np.dtype(name)
            if dtype.kind not in "fiubc":
                raise ValueError(f"an array of {name}, not of numbers")
            flat = torch.from_numpy(np.frombuffer(data, dtype).copy())
        if int(np.prod(shape, dtype=object)) != flat.numel():
            raise ValueError(f"an array of shape {shape} with {flat.numel()} numbers")
        return flat.reshape(tuple(shape))
