"""Pages of the documentation, run as they stand: their `python` and `sh` blocks, in order, in one folder.

Python that begins with `# name.py` is that module, which later blocks may import. Blocks in other languages
are shown and not run; `console` is for commands that take too long or need more.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import support

from analysis_cli import landscape, smac

DOCS = Path(__file__).parents[1] / "docs"
PROGRAMS: dict[str, ModuleType] = {"smac": smac, "landscape": landscape}


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def run_page(page: Path, folder: Path, names: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a page in a folder; the names that its Python code leaves, `names` among them."""
    names = {} if names is None else names
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        for language, block in blocks(page):
            module = re.match(r"# (\w+\.py)\n", block)
            if module:
                Path(module[1]).write_text(block)
            elif language == "python":
                exec(compile(block, page.name, "exec"), names)  # the page is ours
            elif language == "sh":
                run_shell(block)
    return names


def run_shell(block: str) -> None:
    """Run the lines of a shell block, our own commands in this process; AssertionError for one that fails."""
    for line in commands(block):
        program, *words = shlex.split(line, comments=True)
        if program in PROGRAMS:
            status = support.run_words(PROGRAMS[program], words)
        else:
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            environment = os.environ | {"PATH": path, "PYTHONPATH": str(DOCS.parent)}
            status = subprocess.run(["bash", "-ec", line], env=environment, check=False).returncode
        assert status == 0, f"{line!r} ends with status {status}"


def commands(block: str) -> Iterator[str]:
    """The lines of a shell block that do something, continued lines joined."""
    for line in block.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line
