"""A small GitHub: the comments of one pull request, over HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.helpers import loopback
from tests.helpers.loopback import Loopback

REPOSITORY = "owner/name"
PULL = 7
TOKEN = "token-that-nobody-may-see"
#: Name and kind of what the token of a job writes as.
BOT = {"login": "github-actions[bot]", "type": "Bot"}


class Handler(loopback.Handler):
    """Answers from the server's :class:`FakeGitHub`."""

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.fake.requests.append((self.command, self.path))
        status, answer, headers = self.fake.answer(self.command, self.path, self.headers, body)
        self.send(answer, status, **headers)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815 (names of the standard library)


Answer = tuple[int, Any, dict[str, str]]


@dataclass
class FakeGitHub(Loopback):
    """A server with one pull request.

    Attributes:
        comments: Its comments, oldest first.
        user: The user of the token; ``None`` for the token of a job.
        faults: Answers given in place of the next ones to a method.
        requests: Method and path of every request.
    """

    handler: ClassVar = Handler
    comments: list[dict[str, Any]] = field(default_factory=list)
    user: dict[str, str] | None = None
    faults: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def add(self, body: str | None, user: dict[str, str] | None = BOT) -> dict[str, Any]:
        """Add a comment."""
        number = len(self.comments) + 1
        url = f"https://github.example/{REPOSITORY}/pull/{PULL}#issuecomment-{number}"
        self.comments.append({"id": number, "body": body, "user": user, "html_url": url})
        return self.comments[-1]

    def answer(self, method: str, path: str, headers: Any, body: Any) -> Answer:
        """Status, answer and headers."""
        if self.faults.get(method):
            return self.faults[method].pop(0)
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}, {}
        place = urlsplit(path)
        issues = f"/repos/{REPOSITORY}/issues"
        if place.path == "/user":
            found: Answer = 403, {"message": "Resource not accessible by integration"}, {}
            return found if self.user is None else (200, self.user, {})
        if place.path == f"{issues}/{PULL}/comments" and method == "GET":
            query = {name: int(value) for name, (value,) in parse_qs(place.query).items()}
            start = (query["page"] - 1) * query["per_page"]
            return 200, self.comments[start : start + query["per_page"]], {}
        if place.path == f"{issues}/{PULL}/comments":
            return 201, self.add(body["body"], self.user or BOT), {}
        if place.path.startswith(f"{issues}/comments/") and method == "PATCH":
            comment = self.comments[int(place.path.rpartition("/")[2]) - 1]
            comment["body"] = body["body"]
            return 200, comment, {}
        return 404, {"message": "Not Found"}, {}
