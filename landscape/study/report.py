"""`report`: the connectivity of methods, from the lines of their training seeds.

A pair of checkpoints is one training seed. What its episodes say holds for this pair; what is said of a
method rests on its seeds: with one nothing is said, with fewer than five there are no finite bounds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landscape.statistics import (
    Aggregate,
    Improvement,
    MethodReport,
    Profile,
    aggregate,
    agreed,
    analyse_seeds,
    compare,
    holm,
    inside,
    profile,
    relative_depth,
)
from landscape.study.common import FORMAT, score_range
from landscape.study.findings import MONOTONES, VERDICTS, flags_of, headline
from landscape.study.pairs import Beside, Missing, Pair
from smac.errors import UserError
from smac.files import write_json
from smac.statistics.depth import crossfit_falls
from smac.tasks import get_task

DEPTHS = ("V", "DD")
THRESHOLDS = 101  # of a profile


@dataclass(frozen=True)
class Depths:
    """Valley depth and drawdown of the runs of a method, in one unit."""

    V: np.ndarray
    DD: np.ndarray


@dataclass(frozen=True)
class Method:
    """What the training seeds of one method say."""

    name: str
    pairs: tuple[Pair, ...]
    path: MethodReport | None
    """The mean path over seeds with its band; None with one seed, or where `why_not` says so."""
    why_not: str
    depths: Depths
    """Cross-fitted, in units of return: plain ones are too deep, the more the noisier the episodes."""
    relative: Depths | None
    """As shares of what the better end gained over a random policy; None where there is no such scale."""
    plain: Depths
    plain_relative: Depths | None
    """The same of the plain depths."""
    iqm: Mapping[str, Aggregate]
    """Of V and DD in units of return, by name; empty with one seed."""
    iqm_relative: Mapping[str, Aggregate]

    @property
    def seeds(self) -> int:
        return len(self.pairs)

    @property
    def verdicts(self) -> dict[str, int]:
        counts = Counter(pair.analysis["verdict"] for pair in self.pairs)
        return {name: counts[name] for name in VERDICTS}

    @property
    def monotones(self) -> dict[str, int]:
        """Training seeds by whether the return ever falls: monotone is the paper's "linearly connected"."""
        counts = Counter(pair.analysis["monotone"] for pair in self.pairs)
        return {name: counts[name] for name in MONOTONES}

    @property
    def compared(self) -> bool:
        return self.seeds > 1

    def to_json(self) -> dict[str, Any]:
        first = self.pairs[0].result
        return {
            "name": self.name,
            "from": first["from"]["algorithm"],
            "to": first["to"]["algorithm"],
            "seeds": [pair.seed for pair in self.pairs],
            "verdicts": self.verdicts,
            "monotone": self.monotones,
            "falls": sum(pair.falls for pair in self.pairs),
            "path": self.path.to_json() if self.path else None,
            "why_not": self.why_not,
            "iqm": {name: one.to_json() for name, one in self.iqm.items()},
            "iqm_relative": {name: one.to_json() for name, one in self.iqm_relative.items()},
        }


@dataclass(frozen=True)
class ConnectivityReport:
    """Everything about the pairs of some methods on one task."""

    task: str
    random_return: float | None
    margin: Mapping[str, Any]
    confidence: float
    methods: tuple[Method, ...]
    beside: tuple[tuple[Pair, Beside], ...]
    missing: tuple[Missing, ...]
    comparisons: Mapping[str, tuple[Improvement, ...]]
    """By "V" and "DD": how probable it is that a run of a is *shallower* than one of b; Holm over all."""
    profiles: Mapping[str, Mapping[str, Profile]]
    """By "V" and "DD", then method: the share of runs that are shallower than each threshold."""
    unit: str
    """Of what profiles and comparisons are of: "share of what was gained" or "return"."""
    flags: tuple[str, ...]
    seed: int

    @property
    def headline(self) -> str:
        return headline(self)

    def to_json(self) -> dict[str, Any]:
        pairs = [pair for method in self.methods for pair in method.pairs]
        return {
            "kind": "report",
            "format_version": FORMAT,
            "task": self.task,
            "headline": self.headline,
            "random_return": self.random_return,
            "margin": dict(self.margin),
            "confidence": self.confidence,
            "unit": self.unit,
            "methods": [method.to_json() for method in self.methods],
            "pairs": [self._pair(method, k) for method in self.methods for k in range(method.seeds)],
            "missing": [vars(one) for one in self.missing],
            "comparisons": {name: [one.to_json() for one in many] for name, many in self.comparisons.items()},
            "profiles": {
                name: {method: one.to_json() for method, one in many.items()}
                for name, many in self.profiles.items()
            },
            "flags": list(self.flags),
            "measured": {
                "points": sorted({len(pair.alphas) for pair in pairs}),
                "episodes": sorted({pair.returns.shape[1] for pair in pairs}),
                "actions": pairs[0].result.get("actions"),
                "reward_convention": pairs[0].result.get("reward_convention"),
                "seed": sorted({pair.result.get("seed", 0) for pair in pairs}),
                "bootstrap_seed": self.seed,
                "versions": pairs[0].result.get("versions", {}),
            },
        }

    def _pair(self, method: Method, k: int) -> dict[str, Any]:
        pair, relative = method.pairs[k], method.relative
        analysis = pair.analysis
        numbers = analysis["numbers"]
        return {
            "method": method.name,
            "seed": pair.seed,
            "directory": str(pair.directory),
            "from": pair.result["from"],
            "to": pair.result["to"],
            "verdict": analysis["verdict"],
            "monotone": analysis["monotone"],
            "falls": pair.falls,
            "training": pair.training,
            "reason": analysis["reason"],
            "V": analysis["V"],
            "DD": analysis["DD"],
            "V_crossfit": analysis["V_crossfit"],
            "V_relative": _number(relative.V[k]) if relative else None,
            "DD_crossfit": _number(method.depths.DD[k]),
            "DD_relative": _number(relative.DD[k]) if relative else None,
            "p_monotone": analysis["p_monotone"],
            "offline_return": numbers["J_0"],
            "online_return": numbers["J_1"],
            "location": numbers["location"],
            "alphas": pair.alphas.tolist(),
            "means": analysis["means"],
            "band": analysis["band"],
            "episodes": analysis.get("episodes", [pair.returns.shape[1]] * len(pair.alphas)),
            "episodes_dropped": analysis.get("episodes_dropped", 0),
            "excluded_failure_rate": pair.excluded,
            "adaptive": pair.adaptive,
            "beside": [
                {
                    "kind": other.kind,
                    "directory": str(other.directory),
                    "verdict": other.result.get("verdict"),
                    "V": other.result.get("analysis", {}).get("V"),
                    "monotone": other.result.get("analysis", {}).get("monotone"),
                    "sentence": other.result.get("sentence"),
                }
                for owner, other in self.beside
                if owner is pair
            ],
            "command": pair.result.get("command"),
        }

    def write(self, directory: Path, command: str) -> Path:
        """`report.json`, atomically."""
        return write_json(directory / "report.json", self.to_json() | {"command": command})


def report(
    pairs: Sequence[Pair],
    *,
    beside: Sequence[Beside] = (),
    missing: Sequence[Missing] = (),
    draws: int = 10_000,
    seed: int = 0,
) -> ConnectivityReport:
    """Compare methods by the lines of their training seeds.

    All pairs must be of one task, with one margin and confidence; those of a method must share their alphas
    and episode seeds, of which adaptive pairs lend the episodes that all of their points have played. A
    UserError names the two directories that do not fit.
    """
    if not pairs:
        told = "; ".join(f"{one.place}: {one.reason}" for one in missing)
        raise UserError(f"there is no finished pair to report{f' ({told})' if told else ''}")
    _check_alike(pairs)
    task = get_task(pairs[0].result["task"])
    ordered = sorted(pairs, key=lambda pair: (pair.seed is None, pair.seed or 0))
    methods = [
        _method(name, [pair for pair in ordered if pair.method == name], task.random_return, draws, seed)
        for name in dict.fromkeys(pair.method for pair in pairs)
    ]
    owned, unowned = _owners(pairs, beside)
    scaled = all(method.relative is not None for method in methods)
    several = [method for method in methods if method.compared]
    values = {
        name: {m.name: getattr(m.relative if scaled else m.depths, name) for m in several} for name in DEPTHS
    }
    plain = {
        name: {m.name: getattr(m.plain_relative if scaled else m.plain, name) for m in several}
        for name in DEPTHS
    }
    delta = float(pairs[0].result["margin"].get("delta") or 0.0)
    margins = [_scaled(delta, pair, task.random_return) if scaled else delta for pair in pairs]
    confidence = float(pairs[0].analysis.get("confidence", 0.95))
    found = ConnectivityReport(
        task=task.name,
        random_return=task.random_return,
        margin=pairs[0].result["margin"],
        confidence=confidence,
        methods=tuple(methods),
        beside=tuple(owned),
        missing=(*missing, *unowned),
        comparisons=_comparisons(values, plain, task.name, confidence, draws, seed),
        profiles={name: _profiles(of, task.name, confidence, max(margins)) for name, of in values.items()},
        unit="share of what was gained" if scaled else "return",
        flags=(),
        seed=seed,
    )
    return replace(found, flags=tuple(flags_of(found)))


def _check_alike(pairs: Sequence[Pair]) -> None:
    """UserError naming two directories that cannot be in one report."""
    first, known = pairs[0], dict[tuple[str, int | None], Pair]()

    def what(pair: Pair) -> dict[str, Any]:
        result = pair.result
        return {
            "task": result["task"],
            "margin": result["margin"].get("delta"),
            "confidence": result["analysis"].get("confidence"),
            "actions": result.get("actions"),
            "moving tensors": tuple(result.get("moving", ())),
        }

    for pair in pairs:
        for name, value in what(pair).items():
            if value != what(first)[name]:
                raise UserError(
                    f"{first.directory} and {pair.directory} differ in {name}: "
                    f"{what(first)[name]} and {value}; a report compares like with like"
                )
        other = known.setdefault((pair.method, pair.seed), pair)
        if other is not pair:
            raise UserError(
                f"{other.directory} and {pair.directory} are both of {pair.name}; leave out one (`landscape "
                "compare` seeds policies whose files do not say their seed)"
            )


def _method(name: str, pairs: Sequence[Pair], random: float | None, draws: int, seed: int) -> Method:
    depths = Depths(*(np.array(of) for of in zip(*map(_crossfit, pairs), strict=True)))
    plain = Depths(*(np.array([float(pair.analysis[n]["estimate"]) for pair in pairs]) for n in DEPTHS))
    scales = np.array([_scaled(1.0, pair, random) for pair in pairs])
    relative, plain_relative = (
        Depths(of.V * scales, of.DD * scales) if np.isfinite(scales).all() else None for of in (depths, plain)
    )
    path, why_not = _mean_path(pairs)
    confidence = float(pairs[0].analysis.get("confidence", 0.95))

    def iqm(of: Depths | None) -> dict[str, Aggregate]:
        if of is None or len(pairs) < 2:
            return {}
        finite = {what: getattr(of, what) for what in DEPTHS if np.isfinite(getattr(of, what)).all()}
        return {
            what: aggregate({pairs[0].result["task"]: values}, confidence=confidence, draws=draws, seed=seed)
            for what, values in finite.items()
        }

    return Method(
        name, tuple(pairs), path, why_not, depths, relative, plain, plain_relative, iqm(depths), iqm(relative)
    )


def _crossfit(pair: Pair) -> tuple[float, float]:
    """V and DD cross-fitted; nan with one episode. Older results did not say DD, so it is found here."""
    V = pair.analysis["V_crossfit"]
    R = pair.returns[inside(pair.alphas), : pair.complete]
    R = R[np.isfinite(R).any(axis=1)]
    R = np.compress(np.isfinite(R).all(axis=0), R, axis=1)
    rng = np.random.default_rng(int(pair.analysis.get("seed", 0)))
    return math.nan if V is None else float(V), float(crossfit_falls(R, rng))


def _scaled(depth: float, pair: Pair, random: float | None) -> float:
    numbers = pair.analysis["numbers"]
    return math.nan if random is None else relative_depth(depth, numbers["J_0"], numbers["J_1"], random)


def _mean_path(pairs: Sequence[Pair]) -> tuple[MethodReport | None, str]:
    """The mean path over seeds; UserError if they do not share alphas and episode seeds."""
    if len(pairs) < 2:
        return None, "one training seed says nothing about the method"
    first, analysis = pairs[0], pairs[0].analysis
    mixed = any(pair.adaptive for pair in pairs)
    episodes = min(pair.complete for pair in pairs) if mixed else first.complete
    for pair in pairs[1:]:
        if not np.array_equal(pair.alphas, first.alphas):
            raise UserError(
                f"{first.directory} and {pair.directory} have different alphas; give both the same --points"
            )
        mine, theirs = pair.episode_seeds, first.episode_seeds
        if not np.array_equal(*((mine[:episodes], theirs[:episodes]) if mixed else (mine, theirs))):
            raise UserError(
                f"{first.directory} and {pair.directory} were not played on the same episodes; give both the "
                "same --seed and --episodes"
            )
    R = np.stack([pair.returns[:, :episodes] for pair in pairs])
    try:
        found = analyse_seeds(
            R,
            first.alphas,
            margin=first.result["margin"]["delta"],
            failure=score_range(get_task(first.result["task"])),
            confidence=float(analysis.get("confidence", 0.95)),
            seed=int(analysis.get("seed", 0)),
        )
    except UserError as error:
        return None, str(error)
    return found, ""


def _comparisons(
    values: Mapping[str, Mapping[str, np.ndarray]],
    plain: Mapping[str, Mapping[str, np.ndarray]],
    task: str,
    confidence: float,
    draws: int,
    seed: int,
) -> dict[str, tuple[Improvement, ...]]:
    """All pairs of methods; depths are negated, so that larger is better, and Holm corrects over V and DD.

    What the cross-fitted depths, `values`, and the plain ones agree on (`agreed`).
    """

    def compared(of: Mapping[str, np.ndarray]) -> tuple[Improvement, ...]:
        negated = {method: {task: -depths} for method, depths in of.items()}
        return compare(negated, confidence=confidence, draws=draws, seed=seed)

    found = {
        name: agreed(compared(plain[name]), compared(of))
        for name, of in values.items()
        if len(of) > 1 and all(np.isfinite(depths).all() for depths in of.values())
    }
    corrected = iter(holm([one.p_value for many in found.values() for one in many]))
    return {name: tuple(replace(one, p_holm=next(corrected)) for one in many) for name, many in found.items()}


def _profiles(
    of: Mapping[str, np.ndarray], task: str, confidence: float, margin: float
) -> dict[str, Profile]:
    """Share of the runs of each method that are shallower than a threshold, from 0 to beyond the deepest.

    At least to beyond the margin: differences of depths that do not matter are not to fill a picture.
    """
    finite = {method: depths for method, depths in of.items() if np.isfinite(depths).all()}
    if not finite:
        return {}
    deepest = max(margin, *(float(np.max(depths)) for depths in finite.values()))
    thresholds = np.linspace(0.0, 1.05 * deepest if deepest > 0 else 1.0, THRESHOLDS)
    return {
        method: replace(
            profile({task: -depths}, -thresholds, confidence), thresholds=tuple(thresholds.tolist())
        )
        for method, depths in finite.items()
    }


def _owners(
    pairs: Sequence[Pair], beside: Sequence[Beside]
) -> tuple[list[tuple[Pair, Beside]], list[Missing]]:
    """Which pair each other study is about: the one whose two checkpoints it names."""
    owned, unowned = [], []
    for other in beside:
        about = other.checkpoints
        owner = next(
            (pair for pair in pairs if {pair.result[end]["path"] for end in ("from", "to")} <= about), None
        )
        if owner:
            owned.append((owner, other))
        else:
            unowned.append(
                Missing(str(other.directory), f"this {other.kind} result is about none of the pairs reported")
            )
    return owned, unowned


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
