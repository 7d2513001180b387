"""AWAC (Nair et al. 2020), offline: a critic by temporal differences, an actor that imitates by advantage.

After `pip install .` it is there by name: `smac pretrain --task pen-binary --algorithm awac`, and so is
`--help`, `smac transfer --offline awac,iql`, every table and picture.
"""

from dataclasses import dataclass

from smac.agents.awr import AWR, AWRConfig
from smac.agents.registry import register


@dataclass(frozen=True)
class AWACConfig(AWRConfig):
    value_samples: int = 1
    """Policy actions whose mean value is the baseline V(s)."""


@register("awac", offline=True)
class AWAC(AWR):
    """The losses of AWR on the dataset's transitions."""

    label = "AWAC"
    Config = AWACConfig
    config: AWACConfig
