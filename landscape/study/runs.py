"""The checkpoints of a fine-tuning run, in the order of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smac.errors import UserError
from smac.policies import PolicyCheckpoint, load_policy

Source = Path | str | PolicyCheckpoint


def in_order(sources: Sequence[Source]) -> list[Source]:
    """Checkpoints as they are named, or those of a `seed-K` folder where it is the only thing named."""
    if len(sources) == 1 and not isinstance(sources[0], PolicyCheckpoint):
        return [*of_seed_folder(Path(sources[0]))]
    return list(sources)


def of_seed_folder(folder: Path) -> list[PolicyCheckpoint]:
    """`offline`, `trajectory/step-*` and `online` of a fine-tuning run's `seed-K` folder.

    A trajectory's last checkpoint is left out if it is of the same step as `online`, and so the same policy.
    """
    if folder.is_file():
        raise UserError(f"{folder}: is one checkpoint; name the seed-K folder of a run, or at least three")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    ends = [folder / f"{moment}.safetensors" for moment in ("offline", "online")]
    for path in ends:
        if not path.is_file():
            raise UserError(f"{path}: no such file; {_hint(folder)}")
    steps = sorted((folder / "trajectory").glob("step-*.safetensors"))
    if not steps:
        raise UserError(
            f"{folder}: has no trajectory (no trajectory/step-*.safetensors); fine-tune with "
            "--trajectory-every above 0, or name checkpoints"
        )
    first, last = map(load_policy, ends)
    between = [load_policy(path) for path in steps]
    if between[-1].description.step == last.description.step:
        del between[-1]
    return [first, *between, last]


def _hint(folder: Path) -> str:
    seeds = sorted(path.name for path in folder.glob("seed-*") if path.is_dir())
    if seeds:
        return f"name one seed of the run, such as {folder / seeds[0]}"
    return "name the seed-K folder of a finished `smac finetune`, or name checkpoints"
