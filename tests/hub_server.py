"""A hub of one's own on this machine: the few endpoints of the Hugging Face hub that push and pull need.

It keeps repositories in memory, checks tokens, and answers mistakes with the hub's own statuses and headers,
so that the real client runs against it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

LARGE = (".safetensors", ".npz", ".png")  # kinds that the hub keeps as large files
WRITER, READER = "hf_writer", "hf_reader"
REPO = r"(?P<kind>datasets/)?(?P<repo>[\w.-]+/[\w.-]+)"
API = r"/api/(?P<kind>models|datasets)/(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass
class Repository:
    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """A new commit with these files, all that the branch then has."""
        sha = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        return sha


@dataclass
class Hub:
    address: str = ""
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    """(models or datasets, user/name) -> what it holds."""
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    failing: int = 0
    """Status with which the next commit is answered, once."""

    def make(self, repo: str, files: dict[str, bytes], kind: str = "models", **options: Any) -> Repository:
        """A repository with one commit."""
        made = self.repositories[kind, repo] = Repository(**options)
        made.commit({".gitattributes": b"* text", **files})
        return made

    def files(self, repo: str, branch: str = "main", kind: str = "models") -> dict[str, bytes]:
        """What a branch holds."""
        found = self.repositories[kind, repo]
        return found.commits[found.branches[branch]]


class Refused(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", url: str = "") -> None:
        self.status, self.code, self.message, self.url = status, code, message, url


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        self.hub.requests.append(f"{self.command} {self.path}")
        headers: dict[str, str] = {}
        try:
            status, content, headers = 200, *self._found()
        except Refused as error:
            status, content = (
                error.status,
                json.dumps({"error": error.message, "url": error.url}).encode(),
            )
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = _answer

    def _found(self) -> tuple[bytes, dict[str, str]]:
        path = unquote(urlsplit(self.path).path)
        for pattern, handle in ROUTES:
            if match := re.fullmatch(pattern, path):
                got = handle(self, **match.groupdict())
                return (json.dumps(got).encode(), {}) if isinstance(got, dict | list) else got
        raise Refused(404, message=f"no such endpoint: {self.command} {path}")

    def _writing(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in (WRITER, READER):
            raise Refused(401, message="Invalid credentials in Authorization header")
        if token == READER:
            raise Refused(403, message="no write access")

    def _repository(self, kind: str | None, repo: str) -> Repository:
        found = self.hub.repositories.get(((kind or "models").strip("/"), repo))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if found is None or (found.private and token not in (WRITER, READER)):
            raise Refused(404 if token else 401, "RepoNotFound", "Repository not found")
        return found

    def _commit(self, found: Repository, revision: str) -> str:
        sha = found.branches.get(revision, revision)
        if sha not in found.commits:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def create(self) -> Any:
        self._writing()
        asked = json.loads(self.body)
        key = (f"{asked.get('type', 'model')}s", f"{asked['organization']}/{asked['name']}")
        url = f"{self.hub.address}/{key[1]}"
        if key in self.hub.repositories:
            raise Refused(409, message="You already created this model repo", url=url)
        self.hub.make(key[1], {}, key[0], private=asked.get("visibility") == "private")
        return {"url": url}

    def info(self, kind: str, repo: str, revision: str | None = None) -> Any:
        found = self._repository(kind, repo)
        return {"id": repo, "private": found.private, "sha": self._commit(found, revision or "main")}

    def tree(self, kind: str, repo: str, revision: str) -> Any:
        found = self._repository(kind, repo)
        files = found.commits[self._commit(found, revision)]
        folders = {parent for name in files for parent in ["/".join(name.split("/")[:-1])] if parent}
        entries: list[dict[str, Any]] = [{"type": "directory", "oid": "0", "path": name} for name in folders]
        for name, content in files.items():
            entry = {"type": "file", "oid": _git_hash(content), "size": len(content), "path": name}
            if name.endswith(".safetensors"):
                oid = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
            entries.append(entry)
        return entries

    def branch(self, kind: str, repo: str, name: str) -> Any:
        self._writing()
        found = self._repository(kind, repo)
        found.branches[name] = found.branches["main"]
        return {}

    def validate(self) -> Any:
        _, front, _ = json.loads(self.body)["content"].split("---\n", 2)
        assert isinstance(yaml.safe_load(front), dict)
        return {"errors": [], "warnings": []}

    def preupload(self, kind: str, repo: str, revision: str) -> Any:
        self._writing()
        found = self._repository(kind, repo)
        there = found.commits[self._commit(found, revision)]
        return {
            "files": [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": _git_hash(there[one["path"]]) if one["path"] in there else None,
                }
                for one in json.loads(self.body)["files"]
            ]
        }  # fmt: skip

    def batch(self, kind: str | None, repo: str) -> Any:
        self._writing()
        self._repository(kind, repo)
        found = [
            {**one, "actions": {"upload": {"href": f"{self.hub.address}/lfs/{one['oid']}"}}}
            for one in json.loads(self.body)["objects"]
        ]
        return {"transfer": "basic", "objects": found}

    def store(self, oid: str) -> Any:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.objects[oid] = self.body
        return {}

    def commit(self, kind: str, repo: str, revision: str) -> Any:
        self._writing()
        if self.hub.failing:
            status, self.hub.failing = self.hub.failing, 0
            raise Refused(status, message="the disk of the hub is full")
        found = self._repository(kind, repo)
        before = self._commit(found, revision)
        files = dict(found.commits[before])
        for line in map(json.loads, self.body.splitlines()):
            what, value = line["key"], line["value"]
            if what == "header" and value.get("parentCommit", before) != before:
                raise Refused(412, message="the branch has moved")
            if what == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif what == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif what == "deletedFile":
                del files[value["path"]]
        sha = found.commit(files, revision)
        return {"commitUrl": f"{self.hub.address}/{repo}/commit/{sha}", "commitOid": sha}

    def resolve(self, kind: str | None, repo: str, revision: str, name: str) -> tuple[bytes, dict[str, str]]:
        found = self._repository(kind, repo)
        sha = self._commit(found, revision)
        content = found.commits[sha][name]
        return content, {"X-Repo-Commit": sha, "ETag": f'"{_git_hash(content)}"'}


ROUTES: list[tuple[str, Any]] = [
    (r"/api/repos/create", Handler.create),
    (r"/api/validate-yaml", Handler.validate),
    (rf"{API}/tree/(?P<revision>.+)", Handler.tree),
    (rf"{API}/branch/(?P<name>.+)", Handler.branch),
    (rf"{API}/preupload/(?P<revision>.+)", Handler.preupload),
    (rf"{API}/commit/(?P<revision>.+)", Handler.commit),
    (rf"{API}(?:/revision/(?P<revision>.+))?", Handler.info),
    (rf"/{REPO}\.git/info/lfs/objects/batch", Handler.batch),
    (r"/lfs/(?P<oid>\w+)", Handler.store),
    (rf"/{REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", Handler.resolve),
]


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers on a port of this machine as long as the context is open."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfThisHub", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
