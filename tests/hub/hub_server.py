"""A small Hugging Face Hub on 127.0.0.1: repositories in memory, and every request written down.

It speaks what ``huggingface_hub`` needs to read and to push: resolve, model info, tree, create, branch,
preupload (always "regular"), commits as NDJSON, validate-yaml. Files of ``LARGE`` bytes and more are sent
from another origin, ``localhost``, as the Hub does it with its storage.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 50_000


@dataclass
class Repo:
    """Commits by their hash, and names for some of them."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    private: bool = False
    gated: bool = False

    def commit(self, changes: dict[str, bytes | None], branch: str = "main", message: str = "") -> str:
        """Commit changed files, ``None`` for deleted ones, to a branch."""
        files = {**self.commits.get(self.refs.get(branch, ""), {}), **changes}
        content = {name: data for name, data in files.items() if data is not None}
        oid = hashlib.sha1(repr((len(self.commits), sorted(content.items()))).encode()).hexdigest()
        self.commits[oid] = content
        self.refs[branch] = oid
        self.messages.append(message)
        return oid

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """The files of a revision."""
        return self.commits[self.refs.get(revision, revision)]


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    token: str | None
    host: str
    agent: str


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(data: Any) -> Answer:
        """JSON."""
        return Answer(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

    @staticmethod
    def error(status: int, code: str, **headers: str) -> Answer:
        """An error by the code that the client looks at."""
        return Answer(status, b"", {"X-Error-Code": code, "X-Error-Message": code, **headers})


class HubServer:
    """The server; ``tokens`` are those that may read and write."""

    tokens = ("good-token",)

    def __init__(self) -> None:
        self.port = 0
        self.reset()
        self.start()

    def reset(self) -> None:
        """Forget everything."""
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.broken: dict[str, int] = {}  # pattern of a path -> status that is answered instead
        self.before: Callable[[Request], None] = lambda request: None

    def start(self) -> None:
        """Listen, on the same port as before."""
        handler = type("_Handler", (_Handler,), {"hub": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, those that are open included."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.connections):
            with contextlib.suppress(OSError):  # the client was faster
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        """Its address, for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def paths(self, pattern: str = "") -> list[str]:
        """Method and path of the requests so far whose path has the pattern in it."""
        return [f"{r.method} {r.path}" for r in self.requests if re.search(pattern, r.path)]

    def answer(self, request: Request, body: bytes) -> Answer:
        """The answer to a request."""
        for pattern, status in self.broken.items():
            if re.search(pattern, request.path):
                return Answer(status)
        if request.token is not None and request.token not in self.tokens:
            return Answer(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
        for method, pattern, route in _ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and request.method in method:
                repo = self.repos.get(match.groupdict().get("repo", ""))
                return route(
                    self, request, repo, {k: unquote(v or "") for k, v in match.groupdict().items()}, body
                )
        return Answer(404)


def _readable(repo: Repo | None, request: Request) -> Answer | None:
    """Why a repository may not be read, if so. Missing and private ones look the same, as on the Hub."""
    if repo is None or (repo.private and request.token is None):
        return Answer.error(401 if request.token is None else 404, "RepoNotFound")
    return None


def _resolve(
    hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes
) -> Answer:
    refusal = _readable(repo, request)
    if repo is None or refusal is not None:
        return refusal or Answer(404)
    if repo.gated and request.token is None:
        return Answer.error(403, "GatedRepo")
    oid = repo.refs.get(part["revision"], part["revision"])
    if oid not in repo.commits:
        return Answer.error(404, "RevisionNotFound")
    data = repo.commits[oid].get(part["file"])
    if data is None:
        return Answer.error(404, "EntryNotFound", **{"X-Repo-Commit": oid})
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    if len(data) < LARGE:
        return Answer(200, data, {"ETag": f'"{git}"', "X-Repo-Commit": oid})
    sha = hashlib.sha256(data).hexdigest()
    headers = {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(data)), "X-Repo-Commit": oid}
    return Answer(302, b"", {**headers, "Location": f"http://localhost:{hub.port}/storage/{sha}"})


def _storage(
    hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes
) -> Answer:
    for stored in hub.repos.values():
        for files in stored.commits.values():
            for data in files.values():
                if hashlib.sha256(data).hexdigest() == part["sha"]:
                    return Answer(200, data, {"ETag": f'"{part["sha"]}"'})
    return Answer(404)


def _info(hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes) -> Answer:
    refusal = _readable(repo, request)
    if repo is None or refusal is not None:
        return refusal or Answer(404)
    revision = part["revision"] or "main"
    oid = repo.refs.get(revision, revision)
    if oid not in repo.commits:
        return Answer.error(404, "RevisionNotFound")
    siblings = [{"rfilename": name} for name in repo.commits[oid]]
    access = {"private": repo.private, "gated": repo.gated and "auto"}
    return Answer.of({"id": part["repo"], "sha": oid, "siblings": siblings, **access})


def _tree(hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes) -> Answer:
    refusal = _readable(repo, request)
    if repo is None or refusal is not None:
        return refusal or Answer(404)
    oid = repo.refs.get(part["revision"], part["revision"])
    if oid not in repo.commits:
        return Answer.error(404, "RevisionNotFound")
    files = repo.commits[oid].items()
    return Answer.of([{"type": "file", "path": n, "size": len(d), "oid": "0" * 40} for n, d in files])


def _create(hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes) -> Answer:
    if request.token is None:
        return Answer(401, b"", {"X-Error-Message": "Invalid username or password."})
    asked = json.loads(body)
    name = f"{asked['organization']}/{asked['name']}"
    answer = Answer.of({"url": f"{hub.url}/{name}"})
    if asked["organization"] == "strangers":
        return Answer(403, b"", {"X-Error-Message": "You don't have the rights to create a model here"})
    if name in hub.repos:
        return Answer(409, answer.body, answer.headers)
    hub.repos[name] = Repo(private=asked.get("visibility") == "private" or bool(asked.get("private")))
    hub.repos[name].commit({".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
    return answer


def _branch(hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes) -> Answer:
    if repo is None or request.token is None:
        return Answer.error(404, "RepoNotFound")
    if part["branch"] in repo.refs:
        return Answer(409)
    repo.refs[part["branch"]] = repo.refs["main"]
    return Answer()


def _preupload(
    hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes
) -> Answer:
    files = [
        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
    ]
    return Answer.of({"files": files}) if repo else Answer.error(404, "RepoNotFound")


def _commit(hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes) -> Answer:
    if repo is None or request.token is None:
        return Answer.error(404, "RepoNotFound")
    changes: dict[str, bytes | None] = {}
    lines = [json.loads(line) for line in body.splitlines() if line.strip()]
    for line in lines:
        if line["key"] == "file":
            changes[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        elif line["key"] == "deletedFile":
            if line["value"]["path"] not in repo.files(part["revision"]):
                return Answer(400, b'{"error": "A file with this name doesn\'t exist"}')
            changes[line["value"]["path"]] = None
    branch = "refs/pr/1" if part["query"] == "create_pr=1" else part["revision"]
    if branch not in repo.refs:
        repo.refs[branch] = repo.refs[part["revision"]]
    oid = repo.commit(changes, branch, lines[0]["value"]["summary"])
    urls = {"commitUrl": f"{hub.url}/{part['repo']}/commit/{oid}"}
    if branch == "refs/pr/1":
        urls["pullRequestUrl"] = f"{hub.url}/{part['repo']}/discussions/1"
    return Answer.of({"success": True, "commitOid": oid, **urls})


def _validate(
    hub: HubServer, request: Request, repo: Repo | None, part: dict[str, str], body: bytes
) -> Answer:
    front = json.loads(body)["content"].split("---\n")[1]
    good = all(re.fullmatch(r"[a-z_]+:( .+)?|- .+", line) for line in front.splitlines())
    return (
        Answer.of({"errors": [], "warnings": []})
        if good
        else Answer(400, b'{"errors": [{"message": "bad"}]}')
    )


_REPO = r"(?P<repo>[^/]+/[^/]+)"
_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("HEAD GET", rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<file>.+)", _resolve),
    ("HEAD GET", r"/storage/(?P<sha>\w+)", _storage),
    ("GET", rf"/api/models/{_REPO}(/revision/(?P<revision>[^/?]+))?(\?.*)?", _info),
    ("GET", rf"/api/models/{_REPO}/tree/(?P<revision>[^/?]+)(\?.*)?", _tree),
    ("POST", r"/api/repos/create", _create),
    ("POST", r"/api/validate-yaml", _validate),
    ("POST", rf"/api/models/{_REPO}/branch/(?P<branch>.+)", _branch),
    ("POST", rf"/api/models/{_REPO}/preupload/(?P<revision>[^/?]+)(\?.*)?", _preupload),
    ("POST", rf"/api/models/{_REPO}/commit/(?P<revision>[^/?]+)(\?(?P<query>.*))?", _commit),
]


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or that stop() cut off, is nobody's error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as on the Hub
    hub: HubServer

    def _handle(self) -> None:
        body = self._body()
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        agent = self.headers.get("User-Agent", "")
        request = Request(
            self.command, self.path, token, urlsplit(f"//{self.headers['Host']}").hostname or "", agent
        )
        if request.path != "/api/agent-harnesses":  # the client's own question, about no repository
            self.hub.requests.append(request)
        self.hub.before(request)
        answer = self.hub.answer(request, body)
        status, data = answer.status, answer.body
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span and status == 200:
            status, data = 206, data[int(span[1]) : int(span[2]) + 1 if span[2] else None]
        self.send_response(status)
        for name, value in {**answer.headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_HEAD = do_GET = do_POST = _handle  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Quiet: requests are written down by the server."""
