"""Result directories with known numbers, true to the files' schema, for the tests of pictures."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from figures.style import PALETTE, look

HOSTILE = "<script>alert('x')</script> $a_1$ & co"
ALPHAS = np.round(np.linspace(0, 1, 11), 10)


def sentence(name: str, verdict: str) -> str:
    return f"{verdict.capitalize()}: the return from offline {name} to online SAC is < or > 9, at alpha 0.50."


def landscape(
    directory: Path, algorithm: str = "cal_ql", verdict: str = "valley", *, failed: bool = False, **changes
) -> Path:
    """A landscape directory with negative returns, a dip in the middle and, if asked, failed episodes.

    `changes` replace what result.json holds.
    """
    rng = np.random.default_rng(3)
    dip = 90.0 if verdict == "valley" else 0.0
    means = -90 + 40 * ALPHAS - dip * np.exp(-(((ALPHAS - 0.5) / 0.15) ** 2))
    returns = means[:, None] + rng.normal(0, 5, (len(ALPHAS), 8))
    if failed:
        returns[3, :2] = np.nan
        returns[7] = np.nan
    known = np.isfinite(returns).all(axis=1)
    measured = np.where(known, np.nan_to_num(returns).mean(axis=1), np.nan)
    depth = max(0.0, min(measured[0], measured[-1]) - float(np.nanmin(measured)))
    interval = {"estimate": depth, "lower": max(0.0, depth - 7), "upper": depth + 7}
    end = {
        "path": f"runs/{HOSTILE}/actor",
        "algorithm": algorithm,
        "moment": "offline",
        "step": 50_000,
        "seed": 0,
    }
    analysis = {
        "alphas": ALPHAS.tolist(),
        "means": [float(m) if k else None for m, k in zip(measured, known, strict=True)],
        "band": [
            [m - 6, m + 6] if k else [None, None] for m, k in zip(measured.tolist(), known, strict=True)
        ],
        "numbers": {
            "location": float(ALPHAS[np.nanargmin(measured)]),
            "J_0": float(measured[0]),
            "J_1": float(measured[-1]),
        },
        "V": interval,
        "DD": interval,
        "verdict": verdict,
        "monotone": "monotone" if verdict == "connected" else "not monotone",
        "episodes_used": 8,
        "episodes_dropped": 0,
        "confidence": 0.95,
    }
    result = {
        "kind": "interpolate",
        "task": "pointmaze-umaze",
        "from": end,
        "to": {**end, "algorithm": "sac", "moment": "online", "step": None, "seed": None},
        "field": "return",
        "margin": {"delta": 9.0, "source": "5 % of the task's score range"},
        "analysis": analysis,
        "sentence": sentence(algorithm, verdict),
        "versions": {"torch": "2.13.0"},
        "command": f"landscape interpolate {algorithm} & co",
    } | changes
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(json.dumps(result))
    np.savez(
        directory / "returns.npz",
        alphas=ALPHAS,
        returns=returns,
        episode_seeds=np.arange(8),
        lengths=np.full(returns.shape, 100),
        successes=returns > -100,
    )
    return directory


def changed(found, **changes):
    """The result that a picture was gathered from, with other contents."""
    return replace(found.result, result={**found.result.result, **changes})


# --- planes -------------------------------------------------------------------------------------------------

NX, NY, EPISODES = 13, 9, 8
XS, YS = np.linspace(-1.0, 6.0, NX), np.linspace(-0.8, 3.2, NY)
UNPLAYABLE, SHAKY = (6, 10), ((1, 2), (1, 3))  # (row, column): every episode failed; 3 of 8 failed


def height(x, y):
    """A hill that falls off to the right, with a valley across it at x = 2.5; not symmetric in x and y."""
    return -60 - 5 * x - 6 * (y - 0.4) ** 2 - 70 * np.exp(-(((x - 2.5 - 0.3 * y) / 0.8) ** 2))


def believed(x, y):
    """What the critic believes: no valley."""
    return -20 - 3 * x - 2 * (y - 0.5) ** 2


def checkpoint(name: str, x: float, y: float, own: float, share: float = 0.0, **more) -> dict:
    inside = XS[0] <= x <= XS[-1] and YS[0] <= y <= YS[-1]
    return {
        "name": name,
        "path": f"runs/{name}.safetensors",
        "algorithm": "sac",
        "moment": "online",
        "step": 1000,
        "seed": 0,
        "x": x,
        "y": y,
        "residual": share * 5,
        "share": share,
        "anchor": False,
        "measured": {"return": own, "low": own - 6.0, "high": own + 6.0, "success": 0.5},
        "surface": float(height(x, y)) if inside else None,
    } | more


def checkpoints() -> list[dict]:
    """Two anchors on the plane, and a trajectory from one to the other that leaves it."""
    offline = {"algorithm": "smac", "moment": "offline", "anchor": True}
    found = [
        checkpoint("offline", 0.0, 0.0, float(height(0, 0)), **offline),
        checkpoint("online", 5.0, 0.0, float(height(5, 0)), anchor=True),
    ]
    for k, (x, y, share) in enumerate(((1.0, 0.9, 0.41), (2.3, 1.4, 0.58), (3.6, 1.2, 0.37)), start=1):
        found.append(checkpoint(f"step {1000 * k}", x, y, -62.0 - 4 * k, share, step=1000 * k))
    return found


def plane_result(directory: Path, *, q: bool = True, success: bool = True, **changes) -> Path:
    """A plane with a valley, a trajectory off it, one point where all failed and two where some did."""
    x, y = np.meshgrid(XS, YS)
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 3, (NY, NX, EPISODES))
    returns = height(x, y)[..., None] + noise - noise.mean(axis=2, keepdims=True)
    statuses = np.ones(returns.shape, np.int8)
    statuses[UNPLAYABLE] = 2
    for cell in SHAKY:
        statuses[cell][:3] = 3
    returns[statuses != 1] = np.nan
    successes = (returns > -100) & (statuses == 1)
    known = np.isfinite(returns)
    count = np.where(known.any(axis=2), known.sum(axis=2), np.nan)
    mean = np.where(known, returns, 0).sum(axis=2) / count
    fields = {"return": mean, "length": np.where(np.isfinite(mean), 100.0, np.nan)}
    fields |= {"success": successes.sum(axis=2) / count} if success else {}
    fields |= {"q": believed(x, y), "critic_loss": 0.1 + 0.02 * x**2} if q else {}
    result = {
        "kind": "plane",
        "format_version": 2,
        "task": "pointmaze-umaze",
        "reward_convention": "success - 1 at each step",
        "episodes": EPISODES,
        "actions": "mean",
        "seed": 0,
        "versions": {"torch": "2.13.0"},
        "plane": {
            "kind": "checkpoints and random",
            "anchors": {"offline": [0.0, 0.0], "online": [5.0, 0.0]},
            "units": [{"name": "distance", "length": 1.0}, {"name": "filter norms", "length": 2.0}],
            "aspect": 0.5,
            "cosine": 0.01,
            "seed": 0,
        },
        "xs": XS.tolist(),
        "ys": YS.tolist(),
        "fields": {name: nulls(values) for name, values in fields.items()},
        "checkpoints": checkpoints(),
        "trajectory": ["offline", "step 1000", "step 2000", "step 3000", "online"],
        "trajectory_plane": None,
        "margin": {"delta": 9.0, "source": "5 % of the task's score range"},
        "failures": {"bad_action": EPISODES, "diverged": 6},
        "correlation": {"q": 0.4567} if q else None,
        "sentence": "On the plane through offline and online, the return < falls.",
        "command": "landscape plane --through offline online",
    } | changes
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(json.dumps(result))
    np.savez(
        directory / "returns.npz",
        xs=XS,
        ys=YS,
        returns=returns,
        lengths=np.full(returns.shape, 100),
        successes=successes,
        solved=np.full(returns.shape, np.nan),
        statuses=statuses,
        episode_seeds=np.arange(EPISODES),
        checkpoint_returns=np.array([[c["measured"]["return"]] * EPISODES for c in result["checkpoints"]]),
        checkpoint_statuses=np.ones((len(result["checkpoints"]), EPISODES), np.int8),
    )
    return directory


def nulls(values: np.ndarray) -> list:
    """Nested lists in which nan is null."""
    if values.ndim > 1:
        return [nulls(row) for row in values]
    return [float(value) if np.isfinite(value) else None for value in values]


def drawn(fig: Figure) -> Figure:
    FigureCanvasAgg(fig).draw()
    return fig


def trace(figure, name: str):
    (found,) = [one for one in figure.data if one.name == name]
    return found


def texts(fig: Figure) -> list[str]:
    return [one.get_text() for one in words(fig)]


def words(fig: Figure) -> list:
    """Every text that is seen; matplotlib keeps ticks beyond the ends of an axis, and does not draw them."""
    unseen = set()
    for axes in fig.axes:
        for axis in axes._axis_map.values():
            low, high = sorted(axis.get_view_interval())
            hidden = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            unseen.update(label for tick in hidden for label in (tick.label1, tick.label2))
    return [
        one for one in fig.findobj(Text) if one.get_visible() and one.get_text().strip() and one not in unseen
    ]


def assert_legible(fig: Figure) -> None:
    """Nothing smaller than 7 points or cut off, and no words on other words; contour labels are turned."""
    shown = [(one, one.get_window_extent()) for one in words(fig)]
    for one, box in shown:
        assert one.get_fontsize() >= 7, one.get_text()
        assert min(box.x0, box.y0) >= -1, one.get_text()
        assert max(box.x1 - fig.bbox.width, box.y1 - fig.bbox.height) <= 1, one.get_text()
    upright = [(one, box) for one, box in shown if one.get_rotation() == 0]
    for (one, a), (other, b) in itertools.combinations(upright, 2):
        apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, f"{one.get_text()!r} on {other.get_text()!r}"


def projection_result(
    directory: Path,
    by: str = "tsne",
    *,
    pairs: dict[str, tuple[str, ...]] | None = None,
    seeds: int = 1,
    **changes,
) -> Path:
    """Runs of 9 checkpoints; those of one offline method and seed start at one point. The last failed."""
    names = {algorithm: look(algorithm).name for algorithm in PALETTE}
    rng = np.random.default_rng(2)
    points, runs, positions = [], [], []

    def add(name: str, place: np.ndarray) -> int:
        own = -100.0 - 2 * len(points)
        measured = {"return": own, "low": own - 5, "high": own + 5, "success": 0.25, "length": 9.0}
        x, y = (float(value) for value in place)
        points.append({"name": name, "x": x, "y": y, "measured": measured})
        positions.append(place)
        return len(points) - 1

    for offline, online in (pairs or {"smac": ("sac", "td3_bc"), "iql": ("sac",)}).items():
        for seed in range(seeds):
            start = add(f"offline {names[offline]}", rng.normal(0, 10, 2))
            for one in online:
                group = f"{names[offline]} → {names[one]}"
                way = positions[start] + np.cumsum(rng.normal(0.4, 0.6, (8, 2)), axis=0)
                rows = [start, *(add(f"{group} at step {10 * k}", at) for k, at in enumerate(way, 1))]
                name = group if seeds == 1 else f"{group}, seed {seed}"
                folder = f"runs/{group}/seed-{seed}"
                runs.append(
                    {
                        "folder": folder, "offline": offline, "online": one, "seed": seed, "group": group,
                        "name": name, "points": rows, "steps": [10 * k for k in range(9)],
                    }
                )  # fmt: skip
    points[-1]["measured"] = dict.fromkeys(points[-1]["measured"])
    embedding = {"by": by, "stress": 0.234, "trustworthiness": 0.967, "neighbours": 5, "seed": 7}
    embedding |= {"perplexity": 6.5 if by == "tsne" else None}
    embedding |= {"explained": [0.71, 0.18] if by == "pca" else None}
    result = {
        "kind": "project",
        "format_version": 2,
        "task": "pointmaze-umaze",
        "episodes": 4,
        "actions": "mean",
        "seed": 0,
        "embedding": embedding,
        "runs": runs,
        "points": points,
        "failures": {},
        "sentence": "A few < runs.",
        "warning": "A valley between clusters cannot be read off this picture. " * 3,
        "command": "landscape project a",
    }
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(json.dumps(result | changes))
    shape = (len(points), 4)
    np.savez(
        directory / "returns.npz", positions=np.array(positions), returns=np.zeros(shape),
        statuses=np.ones(shape, np.int8),
    )  # fmt: skip
    return directory
