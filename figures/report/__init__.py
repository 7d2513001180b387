"""The connectivity report: one page, a table for LaTeX and for Markdown, and two pictures for paper.

Everything is made from `report.json` alone.
"""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from figures.report.data import Panel, Report, looks, panels, read_report, y_limits
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


@dataclass(frozen=True)
class Shown:
    """A small multiple of the page."""

    panel: Panel
    plot: Markup


def draw_report(directory: Path) -> list[Path]:
    """Draw a report directory: `report.html`, `.md`, `.tex`, `paths` and, with several seeds, `profile`."""
    report = read_report(directory)
    pictures = {"paths": paths_still(report)}
    if any(report["profiles"].values()):
        pictures["profile"] = profile_still(report)
    stills = {name: still(fig) for name, fig in pictures.items()}
    written = [path for name, fig in pictures.items() for path in save(fig, directory / name)]
    return [
        write_text(directory / "report.html", page(report, stills)),
        write_text(directory / "report.md", markdown(report)),
        write_text(directory / "report.tex", latex(report)),
        *written,
    ]


def page(report: Report, stills: dict[str, str]) -> str:
    """The page, self-contained."""
    look = looks(report)
    groups = [(method, panels(report, method)) for method in report["methods"]]
    limits = y_limits([panel for _, group in groups for panel in group])
    shown = [
        (
            method,
            [
                Shown(panel, embed(panel_figure(panel, look[method["name"]], limits), f"path-{i}-{k}"))
                for k, panel in enumerate(group)
            ],
        )
        for i, (method, group) in enumerate(groups)
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
        single=all(len(group) == 1 for _, group in groups),
        others=others,
        other_columns=OTHER_COLUMNS,
        other_rows=other_rows(report),
        commands=list(dict.fromkeys([*(pair["command"] for pair in report["pairs"]), report["command"]])),
        profile=embed(profile_figure(report), "profile") if "profile" in stills else None,
        stills=stills,
    )
