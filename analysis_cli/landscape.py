"""The command `landscape`: reward landscapes between checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from analysis_cli.console import call
from analysis_cli.demo import Demo
from analysis_cli.reproduce import Reproduce
from analysis_cli.studies.align import Align
from analysis_cli.studies.curve import Curve
from analysis_cli.studies.doctor import Doctor
from analysis_cli.studies.interpolate import Interpolate
from analysis_cli.studies.merge import Merge
from analysis_cli.studies.plane import Plane
from analysis_cli.studies.plot import Plot
from analysis_cli.studies.report import Report
from analysis_cli.studies.trajectory import Trajectory

COMMANDS = {
    "interpolate": Interpolate,
    "plane": Plane,
    "trajectory": Trajectory,
    "curve": Curve,
    "align": Align,
    "plot": Plot,
    "report": Report,
    "merge": Merge,
    "doctor": Doctor,
    "demo": Demo,
    "reproduce": Reproduce,
}


def parse(arguments: Sequence[str]) -> Any:
    """The command that the arguments name, with its options filled in."""
    commands: Any = Union[tuple(Annotated[kind, subcommand(name)] for name, kind in COMMANDS.items())]  # noqa: UP007
    config = (OmitSubcommandPrefixes, OmitArgPrefixes)
    return tyro.cli(commands, args=list(arguments), prog="landscape", description=__doc__, config=config)


def main() -> None:
    call("landscape", lambda: parse(sys.argv[1:]).run())


if __name__ == "__main__":
    main()
