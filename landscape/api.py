"""The studies as functions for programs and notebooks: every option of a command is a keyword, by its name.

Where a policy is asked for, it may be the file of a checkpoint (`run.seed(0).online`), a policy of another
library's file, or a torch module together with `env=`, the task or the id of its environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from inspect import signature
from pathlib import Path
from typing import Any, Literal, get_type_hints

from torch import nn

from landscape import study
from landscape.evaluate import Evaluation, Progress
from landscape.fields import FieldOptions
from landscape.gathering import gather
from landscape.results import (
    LandscapeResult,
    PathResult,
    PlaneResult,
    ProjectionResult,
    ReportResult,
    report_result,
    result_of,
)
from landscape.statistics import Adaptive
from landscape.study.common import one_of
from landscape.study.pairs import Line
from landscape.study.report import report as compare_pairs
from landscape.study.runs import Source
from smac.api import Place, call, check_names, held
from smac.errors import UserError
from smac.policies import PolicyCheckpoint
from smac.policies.modules import policy_of_module

Policy = Place | PolicyCheckpoint | nn.Module
Members = Place | PathResult | Iterable[Place | PathResult]


def interpolate(
    start: Policy,
    end: Policy,
    *,
    env: str | None = None,
    points: int = 21,
    extrapolate: float = 0.0,
    margin: float | None = None,
    confidence: float = 0.95,
    move: Sequence[str] = (),
    hold_at: Literal["from", "to"] = "from",
    beside: FieldOptions | None = None,
    adaptive: Adaptive | bool = False,
    progress: Progress | None = None,
    **playing: Any,
) -> PathResult:
    """The return on the straight line between two policies: is there a valley, and does it ever fall?

    The ends may be any torch modules, observations [n, obs] -> mean actions [n, act], with `env="Hopper-v5"`,
    both of one structure; where the environment's actions are not those of [-1, 1], `action_units` says
    whether the modules' are (`unit`) or not (`env`).

    `playing` says how episodes are played: episodes, seed, stochastic, time_limit, workers, backend, store
    (a folder of episodes that are not played twice). `progress` is called with episodes done and in all.
    UserError for whatever the command refuses.
    """
    found = study.interpolate(
        policy(start, env, "start", playing),
        policy(end, env, "end", playing),
        points=points,
        extrapolate=extrapolate,
        margin=margin,
        confidence=confidence,
        moving=move,
        held_at=hold_at,
        beside=beside or FieldOptions(),
        adaptive=stages(adaptive),
        evaluation=evaluation(env, playing),
        progress=progress,
    )
    asked: dict[str, Any] = {"env": env, "points": points, "extrapolate": extrapolate, "margin": margin}
    asked |= {"confidence": confidence, "move": move, "hold_at": hold_at, "beside": beside}
    return result_of(found, written(interpolate, start, end, **asked, adaptive=adaptive, **playing))


def trajectory(
    checkpoints: Place | Sequence[Policy],
    *,
    env: str | None = None,
    along: Literal["steps", "distance"] = "steps",
    every: int = 1,
    margin: float | None = None,
    confidence: float = 0.95,
    progress: Progress | None = None,
    **playing: Any,
) -> PathResult:
    """The return along the way that fine-tuning took: of `run.seed(0)`, or of policies in their order."""
    found = study.trajectory(
        sources(checkpoints, env, playing),
        along=along,
        every=every,
        margin=margin,
        confidence=confidence,
        evaluation=evaluation(env, playing),
        progress=progress,
    )
    asked = {"env": env, "along": along, "every": every, "margin": margin, "confidence": confidence}
    return result_of(found, written(trajectory, checkpoints, **asked, **playing))


def curve(
    start: Policy, end: Policy, *, env: str | None = None, progress: Progress | None = None, **options: Any
) -> PathResult:
    """Bend a path between two policies to keep the return high: is there any without a valley?

    `options` are those of the curve (kind, bends, align, points, margin, confidence), of the search (steps,
    pairs, ...) and of playing.
    """
    own = ("kind", "bends", "align", "points", "margin", "confidence")
    given, search, playing = split(options, own, study.Search, Evaluation)
    found = study.curve(
        policy(start, env, "start", playing),
        policy(end, env, "end", playing),
        search=study.Search(**search),
        evaluation=evaluation(env, playing),
        progress=progress,
        **given,
    )
    return result_of(found, written(curve, start, end, env=env, **options))


def align(
    start: Policy, end: Policy, *, env: str | None = None, progress: Progress | None = None, **options: Any
) -> PathResult:
    """The line before and after the hidden units of `end` are brought into the order of those of `start`.

    `options`: rescale, points, margin, confidence, and those of playing.
    """
    given, playing = split(options, ("rescale", "points", "margin", "confidence"), Evaluation)
    found = study.align(
        policy(start, env, "start", playing),
        policy(end, env, "end", playing),
        evaluation=evaluation(env, playing),
        progress=progress,
        **given,
    )
    return result_of(found, written(align, start, end, env=env, **options))


def plane(
    through: Sequence[Policy] = (),
    *,
    env: str | None = None,
    trajectory: Place | Sequence[Policy] = (),
    update: Sequence[Policy] = (),
    also: Sequence[Policy] = (),
    beside: FieldOptions | None = None,
    margin: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> PlaneResult:
    """The return over a plane through three policies, the components of a trajectory, or an update.

    `options` are those of the plane (axes, about, direction_seed, one_d), of the view (nx, ny, x, y) and of
    playing.
    """
    chosen, view, playing = split(
        options, ("axes", "about", "direction_seed", "one_d"), study.View, Evaluation
    )
    given = {"through": through, "trajectory": trajectory, "update": update, "also": also}
    ways: dict[str, Any] = {name: sources(of, env, playing) for name, of in given.items() if of}
    found = study.plane(
        study.Choice(**ways, **chosen),
        view=study.View(**view),
        margin=margin,
        beside=beside or FieldOptions(),
        evaluation=evaluation(env, playing),
        progress=progress,
    )
    asked = {"env": env, "beside": beside, "margin": margin}
    return result_of(found, written(plane, **given, **asked, **options))


def project(
    runs: Sequence[Place],
    *,
    by: str = "tsne",
    perplexity: float | None = None,
    embedding_seed: int = 0,
    every: int = 1,
    progress: Progress | None = None,
    **playing: Any,
) -> ProjectionResult:
    """The checkpoints of many fine-tuning runs (`run.seed(0)`, ...) in two dimensions, with their returns."""
    found = study.project(
        [Path(run) for run in runs],
        by=by,
        perplexity=perplexity,
        embedding_seed=embedding_seed,
        every=every,
        evaluation=evaluation(None, playing),
        progress=progress,
    )
    asked = {"by": by, "perplexity": perplexity, "embedding_seed": embedding_seed, "every": every}
    return result_of(found, written(project, runs, **asked, **playing))


def report(
    methods: Mapping[str, Members] | Members,
    *,
    points: int = 21,
    margin: float | None = None,
    confidence: float = 0.95,
    adaptive: Adaptive | bool = False,
    out: Place | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    **playing: Any,
) -> ReportResult:
    """How well offline and online checkpoints are connected, over training seeds and methods.

    `methods` are named runs, results (`landscape.interpolate`) and their directories, one or many; without
    names a method is called by its algorithms. Runs of `smac.finetune` are interpolated first, seed by seed,
    with `points` and the options of playing; the report's `save` writes these lines, too. With `out` all of
    it is written there as it comes, and lines that are there are read instead of played. `command` is what
    the files say they were made by, if not by this call.
    """
    given = methods if isinstance(methods, Mapping) else {"": methods}
    named = {name: members(of) for name, of in given.items()}
    seed = evaluation(None, playing).seed
    asked: dict[str, Any] = {"points": points, "margin": margin, "confidence": confidence}
    asked |= {"adaptive": adaptive, **playing}

    def play(line: Line, k: int, lines: int) -> PathResult:
        found = interpolate(line.start, line.end, progress=one_of(progress, k, lines), **asked)
        return found if command is None else replace(found, result={**found.result, "command": command})

    gathered = gather(named, play, None if out is None else Path(out))
    compared = compare_pairs(gathered.pairs, beside=gathered.beside, missing=gathered.missing, seed=seed)
    told = named if isinstance(methods, Mapping) else named[""]
    found = report_result(compared, command or written(report, told, **asked), gathered.lines)
    if out is not None:
        found.write(Path(out))
    return found


# ---- what these are made of --------------------------------------------------------------------------------


def policy(given: Policy, env: str | None, name: str, playing: Mapping[str, Any]) -> Path | PolicyCheckpoint:
    """What the studies take: a file, or a policy in memory."""
    if isinstance(given, nn.Module):
        if env is None:
            raise UserError(f"{name}: a module does not say which task it is for; name it with env=")
        return policy_of_module(given, env, playing.get("action_units"), name)
    if isinstance(given, PolicyCheckpoint):
        return given
    if not isinstance(given, str | os.PathLike):
        raise UserError(f"{name}: a policy is a file or a torch module, got {type(given).__name__}")
    return Path(given)


def members(given: Members) -> list[Place | PathResult]:
    """One or many, as a list."""
    return [given] if isinstance(given, str | os.PathLike | PathResult) else list(given)


def sources(given: Place | Sequence[Policy], env: str | None, playing: Mapping[str, Any]) -> list[Source]:
    """Policies in their order, or the folder of a run's seed."""
    if isinstance(given, str | os.PathLike):
        return [Path(given)]
    return [policy(one, env, f"policy {k}", playing) for k, one in enumerate(given)]


def evaluation(env: str | None, playing: Mapping[str, Any]) -> Evaluation:
    """How episodes are played; UserError for an option that there is none of."""
    check_names(playing, [f.name for f in fields(Evaluation)], "a landscape")
    kinds = get_type_hints(Evaluation)
    named: dict[str, Any] = {"task": env} if env else {}
    return Evaluation(**named | {name: held(value, kinds[name], name) for name, value in playing.items()})


def stages(adaptive: Adaptive | bool) -> Adaptive | None:
    if isinstance(adaptive, Adaptive):
        return adaptive
    return Adaptive() if adaptive else None


def split(options: Mapping[str, Any], own: Sequence[str], *kinds: type) -> list[dict[str, Any]]:
    """Options by whose they are: the function's own, and the fields of every kind; UserError for others."""
    groups = [list(own), *([f.name for f in fields(kind)] for kind in kinds)]
    check_names(options, [name for group in groups for name in group], "this landscape")
    return [{name: options[name] for name in group if name in options} for group in groups]


def written(function: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The call that a file says it was made by: whatever is not as it is by default."""
    defaults = {name: one.default for name, one in signature(function).parameters.items()}
    given = {name: shown(value) for name, value in options.items() if value != defaults.get(name, MISSING)}
    return call(f"landscape.{function.__name__}", *map(shown, arguments), **given)


def shown(given: Any) -> Any:
    """An argument as a file tells it: paths as text, what is in memory by its kind."""
    if isinstance(given, os.PathLike):
        return os.fspath(given)
    if isinstance(given, LandscapeResult | nn.Module | PolicyCheckpoint):
        return f"<{type(given).__name__}>"
    if isinstance(given, Mapping):
        return {name: shown(one) for name, one in given.items()}
    return [shown(one) for one in given] if isinstance(given, list | tuple) else given
