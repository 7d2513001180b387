"""The tables of a report as rows of text, in Markdown, and in LaTeX for booktabs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from figures.latex import tex
from figures.report.data import Report, monotone_of, pair_falls
from figures.style import interval_text, monotone_words, number
from landscape.study.pairs import falls_in
from smac.tables import markdown_table

Rows = list[list[str]]


def depth_unit(report: Mapping[str, Any]) -> str:
    """What the depths of the method table are in: `iqm_relative`, or `iqm` where there is no scale."""
    return "iqm_relative" if report["unit"] != "return" else "iqm"


METHOD_COLUMNS = [
    "method", "seeds", "valley on the line", "monotone (linearly connected)", "IQM of V", "IQM of DD",
    "mean path",
]  # fmt: skip
VERDICTS = ("connected", "valley", "undecided")
MONOTONES = ("monotone", "not monotone", "undecided")


def method_rows(report: Mapping[str, Any]) -> Rows:
    """A row per method; nothing of the method where there is one seed."""
    return [
        [
            method["name"],
            str(len(method["seeds"])),
            _counted(method["verdicts"], VERDICTS),
            _counted(method["monotone"], MONOTONES),
            *_over_seeds(report, method),
        ]
        for method in report["methods"]
    ]


def _counted(counts: Mapping[str, int], names: Sequence[str]) -> str:
    """`3 monotone, 2 undecided`; a verdict that no seed has may be missing."""
    return ", ".join(f"{counts[name]} {name}" for name in names if counts.get(name))


def _over_seeds(report: Mapping[str, Any], method: Report) -> list[str]:
    """IQM of V, of DD, and the verdicts on the mean path."""
    iqm, path = method[depth_unit(report)], method["path"]
    mean = "–"
    if path:
        delta = report["margin"]["delta"]
        rising = monotone_words(monotone_of(path, delta), falls=falls_in(path, delta))
        mean = f"{path['verdict']}, {rising}"
    seeds = len(method["seeds"])
    return [*(interval_text(iqm.get(name), seeds) for name in ("V", "DD")), mean]


PAIR_COLUMNS = [
    "method", "seed", "valley", "monotone", "V", "V cross-fitted", "DD", "p (monotone)", "offline return",
    "online return",
]  # fmt: skip


def pair_rows(report: Report) -> Rows:
    """A row per pair, in units of return."""
    return [
        [
            pair["method"],
            str(pair["seed"]),
            pair["verdict"],
            monotone_words(pair["monotone"], falls=pair_falls(pair, report["margin"]["delta"])),
            interval_text(pair["V"]),
            number(pair["V_crossfit"]),
            interval_text(pair["DD"]),
            number(pair["p_monotone"], 2),
            number(pair["offline_return"]),
            number(pair["online_return"]),
        ]
        for pair in report["pairs"]
    ]


OTHER_COLUMNS = ["method", "path", "seeds", "verdicts", "does the return never fall"]
TRAINING = "training, by its own evaluations"
OTHER_PATHS = {
    "trajectory": "the path that fine-tuning took",
    "curve": "a curve bent for return",
    "align": "the line between aligned networks",
}


def other_rows(report: Report) -> Rows:
    """A row per method and kind of path other than the straight line, where there are results of it.

    Of training itself the evaluations are judged, which are of few episodes; whether they fall is told.
    """
    rows = []
    for method in report["methods"]:
        pairs = [pair for pair in report["pairs"] if pair["method"] == method["name"]]
        training = [pair["training"] for pair in pairs if pair.get("training")]
        if training:
            rows.append([method["name"], TRAINING, str(len(training)), "–", _counts(training)])
        beside = [other for pair in pairs for other in pair["beside"]]
        for kind, path in OTHER_PATHS.items():
            found = [other for other in beside if other["kind"] == kind]
            if found:
                verdicts = [_counts([other[name] for other in found]) for name in ("verdict", "monotone")]
                rows.append([method["name"], path, str(len(found)), *verdicts])
    return rows


def _counts(words: Sequence[str]) -> str:
    """`3 valley, 2 undecided`, the most frequent first."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


COMPARISON_COLUMNS = ["depth", "a", "b", "P(a shallower than b)", "p", "p (Holm)"]


def comparison_rows(report: Report) -> Rows:
    """A row per pair of methods and depth."""
    return [
        [
            name,
            one["a"],
            one["b"],
            _probability(one),
            number(one["p_value"], 2),
            number(one["p_holm"], 2),
        ]
        for name, many in report["comparisons"].items()
        for one in many
    ]


def _probability(one: Report) -> str:
    """An interval that holds everything is none: so few seeds support no claim."""
    found = one["probability"]
    if (found["lower"], found["upper"]) != (0.0, 1.0):
        return interval_text(found)
    few = min(one.get("seeds") or [0])
    return interval_text(dict(found) | {"lower": None, "upper": None}, few or None)


def unit_text(report: Report) -> str:
    """What one unit of the depths over seeds is."""
    if report["unit"] == "return":
        return "in units of return"
    return (
        "as shares of what the better end of a pair gained over a random policy "
        f"(return {number(report['random_return'])})"
    )


def markdown(report: Report) -> str:
    """The whole report in Markdown."""
    percent = f"{100 * report['confidence']:g} %"
    parts = [
        f"# From offline to online on {report['task']}",
        report["headline"],
        _markdown_table(METHOD_COLUMNS, method_rows(report)),
        "Training seeds by two verdicts, each against the margin: whether the return falls below the lower "
        "of its two ends, and whether it ever falls on the way from offline to online; if not, the two are "
        "linearly connected in the paper's sense. The mean path is judged over training seeds. "
        "IQM of the cross-fitted valley depth V and drawdown DD over training seeds, "
        f"{unit_text(report)}; brackets: {percent} stratified bootstrap over seeds, none below five seeds "
        "or where all seeds agree.",
        "## Pairs",
        _markdown_table(PAIR_COLUMNS, pair_rows(report)),
        f"In units of return; brackets: {percent} intervals for the noise of episodes. Margin: "
        f"{number(report['margin']['delta'])} ({report['margin']['source']}).",
    ]
    if other_rows(report):
        parts += ["## Other paths", _markdown_table(OTHER_COLUMNS, other_rows(report))]
    if report["comparisons"]:
        parts += ["## Methods compared", _markdown_table(COMPARISON_COLUMNS, comparison_rows(report))]
    if report["flags"]:
        parts += ["## To know", "\n".join(f"- {flag}" for flag in report["flags"])]
    return "\n\n".join(parts) + "\n"


def _markdown_table(columns: Sequence[str], rows: Rows) -> str:
    return markdown_table(columns, [[cell.replace("|", r"\|") for cell in row] for row in rows])


def latex(report: Report) -> str:
    """The method table for `\\input`; needs the package booktabs."""
    percent = rf"{100 * report['confidence']:g}\,\%"
    groups = r" & & \multicolumn{3}{c}{Valley on the line} & \multicolumn{3}{c}{Monotone} & & &"
    columns = (
        "Method & Seeds & Connected & Valley & Undecided & Yes & No & Undecided & IQM of $V$ & IQM of $DD$ "
        "& Mean path"
    )
    body = [
        [
            method["name"],
            str(len(method["seeds"])),
            *(str(method["verdicts"][name]) for name in VERDICTS),
            *(str(method["monotone"].get(name, 0)) for name in MONOTONES),
            *_over_seeds(report, method),
        ]
        for method in report["methods"]
    ]
    caption = (
        f"Linear connectivity from offline to online on {tex(report['task'])}: training seeds by verdict at "
        f"a margin of {tex(number(report['margin']['delta']))}, of a valley and of a return that is monotone "
        "along the line, which the paper calls linearly connected, and the interquartile mean of valley "
        f"depth $V$ and drawdown $DD$ over training seeds, {tex(unit_text(report))}; brackets: {percent} "
        "stratified bootstrap over seeds."
    )
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        r"\begin{tabular}{lrrrrrrrlll}",
        r"\toprule",
        groups + r" \\",
        r"\cmidrule(lr){3-5}\cmidrule(lr){6-8}",
        columns + r" \\",
        r"\midrule",
        *(" & ".join(map(tex, row)) + r" \\" for row in body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
