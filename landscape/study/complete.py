"""Results of older versions made complete: a statistic that a file lacks follows from its episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from landscape.statistics import PathReport, analyse_path
from landscape.study.common import FORMAT, score_range
from smac.errors import UserError
from smac.files import read_json
from smac.tasks import get_task

PATHS = ("interpolate", "trajectory", "curve", "align")
STATISTICS = tuple(f.name for f in fields(PathReport))
OF_STAGES = ("V", "verdict", "means", "band", "reason", "extra_episodes")  # what later stages decide

Arrays = dict[str, np.ndarray]


def read_files(directory: Path) -> tuple[dict[str, Any], Arrays, tuple[str, ...]]:
    """`result.json`, completed, `returns.npz` ({} without one), and the names of what was recomputed.

    UserError if a file is missing, damaged, or of a newer version.
    """
    path = directory / "result.json"
    result = read_json(path)
    if not isinstance(result, dict) or "kind" not in result:
        raise UserError(f"{path}: is not the result of a landscape")
    if result.get("format_version", 1) > FORMAT:
        raise UserError(
            f"{path}: format {result['format_version']} is newer than this version reads; upgrade"
        )
    arrays = read_arrays(directory / "returns.npz")
    found, names = completed(result, arrays)
    return found, arrays, names


def read_arrays(path: Path) -> Arrays:
    """Every array of a file, {} where there is no file; UserError if it is damaged."""
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path}: cannot be read ({error}); run the landscape again") from None


def completed(
    result: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A result with the statistics that its version did not have, and their names.

    What the file says stays as it says it; what it lacks is computed from every episode as today, with the
    file's own margin, confidence, draws and seed. Nothing is done without the episodes.
    """
    analysis = result.get("analysis")
    if result.get("kind") not in PATHS or not isinstance(analysis, Mapping) or "returns" not in arrays:
        return dict(result), ()
    found = dict(result)
    found["analysis"], names = _completed(analysis, arrays["returns"], arrays, result)
    straight = result.get("straight")
    if isinstance(straight, Mapping) and "straight_returns" in arrays:
        other, more = _completed(straight["analysis"], arrays["straight_returns"], arrays, result)
        found["straight"] = dict(straight) | {"analysis": other}
        names += tuple(f"straight.{name}" for name in more)
    return found, names


def _completed(
    analysis: Mapping[str, Any],
    returns: np.ndarray,
    arrays: Mapping[str, np.ndarray],
    result: Mapping[str, Any],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    missing = tuple(name for name in STATISTICS if name not in analysis)
    if not missing or not analysis or "alphas" not in arrays:
        return dict(analysis), ()
    stages = analysis.get("stages")
    if stages:
        lost = [name for name in OF_STAGES if name in missing]
        if lost:
            raise UserError(
                f"this adaptive result lacks {', '.join(lost)}; run `landscape interpolate` again"
            )
        returns = returns[:, : int(stages[0]["episodes"])]  # the rest is of the first stage
    fresh = analyse_path(
        returns,
        arrays["alphas"],
        margin=float(result["margin"]["delta"]),
        failure=score_range(get_task(str(result["task"]))),
        confidence=float(analysis.get("confidence", 0.95)),
        draws=int(analysis.get("draws", 2000)),
        seed=int(analysis.get("seed", 0)),
    ).to_json()
    return dict(analysis) | {name: fresh[name] for name in missing}, missing
