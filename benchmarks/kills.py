"""Kill every command that writes at random moments, give it again, and compare all bytes.

    python -m benchmarks.kills --kills 100 --out results/landscape/kills

Each command first runs twice undisturbed, in the same folder: the files that come out alike both times are
those that must come out alike after a kill as well; the others (they hold seconds that passed) are listed.
A third of the kills is SIGKILL of the process alone, a third SIGKILL of it and its workers, a third SIGTERM.
Afterwards the same command is given again (`smac resume` for a training run that has begun), and there may be
no other file, none missing and none that differs.
"""

from __future__ import annotations

import hashlib
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from benchmarks.timing import circumstances
from smac.files import read_json, write_json, write_text
from smac.tables import markdown_table

TASK = "pointmaze-umaze@horizon=40"
TINY = "--batch-size 8 --hidden 8 8 --eval-episodes 1 --eval-every 20 --log-every 10 --save-every 10"
SMAC = "--diffusion-steps 20 --diffusion-hidden 8"
DATA = f"--task {TASK} --dataset smac/kills-v0 --data-root data"
COLLECT = f"smac data collect --task {TASK} --dataset smac/kills-v0"
PRETRAIN = f"smac pretrain {DATA} --algorithm smac --steps 60 --seeds 2 {TINY} {SMAC}"
FINETUNE = (
    "smac finetune --from pre --steps 60 --trajectory-every 20 "
    "--eval-episodes 1 --eval-every 20 --save-every 10"
)
ENDS = "--from fine/seed-0/offline.safetensors --to fine/seed-0/online.safetensors"
SETUP = (f"{COLLECT} --episodes 6 --out data", f"{PRETRAIN} --out pre", f"{FINETUNE} --out fine")
CASES = {
    "data collect": f"{COLLECT} --episodes 30 --workers 2 --out made",
    "pretrain": f"{PRETRAIN} --out made",
    "finetune": f"{FINETUNE} --out made",
    "transfer": f"smac transfer {DATA} --offline td3_bc,iql --online sac --seeds 2 --workers 2 "
    f"'--pretrain=--steps 30 {TINY}' "
    "'--finetune=--steps 60 --eval-episodes 1 --eval-every 20 --save-every 10' --out made",
    "interpolate": f"landscape interpolate {ENDS} --margin 5 --points 7 --episodes 8 --workers 2 --out made",
    "interpolate --adaptive": f"landscape interpolate {ENDS} --margin 5 --points 5 --adaptive "
    "--first-episodes 4 --most-episodes 16 --workers 2 --out made",
    "plane": "landscape plane --through pre/seed-0/offline.safetensors pre/seed-1/offline.safetensors "
    "fine/seed-0/online.safetensors --margin 5 --nx 5 --ny 5 --episodes 2 --workers 2 --out made",
    "trajectory": "landscape trajectory --run fine/seed-0 --margin 5 --episodes 4 --workers 2 --out made",
    "project": "landscape project fine/seed-0 fine/seed-1 --episodes 2 --workers 2 --by pca --out made",
    "report": "landscape report fine --margin 5 --points 5 --episodes 4 --workers 2 --out made",
    "reproduce": "landscape reproduce transfer --preset smoke --workers 2 --out made",
}


SHARES = {
    "data collect": 14, "pretrain": 14, "finetune": 14, "trajectory": 12, "project": 12, "plane": 10,
    "interpolate": 8, "interpolate --adaptive": 6, "report": 4, "transfer": 4, "reproduce": 2,
}  # fmt: skip
"""Of a hundred kills; the longest commands get the fewest."""


@dataclass(frozen=True)
class Outcome:
    """One kill."""

    command: str
    how: str
    after: float  # seconds
    resumed: int  # exit status of the command that was given again
    differing: tuple[str, ...]  # files

    @property
    def had_ended(self) -> bool:
        """Killed between its last file and its end: given again, the command refuses what is complete."""
        return self.resumed == 2 and not self.differing


def words(line: str) -> list[str]:
    """The command of a line, with the programs of this environment."""
    program, *rest = shlex.split(line)
    return [str(Path(sys.executable).with_name(program)), *rest]


def run(line: str, folder: Path) -> tuple[int, str]:
    done = subprocess.run(words(line), cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def again(line: str, folder: Path) -> str:
    """What a user types after an interruption."""
    training = line.startswith(("smac pretrain", "smac finetune"))
    return "smac resume made" if training and (folder / "made" / "config.json").exists() else line


def kill(line: str, folder: Path, how: str, after: float) -> bool:
    """Start the command, and end it like that after some seconds; False if it ended by itself before."""
    process = subprocess.Popen(
        words(line), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(after)
        return False
    except subprocess.TimeoutExpired:
        pass
    if how == "SIGKILL of all":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.send_signal(signal.SIGTERM if how == "SIGTERM" else signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 10.0
    while time.monotonic() < end and alive(process.pid):
        time.sleep(0.1)
    return True


def alive(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's digest by its name; the files of a store of episodes as one.

    Each process that plays has a file of its own in a store, with lines in the order of play: what a store
    holds is the lines of all of them, in any order.
    """
    found: dict[str, bytes] = {}
    stores: dict[str, list[bytes]] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.suffix == ".jsonl":
            stores.setdefault(str(name.parent / "*.jsonl"), []).extend(path.read_bytes().splitlines())
        elif path.is_file():
            found[str(name)] = digest(path.read_bytes())
    return found | {name: digest(b"\n".join(sorted(lines))) for name, lines in stores.items()}


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def differences(one: Path, other: Path) -> tuple[str, ...]:
    """Files that only one of the folders has, or that differ."""
    mine, theirs = contents(one), contents(other)
    return tuple(sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)))


def undisturbed(name: str, folder: Path) -> tuple[Path, tuple[str, ...], float]:
    """What the command writes, which of its files differ from one time to the next, and how long it takes."""
    kept, seconds = [], math.inf
    for k in range(2):
        begin = time.monotonic()
        status, said = run(CASES[name], folder)
        seconds = min(seconds, time.monotonic() - begin)
        if status:
            raise SystemExit(f"{name}: {said}")
        kept.append(folder / f"{name.replace(' ', '_')}-{k}")
        (folder / "made").rename(kept[-1])
    return kept[0], differences(*kept), seconds


def table(outcomes: Sequence[Outcome], timed: dict[str, tuple[str, ...]]) -> str:
    rows = []
    for name in timed:
        own = [o for o in outcomes if o.command == name]
        counts = len(own), sum(not o.resumed for o in own), sum(o.had_ended for o in own)
        rows.append([name, *map(str, counts), str(sum(not o.differing for o in own))])
    columns = ["command", "kills", "went on, ended well", "had written all before", "same files and bytes"]
    left = [f"- {name}: {', '.join(found)}" for name, found in timed.items() if found]
    return "\n".join(
        [
            "# Commands killed at random moments and given again",
            "",
            "    python -m benchmarks.kills --kills 100 --out results/landscape/kills",
            "",
            markdown_table(columns, rows),
            "",
            "A third of the kills each is SIGKILL of the process, SIGKILL of it and its workers, SIGTERM. "
            "A command that had written all of its files when it was killed refuses, with status 2.",
            "",
            *(
                ["Files that differ between two undisturbed runs too are not compared:", "", *left, ""]
                if left
                else []
            ),
        ]
    )


def main(
    kills: int = 100,
    seed: int = 0,
    only: tuple[str, ...] = tuple(CASES),
    out: Path = Path("results/landscape/kills"),
) -> None:
    """Kill, repeat, compare.

    Args:
        kills: in all; a command gets its share.
        seed: of the moments.
        only: the commands; what the table has of others stays.
        out: where the table and the numbers go, with endings .md and .json.
    """
    ways = ("SIGKILL", "SIGKILL of all", "SIGTERM")
    outcomes: list[Outcome] = []
    timed: dict[str, tuple[str, ...]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for line in SETUP:
            status, said = run(line, folder)
            if status:
                raise SystemExit(f"{line}: {said}")
        for name in only:
            rng = np.random.default_rng([seed, list(CASES).index(name)])
            reference, timed[name], seconds = undisturbed(name, folder)
            for j in range(math.ceil(kills * SHARES[name] / 100)):
                how, after = ways[j % 3], float(rng.uniform(0.0, seconds))
                while not kill(CASES[name], folder, how, after):
                    shutil.rmtree(folder / "made")
                    after *= 0.8
                status, said = run(again(CASES[name], folder), folder)
                found = tuple(x for x in differences(reference, folder / "made") if x not in timed[name])
                outcomes.append(Outcome(name, how, after, status, found))
                print(
                    f"{name}, {how} after {after:.1f} of {seconds:.1f} s: {status} {found or 'the same'}",
                    flush=True,
                )
                if status:
                    print(said[-2000:], flush=True)
                shutil.rmtree(folder / "made", ignore_errors=True)
    numbers = out.with_suffix(".json")
    if numbers.exists():  # what was found of other commands stays
        before = read_json(numbers)
        for name in CASES:
            if name in before["not compared"] and name not in timed:
                timed[name] = tuple(before["not compared"][name])
                own = [found for found in before["kills"] if found["command"] == name]
                outcomes += [Outcome(**(found | {"differing": tuple(found["differing"])})) for found in own]
    timed = {name: timed[name] for name in CASES if name in timed}
    about = {"what": __doc__, "seed": seed, "kills": [vars(o) for o in outcomes], "not compared": timed}
    write_json(numbers, circumstances() | about)
    write_text(out.with_suffix(".md"), table(outcomes, timed))


if __name__ == "__main__":
    tyro.cli(main)
