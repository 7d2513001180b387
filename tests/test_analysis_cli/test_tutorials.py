"""The tutorials run as they stand: their blocks, in order, in one empty folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_compare(tmp_path):
    pytest.importorskip("stable_baselines3")
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": paths, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    page = (ROOT / "docs/tutorials/compare.md").read_text()
    for language, block in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL):
        if language == "toml":
            (tmp_path / "methods.toml").write_text(block)
            continue
        command = {"python": [sys.executable, "-c", block], "bash": ["bash", "-ec", block]}[language]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    found = json.loads((tmp_path / "compared/report.json").read_text())
    assert [(one["name"], one["from"], one["to"], one["seeds"]) for one in found["methods"]] == [
        ("MINE", "iql", "sac", [0, 1, 2]),
        ("THEIRS", "early", "SAC", [0, 1, 2]),
    ]
    assert (tmp_path / "compared/report.html").stat().st_size > 10_000
