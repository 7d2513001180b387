"""A stack of one `nn.Module`'s copies that acts: what `actors` builds for a specification of a module.

A stack of points is one call through `torch.func`; where a module does not allow that, its members are called
one after the other, and the log says so.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ModuleCode:
    """What a module computes but for its floating-point tensors. Two are equal if this text is."""

    skeleton: nn.Module
    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModuleCode) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __deepcopy__(self, _: object) -> ModuleCode:
        return self

    def __repr__(self) -> str:
        return " ".join(self.text.split())


class ModuleActor(nn.Module):
    """A stack of one module's copies: observations [stack, batch, obs] -> actions [stack, batch, act]."""

    def __init__(
        self,
        code: ModuleCode,
        rescale: Sequence[tuple[float, float]],
        points: Sequence[Mapping[str, np.ndarray]],
    ) -> None:
        """`rescale` is the factor and the summand of every action."""
        super().__init__()
        self.module = copy.deepcopy(code.skeleton).eval()
        self.tensors = {n: torch.from_numpy(np.stack([point[n] for point in points])) for n in points[0]}
        self.gain, self.offset = torch.tensor(rescale, dtype=torch.float32).unbind(-1)
        self.stacked = True

    def act(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        return (self.gain * self._raw(observations) + self.offset).clamp(-1.0, 1.0)

    def _call(self, tensors: Mapping[str, Tensor], observations: Tensor) -> Tensor:
        return torch.func.functional_call(self.module, dict(tensors), (observations,))

    @torch.no_grad()
    def _raw(self, observations: Tensor) -> Tensor:
        if self.stacked:
            try:
                return torch.func.vmap(self._call)(self.tensors, observations)
            except RuntimeError as error:
                self.stacked = False
                log.warning("the module cannot be stacked (%s); its points are played in a loop", error)
        members = [{n: t[i] for n, t in self.tensors.items()} for i in range(len(observations))]
        return torch.stack([self._call(m, rows) for m, rows in zip(members, observations, strict=True)])
