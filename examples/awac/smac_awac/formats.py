"""A format of policies: JSON text that begins with `{"textnet": 1`, with the layers as nested lists.

    {"textnet": 1, "layers": [{"weight": [[...], ...], "bias": [...]}, ...]}

Tanh after every layer but the last, and after the mean; actions are in [-1, 1]. After `pip install .` such
files stand wherever a policy can be named, such as `landscape interpolate --from a.textnet --to b.textnet`.
"""

import json
from pathlib import Path

import torch

import landscape
from smac.policies.contents import Contents
from smac.policies.network import Network, Tensors, chained
from smac.policies.stated import Stated


def unpack(path: Path) -> dict[str, torch.Tensor]:
    layers = json.loads(path.read_text())["layers"]
    return {
        f"{k}.{name}": torch.tensor(values, dtype=torch.float32)
        for k, layer in enumerate(layers)
        for name, values in layer.items()
    }


@landscape.register(
    "textnet", recognises=lambda contents: contents.kind == "textnet", starts=b'{"textnet": 1', unpack=unpack
)
def read(contents: Contents, stated: Stated) -> Network:
    tensors = Tensors(contents.path, contents.value)
    stems = sorted({name.partition(".")[0] for name in tensors.left}, key=int)
    *hidden, mean = chained(contents.path, stems, tensors.affine)
    tensors.finish()
    return Network("textnet", tuple(hidden), mean, "tanh", squash=True, units="unit")
