"""The notebook runs from its first cell to its last."""

import os
import sys
from pathlib import Path

import pytest
from pages import DOCS


@pytest.mark.slow
def test_quickstart_notebook(tmp_path, monkeypatch):
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")  # for `!smac`
    notebook = nbformat.read(DOCS / "tutorials/quickstart.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "committed without outputs"
    client.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [out for cell in notebook.cells for out in cell.get("outputs", []) if "data" in out]
    assert "undecided" in shown[-1]["data"]["text/plain"]
    assert "<img" in shown[-2]["data"]["text/html"]  # the line draws itself
    assert (tmp_path / "runs/online/seed-1/trajectory/step-00000010.safetensors").exists()
