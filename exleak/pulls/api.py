"""The part of GitHub's REST API that writes comments in pull requests.

Only the standard library is used. The token is sent in one header, is never part of a message, and
does not follow a redirect.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from exleak.errors import PullRequestError, SettingsError
from exleak.generation.endpoint.proxy import is_loopback

#: Seconds before each retry of a request that may be sent twice.
_WAITS = (1.0, 3.0)
_RETRIED = frozenset({500, 502, 503, 504})
_TIMEOUT = 30.0
_PER_PAGE = 100
_MOST_PAGES = 100
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_MAY_NOT_WRITE = (
    "the token may not write comments: give the job `permissions: pull-requests: write`. In a pull "
    "request from a fork the token is read-only: see docs/pull-requests.md"
)


class _HTTPError(PullRequestError):
    """An answer with an error status.

    Attributes:
        status: The status.
        is_limit: Whether it says that too many requests were sent.
    """

    def __init__(self, message: str, status: int, *, is_limit: bool) -> None:
        super().__init__(message)
        self.status, self.is_limit = status, is_limit


@dataclass(frozen=True)
class Comment:
    """A comment.

    Attributes:
        id: Its number, unique on the server.
        body: Its Markdown.
        login: Its author's name; ``None`` if that account was deleted.
        is_bot: Whether its author is an app, as the token of a job is.
        url: Its address.
    """

    id: int
    body: str
    login: str | None
    is_bot: bool
    url: str


@dataclass
class GitHub:
    """A repository on GitHub, or on a GitHub Enterprise server.

    Attributes:
        url: Address of the API.
        repository: ``OWNER/NAME``.
        token: The token.
        waits: Seconds before each retry.

    Raises:
        SettingsError: One of them cannot be right.
    """

    url: str
    repository: str
    token: str = field(repr=False)
    waits: tuple[float, ...] = _WAITS

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        is_here = is_loopback(self.url)
        if not parts.hostname or not (
            parts.scheme == "https" or (parts.scheme == "http" and is_here)
        ):
            raise SettingsError(
                f"GITHUB_API_URL {self.url!r}: an address like https://api.github.com is expected; "
                "the token is sent only over https"
            )
        if not _REPOSITORY.fullmatch(self.repository):
            raise SettingsError(f"--repository {self.repository!r}: OWNER/NAME is expected")
        if not self.token:
            raise SettingsError(
                "there is no token: set GITHUB_TOKEN, in a workflow to ${{ github.token }}"
            )
        if not (self.token.isascii() and self.token.isprintable()):
            raise SettingsError("GITHUB_TOKEN holds characters that no HTTP header can carry")
        direct = [urllib.request.ProxyHandler({})] if is_here else []
        self._opener = urllib.request.build_opener(*direct)

    def login(self) -> str | None:
        """The name of the token's user; ``None`` for the token of an app, as jobs have.

        Raises:
            PullRequestError: The server cannot be asked.
        """
        try:
            answer = self._request("GET", "user")
        except _HTTPError as error:
            if error.status != 403 or error.is_limit:
                raise
            return None
        return str(answer["login"]) if isinstance(answer, dict) and "login" in answer else None

    def comments(self, pull: int) -> Iterator[Comment]:
        """The comments of a pull request, oldest first.

        Raises:
            PullRequestError: They cannot be read.
        """
        for page in range(1, _MOST_PAGES + 1):
            place = f"{self._issues}/{pull}/comments?per_page={_PER_PAGE}&page={page}"
            found = self._request("GET", place)
            if not isinstance(found, list):
                raise PullRequestError(f"{self.url}: a list of comments is expected")
            yield from map(self._comment, found)
            if len(found) < _PER_PAGE:
                return
        raise PullRequestError(
            f"pull request {pull} has more than {_MOST_PAGES * _PER_PAGE} comments, too many to "
            "look for the one to update"
        )

    def create(self, pull: int, body: str) -> Comment:
        """Write a new comment.

        Raises:
            PullRequestError: It cannot be written.
        """
        answer = self._request("POST", f"{self._issues}/{pull}/comments", {"body": body})
        return self._comment(answer)

    def update(self, comment: int, body: str) -> Comment:
        """Replace the text of a comment.

        Raises:
            PullRequestError: It cannot be written.
        """
        answer = self._request("PATCH", f"{self._issues}/comments/{comment}", {"body": body})
        return self._comment(answer)

    @property
    def _issues(self) -> str:
        return f"repos/{self.repository}/issues"

    def _comment(self, answer: Any) -> Comment:
        try:
            user = answer["user"] or {}
            return Comment(
                int(answer["id"]),
                str(answer["body"] or ""),
                user.get("login"),
                user.get("type") == "Bot",
                str(answer["html_url"]),
            )
        except (TypeError, KeyError, ValueError, AttributeError):
            raise PullRequestError(
                f"{self.url}: the answer is no comment; has {self.repository} another name now, or "
                "is this not the address of the API?"
            ) from None

    def _request(self, method: str, place: str, body: dict[str, str] | None = None) -> Any:
        """The JSON of an answer; what may be sent twice is tried again."""
        for wait in (*self.waits, None):
            try:
                return self._once(method, place, body)
            except PullRequestError as error:
                is_passing = not isinstance(error, _HTTPError) or error.status in _RETRIED
                if wait is None or not is_passing or method == "POST":
                    raise
                time.sleep(wait)
        raise AssertionError  # the last try returns or raises

    def _once(self, method: str, place: str, body: dict[str, str] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url.rstrip('/')}/{place}", data, method=method)
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        request.add_header("User-Agent", "exleak")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise self._refused(error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise PullRequestError(f"{self.url}: no answer: {self._safe(str(reason))}") from None
        except ValueError:
            raise PullRequestError(f"{self.url}: the answer is not JSON") from None

    def _refused(self, error: urllib.error.HTTPError) -> _HTTPError:
        try:
            said = json.loads(error.read(2**16))["message"]
        except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError):
            said = error.reason
        until = _limited_until(error)
        if until is not None:
            hint = f"too many requests were sent; try again {until}"
        elif error.code == 401:
            hint = "the token is wrong or has expired: look at GITHUB_TOKEN"
        elif error.code == 403:
            hint = _MAY_NOT_WRITE
        elif error.code == 404:
            hint = f"{self.repository} has no such pull request, or the token may not see it"
        else:
            hint = f"asked of {self.repository}"
        text = f"{self.url}: HTTP {error.code}, {self._safe(str(said))}: {hint}"
        return _HTTPError(text, error.code, is_limit=until is not None)

    def _safe(self, text: str) -> str:
        """A server's message as one printable line, with the token masked."""
        text = text.replace(self.token, "…")
        return "".join(c if c.isprintable() else " " for c in text)[:300].strip()


def _limited_until(error: urllib.error.HTTPError) -> str | None:
    """When requests are taken again; ``None`` if there were not too many."""
    seconds, reset = error.headers.get("Retry-After"), error.headers.get("X-RateLimit-Reset")
    if error.code not in (403, 429):
        return None
    if seconds is not None and seconds.isdecimal():
        return f"in {seconds} seconds"
    if error.headers.get("X-RateLimit-Remaining") == "0" and reset and reset.isdecimal():
        return time.strftime("after %H:%M UTC", time.gmtime(int(reset)))
    return "later" if error.code == 429 else None
