"""Every format of another library: its own mean action, or a refusal that names what is not understood."""

import json
import pickle
from collections import OrderedDict
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

from smac.errors import UserError
from smac.policies.acting import load_policy
from smac.tasks import get_task

PENDULUM = get_task("Pendulum-v1")  # whose torque goes up to 2
ROWS = np.random.default_rng(0).uniform(-1, 1, (100, 3)).astype(np.float32) * np.array([1, 1, 8], np.float32)


def torques(path: Path, units: str | None = None) -> np.ndarray:
    """What the environment gets, [100, 1]."""
    policy = load_policy(path, PENDULUM, units)
    return 2 * np.stack([policy.action(row) for row in ROWS])


def describe(path: Path, **keys) -> Path:
    path.with_suffix(".policy.json").write_text(json.dumps(keys))
    return path


def shaken(module: nn.Module) -> nn.Module:
    """With biases and statistics as after training."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.dtype.is_floating_point:
                noise = torch.randn(tensor.shape, generator=generator)
                tensor += noise.abs() if "var" in name else 0.2 * noise
    return module


@pytest.mark.parametrize(
    ("name", "options", "policy"),
    [
        ("SAC", {}, {"activation_fn": nn.LeakyReLU}),
        ("SAC", {"use_sde": True}, {"activation_fn": nn.ELU}),
        ("TD3", {}, {}),
        ("DDPG", {}, {"activation_fn": nn.Tanh}),
        ("PPO", {"n_steps": 64, "batch_size": 64}, {}),
        ("PPO", {"use_sde": True, "n_steps": 64, "batch_size": 64}, {"squash_output": True}),
        ("A2C", {"use_sde": True}, {"activation_fn": nn.GELU}),
        ("TQC", {}, {}),
        ("CrossQ", {}, {}),
    ],
)
def test_stable_baselines3(tmp_path, name, options, policy):
    library = pytest.importorskip("sb3_contrib" if name in ("TQC", "CrossQ") else "stable_baselines3")
    agent = getattr(library, name)(
        "MlpPolicy",
        gymnasium.make("Pendulum-v1"),
        policy_kwargs={"net_arch": [16, 16]} | policy,
        seed=3,
        **options,
    )
    if name in ("SAC", "PPO"):
        agent.learn(70 if name == "PPO" else 110)  # what a trained agent has besides
    shaken(agent.policy)
    agent.save(tmp_path / "a.zip")
    with pytest.raises(
        UserError, match="do not say how observations are normalised; say it with --normaliser"
    ):
        torques(tmp_path / "a.zip")
    describe(tmp_path / "a.zip", normaliser=None)
    theirs, _ = agent.predict(ROWS, deterministic=True)
    assert np.ptp(theirs) > 0.1
    np.testing.assert_allclose(
        torques(tmp_path / "a.zip"), theirs, atol=4e-6
    )  # tanh in single precision, twice


def test_vecnormalize_is_read_without_its_code(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]), clip_obs=1.5)
    agent = sb3.PPO("MlpPolicy", env, seed=3, n_steps=64, policy_kwargs={"net_arch": [16]})
    env.reset()
    for _ in range(50):
        env.step(np.zeros((1, 1), np.float32))
    agent.save(tmp_path / "a.zip")
    env.save(tmp_path / "v.pkl")
    describe(tmp_path / "a.zip", normaliser={"file": "v.pkl"})
    seen = env.normalize_obs(ROWS)
    assert (np.abs(seen) == 1.5).any()
    theirs, _ = shaken(agent.policy).predict(seen, deterministic=True)
    agent.save(tmp_path / "a.zip")
    np.testing.assert_allclose(torques(tmp_path / "a.zip"), theirs, atol=2e-6)
    agent.save(tmp_path / "b.zip")  # and said by the command
    with pytest.raises(UserError, match="Stable-Baselines3 files do not say"):
        torques(tmp_path / "b.zip")
    policy = load_policy(tmp_path / "b.zip", PENDULUM, normaliser=str(tmp_path / "v.pkl"))
    np.testing.assert_allclose(2 * policy.action(ROWS[0]), theirs[0], atol=2e-6)
    with pytest.raises(UserError, match="states a normaliser; leave out --normaliser none"):
        load_policy(tmp_path / "a.zip", PENDULUM, normaliser="none")


def test_an_activation_or_a_class_of_ones_own_is_refused(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")

    class Own(nn.ReLU):
        pass

    agent = sb3.SAC(
        "MlpPolicy", gymnasium.make("Pendulum-v1"), policy_kwargs={"activation_fn": Own, "net_arch": [8]}
    )
    agent.save(tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"its activation is <class '.*Own'>, which is not read"):
        torques(tmp_path / "a.zip")


class CleanSAC(nn.Module):
    """The actor of CleanRL's sac_continuous_action.py: two layers, two heads, scale and bias."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(3, 8), nn.Linear(8, 8)
        self.fc_mean, self.fc_logstd = nn.Linear(8, 1), nn.Linear(8, 1)
        self.register_buffer("action_scale", torch.tensor([1.5]))
        self.register_buffer("action_bias", torch.tensor([0.25]))

    def forward(self, x):
        x = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        return torch.tanh(self.fc_mean(x)) * self.action_scale + self.action_bias


def test_cleanrl(tmp_path):
    actor = CleanSAC()
    expected = actor(torch.from_numpy(ROWS)).detach().numpy()
    torch.save((actor.state_dict(), {"fc1.weight": torch.zeros(1, 1)}), tmp_path / "a.cleanrl_model")
    np.testing.assert_allclose(torques(tmp_path / "a.cleanrl_model"), expected, atol=2e-6)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    tensors = {f"actor_mean.{name}": t for name, t in shaken(net).state_dict().items()}
    torch.save(
        tensors | {"actor_logstd": torch.zeros(1, 1), "critic.0.weight": torch.zeros(8, 3)}, tmp_path / "p.pt"
    )
    with pytest.raises(UserError, match="do not say how observations are normalised"):
        torques(tmp_path / "p.pt")
    describe(tmp_path / "p.pt", normaliser={"mean": [0.5, 0, 0], "std": [1, 2, 3], "clip": 10})
    seen = (torch.from_numpy(ROWS) - torch.tensor([0.5, 0, 0])) / torch.tensor([1.0, 2, 3])
    expected = net(seen).clamp(-2, 2).detach().numpy()
    np.testing.assert_allclose(torques(tmp_path / "p.pt"), expected, atol=2e-6)


def corl(kind: str) -> tuple[dict, np.ndarray]:
    """The actor's state dict as CORL's file of an algorithm names it, and its torques (max_action 2)."""
    rows = torch.from_numpy(ROWS)
    trunk = shaken(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU()))
    last = shaken(nn.Linear(8, 2 if kind == "cal_ql" else 1))
    full = nn.Sequential(*trunk, last).state_dict()
    mean = last(trunk(rows))[:, :1].detach()
    squashed = 2 * torch.tanh(mean)
    if kind == "td3_bc":
        return {f"net.{n}": t for n, t in full.items()}, squashed.numpy()
    if kind == "iql":
        return {f"net.net.{n}": t for n, t in full.items()} | {"log_std": torch.zeros(1)}, squashed.numpy()
    if kind == "awac":
        return {f"_mlp.{n}": t for n, t in full.items()} | {"_log_std": torch.zeros(1)}, mean.clamp(
            -2, 2
        ).numpy()
    if kind == "cal_ql":
        extra = {"log_std_multiplier.constant": torch.ones(1), "log_std_offset.constant": torch.ones(1)}
        return {f"base_network.network.{n}": t for n, t in full.items()} | extra, squashed.numpy()
    trunk_tensors = {f"trunk.{n}": t for n, t in trunk.state_dict().items()}
    heads = {f"mu.{n}": t for n, t in last.state_dict().items()} | {
        f"log_sigma.{n}": t for n, t in nn.Linear(8, 1).state_dict().items()
    }
    return trunk_tensors | heads, squashed.numpy()


@pytest.mark.parametrize("kind", ["td3_bc", "iql", "awac", "cal_ql", "sac_n"])
def test_corl(tmp_path, kind):
    tensors, expected = corl(kind)
    file = tmp_path / "checkpoint_9.pt"
    torch.save({"actor": tensors, "critic_1": {}, "critic_1_optimizer": {"state": {}}, "total_it": 9}, file)
    with pytest.raises(UserError, match="do not say how observations are normalised"):
        torques(file)
    describe(file, normaliser=None)
    np.testing.assert_allclose(torques(file), expected, atol=2e-6)


def d3rlpy_file(path: Path, action_scaler=None, observation_scaler=None, **more) -> nn.Module:
    """What d3rlpy's `save` writes of a SAC with `action_scaler`; the layout is its own, version 2."""
    net = shaken(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU()))
    mu = shaken(nn.Linear(8, 1))
    tensors = OrderedDict({f"_encoder._layers.{n}": t for n, t in net.state_dict().items()})
    tensors |= {f"_mu.{n}": t for n, t in mu.state_dict().items()}
    tensors |= {f"_logstd.{n}": t for n, t in nn.Linear(8, 1).state_dict().items()}
    weights = path.with_suffix(".weights")
    torch.save({"policy": tensors | more, "q_funcs": {}, "actor_optim": {"state": {}}}, weights)
    params = {
        "actor_encoder_factory": {"type": "default", "params": {}},
        "action_scaler": action_scaler, "observation_scaler": observation_scaler,
    }  # fmt: skip
    config = json.dumps(
        {"observation_shape": [3], "action_size": 1, "config": {"type": "sac", "params": params}}
    )
    path.write_bytes(pickle.dumps({"torch": weights.read_bytes(), "config": config, "version": "2.8.1"}))
    return nn.Sequential(net, mu, nn.Tanh())


def test_d3rlpy_by_its_layout(tmp_path):
    scaler = {"type": "min_max", "params": {"minimum": [-1.0], "maximum": [2.0]}}
    standard = {"type": "standard", "params": {"mean": [0.1, 0, 0], "std": [1.0, 2, 3], "eps": 1e-3}}
    net = d3rlpy_file(tmp_path / "a.d3", scaler, standard)
    seen = (torch.from_numpy(ROWS) - torch.tensor([0.1, 0, 0])) / (torch.tensor([1.0, 2, 3]) + 1e-3)
    np.testing.assert_allclose(torques(tmp_path / "a.d3"), 1.5 * net(seen).detach().numpy() + 0.5, atol=2e-6)
    net = d3rlpy_file(tmp_path / "b.d3")
    expected = net(torch.from_numpy(ROWS)).detach().numpy()
    np.testing.assert_allclose(torques(tmp_path / "b.d3"), expected, atol=2e-6)  # up to 1, not 2
    (tmp_path / "b.weights").rename(tmp_path / "b.pt")
    describe(tmp_path / "b.pt", activation="relu", normaliser=None)
    np.testing.assert_allclose(torques(tmp_path / "b.pt"), expected, atol=2e-6)
    d3rlpy_file(tmp_path / "c.d3", **{"_encoder._layers.1.weight": torch.zeros(8)})
    with pytest.raises(
        UserError, match=r"tensor _encoder\._layers\.1\.weight \[8\] is not of a plain perceptron"
    ):
        torques(tmp_path / "c.d3")


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["SAC", "TD3PlusBC", "IQL", "CQL", "BC"])
def test_d3rlpy(tmp_path, algorithm):
    d3rlpy = pytest.importorskip("d3rlpy", reason="d3rlpy pins another gymnasium; install it apart")
    algo = getattr(d3rlpy.algos, f"{algorithm}Config")(
        action_scaler=d3rlpy.preprocessing.MinMaxActionScaler(
            minimum=np.array([-2.0]), maximum=np.array([2.0])
        ),
        observation_scaler=d3rlpy.preprocessing.StandardObservationScaler(
            mean=np.array([0.1, 0, 0]), std=np.array([1.0, 2, 3])
        ),
    ).create()  # fmt: skip
    algo.build_with_env(gymnasium.make("Pendulum-v1"))
    algo.save(tmp_path / "a.d3")
    theirs = algo.predict(ROWS)
    np.testing.assert_allclose(torques(tmp_path / "a.d3"), theirs, atol=2e-6)


@pytest.mark.slow
def test_torchrl(tmp_path):
    """SAC's actor as TorchRL's examples build it; the mode of its TanhNormal is the tanh of the mean."""
    modules = pytest.importorskip("torchrl.modules", reason="torchrl is not installed")
    from tensordict import TensorDict
    from tensordict.nn import TensorDictModule
    from torchrl.envs.utils import ExplorationType, set_exploration_type

    heads = modules.MLP(in_features=3, out_features=2, num_cells=[8, 8], activation_class=nn.ReLU)
    net = TensorDictModule(
        nn.Sequential(heads, modules.NormalParamExtractor()),
        in_keys=["observation"],
        out_keys=["loc", "scale"],
    )
    actor = modules.ProbabilisticActor(net, in_keys=["loc", "scale"], distribution_class=modules.TanhNormal)
    torch.save(shaken(actor).state_dict(), tmp_path / "a.pt")
    describe(
        tmp_path / "a.pt", activation="relu", output="tanh", prefix="module.0.module.0.",
        head="mean+log_std", action_units="unit",
    )  # fmt: skip
    with set_exploration_type(ExplorationType.DETERMINISTIC), torch.no_grad():
        theirs = actor(TensorDict({"observation": torch.from_numpy(ROWS)}, [len(ROWS)]))["action"]
    np.testing.assert_allclose(torques(tmp_path / "a.pt"), 2 * theirs, atol=4e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deterministic", "probabilistic"])
def test_tianshou(tmp_path, kind):
    """TD3's and SAC's actors; SAC's policy takes the tanh of the mean."""
    nets = pytest.importorskip("tianshou.utils.net.continuous", reason="tianshou is not installed")
    from tianshou.utils.net.common import Net

    body = Net(state_shape=3, hidden_sizes=[8, 8])
    if kind == "deterministic":
        actor, head = nets.ContinuousActorDeterministic(preprocess_net=body, action_shape=1), "last"
    else:
        actor = nets.ContinuousActorProbabilistic(
            preprocess_net=body, action_shape=1, unbounded=True, conditioned_sigma=True
        )
        head = "mu"
    torch.save(shaken(actor).state_dict(), tmp_path / "a.pt")
    names = {stem: f"{stem}.model.0" for stem in ("last", "mu", "sigma")}
    describe(
        tmp_path / "a.pt", activation="relu", output="tanh", action_units="unit",
        layers=["preprocess.model.model.0", "preprocess.model.model.2", names[head]],
        **({"log_std": "sigma."} if head == "mu" else {}),
    )  # fmt: skip
    with torch.no_grad():
        out = actor(ROWS)[0]
    theirs = out if kind == "deterministic" else torch.tanh(out[0])
    np.testing.assert_allclose(torques(tmp_path / "a.pt"), 2 * theirs, atol=4e-6)


# --- plain state dicts: what a description must say, and what is refused by name ---


class Built(nn.Module):
    """A policy of one's own, with a part that a plain perceptron has not."""

    def __init__(self, extra: str):
        super().__init__()
        if extra == "order":
            self.out = nn.Linear(8, 1)
        self.fc1, self.fc2 = nn.Linear(3, 8), nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8) if extra == "layernorm" else nn.Identity()
        self.bn = nn.BatchNorm1d(8) if extra == "batchnorm" else nn.Identity()
        if extra == "normaliser":
            self.register_buffer("obs_mean", torch.zeros(3))
        if extra != "order":
            self.out = nn.Linear(8, 1)
        self.residual = extra == "residual"

    def forward(self, x):
        x = torch.tanh(self.norm(self.fc1(x)))
        y = torch.tanh(self.bn(self.fc2(x)))
        return torch.tanh(self.out(x + y if self.residual else y))


LAYERS = ["fc1", "fc2", "out"]
PLAIN = {"activation": "tanh", "output": "tanh", "action_units": "unit", "layers": LAYERS}


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ("layernorm", r"norm\.weight \[8\]"),
        ("batchnorm", r"bn\.weight \[8\]"),
        ("normaliser", r"obs_mean \[3\]"),
    ],
)
def test_a_tensor_that_is_not_used_is_named(tmp_path, extra, named):
    torch.save(Built(extra).state_dict(), tmp_path / "a.pt")
    describe(tmp_path / "a.pt", **PLAIN)
    with pytest.raises(UserError, match=f"tensor {named} is not of a plain perceptron"):
        torques(tmp_path / "a.pt")


@pytest.mark.parametrize("extra", ["order", "residual", "plain"])
def test_an_order_that_nothing_says_must_be_stated(tmp_path, extra):
    """A residual connection has no tensors, so only a chain that the user lists is one."""
    torch.save(Built(extra).state_dict(), tmp_path / "a.pt")
    describe(tmp_path / "a.pt", **PLAIN | {"layers": []})
    with pytest.raises(UserError, match=r"in which order .* are applied.* list them in a\.policy\.json"):
        torques(tmp_path / "a.pt")


@pytest.mark.parametrize(("extra", "right"), [("plain", True), ("order", True), ("residual", False)])
def test_a_check_file_proves_what_was_stated(tmp_path, extra, right):
    net = shaken(Built(extra))
    torch.save(net.state_dict(), tmp_path / "a.pt")
    describe(tmp_path / "a.pt", **PLAIN)
    actions = 2 * net(torch.from_numpy(ROWS)).detach().numpy()
    np.savez(tmp_path / "a.check.npz", observations=ROWS, actions=actions)
    if right:
        np.testing.assert_allclose(torques(tmp_path / "a.pt"), actions, atol=2e-6)
    else:
        with pytest.raises(UserError, match=r"does not act as a\.check\.npz says: at row"):
            torques(tmp_path / "a.pt")


def test_units_are_said_or_asked_for(tmp_path):
    net = shaken(Built("plain"))
    torch.save(net.state_dict(), tmp_path / "a.pt")
    describe(tmp_path / "a.pt", activation="tanh", output="tanh", layers=LAYERS)
    raw = net(torch.from_numpy(ROWS)).detach().numpy()
    with pytest.raises(
        UserError, match=r"of the environment \(\[-2, 2\]\) or of \[-1, 1\]; say it with --action-units"
    ):
        torques(tmp_path / "a.pt")
    np.testing.assert_allclose(torques(tmp_path / "a.pt", "unit"), 2 * raw, atol=2e-6)
    np.testing.assert_allclose(torques(tmp_path / "a.pt", "env"), raw, atol=2e-6)
    describe(tmp_path / "a.pt", **PLAIN | {"action_units": "env", "action_scale": 2.0})
    np.testing.assert_allclose(torques(tmp_path / "a.pt"), 2 * raw, atol=2e-6)
    with pytest.raises(UserError, match=r"--action-units: says action units unit, but .* acts in env"):
        torques(tmp_path / "a.pt", "unit")


def test_two_heads_and_layernorms_by_description(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.n, self.b = nn.Linear(3, 8), nn.LayerNorm(8), nn.Linear(8, 2)

        def forward(self, x):
            return torch.tanh(self.b(torch.relu(self.n(self.a(x)))).chunk(2, -1)[0])

    net = shaken(Two())
    torch.save(net.state_dict(), tmp_path / "a.pt")
    describe(
        tmp_path / "a.pt", activation="relu", output="tanh", layers=["a", "b"], layer_norms=["n"],
        head="mean+log_std", action_units="unit",
    )  # fmt: skip
    np.testing.assert_allclose(
        torques(tmp_path / "a.pt"), 2 * net(torch.from_numpy(ROWS)).detach(), atol=2e-6
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"normalizer": {}}, "unknown key 'normalizer'; known are"),
        ({"activation": "prelu"}, "activation .* got 'prelu'"),
        ({"step": -1}, "step cannot be -1"),
        ({"layers": "fc1"}, "layers cannot be 'fc1'"),
        ({"action_units": "torque"}, "action_units cannot be 'torque'"),
        ({"action_scale": 0}, "action_scale cannot be 0"),
        ({"normaliser": {"mean": [0, 0, 0], "std": [1, 0, 1]}}, "must be finite, and its std above 0"),
        ({"normaliser": {"mean": [0, 0], "std": [1, 1]}}, "3 observations"),
        ({"normaliser": {"mean": [0, 0, 0], "std": [1, 1, 1], "eps": 1}}, "unknown key 'eps'"),
    ],
)
def test_a_description_is_refused_by_its_key(tmp_path, keys, message):
    torch.save(Built("plain").state_dict(), tmp_path / "a.pt")
    describe(tmp_path / "a.pt", **PLAIN | keys)
    with pytest.raises(UserError, match=message):
        torques(tmp_path / "a.pt")


def test_a_safetensors_file_from_elsewhere(tmp_path):
    from safetensors.torch import save_file

    net = shaken(Built("plain"))
    save_file(net.state_dict(), tmp_path / "a.safetensors")
    describe(tmp_path / "a.safetensors", **PLAIN)
    np.testing.assert_allclose(
        torques(tmp_path / "a.safetensors"), 2 * net(torch.from_numpy(ROWS)).detach(), atol=2e-6
    )
