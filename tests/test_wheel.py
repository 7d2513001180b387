"""A wheel holds every file of the packages, and its commands run without the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("smac", "landscape", "figures", "analysis_cli")


def tracked(*places: str) -> set[str]:
    """Files below these that git knows, or where there is no git, all but caches."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *places],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode == 0 and listed.stdout:
        return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    found = (path for place in places for path in (ROOT / place).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def test_every_file_of_a_package_is_in_the_wheel(monkeypatch):
    from setuptools.dist import Distribution

    monkeypatch.chdir(ROOT)
    dist = Distribution()
    dist.parse_config_files([str(ROOT / "pyproject.toml")])
    dist.script_name = "setup.py"
    command = dist.get_command_obj("build_py")
    command.build_lib = "."
    command.ensure_finalized()
    told = {os.path.normpath(name) for name in command.get_outputs(include_bytecode=False)}
    assert told == tracked(*PACKAGES)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy of the files, so that nothing is left among them."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked(*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(out), str(source)], check=True)
    (built,) = out.glob("smac_landscape-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder)
    return folder


def run(installed: Path, where: Path, program: str, line: str) -> str:
    """What a command prints that is run from the wheel's files; other packages are those of this Python."""
    code = (
        "import pathlib, sys, smac, landscape, figures\n"
        f"from analysis_cli.{program} import main\n"
        f"assert all(pathlib.Path(m.__file__).is_relative_to({str(installed)!r}) for m in (smac, landscape, "
        "figures)), smac.__file__\n"
        f"sys.argv = [{program!r}, *sys.argv[1:]]\n"
        "main()"
    )
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *line.split()],
        cwd=where, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_holds_every_file_of_the_packages(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
        (entries,) = (name for name in file.namelist() if name.endswith("entry_points.txt"))
        scripts = file.read(entries).decode()
    assert names == tracked(*PACKAGES)
    assert "landscape = analysis_cli.landscape:main" in scripts
    assert "smac = analysis_cli.smac:main" in scripts


@pytest.mark.slow
def test_a_wheel_needs_nothing_of_the_repository(installed, tmp_path):
    assert "pointmaze-umaze" in run(installed, tmp_path, "smac", "tasks")
    out = run(installed, tmp_path, "landscape", "reproduce fig1 --preset smoke --workers 1 --out smoke")
    assert "wrote smoke/figures/fig1" in out
    pages = list((tmp_path / "smoke/fig1").rglob("*.html"))
    assert pages
    assert all((page.parent / "plotly.min.js").is_file() for page in pages)
