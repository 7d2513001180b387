"""`landscape doctor`."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.box import SIMPLE_HEAD
from rich.table import Table

from analysis_cli.console import command_line, console, progress, wrote
from analysis_cli.dry import Planned, Watch
from landscape.statistics import Calibration, Case, calibrate
from landscape.statistics.calibration import NOT_TRIED, Row, measure, questions
from landscape.study.calibration import calibration_table
from landscape.study.doctor import Check, Diagnosis, check_evaluator
from smac.errors import UserError
from smac.files import write_json


@dataclass(frozen=True)
class Doctor:
    """Measure how often this installation is right, where the truth is known; status 1 if it is not.

    The statistics get samples of analytic landscapes, the evaluator plays short lines in several ways that
    must come to the same.
    """

    examples: ClassVar = (
        "landscape doctor",
        "landscape doctor --calibration --out calibration.md",
    )
    often: ClassVar = ("repeats", "out")
    repeats: int = 200
    """Simulated samples per landscape; the standard errors of the rates shrink with the square root."""
    episodes: int = 20
    """Episodes per point of the samples."""
    seed: int = 0
    """Seed of the samples."""
    calibration: bool = False
    """Measure error and power of every claim on many truths and write the table to --out (.md, numbers in a
    .json file): ten minutes on one core; the same command resumes one that was killed. The evaluator is not
    checked."""
    out: Path | None = None
    """JSON file to write everything to."""

    def run(self) -> None:
        self._check()
        if self.calibration and self.out:
            self._calibrate(self.out)
            return
        with progress("landscapes") as show:
            found = calibrate(episodes=(self.episodes,), repeats=self.repeats, seed=self.seed, progress=show)
        rows: list[Row] = []
        with progress("claims") as show:
            asked = questions(quick=True)
            for k, question in enumerate(asked):
                rows += measure(question, max(1, self.repeats // 5), self.seed)
                show(k + 1, len(asked))
        with progress("evaluator") as show:
            diagnosis = Diagnosis(found, check_evaluator(progress=show), tuple(rows))
        console.print(cases_table(found))
        console.print(claims_table(diagnosis.rows))
        console.print(checks_table(diagnosis.checks))
        console.print(f"Not tried: {'; '.join(NOT_TRIED)}.", markup=False)
        console.print(diagnosis.sentence, style="bold", markup=False)
        if self.out:
            wrote(write_json(self.out, diagnosis.to_json()))
        if diagnosis.failures:
            sys.exit(1)

    def planned(self) -> Planned:
        """Times are of one sample of everything, and of one episode of the evaluator's lines."""
        self._check()
        asked = questions(quick=not self.calibration)
        repeats = self.repeats if self.calibration else max(1, self.repeats // 5)
        claims = 0.0
        for question in asked:
            with Watch() as watch:
                measure(question, 1, self.seed)
            claims += watch.seconds * max(1, round(repeats * question.share))
        if self.calibration:
            return Planned("the table of calibration", {"questions": len(asked), "samples": repeats}, claims)
        with Watch() as watch:
            cases = calibrate(episodes=(self.episodes,), repeats=1, seed=self.seed).cases
        with Watch() as checking:
            checks = check_evaluator()
        amounts = {"landscapes": len(cases), "samples of each": self.repeats, "claims": len(asked)}
        amounts |= {"samples of each claim": repeats, "checks of the evaluator": len(checks)}
        seconds = watch.seconds * self.repeats + claims + checking.seconds
        return Planned("all checks of this installation", amounts, seconds, "one sample of everything")

    def _check(self) -> None:
        for name in ("repeats", "episodes"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.calibration:
            if self.out is None:
                raise UserError("--calibration writes a table: say where with --out, such as calibration.md")
        elif self.out and self.out.exists():
            raise UserError(f"{self.out}: already exists; choose another --out")

    def _calibrate(self, out: Path) -> None:
        with progress("questions") as show:
            rows = calibration_table(
                out,
                repeats=self.repeats,
                seed=self.seed,
                command=command_line("landscape"),
                progress=show,
            )
        worst = max(rows, key=lambda row: row["error"])
        console.print(
            f"{len(rows)} claims; the largest error is {100 * worst['error']:.1f} % of {worst['repeats']} "
            f"samples ({worst['claim']}: {worst['truth']}, {worst['setting']})",
            markup=False,
        )
        wrote(out)


def claims_table(rows: Sequence[Row]) -> Table:
    """Error and power of the other claims, in percent."""
    table = Table("claim", "truth", "setting", "error\n≤ 5 %", "power", box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        power = "" if row.power is None else f"{100 * row.power:.0f}"
        table.add_row(row.claim, row.truth, row.setting, f"{100 * row.error:.1f}", power)
    return table


def cases_table(found: Calibration) -> Table:
    """A row per landscape; rates are in percent, each with its Monte Carlo standard error."""
    held, missed = f"{100 * found.confidence:g} %", f"{100 * (1 - found.confidence):.3g} %"
    columns = {"truth": "", "V": "", "V error": "≈ 0", "band": f"≥ {held}", "V held": f"≥ {held}"}
    columns |= {"wrong": f"≤ {missed}", "p_mono": f"≤ {missed}"}
    table = Table(
        *(f"{name}\n{promise}" for name, promise in columns.items()),
        title=f"{found.repeats} samples of {found.cases[0].episodes} episodes",
        caption="band, V held: how often the truth is inside; wrong: verdicts on V or DD; p_mono: rejections "
        f"at {missed}, in brackets where that is right. Errors in up to {100 * found.allowed:.1f} % may be "
        "chance.",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for case in found.cases:
        name = case.truth.replace(", ", ",\n")
        table.add_row(name, f"{case.V:.1f}", bias(case, found.repeats), *rates(case, found.repeats))
    return table


def bias(case: Case, repeats: int) -> str:
    """Mean error of the cross-fitted depth, with its Monte Carlo standard error."""
    return f"{case.V_crossfit_bias:+.1f}±{case.V_crossfit_sd / math.sqrt(repeats):.1f}"


def rates(case: Case, repeats: int) -> list[str]:
    """Coverage of band and V, the most frequent wrong verdict, and rejections by the test of monotonicity."""

    def share(value: float) -> str:
        return f"{100 * value:.1f}±{100 * math.sqrt(value * (1 - value) / repeats):.1f}"

    wrong = max(case.false_valley, case.false_connected, case.false_not_monotone, case.false_monotone)
    rejected = share(case.rejected) if case.DD == 0 else f"({share(case.rejected)})"
    return [share(case.band), share(case.coverage["V"]), share(wrong), rejected]


def checks_table(checks: tuple[Check, ...]) -> Table:
    table = Table("evaluator", "")
    for check in checks:
        table.add_row(check.name, "yes" if check.holds else f"NO: {check.found}")
    return table
