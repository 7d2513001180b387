import copy
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and torch are loaded; and for what tests start

import mujoco
import pytest
import torch
from fontTools import subset

# A PDF's fonts without the tables that set text, which its readers do not use: they take half of its time
subset.Options._drop_tables_default = [*subset.Options._drop_tables_default, "GSUB", "GPOS", "GDEF"]

_from_file = mujoco.MjModel.from_xml_path
_from_text = cache(mujoco.MjModel.from_xml_string)


def _compiled_once(filename: str, assets: object = None) -> mujoco.MjModel:
    """A copy of what was compiled of the same text: a maze takes 50 ms, for its textures, and hundreds are
    made."""
    text = Path(filename).read_text()
    return _from_file(filename, assets) if "file=" in text else copy.copy(_from_text(text))


mujoco.MjModel.from_xml_path = _compiled_once


@pytest.fixture(autouse=True)
def _one_thread_and_a_fixed_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def pages_alone() -> Iterator[None]:
    """Results are drawn as pages, without the PNG and the PDF beside them, which take most of the time."""
    from figures.output import Output, written_as

    with written_as(Output(formats=())):
        yield
