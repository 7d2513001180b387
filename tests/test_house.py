"""The rules of the house: imports go one way, and the mathematics of landscapes needs no torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ["smac", "landscape", "figures", "analysis_cli"]  # each may import itself and those before it
ROOMS = ["tasks", "envs", "data", "agents", "policies", "collect", "training"]  # of smac, in the same way


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


def modules(package: str) -> dict[str, Path]:
    """Every module of a package, by its name."""
    files = {file.relative_to(ROOT).with_suffix(""): file for file in (ROOT / package).rglob("*.py")}
    return {".".join(p.parts).removesuffix(".__init__"): file for p, file in files.items()}


def modules_imported(file: Path, known: set[str]) -> set[str]:
    """Modules among the known that a file imports, in functions too; not what only type checkers read."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in inner.values()}
    return found & known


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, by whatever way round."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        open_ = [*graph[start]]
        while open_:
            name = open_.pop()
            if name not in seen:
                seen.add(name)
                open_ += graph[name]
        reached[start] = seen
    groups = {frozenset(b for b in reached[a] if a in reached[b]) for a in graph if a in reached[a]}
    return sorted(map(sorted, groups))


@pytest.mark.parametrize("package", ORDER)
def test_no_circle_of_imports(package):
    """Neither among modules nor among the rooms that they stand in; an import in a function counts."""
    files = modules(package)
    graph = {name: modules_imported(file, files.keys()) - {name} for name, file in files.items()}
    assert circles(graph) == []
    rooms: dict[str, set[str]] = {}
    for name, imports in graph.items():
        room = ".".join(name.split(".")[:2])
        rooms.setdefault(room, set()).update({".".join(i.split(".")[:2]) for i in imports} - {room})
    assert circles(rooms) == []


def test_a_circle_is_found_in_functions_and_over_three_modules(tmp_path):
    (tmp_path / "a.py").write_text("def f():\n    from b import g\n")
    (tmp_path / "b.py").write_text("import c\n")
    (tmp_path / "c.py").write_text("from typing import TYPE_CHECKING\nimport a\n")
    names = {"a", "b", "c"}
    graph = {name: modules_imported(tmp_path / f"{name}.py", names) for name in names}
    assert circles(graph) == [["a", "b", "c"]]
    (tmp_path / "c.py").write_text("if TYPE_CHECKING:\n    import a\n")
    assert modules_imported(tmp_path / "c.py", names) == set()
