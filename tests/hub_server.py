"""A real HTTP server that speaks the part of a model hub's API that downloads use, with the ways it can fail."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

BLOCK = 1 << 20
LARGE = (".safetensors", ".bin")  # stored beside git, found by a redirect


@dataclass
class Repo:
    """Files by name at one commit. `access`: tokens that may read a gated one; `claims`: sizes it lies about."""

    files: dict[str, bytes]
    commit: str = "c" * 40
    branches: tuple[str, ...] = ("main",)
    access: tuple[str, ...] | None = None
    claims: dict[str, int] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)  # what is sent in place of what was promised

    def sibling(self, name: str) -> dict[str, object]:
        data = self.files[name]
        size = self.claims.get(name, len(data))
        entry: dict[str, object] = {"rfilename": name, "size": size, "blobId": git_hash(data)}
        if name.endswith(LARGE):
            entry["lfs"] = {"size": size, "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 135}
        return entry


@dataclass
class Hub:
    """`pause_s` after each MiB; `cut`: close the connection once after so many bytes of a large file."""

    address: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    pause_s: float = 0.0
    cut: int | None = None
    sent: int = 0  # bytes of large files
    ranges: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)  # every token that was shown

    @property
    def env(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.address, "HF_HUB_OFFLINE": "0", "HF_TOKEN": ""}


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def serving(**repos: Repo) -> Iterator[Hub]:
    """A hub on a free port until the block ends; `owner__name=Repo(…)`."""
    hub = Hub(repos={name.replace("__", "/"): repo for name, repo in repos.items()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token:
            self.hub.tokens.add(token)
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        match parts[1:] if parts[0] == "datasets" else parts:
            case ["api", "models" | "datasets", owner, name, *rest]:
                self._info(f"{owner}/{name}", rest[1] if rest[:1] == ["revision"] else "main", token)
            case [owner, name, "resolve", revision, *path]:
                self._resolve(f"{owner}/{name}", revision, "/".join(path), token)
            case ["cdn", owner, name, *path]:
                self._large(self.hub.repos[f"{owner}/{name}"], "/".join(path))
            case _:
                self._error(404, "EntryNotFound")

    def _repo(self, name: str, revision: str, token: str) -> Repo | None:
        repo = self.hub.repos.get(name)
        if repo is None:
            self._error(404 if token else 401, "RepoNotFound")
        elif revision not in (*repo.branches, repo.commit):
            self._error(404, "RevisionNotFound")
        else:
            return repo
        return None

    def _info(self, name: str, revision: str, token: str) -> None:
        repo = self._repo(name, revision, token)
        if repo:
            body = {"id": name, "sha": repo.commit, "siblings": [repo.sibling(file) for file in sorted(repo.files)]}
            self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _resolve(self, name: str, revision: str, file: str, token: str) -> None:
        repo = self._repo(name, revision, token)
        if repo is None:
            return
        if repo.access is not None and token not in repo.access:
            self._error(403 if token else 401, "GatedRepo")
            return
        if file not in repo.files:
            self._error(404, "EntryNotFound")
            return
        self.hub.fetched.append(file)
        data = repo.files[file]
        headers = {"X-Repo-Commit": repo.commit}
        if file.endswith(LARGE):
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            headers |= {"X-Linked-Size": str(len(data)), "X-Linked-ETag": etag, "Location": f"/cdn/{name}/{file}"}
            self._send(302, b"", headers)
        else:
            self._send(200, data, {**headers, "ETag": f'"{git_hash(data)}"'})

    def _large(self, repo: Repo, file: str) -> None:
        """In blocks, from where it is asked for, as a content network does; it may be cut."""
        data = repo.served.get(file, repo.files[file])
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if asked:
            self.hub.ranges.append(asked)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        for at in range(start, len(data) if self.command == "GET" else start, BLOCK):
            if self.hub.cut is not None and self.hub.sent >= self.hub.cut:
                self.hub.cut = None
                self.close_connection = True
                self.connection.close()
                return
            try:
                self.wfile.write(data[at : at + BLOCK])
            except OSError:  # the other side was killed
                self.close_connection = True
                return
            self.hub.sent += BLOCK
            time.sleep(self.hub.pause_s)

    def _error(self, status: int, code: str) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
