"""The command `landscape`: reward landscapes between checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Union

import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from analysis_cli.console import call
from analysis_cli.demo import Demo
from analysis_cli.studies.align import Align
from analysis_cli.studies.curve import Curve
from analysis_cli.studies.interpolate import Interpolate

COMMANDS = {
    "interpolate": Interpolate,
    "curve": Curve,
    "align": Align,
    "demo": Demo,
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
