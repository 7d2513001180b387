"""AWAC (Nair et al. 2020), offline: a critic by temporal differences, an actor that imitates by advantage."""

from dataclasses import dataclass

import smac
from smac.agents.awr import AWR, AWRConfig


@dataclass(frozen=True)
class AWACConfig(AWRConfig):
    value_samples: int = 1
    """Policy actions whose mean value is the baseline V(s)."""


@smac.register("awac", offline=True)
class AWAC(AWR):
    """The losses of AWR on the dataset's transitions."""

    label = "AWAC"
    Config = AWACConfig
    config: AWACConfig
