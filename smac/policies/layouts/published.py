"""Arrays (.npz) of policies that were published with papers and repositories."""

from __future__ import annotations

from smac.policies.contents import Contents
from smac.policies.network import Affine, Network, Normalisation, Tensors
from smac.policies.readers import Reader
from smac.policies.stated import Stated

GOAL_REACHING = "antmaze_gen"  # of the ant that walks in a direction, so needs waypoints


def _pair(tensors: Tensors, *stems: str) -> list[Affine]:
    return [tensors.affine(stem, dot="_") for stem in stems]


def _antmaze_gen(contents: Contents, stated: Stated) -> Network:
    """rlkit's TanhGaussianPolicy."""
    tensors = Tensors(contents.path, contents.value)
    *hidden, mean, log_std = _pair(tensors, "fc0", "fc1", "last_fc", "last_fc_log_std")
    tensors.finish()
    return Network(GOAL_REACHING, tuple(hidden), mean, "relu", True, "unit", log_std)


def _rl_trained_agents(contents: Contents, stated: Stated) -> Network:
    """SAC's or TQC's actor of DLR-RM/rl-trained-agents."""
    tensors = Tensors(contents.path, contents.value)
    *hidden, mean, log_std = _pair(tensors, "latent_pi_0", "latent_pi_2", "mu", "log_std")
    tensors.finish()
    return Network("rl_trained_agents", tuple(hidden), mean, "relu", True, "unit", log_std)


def _dapg(contents: Contents, stated: Stated) -> Network:
    """Gaussian tanh network with shifted and scaled inputs and outputs (Rajeswaran et al. 2018)."""
    t = Tensors(contents.path, contents.value)
    first, second, last = (
        Affine(weight := t.take(f"W{i}", None, None), t.take(f"b{i}", len(weight))) for i in range(3)
    )
    mean = last.times(t.take("out_scale", len(last.bias)), t.take("out_shift", len(last.bias)))
    inputs = first.weight.shape[1]
    seen = Normalisation(t.take("in_shift", inputs), t.take("in_scale", inputs) + 1e-8)
    log_std = t.take("log_std", len(last.bias))
    t.finish()
    return Network(
        "hand_dapg", (first, second), mean, "tanh", False, "env", log_std, (-1e9, 1e9), normalisation=seen
    )


READERS = (
    Reader("hand_dapg", lambda c: c.kind == "arrays" and "in_shift" in c.value, _dapg),
    Reader(GOAL_REACHING, lambda c: c.kind == "arrays" and "last_fc_weight" in c.value, _antmaze_gen),
    Reader("rl_trained_agents", lambda c: c.kind == "arrays" and "mu_weight" in c.value, _rl_trained_agents),
)
