"""Policies of every format: as parameter mappings and back, and as something that acts.

No file is executed, and none is read by halves: every tensor of an actor is used, or its file is refused.

| room | what is in it |
|---|---|
| `actors` | what turns parameter mappings into one stacked policy |
| `checkpoints` | a policy with where it comes from, and policies of one kind |
| `files` | reading and writing them |
| `foreign` | policies of other libraries as parameter mappings |
| `modules` | any `nn.Module` as one |
| `normalisers` | what they do to observations, folded into the first layer |
| `acting` | policies that act on one observation, as collecting plays them |
| `playing` | policies of every format as `smac evaluate` and `render` play them |
| `contents` | files by their content, within bounds: zips, arrays, pickles through an allow-list |
| `flax` | what flax.serialization wrote |
| `onnx` | ONNX graphs, which act and have no parameters |
| `vecnormalize` | the numbers of Stable-Baselines3's pickle |
| `libraries` | one table of readers, a row for each layout |
| `layouts` | a module per library: what its files hold, and what that computes |
| `readers` | what a row of that table is, and the formats that other packages register |
| `network` | what a policy of another library computes, and the ledger of its tensors |
| `stated` | the description and the check next to a file |
| `python` | modules and functions that a user names |
"""

from smac.policies.actors import HEAD_BIAS, HEAD_WEIGHT, ActorSpec, Kind, flat, mean_actions, stack_actor
from smac.policies.checkpoints import PolicyCheckpoint, of_one_kind, without_noise
from smac.policies.files import load_policy, save_policy
from smac.policies.modules import policy_of_module

__all__ = [
    "HEAD_BIAS",
    "HEAD_WEIGHT",
    "ActorSpec",
    "Kind",
    "PolicyCheckpoint",
    "flat",
    "load_policy",
    "mean_actions",
    "of_one_kind",
    "policy_of_module",
    "save_policy",
    "stack_actor",
    "without_noise",
]
