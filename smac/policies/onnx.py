"""ONNX graphs as black boxes: they act, and have no parameters that a line could move.

onnxruntime, an optional dependency, runs them; a graph is made of its known operations and holds no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smac.errors import UserError
from smac.policies.contents import refusing
from smac.policies.network import Normalisation

LARGEST = 2**28  # bytes of a file
OUTPUTS = ("action", "actions", "mean", "mean_action")  # which of several outputs is the action
_TYPES: Mapping[str, Any] = {"tensor(float)": np.float32, "tensor(double)": np.float64}


@dataclass(frozen=True)
class Graph:
    """A graph from observations [1, obs] to actions [1, act], in the units that its file's policy has."""

    path: Path
    session: Any
    source: str
    target: str
    dtype: Any
    normalisation: Normalisation | None = None

    def __call__(self, observations: Tensor) -> Tensor:
        if self.normalisation is not None:
            observations = self.normalisation(observations)
        rows = observations.numpy().astype(self.dtype)
        with refusing(self.path, "a graph that acts on observations"):
            parts = [self.session.run([self.target], {self.source: row[None]})[0] for row in rows]
        return torch.from_numpy(np.concatenate([np.asarray(part, np.float32) for part in parts]))


def is_onnx(start: bytes) -> bool:
    """Whether a file begins as an ONNX model does: with its version, then its producer or its graph."""
    return start[:1] == b"\x08" and 0 < start[1] < 0x20 and start[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a")


def read_graph(path: Path) -> Graph:
    """UserError if onnxruntime is not there, or the graph is not from a vector of observations to actions."""
    try:
        onnxruntime: Any = import_module("onnxruntime")
    except ImportError:
        raise UserError(f"{path}: ONNX needs onnxruntime: pip install 'smac-landscape[onnx]'") from None
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: an ONNX graph of {path.stat().st_size} bytes is no policy")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    with refusing(path, "a readable ONNX graph"):
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    named = [one.name for one in outputs if len(outputs) == 1 or one.name in OUTPUTS]
    if len(inputs) != 1 or inputs[0].type not in _TYPES or len(named) != 1:
        raise UserError(
            f"{path}: maps {_listed(inputs)} to {_listed(outputs)}; one input of observations and one "
            f"output, or one that is called {', '.join(OUTPUTS)}, make a policy"
        )
    return Graph(path, session, inputs[0].name, named[0], _TYPES[inputs[0].type])


def _listed(ends: Any) -> str:
    return ", ".join(f"{one.name} {one.type}" for one in ends)
