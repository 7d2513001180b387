"""Result directories of `landscape interpolate` with known returns, for tests of the report."""

import json
from pathlib import Path

import numpy as np

from landscape.statistics import analyse_path
from smac.rollout import episode_seeds

ALPHAS = np.linspace(0, 1, 9)


def pair_directory(
    directory: Path,
    algorithm: str = "smac",
    seed: int = 0,
    *,
    dip: float = 0.0,
    rise: float = 40.0,
    episodes: int = 100,
    alphas: np.ndarray = ALPHAS,
    task: str = "pointmaze-umaze",
    first_episode: int = 0,
    failed: bool = False,
    **changes: object,
) -> Path:
    """A path from -120 to -80 with a dip in its middle; noise is mostly that of the episode."""
    rng = np.random.default_rng([seed, len(algorithm)])
    luck = np.random.default_rng(7).normal(0, 20, episodes + first_episode)[first_episode:]
    means = -120 + rise * alphas - dip * np.exp(-(((alphas - 0.5) / 0.15) ** 2))
    returns = means[:, None] + luck + rng.normal(0, 3, (len(alphas), episodes))
    if failed:
        returns[3, 0] = np.nan
    report = analyse_path(returns, alphas, margin=11.125, draws=200)
    online = {"algorithm": "sac", "seed": seed, "moment": "online", "step": 9}
    end = {"path": f"runs/{algorithm}/seed-{seed}/offline.safetensors", "algorithm": algorithm, "seed": seed}
    result = {
        "kind": "interpolate",
        "task": task,
        "from": end | {"moment": "offline", "step": 1000},
        "to": online | {"path": end["path"].replace("offline", "online")},
        "margin": {"delta": 11.125, "source": "5 % of the score range of pointmaze-umaze"},
        "actions": "mean",
        "seed": 0,
        "moving": [],
        "field": "return",
        "analysis": report.to_json(),
        "sentence": "",
        "versions": {"torch": "2.13.0"},
        "command": f"landscape interpolate --from {end['path']} --seed 0",
    }
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(json.dumps(result | changes))
    np.savez(
        directory / "returns.npz",
        alphas=alphas,
        returns=returns,
        episode_seeds=np.array(episode_seeds(0, episodes + first_episode)[first_episode:]),
        statuses=np.where(np.isfinite(returns), 1, 3).astype(np.int8),
        successes=np.ones(returns.shape, bool),
    )
    return directory


def two_methods(root: Path, seeds: int = 5) -> list[Path]:
    """SMAC without valleys and Cal-QL with ones of different depth, a directory per training seed."""
    return [
        pair_directory(root / f"{algorithm}-{seed}", algorithm, seed, dip=dip * (1 + 0.2 * seed))
        for algorithm, dip in (("smac", 0.0), ("cal_ql", 70.0))
        for seed in range(seeds)
    ]
