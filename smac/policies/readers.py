"""What a format of policies is made of, and those that other packages add to the one table of `libraries`.

    import landscape
    from smac.policies.network import Affine, Network, Tensors

    @landscape.register("mylib", recognises=lambda contents: "mylib.w0" in contents.value)
    def read(contents, stated):
        tensors = Tensors(contents.path, contents.value)
        ...
        tensors.finish()  # refuses a tensor that was not used
        return Network("mylib", hidden, mean, "relu", squash=True, units="env")

A package that names its module under the entry-point group `landscape.policies` is found by itself.
`landscape.testing.check_format` checks what every format must keep to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smac.errors import UserError
from smac.plugins import load_plugins
from smac.policies.contents import FORMATS, OPENERS, Contents
from smac.policies.network import Network
from smac.policies.stated import Stated

Recognises = Callable[[Contents], bool]
Read = Callable[[Contents, Stated], Network]


@dataclass(frozen=True)
class Reader:
    """A layout: how it is recognised, and what its tensors compute."""

    name: str
    recognises: Recognises
    read: Read
    describes: tuple[str, ...] = ()
    """Keys of the description that this layout uses, in addition to those that all use."""
    asks_normaliser: bool = False
    """Its files do not hold the observation normaliser that its training has."""


ADDED: dict[str, Reader] = {}


def register(
    name: str,
    *,
    recognises: Recognises,
    describes: tuple[str, ...] = (),
    asks_normaliser: bool = False,
    starts: bytes = b"",
    unpack: Callable[[Path], Any] | None = None,
) -> Callable[[Read], Read]:
    """A decorator that makes a function the reader of a format; `recognises` looks at a file's contents.

    Files that are neither zips, safetensors nor pickles need `starts`, the bytes that they begin with, and
    `unpack`, which makes nested dicts, lists, numbers and tensors of such a file; `contents.kind` is then
    `name`. Whatever either raises becomes a refusal in one line. UserError for a name or a beginning that is
    another format's.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"format {name!r}: a name is made of lower-case letters, digits and _")
    if bool(starts) != (unpack is not None):
        raise UserError(f"format {name!r}: starts and unpack belong together")

    def registered(read: Read) -> Read:
        other = ADDED.get(name)
        if other is not None and other.read is not read:
            place = f"{other.read.__module__}.{other.read.__qualname__}"
            raise UserError(f"format {name!r} is that of {place}: take another name")
        for known in OPENERS:
            if (
                starts
                and OPENERS[known][0] != name
                and (known.startswith(starts) or starts.startswith(known))
            ):
                raise UserError(f"format {name!r}: files of {OPENERS[known][0]} begin alike ({known!r})")
        if unpack is not None:
            OPENERS[starts] = (name, unpack)
        ADDED[name] = Reader(name, recognises, read, describes, asks_normaliser)
        return read

    return registered


def added() -> list[Reader]:
    """The formats of other packages, which are imported when they are first asked for."""
    load_plugins(FORMATS)
    return list(ADDED.values())
