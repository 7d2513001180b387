"""One table of readers, by what a file holds: every library's layout has a row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smac.envs.units import Box, Units, action_box
from smac.errors import UserError
from smac.nets import AnyActivation
from smac.policies.contents import Contents, read_contents, refusing, unpickle
from smac.policies.flax import by_torch_names
from smac.policies.network import Affine, Network, Normalisation, Tensors
from smac.policies.readers import Reader, added
from smac.policies.stated import Stated, build, check, read_stated
from smac.tasks import Task

GOAL_REACHING = "antmaze_gen"  # of the ant that walks in a direction, so needs waypoints


# Keys of a description that every layout uses
COMMON = {
    "path",
    "task",
    "algorithm",
    "step",
    "seed",
    "action_units",
    "check",
    "normaliser",
    "says_normaliser",
}


def read_network(
    path: Path, units: Units | None = None, normaliser: str | None = None
) -> tuple[Network, Stated]:
    """The policy in a file, as its library acts with it, and what is stated in the file next to it."""
    stated = read_stated(path, normaliser)
    contents = read_contents(path)
    reader = _reader(contents)
    empty = Stated(stated.path)
    for key, value in vars(stated).items():
        if key not in COMMON and key not in reader.describes and value != getattr(empty, key):
            raise UserError(f"{stated.path}: {key} has no meaning for a {reader.name} policy")
    with refusing(path, f"a {reader.name} policy"):
        network = reader.read(contents, stated)
        network.act(torch.zeros(network.observation_dim))
    if reader.asks_normaliser:
        ask_for_normaliser(path, reader.name, stated)
    return _as_stated(path, network, stated, units), stated


def _reader(contents: Contents) -> Reader:
    """The format of a file: one of ours, one of another package, or the plain state dict."""
    for rows in (lambda: READERS[:-1], added, lambda: READERS[-1:]):
        for row in rows():
            with refusing(contents.path, f"a file that the format {row.name} can look at"):
                if row.recognises(contents):
                    return row
    raise UserError(
        f"{contents.path}: not the arrays or tensors of a policy; it holds {_held(contents.value)}"
    )


def ask_for_normaliser(path: Path, name: str, stated: Stated) -> None:
    """UserError if nothing says what observations go through."""
    if stated.says_normaliser or stated.has_check:
        return
    beside = _vecnormalize_beside(path)
    known = f'{{"file": "{beside.relative_to(path.parent)}"}}' if beside else '{"mean": [...], "std": [...]}'
    raise UserError(
        f"{path}: {name} files do not say how observations are normalised; say it with --normaliser "
        f'{beside or "VECNORMALIZE.pkl"}, or none, or in {stated.path.name}: "normaliser": {known}, or null'
    )


def _vecnormalize_beside(path: Path) -> Path | None:
    """The file of a VecNormalize in the policy's folder, or in one inside it."""
    found = [p for folder in (".", "*") for p in path.parent.glob(f"{folder}/*.pkl")]
    named = [p for p in found if "vecnormalize" in re.sub("[_-]", "", p.name.lower())]
    return named[0] if named else None


def fit(path: Path, network: Network, stated: Stated, task: Task) -> Network:
    """The policy in a task: actions in [-1, 1], and as its check says."""
    box = action_box(task)
    if len(box.low) != network.action_dim:
        return network  # a part of a controller, or of another task, which whoever uses it says
    if network.source == "CORL" and (set(box.low) != {-box.high[0]} or set(box.high) != {box.high[0]}):
        raise UserError(f"{path}: CORL's actors need one symmetric limit of actions, the task's box is {box}")
    fitting = network.in_unit_box(box, path)
    check(path, stated, fitting, box)
    return fitting


def _as_stated(path: Path, network: Network, stated: Stated, units: Units | None) -> Network:
    """With what the description and the command say; a contradiction is refused."""
    for source, said in ((str(stated.path), stated.action_units), ("--action-units", units)):
        if said and network.units and said != network.units:
            raise UserError(f"{source}: says action units {said}, but {path} acts in {network.units}")
        network = replace(network, units=network.units or said)
    normalisation = stated.normalisation(network.observation_dim)
    if normalisation is None:
        return network
    if network.normalisation is not None:
        raise UserError(f"{stated.path}: states a normaliser, but the policy's file has one of its own")
    return replace(network, normalisation=normalisation)


def _held(value: Any) -> str:
    names = [str(key) for key in value] if isinstance(value, Mapping) else [type(value).__name__]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _flat(value: Any) -> Mapping[str, Tensor]:
    """A state dict, or nothing."""
    if (
        isinstance(value, Mapping)
        and value
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    ):
        return value
    return {}


# --- Stable-Baselines3 ---

# Modules that a policy's class must be of, since others compute anything -> its activation where none is said
_MODULES = {
    "stable_baselines3.sac.policies": "relu",
    "stable_baselines3.td3.policies": "relu",
    "stable_baselines3.common.policies": "tanh",
    "sb3_contrib.tqc.policies": "relu",
    "sb3_contrib.crossq.policies": "relu",
}
_SB3_ACTIVATIONS: Mapping[str, AnyActivation] = {
    "ReLU": "relu", "Tanh": "tanh", "SiLU": "silu", "Mish": "mish", "ELU": "elu", "GELU": "gelu",
    "LeakyReLU": "leaky_relu", "Softplus": "softplus", "Sigmoid": "sigmoid", "SELU": "selu",
}  # fmt: skip
_SB3_HARMLESS = {  # keywords of policies that do not change the mean action, or are seen in the tensors
    "net_arch", "activation_fn", "log_std_init", "ortho_init", "use_sde", "n_critics", "n_quantiles",
    "optimizer_class", "optimizer_kwargs", "share_features_extractor", "use_expln", "clip_mean",
    "squash_output", "full_std", "normalize_images", "batch_norm", "batch_norm_momentum", "batch_norm_eps",
    "renorm_warmup_steps", ":type:", ":serialized:",
}  # fmt: skip


def _sb3(contents: Contents, stated: Stated) -> Network:
    path, settings = contents.path, contents.settings
    module = str((settings.get("policy_class") or {}).get("__module__"))
    if module not in _MODULES:
        raise UserError(f"{path}: its policy's class is of {module}, not of Stable-Baselines3")
    options = settings.get("policy_kwargs") or {}
    odd = sorted(options.keys() - _SB3_HARMLESS)
    if odd:
        raise UserError(f"{path}: its policy has {odd[0]}, which only its own code understands")
    for name in ("observation_space", "action_space"):
        if "Box" not in str(settings[name].get(":type:")) or len(settings[name].get("_shape") or ()) != 1:
            raise UserError(f"{path}: its {name} is {settings[name].get(':type:')}, not a vector")
    activation = _sb3_activation(path, options, _MODULES[module])
    tensors = Tensors(path, contents.value)
    if module == "stable_baselines3.common.policies":
        network = _sb3_actor_critic(tensors, options, activation)
    elif "actor.mu.weight" in tensors or "actor.log_std" in tensors:
        network = _sb3_squashed(tensors, options, activation)
    else:
        *hidden, mean = tensors.sequential("actor.mu")
        network = Network("SB3 agent", tuple(hidden), mean, activation, squash=True, units="unit")
    tensors.finish("critic.", "critic_target.", "actor_target.", "value_net.", "mlp_extractor.value_net.")
    return replace(network, box=_sb3_box(settings["action_space"]))


def _sb3_activation(path: Path, options: Mapping[str, Any], default: AnyActivation | str) -> AnyActivation:
    if "activation_fn" not in options:
        return default  # type: ignore[return-value]  # of _MODULES
    found = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w+)'>", str(options["activation_fn"]))
    if not found or found[1] not in _SB3_ACTIVATIONS:
        raise UserError(f"{path}: its activation is {options['activation_fn']}, which is not read")
    return _SB3_ACTIVATIONS[found[1]]


def _sb3_box(space: Mapping[str, Any]) -> Box | None:
    low, high = (str(space.get(end, "")).strip("[] ").split() for end in ("low", "high"))
    try:
        return Box(tuple(map(float, low)), tuple(map(float, high)))
    except ValueError:  # long arrays are printed with dots
        return None


def _sb3_squashed(tensors: Tensors, options: Mapping[str, Any], activation: AnyActivation) -> Network:
    """SAC, TQC and CrossQ."""
    hidden, after = _renormalised(tensors, "actor.latent_pi", float(options.get("batch_norm_eps", 1e-3)))
    sde = "actor.log_std" in tensors
    bound = float(options.get("clip_mean", 2.0)) if sde else 0.0
    mean = tensors.affine("actor.mu.0" if bound > 0 else "actor.mu")
    log_std: Affine | None = None
    if sde:
        tensors.take("actor.log_std", None, None)  # noise that depends on features through a matrix: left out
    else:
        log_std = after(tensors.affine("actor.log_std"))
    return Network(
        "SB3 agent", tuple(hidden), after(mean), activation, squash=True, units="unit", log_std=log_std,
        mean_bound=bound or None,
    )  # fmt: skip


def _renormalised(
    tensors: Tensors, stem: str, epsilon: float
) -> tuple[list[Affine], Callable[[Affine], Affine]]:
    """A Sequential where a BatchRenorm may precede an affine map, folded into it; and what folds the last."""
    layers: list[Affine] = []
    fold: Callable[[Affine], Affine] = _unchanged
    for place in tensors.indices(stem):
        name = f"{stem}.{place}"
        if f"{name}.ra_mean" in tensors:
            fold = _folding(tensors, name, epsilon)
        else:
            layers.append(fold(tensors.affine(name, len(layers[-1].bias) if layers else None)))
            fold = _unchanged
    return layers, fold


def _unchanged(layer: Affine) -> Affine:
    return layer


def _folding(tensors: Tensors, name: str, epsilon: float) -> Callable[[Affine], Affine]:
    mean = tensors.take(f"{name}.ra_mean", None).double()
    std = (tensors.take(f"{name}.ra_var", len(mean)).double() + epsilon).sqrt()
    scale = tensors.take(f"{name}.scale", len(mean)).double() / std
    shift = tensors.take(f"{name}.bias", len(mean)).double() - scale * mean
    tensors.left.pop(f"{name}.steps", None)  # how long it was trained
    return lambda layer: layer.after(scale, shift)


def _sb3_actor_critic(tensors: Tensors, options: Mapping[str, Any], activation: AnyActivation) -> Network:
    """PPO and A2C: the mean is cut off at the box, unless gSDE squashes it."""
    hidden = tensors.sequential("mlp_extractor.policy_net")
    mean = tensors.affine("action_net")
    squash = bool(options.get("squash_output"))
    log_std = tensors.left.get("log_std")
    if log_std is not None:
        log_std = tensors.take("log_std", *[None] * log_std.ndim)
    noise = log_std if log_std is not None and log_std.ndim == 1 and not squash else None
    units: Units = "unit" if squash else "env"
    return Network("SB3 agent", tuple(hidden), mean, activation, squash, units, noise, (-1e9, 1e9))


# --- published arrays ---


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


# --- CleanRL ---


def _cleanrl_actor(contents: Contents) -> Mapping[str, Tensor]:
    """The first of the tuple that CleanRL saves, or the state dict."""
    value = contents.value
    return _flat(value[0] if isinstance(value, tuple) and value else value)


def _cleanrl(contents: Contents, stated: Stated) -> Network:
    """SAC, TD3 and DDPG: tanh of the mean times action_scale plus action_bias, in the environment's units."""
    tensors = Tensors(contents.path, _cleanrl_actor(contents))
    head = "fc_mean" if "fc_mean.weight" in tensors else "fc_mu"
    *hidden, mean = chained_by_name(tensors, "fc", head)
    actions = len(mean.bias)
    gain, offset = (_row(tensors, name, actions) for name in ("action_scale", "action_bias"))
    tensors.finish("fc_logstd.")
    return Network("CleanRL", tuple(hidden), mean, "relu", True, "env", gain=gain, offset=offset)


def _row(tensors: Tensors, name: str, actions: int) -> Tensor:
    """Numbers [act] that may be kept as [1, act], or as one."""
    held = tensors.left.get(name)
    row = tensors.take(name, *(held.shape if held is not None else [actions])).reshape(-1)
    if len(row) not in (1, actions):
        raise UserError(f"{tensors.path}: tensor {name} has {len(row)} numbers for {actions} actions")
    return row.expand(actions).clone()


def chained_by_name(tensors: Tensors, stem: str, head: str) -> list[Affine]:
    """Layers stem1, stem2, ... as far as there are, then the head."""
    layers: list[Affine] = []
    while f"{stem}{len(layers) + 1}.weight" in tensors:
        layers.append(tensors.affine(f"{stem}{len(layers) + 1}", len(layers[-1].bias) if layers else None))
    return [*layers, tensors.affine(head, len(layers[-1].bias) if layers else None)]


def _cleanrl_ppo(contents: Contents, stated: Stated) -> Network:
    """PPO: the mean, cut off by the ClipAction around its environment."""
    tensors = Tensors(contents.path, contents.value)
    *hidden, mean = tensors.sequential("actor_mean")
    log_std = tensors.take("actor_logstd", 1, len(mean.bias))[0]
    tensors.finish("critic.")
    return Network("CleanRL PPO", tuple(hidden), mean, "tanh", False, "env", log_std, (-1e9, 1e9))


# --- CORL: trainer files with the actor's state dict inside ---


def _corl_actor(contents: Contents) -> Mapping[str, Tensor]:
    value = contents.value
    if contents.kind != "torch" or not isinstance(value, Mapping):
        return {}
    return _flat(value.get("actor"))


def _corl(contents: Contents, stated: Stated) -> Network:
    """TD3+BC, IQL, CQL, Cal-QL, SAC-N, EDAC, AWAC: ReLU, and actions up to max_action of a symmetric box."""
    tensors = Tensors(contents.path, _corl_actor(contents))
    squash, unit = True, "unit"
    if "trunk.0.weight" in tensors:  # SAC-N, EDAC
        hidden = tensors.sequential("trunk")
        mean = tensors.affine("mu", len(hidden[-1].bias))
        tensors.affine("log_sigma", len(hidden[-1].bias))
    elif "base_network.network.0.weight" in tensors:  # CQL, Cal-QL: 2A heads
        *hidden, heads = tensors.sequential("base_network.network")
        actions, odd = divmod(len(heads.bias), 2)
        if odd:
            raise UserError(f"{contents.path}: {len(heads.bias)} heads are not means and log_stds")
        mean = Affine(heads.weight[:actions].clone(), heads.bias[:actions].clone())
        for name in ("log_std_multiplier", "log_std_offset"):
            tensors.take(f"{name}.constant", 1)
    elif "_mlp.0.weight" in tensors:  # AWAC: no tanh, cut off at the limits
        *hidden, mean = tensors.sequential("_mlp")
        tensors.take("_log_std", len(mean.bias))
        squash, unit = False, "env"
    else:  # TD3+BC `net`; IQL `net.net`, with log_std if Gaussian
        *hidden, mean = tensors.sequential("net" if "net.0.weight" in tensors else "net.net")
        if "log_std" in tensors:
            tensors.take("log_std", len(mean.bias))
    tensors.finish()
    return Network("CORL", tuple(hidden), mean, "relu", squash, "env" if unit == "env" else "unit")


# --- d3rlpy ---


def _d3rlpy(contents: Contents, stated: Stated) -> Network:
    """The .d3 of `algo.save`: tensors, and the configuration as JSON."""
    path = contents.path
    config = json.loads(contents.value["config"])
    algorithm, about = str(config["config"]["type"]), config["config"]["params"]
    policies = {"bc": "imitator"} | dict.fromkeys(
        ("sac", "td3", "td3_plus_bc", "ddpg", "iql", "awac", "cql", "cal_ql", "rebrac", "prdc"), "policy"
    )
    if algorithm not in policies:
        raise UserError(f"{path}: d3rlpy's {algorithm} does not act by one perceptron")
    saved = unpickle(contents.value["torch"], path)
    network = _d3rlpy_network(path, saved, policies[algorithm], _encoder(path, about))
    scalers = _d3rlpy_scalers(path, about.get("action_scaler"), about.get("observation_scaler"))
    return replace(network, **scalers)


def _encoder(path: Path, about: Mapping[str, Any]) -> AnyActivation:
    encoder = about.get("actor_encoder_factory") or about.get("encoder_factory") or {}
    kind, params = encoder.get("type"), encoder.get("params") or {}
    if kind not in ("default", "vector"):
        raise UserError(f"{path}: d3rlpy's encoder {kind!r} is not read; default and vector are")
    if params.get("exclude_last_activation") or params.get("last_activation"):
        raise UserError(f"{path}: d3rlpy's encoder has a last activation of its own, which is not read")
    activation = params.get("activation", "relu")
    activation = activation if isinstance(activation, str) else str((activation or {}).get("type"))
    known: Mapping[str, AnyActivation] = {"relu": "relu", "tanh": "tanh", "swish": "silu", "gelu": "gelu"}
    if activation not in known:
        raise UserError(f"{path}: d3rlpy's activation {activation!r} is not read")
    return known[activation]


def _d3rlpy_network(path: Path, saved: Any, module: str, activation: AnyActivation) -> Network:
    tensors = Tensors(path, _flat(saved[module]))
    hidden = tensors.sequential("_encoder._layers")
    mean = tensors.affine("_mu" if "_mu.weight" in tensors else "_fc", len(hidden[-1].bias))
    tensors.finish("_logstd")
    return Network("d3rlpy", tuple(hidden), mean, activation, True, "env")


def _d3rlpy_weights(contents: Contents, stated: Stated) -> Network:
    """The .pt of `algo.save_model`, without its configuration."""
    names: Mapping[str | None, AnyActivation] = {
        "relu": "relu",
        "tanh": "tanh",
        "silu": "silu",
        "gelu": "gelu",
    }
    if stated.activation not in names:
        raise UserError(
            f"{stated.path}: must say the activation of {contents.path.name} ({', '.join(map(str, names))}; "
            "d3rlpy's default is relu), which its .d3 would hold"
        )
    module = "policy" if "policy" in contents.value else "imitator"
    network = _d3rlpy_network(contents.path, contents.value, module, names[stated.activation])
    if stated.action_scale is None:
        return network
    gain = torch.as_tensor(stated.action_scale, dtype=torch.float32)
    return replace(network, gain=gain.expand(network.action_dim).clone())


def _is_d3(contents: Contents) -> bool:
    return isinstance(contents.value, dict) and contents.value.keys() == {"torch", "config", "version"}


def _is_d3rlpy(contents: Contents) -> bool:
    value = contents.value
    if contents.kind != "torch" or not isinstance(value, Mapping):
        return False
    return any("_encoder._layers.0.weight" in _flat(value.get(module)) for module in ("policy", "imitator"))


def _d3rlpy_scalers(path: Path, action: Any, observation: Any) -> dict[str, Any]:
    """Gain, offset and normalisation of d3rlpy's scalers; UserError for one that is not affine."""
    found: dict[str, Any] = {}
    if action is not None and action.get("type") != "none":
        if action.get("type") != "min_max":
            raise UserError(f"{path}: d3rlpy's action scaler {action.get('type')!r} is not read")
        low, high = (torch.tensor(action["params"][end]) for end in ("minimum", "maximum"))
        found |= {"gain": (high - low) / 2, "offset": (high + low) / 2}
    if observation is not None and observation.get("type") != "none":
        params = observation.get("params") or {}
        if observation.get("type") == "standard":
            mean, std = (torch.tensor(params[name]) for name in ("mean", "std"))
            found["normalisation"] = Normalisation(mean, std + float(params.get("eps", 1e-3)))
        elif observation.get("type") == "min_max":
            low, high = (torch.tensor(params[end]) for end in ("minimum", "maximum"))
            found["normalisation"] = Normalisation((high + low) / 2, (high - low) / 2)
        else:
            raise UserError(f"{path}: d3rlpy's observation scaler {observation.get('type')!r} is not read")
    return found


# --- plain state dicts, which a description explains ---


def _plain(contents: Contents, stated: Stated) -> Network:
    """Names in a description are those of the file, with their prefix."""
    activation = stated.known_activation  # first, as without it nothing can be said
    held = {name: t for name, t in contents.value.items() if name.startswith(stated.prefix)}
    tensors = Tensors(contents.path, held)
    network = build(stated, tensors, stated.layers or _inferred(contents.path, stated, tensors))
    tensors.finish(*_left_out(stated))
    network = replace(network, activation=activation)
    if stated.action_scale is None:
        return network
    if not network.squash:
        raise UserError(f"{stated.path}: action_scale is for the output tanh")
    gain = torch.as_tensor(stated.action_scale, dtype=torch.float32)
    return replace(network, gain=gain.expand(network.action_dim).clone())


def _flax(contents: Contents, stated: Stated) -> Network:
    """Parameters of Dense layers, by the names that they have in the file, with dots between."""
    return _plain(replace(contents, value=by_torch_names(contents.value)), stated)


def _left_out(stated: Stated) -> tuple[str, ...]:
    """Beginnings of names that a description says are not of the mean action."""
    return (*stated.unused, *((stated.log_std,) if stated.log_std else ()))


def _inferred(path: Path, stated: Stated, tensors: Tensors) -> list[str]:
    """Stems of the affine maps, where places in a Sequential or their shapes leave one order only."""
    left_out = _left_out(stated)
    stems = [
        name.removesuffix(".weight")
        for name, tensor in tensors.left.items()
        if name.endswith(".weight") and tensor.ndim == 2 and not name.startswith(left_out or ("\0",))
    ]
    missing = next((stem for stem in stems if f"{stem}.bias" not in tensors), None)
    if len(stems) < 2 or missing is not None:
        raise UserError(
            f"{path}: no perceptron behind the prefix {stated.prefix!r}: "
            + (f"{missing}.weight has no bias" if missing else f"{len(stems)} weights; it needs two or more")
        )
    places = [re.fullmatch(r"((?:.*\.)?)(\d+)", stem) for stem in stems]
    if all(places) and len({place[1] for place in places if place}) == 1:
        numbers = {int(place[2]): stem for place, stem in zip(places, stems, strict=True) if place}
        if all(after - before >= 2 for before, after in pairwise(sorted(numbers))):
            return [numbers[place] for place in sorted(numbers)]  # a Sequential with activations between them
    shapes = {stem: tuple(tensors.left[f"{stem}.weight"].shape) for stem in stems}
    orders = _orders(shapes)
    if len(orders) != 1 or any(out == into for out, into in shapes.values()):
        raise UserError(
            f"{path}: neither names nor shapes say in which order {', '.join(stems)} are applied, nor that "
            f'nothing is added around them; list them in {stated.path.name}: "layers": ["...", ...]. '
            "Leave other networks out with a prefix"
        )
    return list(orders[0])


def _orders(shapes: Mapping[str, tuple[int, ...]]) -> list[tuple[str, ...]]:
    """All orders in which these affine maps [out, in] fit together; none where there are too many to try."""
    if len(shapes) > 6:
        return []
    return [
        order
        for order in permutations(shapes)
        if all(shapes[a][0] == shapes[b][1] for a, b in pairwise(order))
    ]


_DESCRIBED = (
    "activation", "output", "prefix", "layers", "layer_norms", "head", "log_std", "unused", "action_scale",
)  # fmt: skip

READERS: Sequence[Reader] = (
    Reader("Stable-Baselines3", lambda c: c.kind == "sb3", _sb3, asks_normaliser=True),
    Reader("hand_dapg", lambda c: c.kind == "arrays" and "in_shift" in c.value, _dapg),
    Reader("antmaze_gen", lambda c: c.kind == "arrays" and "last_fc_weight" in c.value, _antmaze_gen),
    Reader("rl_trained_agents", lambda c: c.kind == "arrays" and "mu_weight" in c.value, _rl_trained_agents),
    Reader("d3rlpy", _is_d3, _d3rlpy),
    Reader(
        "d3rlpy weights", _is_d3rlpy, _d3rlpy_weights, ("activation", "action_scale"), asks_normaliser=True
    ),
    Reader("CleanRL", lambda c: "action_scale" in _cleanrl_actor(c), _cleanrl),
    Reader("CleanRL PPO", lambda c: "actor_logstd" in _flat(c.value), _cleanrl_ppo, asks_normaliser=True),
    Reader("flax", lambda c: c.kind == "flax" and bool(by_torch_names(c.value)), _flax, _DESCRIBED),
    Reader("CORL", lambda c: bool(_corl_actor(c)), _corl, asks_normaliser=True),
    Reader(
        "state dict", lambda c: c.kind in ("torch", "safetensors") and bool(_flat(c.value)), _plain,
        _DESCRIBED,
    ),
)  # fmt: skip
