"""Muon on stacks of matrices, and Adam for everything that is not a hidden matrix.

Muon (Keller Jordan 2024, https://kellerjordan.github.io/posts/muon/) replaces a matrix's momentum by the
nearest semi-orthogonal matrix, up to the errors of a short Newton-Schulz iteration. `torch.optim.Muon`
takes one matrix at a time and refuses a stack; here every member of a stack [*stack, out, in] is a matrix of
its own, and all of them are one batched product.

The length of a Muon step does not shrink with the gradient: without a decaying learning rate nothing settles,
and the first step after a change of loss or data has full size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from smac.errors import UserError
from smac.nets import StackedMLP

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steepest slope at 0 that keeps singular values near 1; Jordan 2024
EPSILON = 1e-7

LearningRateRule = Literal["original", "match_rms_adamw"]


def newton_schulz(g: Tensor, steps: int = 5, dtype: torch.dtype | None = None) -> Tensor:
    """Each matrix U S V^T of g [..., out, in] with singular values moved towards 1; shape and dtype of g.

    Each step applies the odd quintic a s + b s^3 + c s^5 to the singular values s. Five steps take all those
    above 2e-3 of the Frobenius norm into 0.68..1.21 and the smaller ones to at most 485 times what they were,
    so many of a critic's gradient stay near 0.

    `dtype` is that of the products: if None, bfloat16 on CUDA as in the reference, float32 on the CPU, where
    bfloat16 is slow without units for it. bfloat16 changes entries by about 1e-2 of the largest.
    """
    a, b, c = COEFFICIENTS
    *_, out_features, in_features = g.shape
    x = g.to(dtype or default_dtype(g.device)).reshape(-1, out_features, in_features)
    tall = out_features > in_features
    if tall:  # the Gram matrix of the shorter side
        x = x.mT
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=EPSILON)
    for _ in range(steps):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).reshape(g.shape).to(g.dtype)


def default_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def learning_rate_scale(out_features: int, in_features: int, rule: LearningRateRule) -> float:
    """Factor on the learning rate of an (out, in) matrix, as in `torch.optim.Muon`.

    `original`: sqrt(max(1, out / in)) (Jordan 2024). `match_rms_adamw`: 0.2 sqrt(max(out, in)), after which
    an update has the root mean square of AdamW's, so that its learning rates carry over (Liu et al. 2025,
    Moonshot, arXiv:2502.16982).
    """
    if rule == "original":
        return math.sqrt(max(1.0, out_features / in_features))
    return 0.2 * math.sqrt(max(out_features, in_features))


class Muon(torch.optim.Optimizer):
    """`torch.optim.Muon`, member by member, for parameters [*stack, out, in].

    Weights are (out, in) as in `torch.nn.Linear`; the transposed layout would silently get another learning
    rate. A stacked bias [stack, out] cannot be told from a matrix by its shape: use `split_parameters`.
    Weight decay is decoupled and, unlike torch's, off unless asked for. `ns_dtype`: see `newton_schulz`.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        nesterov: bool = True,
        adjust_lr_fn: LearningRateRule = "original",
        ns_steps: int = 5,
        ns_dtype: torch.dtype | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "adjust_lr_fn": adjust_lr_fn,
            "ns_steps": ns_steps,
            "ns_dtype": ns_dtype,
        }
        super().__init__(params, defaults)
        for p in (p for group in self.param_groups for p in group["params"]):
            if p.ndim < 2:
                raise ValueError(f"Muon takes [*stack, out, in]; give {tuple(p.shape)} to Adam")

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Step on every parameter that has a gradient; no value is read back from the device."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._step(p, p.grad, group)

    def _step(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        muon_step(p, grad, state, group, group["lr"])


def muon_step(
    p: Tensor, grad: Tensor, state: Mapping[str, Tensor], group: Mapping[str, Any], lr: Tensor | float
) -> None:
    """One step of Muon on parameter [*stack, out, in], in place; the state's buffer too."""
    momentum = state["momentum_buffer"].lerp_(grad, 1.0 - group["momentum"])
    direction = grad.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
    update = newton_schulz(direction, group["ns_steps"], group["ns_dtype"])
    p.mul_(1.0 - lr * group["weight_decay"])
    scale = learning_rate_scale(p.shape[-2], p.shape[-1], group["adjust_lr_fn"])
    if isinstance(lr, Tensor):
        p.addcmul_(update, lr, value=-scale)
    else:
        p.add_(update, alpha=-lr * scale)


def adam_step(
    p: Tensor, grad: Tensor, state: Mapping[str, Tensor], group: Mapping[str, Any], lr: Tensor | float
) -> None:
    """One step of Adam (Kingma and Ba 2015, algorithm 1), in place; `torch.optim.Adam`'s up to rounding."""
    beta1, beta2 = group["betas"]
    count = state[COUNT].add_(1)
    first = state["exp_avg"].lerp_(grad, 1.0 - beta1)
    second = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1.0 - beta2)
    spread = second.sqrt() / (1.0 - beta2**count).sqrt() + group["eps"]
    p.sub_(first / spread * (lr / (1.0 - beta1**count)))


def split_parameters(
    module: nn.Module, *, include_input: bool = False
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices for Muon, the rest for Adam) of all the `StackedMLP`s in a module.

    Matrices are the hidden layers' weights, from the second layer on unless `include_input`. Biases,
    LayerNorms, heads and parameters outside an MLP are the rest: a one-row head under Muon would move by a
    fixed length whatever its gradient.
    """
    first = 0 if include_input else 1
    mlps = [m for m in module.modules() if isinstance(m, StackedMLP)]
    chosen = {id(layer.weight) for mlp in mlps for layer in list(mlp.hidden)[first:]}
    matrices = [p for p in module.parameters() if id(p) in chosen]
    return matrices, [p for p in module.parameters() if id(p) not in chosen]


class MuonWithAdam:
    """Muon on the matrices and fused Adam on the rest, with the interface of one optimiser.

    `lr` is Adam's and, by the rule `match_rms_adamw`, also Muon's unless `muon_lr` is given. `param_groups`
    are those of both, Muon's first.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        rest: Iterable[nn.Parameter],
        lr: float,
        *,
        muon_lr: float | None = None,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        adjust_lr_fn: LearningRateRule = "match_rms_adamw",
        ns_dtype: torch.dtype | None = None,
    ) -> None:
        matrices = list(matrices)
        if not matrices:
            raise UserError(
                "Muon has no hidden matrix to train: add a hidden layer, or include the first one"
            )
        self.muon = Muon(
            matrices, lr if muon_lr is None else muon_lr, weight_decay=weight_decay, momentum=momentum,
            adjust_lr_fn=adjust_lr_fn, ns_dtype=ns_dtype,
        )  # fmt: skip
        self.adam = torch.optim.Adam(rest, lr=lr, fused=True)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.muon.param_groups + self.adam.param_groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.muon.zero_grad(set_to_none)
        self.adam.zero_grad(set_to_none)

    def step(self) -> None:
        self.muon.step()
        self.adam.step()

    def reset_momentum(self) -> None:
        """Forget Muon's momentum and Adam's moments, e.g. where offline data gives way to online data."""
        reset_momentum(self)

    def state_dict(self) -> dict[str, Any]:
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


Optimiser = torch.optim.Optimizer | MuonWithAdam
MOMENTS = "moments/"  # prefix of the names of an optimiser's tensors in a checkpoint
COUNT = "step"  # Adam's number of steps, which a stack of seeds shares


def single_optimisers(optimiser: Optimiser) -> tuple[torch.optim.Optimizer, ...]:
    return (optimiser.muon, optimiser.adam) if isinstance(optimiser, MuonWithAdam) else (optimiser,)


def singles(optimisers: Iterable[Optimiser]) -> list[torch.optim.Optimizer]:
    """All of torch's optimisers in these."""
    return [single for optimiser in optimisers for single in single_optimisers(optimiser)]


def moments(optimisers: Iterable[Optimiser], names: Mapping[Tensor, str]) -> dict[str, Tensor]:
    """What optimisers remember, by `moments/<kind>/<parameter's name>`, sharing memory with them."""
    return {
        f"{MOMENTS}{kind}/{names[p]}": buffer
        for single in singles(optimisers)
        for p, state in single.state.items()
        if p in names
        for kind, buffer in state.items()
    }


@torch.no_grad()
def load_moments(
    optimisers: Iterable[Optimiser], names: Mapping[Tensor, str], stack: Sequence[Mapping[str, Tensor]]
) -> None:
    """Load moments, one mapping per seed; a parameter that is in none of them begins with zeros.

    Raises UserError if a parameter's step count differs between seeds.
    """
    for single in singles(optimisers):
        kinds = ("momentum_buffer",) if isinstance(single, Muon) else ("exp_avg", "exp_avg_sq")
        for p in (p for group in single.param_groups for p in group["params"]):
            found = {kind: [m.get(f"{MOMENTS}{kind}/{names[p]}") for m in stack] for kind in kinds}
            if any(x is None or x.shape != p.shape[1:] for values in found.values() for x in values):
                continue
            state = single.state[p]
            for kind, values in found.items():
                state[kind] = torch.stack(values).to(p)  # type: ignore[arg-type]
            if not isinstance(single, Muon):
                counts = [m[f"{MOMENTS}{COUNT}/{names[p]}"] for m in stack]
                if any(count != counts[0] for count in counts):
                    raise UserError(
                        "the checkpoints' optimisers took different numbers of steps: use "
                        "--optimiser-state reset"
                    )
                state[COUNT] = counts[0].to(p.device).clone()


def fold_moments(found: Mapping[str, Tensor], first: str, mean: Tensor, std: Tensor) -> dict[str, Tensor]:
    """Moments of the affine map `first` of (x - mean) / std as those of the map that `fold_input` makes.

    With W' = W / std and b' = b - W' mean, dL/dW' = dL/dW std + dL/db mean: exact for means of gradients; of
    means of squares the mixed term is left out. Only what changes is returned: b' has b's moments.
    """
    folded = {}
    for kind, power in (("exp_avg", 1), ("momentum_buffer", 1), ("exp_avg_sq", 2)):
        weight, bias = f"{MOMENTS}{kind}/{first}.weight", f"{MOMENTS}{kind}/{first}.bias"
        if weight in found and bias in found:
            folded[weight] = found[weight] * std**power + found[bias].unsqueeze(-1) * mean**power
    return folded


def set_learning_rate(optimiser: Optimiser, lr: float) -> None:
    """Set it for the next step, on CUDA as a tensor that keeps its place, so that recorded steps see it."""
    for group in optimiser.param_groups:
        old, device = group["lr"], group["params"][0].device
        if isinstance(old, Tensor) and old.device == device:
            old.fill_(lr)
        else:
            group["lr"] = torch.full((), lr, device=device) if device.type == "cuda" else lr


@torch.no_grad()
def reset_momentum(optimiser: Optimiser) -> None:
    """Set every buffer of Adam or Muon to zero, step counts too, in place: the state of a fresh optimiser."""
    for state in (state for part in single_optimisers(optimiser) for state in part.state.values()):
        for buffer in state.values():
            buffer.zero_()
