"""What every format of policies must keep to, as a check for packages of one's own: `check_format(...)`.

def test_format(tmp_path):
    path = save(agent, tmp_path / "a.mine")  # by the library's own code
    check_format(path, observations, actions, task="Hopper-v5", action_units="env")
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from smac.envs.units import Units, action_box
from smac.errors import UserError
from smac.policies import load_policy, stack_actor
from smac.policies.acting import load_policy as load_acting
from smac.tasks import Task, get_task

FLIPS = 60  # bytes that are changed, one in each copy
EVENTS = (
    "exec",
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "os.remove",
    "os.rename",
)


def check_format(
    path: Path,
    observations: np.ndarray,
    actions: np.ndarray,
    *,
    task: str,
    action_units: Units | None = None,
    normaliser: str | None = None,
    with_nan: Path | None = None,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> None:
    """AssertionError, with what is wrong, unless a format is read as ours are.

    The policy acts as its own library says, alone and in a stack; no code runs while a file is read; a file
    that is cut short, overwritten, or holds a weight that is not a number is refused in one line that names
    it, or acts the same.

    Args:
        path: a file of the format that its own library wrote, with its description next to it if it has one.
        observations: [n, obs], and
        actions: [n, act], the mean actions there by that library, as its environment was given them.
        task: task or environment's id.
        action_units: what `--action-units` says, and
        normaliser: what `--normaliser` says, if the file does not.
        with_nan: another file, with a weight that is NaN; needed where weights are not plain in the file.
        tolerance: of an action, as a share of the box.
        seed: of what is overwritten.
    """
    known = get_task(task)
    said: dict[str, Any] = {"action_units": action_units, "normaliser": normaliser}
    wanted = _in_unit_box(actions, known)
    _check_actions(path, observations, wanted, known, said, tolerance)
    with auditing() as events:
        load_policy(path, task, **said)
    assert not events, f"{path.name}: reading it does {events[0]}"
    data = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for beside in path.parent.glob(f"{path.stem}.*"):
            shutil.copy(beside, folder)
        for share in (0.0, 0.02, 0.1, 0.5, 0.9, 0.99):
            copy.write_bytes(data[: int(share * len(data))])
            _refused_or_same(copy, observations, wanted, known, said, f"its first {share:.0%}")
        rng = np.random.default_rng(seed)
        copy.write_bytes(data[:16] + rng.bytes(len(data) - 16))
        assert _refusal(copy, known, said), f"{path.name}: is read when all but its beginning is noise"
        for place in rng.integers(0, len(data), FLIPS):
            changed = bytearray(data)
            changed[place] ^= int(rng.integers(1, 256))
            copy.write_bytes(changed)
            _refusal(copy, known, said)  # another weight is another policy; anything else is refused
        if with_nan is None:
            copy.write_bytes(_with_nan(path, data, task, said))
            with_nan = copy
        told = _refusal(with_nan, known, said)
        assert told, f"{with_nan.name}: is read although one of its weights is not a number"


def _in_unit_box(actions: np.ndarray, task: Task) -> np.ndarray:
    box = action_box(task)
    low, high = np.array(box.low), np.array(box.high)
    return 2 * (np.clip(actions, low, high) - low) / (high - low) - 1


def _check_actions(
    path: Path,
    observations: np.ndarray,
    wanted: np.ndarray,
    task: Task,
    said: dict[str, Any],
    tolerance: float,
) -> None:
    found = _actions(path, observations, task, said)
    for how, ours in found.items():
        worst = float(np.abs(ours - wanted).max())
        assert worst <= tolerance, (
            f"{path.name}: {how} it acts otherwise than it should, by {worst:.2g} of [-1, 1]"
        )


def _actions(path: Path, observations: np.ndarray, task: Task, said: dict[str, Any]) -> dict[str, np.ndarray]:
    """What it does alone, and as the middle one of a stack, [n, act]."""
    acting = load_acting(path, task, said["action_units"], said["normaliser"])
    policy = load_policy(path, task.name, **said)
    stack = stack_actor(policy.spec, [policy.params] * 3)
    rows = torch.from_numpy(np.asarray(observations, np.float32)).expand(3, -1, -1)
    with torch.inference_mode():
        stacked = stack.act(rows)[1].numpy()
    return {"alone": np.stack([acting.action(row) for row in observations]), "in a stack": stacked}


def _refusal(path: Path, task: Task, said: dict[str, Any]) -> str:
    """The one line that refuses it, "" if it is read; AssertionError for anything else."""
    try:
        load_policy(path, task.name, **said)
    except UserError as error:
        told = str(error)
        assert "\n" not in told, f"{path.name}: is refused in several lines: {told!r}"
        assert path.name in told or path.stem in told, f"{path.name}: a refusal does not name it: {told!r}"
        return told
    except Exception as error:
        raise AssertionError(f"{path.name}: is not refused but fails: {error!r}") from error
    return ""


def _refused_or_same(
    path: Path, observations: np.ndarray, wanted: np.ndarray, task: Task, said: dict[str, Any], what: str
) -> None:
    if _refusal(path, task, said):
        return
    alone = _actions(path, observations, task, said)["alone"]
    assert np.abs(alone - wanted).max() <= 1e-4, f"{path.name}: {what} is read as another policy"


def _with_nan(path: Path, data: bytes, task: str, said: dict[str, Any]) -> bytes:
    """The file with one weight overwritten, found by the bytes of a row that it was read from."""
    params = load_policy(path, task, **said).params
    for tensor in params.values():
        for dtype in ("<f4", "<f8"):
            row = np.ascontiguousarray(tensor.reshape(-1)[:3].astype(dtype)).tobytes()
            at = data.find(row)
            if len(row) >= 8 and at >= 0:
                nan = np.array(np.nan, dtype).tobytes()
                return data[:at] + nan + data[at + len(nan) :]
    raise AssertionError(
        f"{path.name}: its weights are not plain in the file; give with_nan, a file with a NaN"
    )


@contextmanager
def auditing() -> Iterator[list[str]]:
    """Inside, the events of Python's audit hooks by which code is run or files are changed are listed."""
    global _listening
    if not _hooked:
        sys.addaudithook(_listen)
        _hooked.append(True)
    _listening = []
    try:
        yield _listening
    finally:
        _listening = None


_hooked: list[bool] = []
_listening: list[str] | None = None


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening is not None and (event in EVENTS or (event == "open" and _writes(arguments))):
        _listening.append(f"{event} {arguments[:1]}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    return isinstance(arguments[1], str) and any(letter in arguments[1] for letter in "wax+")
