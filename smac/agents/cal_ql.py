"""Cal-QL: calibrated conservative Q-learning (Nakamoto et al. 2023), CQL with a lower bound."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from smac.agents.cql import CQL, CQLConfig
from smac.agents.registry import register
from smac.data.replay import Batch


@dataclass(frozen=True)
class CalQLConfig(CQLConfig):
    """CQL's fields; a class of its own so that a task can want other values."""


@register("cal_ql", offline=True)
class CalQL(CQL):
    """CQL that does not push the values of policy actions below the data's return-to-go."""

    label = "Cal-QL"
    Config = CalQLConfig
    config: CalQLConfig

    def floor(self, batch: Batch) -> Tensor:
        assert batch.mc_returns is not None, "Cal-QL needs the data's returns-to-go"
        return batch.mc_returns
