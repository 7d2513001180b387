"""The connectivity report: one page, a table for LaTeX and for Markdown, and two pictures for paper.

Everything is made from `report.json` alone.
"""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from figures.library import write_page
from figures.report.data import Comparison, Panel, read_report, report_data
from figures.report.interactive import panel_figure, profile_figure
from figures.report.still import paths_still, profile_still
from figures.report.tables import (
    COMPARISON_COLUMNS,
    METHOD_COLUMNS,
    OTHER_COLUMNS,
    PAIR_COLUMNS,
    comparison_rows,
    latex,
    markdown,
    method_rows,
    other_rows,
    pair_rows,
    unit_text,
)
from figures.style import embed, render, save, still
from smac.files import write_text

__all__ = ["Comparison", "draw_report", "page", "paths_still", "profile_still", "read_report", "report_data"]


@dataclass(frozen=True)
class Shown:
    """A small multiple of the page."""

    panel: Panel
    plot: Markup


def draw_report(found: Comparison, directory: Path) -> list[Path]:
    """Draw into a directory: `report.html`, `.md`, `.tex`, `paths` and, with several seeds, `profile`."""
    report = found.report
    pictures = {"paths": paths_still(found)}
    if any(report["profiles"].values()):
        pictures["profile"] = profile_still(found)
    stills = {name: still(fig) for name, fig in pictures.items()}
    written = [path for name, fig in pictures.items() for path in save(fig, directory / name)]
    return [
        write_page(directory / "report.html", page(found, stills)),
        write_text(directory / "report.md", markdown(report)),
        write_text(directory / "report.tex", latex(report)),
        *written,
    ]


def page(found: Comparison, stills: dict[str, str]) -> str:
    """The page; it needs no network."""
    report, limits = found.report, found.limits
    shown = [
        (
            method,
            [
                Shown(panel, embed(panel_figure(panel, found.looks[name], limits), f"path-{i}-{k}"))
                for k, panel in enumerate(found.panels[name])
            ],
        )
        for i, method in enumerate(report["methods"])
        for name in [method["name"]]
    ]
    others = [(pair, other) for pair in report["pairs"] for other in pair["beside"]]
    return render(
        "report.html.j2",
        title=f"From offline to online on {report['task']}",
        report=report,
        method_columns=METHOD_COLUMNS,
        method_rows=method_rows(report),
        pair_columns=PAIR_COLUMNS,
        pair_rows=pair_rows(report),
        comparison_columns=COMPARISON_COLUMNS,
        comparison_rows=comparison_rows(report),
        unit=unit_text(report),
        shown=shown,
        single=found.single,
        others=others,
        other_columns=OTHER_COLUMNS,
        other_rows=other_rows(report),
        commands=list(dict.fromkeys([*(pair["command"] for pair in report["pairs"]), report["command"]])),
        profile=embed(profile_figure(found), "profile") if "profile" in stills else None,
        stills=stills,
    )
