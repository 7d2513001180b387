"""Policies of every format: as parameter mappings and back, and as something that acts.

| room | what is in it |
|---|---|
| `actors` | what turns parameter mappings into one stacked policy |
| `checkpoints` | a policy with where it comes from, and policies of one kind |
| `files` | reading and writing them |
| `foreign` | policies of other libraries |
| `perceptrons` | torch modules, as far as they are perceptrons |
| `normalisers` | what they do to observations, folded into the first layer |
| `acting` | policies that act on one observation, as collecting plays them |
"""

from smac.policies.actors import HEAD_BIAS, HEAD_WEIGHT, ActorSpec, Kind, stack_actor
from smac.policies.checkpoints import PolicyCheckpoint, of_one_kind, without_noise
from smac.policies.files import load_policy, save_policy

__all__ = [
    "HEAD_BIAS",
    "HEAD_WEIGHT",
    "ActorSpec",
    "Kind",
    "PolicyCheckpoint",
    "load_policy",
    "of_one_kind",
    "save_policy",
    "stack_actor",
    "without_noise",
]
