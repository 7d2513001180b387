"""The rules of the house: imports go one way, and the mathematics of landscapes needs no torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ["smac", "landscape", "figures", "analysis_cli"]  # each may import itself and those before it
ROOMS = ["envs", "data", "agents", "policies", "collect", "training"]  # of smac, in the same way


def imported(file: Path) -> set[str]:
    """Top-level names of everything a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", ORDER)
def test_imports_go_one_way(package):
    above = set(ORDER[ORDER.index(package) + 1 :])
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        assert not imported(file) & above, f"{file} imports upward"


def rooms_imported(file: Path) -> set[str]:
    """Rooms of smac that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("smac.")}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_of_smac_import_one_way(room):
    """Datasets know nobody who plays; policies are read for whoever plays or compares them."""
    above = set(ROOMS[ROOMS.index(room) + 1 :])
    files = list((ROOT / "smac" / room).rglob("*.py"))
    assert files
    for file in files:
        assert not rooms_imported(file) & above, f"{file} imports upward"


@pytest.mark.parametrize(
    "module", ["landscape.geometry", "landscape.statistics", "smac.statistics", "smac.tasks"]
)
def test_the_mathematics_imports_neither_torch_nor_gymnasium(module):
    code = f"import sys, {module}; sys.exit(any(m in sys.modules for m in ('torch', 'gymnasium')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_losses_know_nothing_of_loops_and_files():
    for file in (ROOT / "smac" / "agents").glob("*.py"):
        source = ast.parse(file.read_text())
        modules = {n.module for n in ast.walk(source) if isinstance(n, ast.ImportFrom)}
        assert not any(m and m.startswith("smac.training") for m in modules), file


def test_statistics_know_nothing_of_training():
    """The room that landscapes build on imports itself and the exception for users, and no more of smac."""
    for file in (ROOT / "smac" / "statistics").glob("*.py"):
        source = ast.parse(file.read_text())
        modules = {n.module for n in ast.walk(source) if isinstance(n, ast.ImportFrom) and n.module}
        ours = {m for m in modules if m.split(".")[0] in ORDER}
        assert all(m.startswith("smac.statistics") or m == "smac.errors" for m in ours), file


def test_figures_draw_and_hold_no_commands():
    """What is run for a figure is planned in `analysis_cli.reproduce`; errors may name an option."""
    command = re.compile(r"^--[a-z]|--[a-z][a-z-]*[ =]\S|^(smac|landscape) [a-z]")
    for file in (ROOT / "figures").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not command.search(node.value), f"{file}:{node.lineno} holds a command"


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def needed(file: Path, modules: set[str]) -> set[str]:
    """Modules of ours that a file imports as soon as it is imported: not in functions or for types alone."""
    found: set[str] = set()

    def visit(nodes: list[ast.stmt]) -> None:
        for node in nodes:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                found.update(name if name in modules else node.module for name in names)
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                visit(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                visit([*getattr(node, "body", []), *getattr(node, "orelse", [])])

    visit(ast.parse(file.read_text()).body)
    return (found & modules) - {module_of(file)}


@pytest.mark.parametrize("package", ["landscape", "figures", "analysis_cli"])
def test_modules_do_not_import_each_other_in_circles(package):
    files = {module_of(file): file for file in (ROOT / package).rglob("*.py")}
    assert len(files) > 10
    left = {name: needed(file, set(files)) for name, file in files.items()}
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left, f"these import each other, or what does: {', '.join(sorted(left))}"
