"""The Hugging Face hub: files of ours to a repository and back. What may travel is a list of names.

Repositories are of the hub's kinds: `model` for runs and checkpoints, `dataset` for results of landscapes.
Nothing that travels is code: what is pulled is read with safetensors, JSON, CSV and NumPy without pickles.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

import smac
from smac.errors import UserError
from smac.files import default_directory

RepoKind = Literal["model", "dataset"]
Progress = Callable[[int, int], None]  # files done, files in all
CARD, MAIN = "README.md", "main"
SUFFIXES = (".safetensors", ".json", ".csv", ".npz", ".md", ".tex", ".png")
FAULTS = (UserError, AssertionError, AttributeError, LookupError, NameError, TypeError)  # not of the network
LOGIN = "`hf auth login`, or set HF_TOKEN"


@dataclass(frozen=True)
class Parcel:
    """What is pushed: files, and the card that says what they are."""

    kind: RepoKind
    files: Mapping[str, Path]
    """Name in the repository -> file here."""
    about: Mapping[str, Any]
    """The card's front matter, as `huggingface_hub` takes it: tags, library_name, eval_results, ..."""
    page: str
    """The card's text, in Markdown."""

    def card(self) -> str:
        """README.md of the repository: YAML front matter, then the page."""
        hub = client()
        data = hub.ModelCardData if self.kind == "model" else hub.DatasetCardData
        return f"---\n{data(**self.about).to_yaml()}\n---\n\n{self.page}"

    def sizes(self) -> dict[str, int]:
        """Name -> bytes, the card first."""
        files = {name: file.stat().st_size for name, file in self.files.items()}
        return {CARD: len(self.card().encode())} | files


@dataclass(frozen=True)
class Offer:
    """What a repository holds at one commit."""

    commit: str
    files: Mapping[str, int]
    """Name -> bytes of those that may travel."""
    others: tuple[str, ...]
    """Names of those that stay where they are."""


def client() -> Any:
    """The package `huggingface_hub`; UserError where it is not installed."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError:
        raise UserError(
            "the hub needs huggingface_hub, which is not installed: pip install 'smac-landscape[hub]'"
        ) from None
    return huggingface_hub


def push(
    parcel: Parcel,
    repo: str,
    *,
    private: bool = False,
    revision: str = MAIN,
    replace: bool = False,
    progress: Progress | None = None,
) -> str:
    """Send a parcel as one commit, into a repository that is made if there is none; its address.

    Args:
        parcel: what is sent.
        repo: USER/NAME or ORGANISATION/NAME.
        private: make it private; one that exists and is public is refused.
        revision: branch, made if there is none.
        replace: let the commit take the place of files of ours that the branch has; its history keeps them.
        progress: called with files done and files in all.

    Raises:
        UserError: the hub cannot be reached, the token is missing or refused, the branch has files of ours
            and `replace` was not given, or `huggingface_hub` is not installed.
    """
    hub = client()
    _check_repo(repo)
    if hub.get_token() is None:
        raise UserError(f"pushing to {repo} needs a token that may write there: {LOGIN}")
    operations = [hub.CommitOperationAdd(CARD, parcel.card().encode())]
    operations += [hub.CommitOperationAdd(name, str(file)) for name, file in parcel.files.items()]
    with _api(repo, revision) as api:
        kind: dict[str, Any] = {"repo_type": parcel.kind}
        api.create_repo(repo, private=private or None, exist_ok=True, **kind)
        if private and not api.repo_info(repo, **kind).private:
            raise UserError(
                f"{repo}: exists already and is public; name another repository, or make it private"
            )
        begun = _make_branch(api, repo, parcel.kind, revision)
        there = _offer(api, repo, parcel.kind, revision)
        if there.files and not (replace or begun):
            raise UserError(
                f"{repo} ({revision}) has {_some(sorted(there.files))} already: name another repository or "
                "--revision, or --replace them (its history keeps the old ones)"
            )
        for done, operation in enumerate(operations):
            api.preupload_lfs_files(repo, [operation], revision=revision, **kind)
            if progress:
                progress(done + 1, len(operations))
        gone = sorted(there.files.keys() - {CARD, *parcel.files})
        operations += [hub.CommitOperationDelete(name) for name in gone]
        commit = api.create_commit(
            repo, operations, commit_message=f"Push {len(parcel.files)} files with smac-landscape",
            revision=revision, parent_commit=there.commit, **kind,
        )  # fmt: skip
        return str(commit.commit_url)


def look(repo: str, kind: RepoKind, revision: str = MAIN) -> Offer:
    """What a repository has to offer; UserError as for `pull`."""
    client()
    _check_repo(repo)
    with _api(repo, revision) as api:
        found = _offer(api, repo, kind, revision)
    if not set(found.files) - {CARD}:
        raise UserError(f"{repo} ({revision}) holds no file of ours ({', '.join(SUFFIXES)})")
    return found


def pull(
    repo: str,
    kind: RepoKind,
    out: Path | None = None,
    *,
    revision: str = MAIN,
    progress: Progress | None = None,
) -> tuple[Offer, Path]:
    """Fetch a repository's files of ours into a new directory; all of them or none.

    Args:
        repo: USER/NAME or ORGANISATION/NAME.
        kind: of repository.
        out: directory, which must be empty or not exist; default: a new one in runs/.
        revision: branch, tag or commit.
        progress: called with files done and files in all.

    Returns:
        What the repository offered, and the directory.

    Raises:
        UserError: the hub cannot be reached, there is no such repository or revision, it holds nothing of
            ours, a name in it leads out of the directory, the directory is not empty, or `huggingface_hub`
            is not installed.
    """
    offer = look(repo, kind, revision)
    target = out or default_directory("pull", repo.rpartition("/")[2])
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: already exists and is not empty; choose another --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with _api(repo, revision) as api:
            for done, name in enumerate(sorted(offer.files)):
                api.hf_hub_download(repo, name, repo_type=kind, revision=offer.commit, local_dir=partial)
                if progress:
                    progress(done + 1, len(offer.files))
        shutil.rmtree(partial / ".cache", ignore_errors=True)  # the client's own notes
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return offer, target


def _offer(api: Any, repo: str, kind: RepoKind, revision: str) -> Offer:
    commit = api.repo_info(repo, repo_type=kind, revision=revision).sha
    tree = api.list_repo_tree(repo, recursive=True, revision=commit, repo_type=kind)
    sizes = {entry.path: entry.size for entry in tree if hasattr(entry, "size")}  # folders have none
    check_names(repo, list(sizes))
    ours = {name: size for name, size in sizes.items() if travels(name)}
    return Offer(commit, ours, tuple(sorted(sizes.keys() - ours.keys())))


def travels(name: str) -> bool:
    """Whether a file of a repository is of a kind that is pulled; hidden ones never are."""
    path = PurePosixPath(name)
    return path.suffix in SUFFIXES and not any(part.startswith(".") for part in path.parts)


def check_names(repo: str, names: Sequence[str]) -> None:
    """UserError if a name would lead out of the directory it is written to, on any system."""
    for name in names:
        windows = PureWindowsPath(name)
        odd = windows.drive or windows.root or "\\" in name or not name.isprintable()
        if odd or ".." in windows.parts:
            raise UserError(f"{repo} holds a file called {name!r}, which leads elsewhere: nothing is pulled")


def _make_branch(api: Any, repo: str, kind: RepoKind, revision: str) -> bool:
    """Whether the branch was not there, and is now."""
    try:
        api.repo_info(repo, repo_type=kind, revision=revision)
    except client().errors.RevisionNotFoundError:
        api.create_branch(repo, branch=revision, repo_type=kind)
        return True
    return False


def _check_repo(repo: str) -> None:
    if repo.count("/") != 1:
        raise UserError(f"{repo!r} is no repository of the hub: write it as user/name")


@contextmanager
def _api(repo: str, revision: str) -> Iterator[Any]:
    """The hub's client, silent; what goes wrong with it is told in one line."""
    hub = client()
    silent, level = hub.utils.are_progress_bars_disabled(), hub.utils.logging.get_verbosity()
    hub.utils.disable_progress_bars()
    hub.utils.logging.set_verbosity_error()
    api = hub.HfApi(library_name="smac-landscape", library_version=smac.__version__)
    try:
        yield api
    except FAULTS:
        raise
    except Exception as error:  # whatever the network and several layers of clients come up with
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES):
            raise  # of this machine
        raise UserError(_told(error, hub.errors, api.endpoint, repo, revision)) from error
    finally:
        hub.utils.logging.set_verbosity(level)
        if not silent:
            hub.utils.enable_progress_bars()


def _told(error: Exception, errors: Any, host: str, repo: str, revision: str) -> str:
    """What went wrong and what to do, in one line."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):  # of an upload
        return _told(error.__cause__, errors, host, repo, revision)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return f"{repo}: asks for access first, at {host}/{repo}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{repo}: {host} has no such repository, or it is private and needs a token: {LOGIN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo}: has no revision {revision!r}"
    if status == 401:
        return f"{repo}: {host} does not accept the token: {LOGIN}"
    if status == 403:
        return f"{repo}: the token may not do this there; it needs the right to write: {LOGIN}"
    reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    if status is not None:
        return (
            f"{repo}: {host} answers with status {status}: {getattr(error, 'server_message', None) or reason}"
        )
    if isinstance(error, ValueError):
        return f"{repo}: {reason}"
    return f"{repo}: {host} cannot be reached, or broke off ({reason}); is there a network?"


def _some(names: Sequence[str]) -> str:
    """The first of some names, and how many more."""
    more = f" and {len(names) - 2} more files" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more
