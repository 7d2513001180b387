"""A verb for `landscape`: a dataclass of options with a method `run`, named in pyproject.toml."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import tyro

from smac.policies import load_policy, of_one_kind


@dataclass(frozen=True)
class Distance:
    """How far two policies of one architecture are from each other in parameters."""

    examples: ClassVar = ("landscape distance --from offline.safetensors --to online.safetensors",)

    start: Annotated[Path, tyro.conf.arg(name="from")]
    """The first checkpoint."""
    end: Annotated[Path, tyro.conf.arg(name="to")]
    """The second checkpoint."""

    def run(self) -> None:
        policies = of_one_kind([load_policy(self.start), load_policy(self.end)], stochastic=False)
        a, b = (policy.params for policy in policies)
        squares = sum(float(np.square(a[name] - b[name]).sum()) for name in a)
        print(f"distance {np.sqrt(squares):.4g}")
