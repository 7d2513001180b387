"""A torch module as a policy: the perceptrons that people write in their own code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from smac.checkpoint import Description
from smac.envs import env_spec
from smac.errors import UserError
from smac.nets import Activation
from smac.policies.acting import Perceptron
from smac.policies.actors import ActorSpec, stack_actor
from smac.policies.checkpoints import PolicyCheckpoint
from smac.policies.foreign import tensors_of
from smac.tasks import get_task

KNOWN: dict[type[nn.Module], Activation] = {nn.SiLU: "silu", nn.ReLU: "relu", nn.Tanh: "tanh"}
PROBES = 64  # observations on which the module and what was read of it must agree
TOLERANCE = 1e-5


def policy_of_module(module: nn.Module, task: str, name: str = "module") -> PolicyCheckpoint:
    """The policy observation -> mean action that a module computes in the task's environment.

    What it takes: affine maps (`nn.Linear` with bias) with one and the same activation of SiLU, ReLU and
    Tanh between them, two or more of them, in the order in which they are applied; after the last, Tanh, or
    nothing, and then the action is cut off at its limits. The module is called
    on random observations, and must give the actions that its layers say. UserError for anything else.
    """
    network = perceptron_of(module, name)
    kind, params = tensors_of(network)
    dims = env_spec(get_task(task))
    sizes = params["net.hidden.0.weight"].shape[1], len(network.mean[1])
    if sizes != (dims.observation_dim, dims.action_dim):
        raise UserError(
            f"{name}: takes {sizes[0]} observations and gives {sizes[1]} actions, but task {task} has "
            f"{dims.observation_dim} and {dims.action_dim}"
        )
    hidden = tuple(len(bias) for _, bias in network.hidden)
    spec = ActorSpec(*sizes, hidden, network.activation, False, kind)
    about = Description(task, name, "policy", 0, 0, *sizes, config={})
    policy = PolicyCheckpoint(Path(name), about, spec, params)
    _check_acts_alike(module, policy)
    return policy


def perceptron_of(module: nn.Module, name: str) -> Perceptron:
    """Its layers, from the modules without children in the order of their registration."""
    layers = [one for one in module.modules() if not list(one.children())]
    affine = [one for one in layers if isinstance(one, nn.Linear)]
    squash = bool(layers) and isinstance(layers[-1], nn.Tanh)
    kinds = {type(one) for one in layers[: -1 if squash else None] if not isinstance(one, nn.Linear)}
    strange = sorted(kind.__name__ for kind in kinds if kind not in KNOWN)
    if strange:
        raise UserError(f"{name}: has {', '.join(strange)}; a policy is affine maps and an activation")
    if len(affine) < 2 or len(kinds) != 1 or any(one.bias is None for one in affine):
        raise UserError(
            f"{name}: has {len(affine)} affine maps and {len(kinds)} kinds of activation between them; it "
            "takes two maps or more, each with a bias, and one kind of activation"
        )
    pairs = tuple((one.weight.detach().float().cpu(), one.bias.detach().float().cpu()) for one in affine)
    return Perceptron(pairs[:-1], pairs[-1], None, KNOWN[kinds.pop()], squash)


def _check_acts_alike(module: nn.Module, policy: PolicyCheckpoint) -> None:
    """UserError where a module's `forward` does something else than its layers one after the other."""
    parameter = next(module.parameters())
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(PROBES, policy.spec.observation_dim, generator=generator)
    with torch.inference_mode():
        given = module(seen.to(parameter.device, parameter.dtype))
        if not isinstance(given, torch.Tensor) or given.shape != (PROBES, policy.spec.action_dim):
            raise UserError(f"{policy.path}: does not turn observations [n, obs] into actions [n, act]")
        wanted = given.float().cpu().clamp(-1, 1)
        actions = stack_actor(policy.spec, [policy.params]).act(seen[None])[0]
    far = float((actions - wanted).abs().max())
    if not far <= TOLERANCE:
        raise UserError(
            f"{policy.path}: its forward is not its layers one after the other (actions differ by "
            f"{far:.2g}); give a perceptron alone, without scaling or other parts"
        )
