"""Locomotion: a planar body runs (Gymnasium's MuJoCo environments), with the environment's own reward."""

from collections.abc import Mapping
from typing import Any

from smac.tasks.task import Task

# WSRL (Zhou et al. 2025) for CQL, Cal-QL and SAC, with 256 x 2 networks; Kostrikov et al. (2022) for IQL;
# Fujimoto and Gu (2021) for TD3+BC
_CONSERVATIVE = {"cql_alpha": 5.0, "actor_lr": 1e-4, "temperature_lr": 1e-4}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "all": {"hidden": (256, 256)},
    "cql": _CONSERVATIVE,
    "cal_ql": _CONSERVATIVE,
    "iql": {"expectile": 0.7, "inverse_temperature": 3.0, "reward_scale": "return_range"},
    "td3_bc": {"bc_alpha": 2.5},
    "sac": {"actor_lr": 1e-4, "temperature_lr": 1e-4},
}


def _task(name: str, env_id: str, *, description: str, observes: str, d4rl: tuple[float, float]) -> Task:
    return Task(
        name=name,
        family="locomotion",
        env_id=env_id,
        horizon=1000,
        observes=observes,
        description=description,
        reward="own",
        rewards=("own",),
        random_return=d4rl[0],
        expert_return=d4rl[1],
        references=(
            "D4RL's own, of a random policy and of SAC, measured there on the older v2 environments of "
            "mujoco-py; published scores use them too"
        ),
        dataset=f"smac/{name}-v0",
        minari=tuple(f"mujoco/{name}/{kind}-v0" for kind in ("simple", "medium", "expert")),
        defaults=_DEFAULTS,
    )


# What v5 gives: uniform actions 17, 2 and -262 (100, 100 and 20 episodes, reset seeds from 5000); the TQC
# agents of DLR-RM/rl-trained-agents, trained on v3, 3238, 4204 and 12016 (10, 10 and 3 episodes)
TASKS = (
    _task(
        "hopper",
        "Hopper-v5",
        description="a one-legged body hops forward without falling",
        observes="height, angles of torso and joints, then their velocities",
        d4rl=(-20.272305, 3234.3),
    ),
    _task(
        "walker2d",
        "Walker2d-v5",
        description="a two-legged body walks forward without falling",
        observes="height, angles of torso and joints, then their velocities",
        d4rl=(1.629008, 4592.3),
    ),
    _task(
        "halfcheetah",
        "HalfCheetah-v5",
        description="a two-legged body runs forward; it cannot fall for good",
        observes="height, angles of torso and joints, then their velocities",
        d4rl=(-280.178953, 12135.0),
    ),
)
