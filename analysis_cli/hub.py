"""`smac push`, `smac pull`, `landscape push`, `landscape pull`: the Hugging Face hub."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from analysis_cli.console import console, progress, wrote
from analysis_cli.dry import Planned
from landscape import published as landscapes
from smac import published as runs
from smac.hub import MAIN, Offer, Parcel, RepoKind, look, pull, push


@dataclass(frozen=True)
class Push:
    """Send a run, or checkpoints, to the Hugging Face hub, with a model card.

    A run's config.json, metrics, evaluations and checkpoints travel, and nothing else in its directory. It
    needs huggingface_hub (pip install 'smac-landscape[hub]') and a token: `hf auth login`, or HF_TOKEN.
    """

    examples: ClassVar = (
        "smac push runs/smac --to user/smac-umaze --private",
        "smac push runs/smac/seed-0/offline.safetensors --to user/smac-umaze-0 --dry-run",
    )
    often: ClassVar = ("to", "private", "revision", "with_state", "replace")
    what: Positional[tuple[Path, ...]]
    """Run directory, or files of checkpoints."""
    to: str
    """Repository: USER/NAME or ORGANISATION/NAME; it is made if there is none."""
    private: bool = False
    """Make it a private one."""
    revision: str = MAIN
    """Branch to push to; it is made if there is none."""
    with_state: bool = False
    """Also send what the optimisers remember, which about doubles a checkpoint; only fine-tuning needs it."""
    replace: bool = False
    """Take the place of what the branch holds; its history keeps that."""

    def run(self) -> None:
        with runs.parcel(self.what, self.to, with_state=self.with_state) as parcel:
            send(parcel, self.to, self.private, self.revision, self.replace)

    def planned(self) -> Planned:
        with runs.parcel(self.what, self.to, with_state=self.with_state) as parcel:
            return plan(parcel.sizes(), f"send to {self.to} ({self.revision})")


@dataclass(frozen=True)
class Pull:
    """Fetch a run, or checkpoints, from the Hugging Face hub into a new directory.

    Only checkpoints, JSON, tables and still pictures are fetched; loading them executes nothing.
    """

    examples: ClassVar = (
        "smac pull user/smac-umaze --out runs/theirs",
        "smac pull user/smac-umaze --revision v2 --dry-run",
    )
    often: ClassVar = ("revision", "out")
    repository: Positional[str]
    """USER/NAME or ORGANISATION/NAME."""
    revision: str = MAIN
    """Branch, tag or commit."""
    out: Path | None = None
    """Directory, new or empty; default: a new one in runs/."""

    def run(self) -> None:
        fetch(self.repository, "model", self.revision, self.out)

    def planned(self) -> Planned:
        return plan_fetch(self.repository, "model", self.revision)


@dataclass(frozen=True)
class PushResult:
    """Send a finished study or report to the Hugging Face hub, as a dataset with a card.

    Its numbers, episodes and still pictures travel; pages, which `landscape plot` makes again, do not. It
    needs huggingface_hub (pip install 'smac-landscape[hub]') and a token: `hf auth login`, or HF_TOKEN.
    """

    examples: ClassVar = (
        "landscape push runs/interpolate --to user/umaze-line",
        "landscape push runs/report --to user/umaze-report --private --dry-run",
    )
    often: ClassVar = ("to", "private", "revision", "replace")
    directory: Positional[Path]
    """Directory with a result.json and a returns.npz, or with a report.json."""
    to: str
    """Repository: USER/NAME or ORGANISATION/NAME; it is made if there is none."""
    private: bool = False
    """Make it a private one."""
    revision: str = MAIN
    """Branch to push to; it is made if there is none."""
    replace: bool = False
    """Take the place of what the branch holds; its history keeps that."""

    def run(self) -> None:
        send(landscapes.parcel(self.directory, self.to), self.to, self.private, self.revision, self.replace)

    def planned(self) -> Planned:
        parcel = landscapes.parcel(self.directory, self.to)
        return plan(parcel.sizes(), f"send to {self.to} ({self.revision})")


@dataclass(frozen=True)
class PullResult:
    """Fetch a study or report from the Hugging Face hub into a new directory.

    `landscape plot` then draws its page.
    """

    examples: ClassVar = (
        "landscape pull user/umaze-line --out runs/theirs",
        "landscape pull user/umaze-line --revision v2 --dry-run",
    )
    often: ClassVar = ("revision", "out")
    repository: Positional[str]
    """USER/NAME or ORGANISATION/NAME."""
    revision: str = MAIN
    """Branch, tag or commit."""
    out: Path | None = None
    """Directory, new or empty; default: a new one in runs/."""

    def run(self) -> None:
        fetch(self.repository, "dataset", self.revision, self.out)

    def planned(self) -> Planned:
        return plan_fetch(self.repository, "dataset", self.revision)


def send(parcel: Parcel, repo: str, private: bool, revision: str, replace: bool) -> None:
    """Push, and say where it is."""
    with progress("files") as show:
        where = push(parcel, repo, private=private, revision=revision, replace=replace, progress=show)
    console.print(f"pushed {len(parcel.files)} files: {where}", markup=False)


def fetch(repo: str, kind: RepoKind, revision: str, out: Path | None) -> None:
    """Pull, and say where it is and what was left."""
    with progress("files") as show:
        offer, folder = pull(repo, kind, out, revision=revision, progress=show)
    say_left(offer)
    wrote(folder)


def plan_fetch(repo: str, kind: RepoKind, revision: str) -> Planned:
    """What a pull would fetch."""
    offer = look(repo, kind, revision)
    say_left(offer)
    return plan(offer.files, f"fetch from {repo} ({revision}, commit {offer.commit[:12]})")


def say_left(offer: Offer) -> None:
    """Name what is not fetched, but the hub's own file."""
    left: Sequence[str] = [name for name in offer.others if name != ".gitattributes"]
    if left:
        console.print(f"not fetched, since they are of other kinds: {', '.join(left)}", markup=False)


def plan(sizes: Mapping[str, int], what: str) -> Planned:
    """The files of a dry run with their sizes."""
    return Planned(
        f"{what} {len(sizes)} files of {sum(sizes.values()):,} bytes",
        {f"{name}, bytes": size for name, size in sizes.items()},
        math.nan,
    )
