"""The two programs explain themselves without importing what they run."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import EntryPoint
from pkgutil import resolve_name

import pytest
from support import run

from analysis_cli import landscape, smac
from analysis_cli.program import Program


@pytest.mark.parametrize("program", ["smac", "landscape"])
def test_help_imports_no_library_and_has_every_command(program):
    code = (
        f"import sys\nfrom analysis_cli.{program} import main\nsys.argv = ['{program}', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'tyro', 'rich', 'gymnasium', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    for command, place in import_module(f"analysis_cli.{program}").PROGRAM.commands.items():
        first = " ".join(resolve_name(place).__doc__.partition("\n\n")[0].split())
        assert f"{command} {first}" in told


def test_an_unknown_command_is_named_with_the_closest(capsys):
    assert run(landscape, "interpolat --points 3") == 2
    assert "unknown command 'interpolat': did you mean 'interpolate'?" in capsys.readouterr().err
    assert run(smac, "") == 2
    assert "usage: smac COMMAND" in capsys.readouterr().err


def test_a_package_adds_a_verb_but_takes_none_of_ours(monkeypatch):
    """By entry points: in the help with its own sentence, and run like the others."""
    points = [
        EntryPoint("colours", "fractions:Fraction", "landscape.commands"),
        EntryPoint("plane", "fractions:Fraction", "landscape.commands"),
    ]
    monkeypatch.setattr("analysis_cli.program.entry_points", lambda group: points)
    program = Program("landscape", "what it is for", {"plane": "analysis_cli.studies.plane:Plane"})
    assert program.commands == {
        "plane": "analysis_cli.studies.plane:Plane",
        "colours": "fractions:Fraction",
    }
    assert "colours  This class implements rational numbers." in " ".join(program.help().split("\n"))


def test_a_line_starts_without_what_only_other_commands_need():
    """Half of the time of a small study once went into such imports."""
    slow = {
        "scipy.stats",
        "scipy.spatial",
        "sklearn",
        "minari",
        "h5py",
        "mujoco",
        "matplotlib",
        "plotly",
        "pandas",
    }
    code = (
        "import sys\nfrom analysis_cli.landscape import parse\n"
        "parse(['interpolate', '--from', 'a', '--to', 'b', '--task', 'Pendulum-v1'])\n"
        f"sys.exit(', '.join({slow} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
