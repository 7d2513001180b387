"""The plotting library of pages: one file beside them, which all pages of a directory share.

A page that cannot find it shows its pictures for paper instead.
"""

from __future__ import annotations

import os
from pathlib import Path

from plotly.offline import get_plotlyjs

from smac.files import write_text

NAME = "plotly.min.js"
PAIRS = "pairs"  # folder of a report's lines, which use the report's library
HEAD = 300  # characters that tell the version
SOURCE = f'src="{NAME}"'  # as the template says it; text from files is escaped and cannot hold it


def write_page(path: Path, page: str) -> Path:
    """Write a page, and the library where it is looked for unless it is there."""
    folder = path.parent
    home = folder.parent.parent if folder.parent.name == PAIRS else folder
    if not _has_library(home):
        write_text(home / NAME, get_plotlyjs())
    place = (Path(os.path.relpath(home, folder)) / NAME).as_posix()
    return write_text(path, page.replace(SOURCE, f'src="{place}"', 1))


def _has_library(folder: Path) -> bool:
    """Whether a folder has the library of this version: another might not read what plotly writes."""
    file = folder / NAME
    if not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(HEAD) == get_plotlyjs()[:HEAD]
