"""JSON over HTTP to an unreliable server: deadlines, retries, one clear error.

Only the standard library is used, redirects are not followed, and an API key appears only in the
header it is sent in. The logger ``exleak`` reports retries.
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import os
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import chain, repeat
from typing import Any
from urllib.parse import urlsplit

from exleak.errors import ModelError, SettingsError
from exleak.generation.endpoint.proxy import is_loopback, proxy_for

#: HTTP statuses that are retried.
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Maximum seconds before each retry; the wait is a random share, or more if the server asks for it.
#: The last value repeats.
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Minimum seconds that must be left for another try.
_LEAST = 0.1
#: Seconds of retrying before the first log message, and between further ones.
_SAID_FIRST, _SAID_AGAIN = 3.0, 30.0
_MOST_BYTES = 64 * 2**20
_KEY = "EXLEAK_API_KEY"
#: Environment variables with keys that are sent only to the given host.
_HOST_KEYS = {"api.openai.com": "OPENAI_API_KEY"}
_log = logging.getLogger("exleak")


class RefusedError(ModelError):
    """A refusal by the server that a retry would not change.

    Attributes:
        status: The HTTP status.
        reason: The server's message.
    """

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class AnswerError(ValueError):
    """An answer that reports an error despite its HTTP status.

    Attributes:
        status: The status in the answer itself; 0 if it has none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class TooSlowError(ModelError):
    """No complete answer arrived within the time-out."""


class _PassingError(Exception):
    """A transient problem, unless ``final``: no answer, an incomplete or an invalid one."""

    def __init__(
        self, problem: str, status: int = 0, wait: float = 0.0, *, final: bool = False
    ) -> None:
        super().__init__(problem)
        self.status, self.wait, self.final = status, wait, final


class _AwayError(_PassingError):
    """No connection, or one that broke: an ended server, or one that is being restarted."""


class _LateError(_PassingError):
    """An answer that was not complete in time."""


def base_url(url: str) -> str:
    """The base address to which ``/completions`` is appended.

    >>> base_url("http://localhost:8000"), base_url("https://host/api/v1/chat/completions")
    ('http://localhost:8000/v1', 'https://host/api/v1')

    Raises:
        SettingsError: Not an http or https address, or one that contains a secret.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise SettingsError("endpoint: the address cannot be read; http://HOST:PORT/v1") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"endpoint: the address must hold no user, password, query or fragment; put a key into "
            f"the environment variable {_KEY}"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"endpoint {url!r}: an address like http://HOST:PORT/v1 is expected")
    path = parts.path.rstrip("/").removesuffix("/completions").removesuffix("/chat")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path or '/v1'}"


def key_for(base: str) -> str | None:
    """The API key for an address, from the environment; ``None`` without one."""
    name = _HOST_KEYS.get(urlsplit(base).hostname or "")
    key = os.environ.get(_KEY) or (os.environ.get(name) if name else None)
    if key and not (key.isascii() and key.isprintable()):
        raise SettingsError(f"{_KEY} holds characters that no HTTP header can carry")
    return key or None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuse redirects: a redirected POST loses its body, and a key would go to another host."""

    def redirect_request(self, *_: Any) -> None:
        """Return ``None``, which means not to follow."""


@dataclass
class Transport:
    """HTTP client for one server.

    Attributes:
        base: From :func:`base_url`.
        label: The server's name in messages.
        timeout: Time limit of one request in seconds, including retries.
        patience: Seconds after which a server that cannot be connected to is given up.
    """

    base: str
    label: str
    timeout: float
    patience: float = math.inf
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        self._key = key_for(self.base)
        direct = [urllib.request.ProxyHandler({})] if is_loopback(self.base) else []
        self._opener = urllib.request.build_opener(_NoRedirects, *direct)
        self._proxy = proxy_for(self.base)
        self._lock, self._silent_until = threading.Lock(), 0.0

    def post(
        self,
        path: str,
        body: dict[str, Any],
        check: Callable[[Any], Any],
        retried: frozenset[int] = RETRIED,
    ) -> Any:
        """Send a request and retry until it is answered, refused or timed out.

        Args:
            path: Appended to the base.
            body: Sent as JSON.
            check: Converts the answer into the result; raises ValueError if it is invalid.
            retried: HTTP statuses that are retried.

        Returns:
            The result of ``check``.

        Raises:
            RefusedError: The server refuses the request.
            ModelError: No usable answer in time; the message names the last problem.
        """
        started = time.monotonic()
        deadline, said, met = started + self.timeout, None, started
        for tries, wait in enumerate(chain(_WAITS, repeat(_WAITS[-1])), 1):
            try:
                return check(self._once(path, body, deadline))
            except ValueError as error:
                problem = _PassingError(str(error), getattr(error, "status", 0))
            except _PassingError as error:
                problem = error
            if problem.status and problem.status not in retried:
                raise self._refused(path, problem)
            left = deadline - time.monotonic()
            if not isinstance(problem, _AwayError):
                met = time.monotonic()
            # The last try may have had too little time: keep the last problem that the server
            # reported.
            said = problem if problem.status or not said else said
            pause = max(problem.wait, min(wait * random.uniform(0.5, 1.0), left / 2))
            lost = time.monotonic() - met > self.patience
            if problem.final or lost or left < _LEAST or pause >= left:
                raise self._given_up(said, tries, time.monotonic() - started) from None
            self._say(problem, time.monotonic() - started, pause, left)
            self.sleep(pause)
        raise AssertionError  # the loop does not end by itself

    def pauses(self) -> Iterator[None]:
        """Yield once per try, with growing pauses in between, for a caller's own retry loop."""
        for wait in _WAITS:
            yield
            self.sleep(wait * random.uniform(0.5, 1.0))

    def answers(self, seconds: float) -> str | None:
        """The problem if the server gives no answer at all; ``None`` after any answer."""
        try:
            self._read(urllib.request.Request(f"{self.base}/models"), seconds)
        except _PassingError as error:
            if error.status:
                return None
            return self._told(error) + ("" if error.final else "; is the server up?")
        return None

    def _given_up(self, problem: _PassingError, tries: int, seconds: float) -> ModelError:
        tried = f" (tried {tries} times in {seconds:.0f} s)" if tries > 1 else ""
        told = f"{self.label}: {self._told(problem)}{tried}"
        if isinstance(problem, _LateError):
            way = "; a slow server needs a longer --leakage-endpoint-timeout"
            return TooSlowError(told + way)
        return ModelError(told)

    def _say(self, problem: _PassingError, tried: float, pause: float, left: float) -> None:
        """Log the problem at intervals, once for all threads."""
        with self._lock:
            now = time.monotonic()
            if tried + pause < _SAID_FIRST or now < self._silent_until:
                return
            self._silent_until = now + _SAID_AGAIN
        _log.warning("%s: %s; trying again for up to %.0f s", self.label, self._told(problem), left)

    def _told(self, problem: _PassingError) -> str:
        way = f" (through the proxy {self._proxy})" if self._proxy else ""
        return self._safe(str(problem)) + way

    def _once(self, path: str, body: dict[str, Any], deadline: float) -> Any:
        left = deadline - time.monotonic()
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/{path}", data=data, method="POST")
        request.add_header("Content-Type", "application/json")
        raw = self._read(request, max(left, 0.1))
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            start = raw[:80].decode("utf-8", "replace")
            raise _PassingError(f"the answer is not JSON: {start!r}") from None

    def _read(self, request: urllib.request.Request, seconds: float) -> bytes:
        """The body of a successful answer, within about ``seconds``."""
        request.add_header("User-Agent", "exleak")
        if self._key:
            request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        deadline = time.monotonic() + seconds
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return _body(answer, deadline)
        except urllib.error.HTTPError as error:
            raise _http_problem(error) from None
        except TimeoutError:
            raise _LateError(f"no answer within {seconds:.0f} seconds") from None
        except http.client.IncompleteRead:
            raise _AwayError("the answer broke off half-way") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _LateError(f"no answer within {seconds:.0f} seconds") from None
            if isinstance(reason, ssl.SSLError) and (problem := _tls_problem(reason)):
                raise problem from None
            text = str(reason) or type(reason).__name__
            raise _AwayError(f"cannot be talked to: {text}") from None

    def _refused(self, path: str, problem: _PassingError) -> RefusedError:
        reason = self._told(problem)
        hint = f"; the key is read from {_KEY}" if problem.status in (401, 403) else ""
        return RefusedError(f"{self.label}: {reason}{hint} (asked {path})", problem.status, reason)

    def _safe(self, text: str) -> str:
        """A server's message as one printable line, with the API key masked."""
        if self._key:
            text = text.replace(self._key, "…")
        return "".join(c if c.isprintable() else " " for c in text)[:400].strip()


def _body(answer: Any, deadline: float) -> bytes:
    """Read a whole response body; raise if it is too slow or too long."""
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(2**16):
        parts.append(part)
        size += len(part)
        if time.monotonic() > deadline:
            raise TimeoutError
        if size > _MOST_BYTES:
            raise _PassingError(f"the answer is longer than {_MOST_BYTES // 2**20} MiB")
    if getattr(answer, "length", None):  # read1 does not report a truncated body
        raise http.client.IncompleteRead(b"")
    return b"".join(parts)


def _http_problem(error: urllib.error.HTTPError) -> _PassingError:
    try:
        raw = error.read(2**16)
    except (OSError, http.client.HTTPException):
        raw = b""
    said = _message(raw) or error.reason
    if place := error.headers.get("Location"):
        place = place.partition("?")[0]
        said = f"{said}, it redirects to {place}; give the address that answers itself"
    return _PassingError(f"HTTP {error.code}: {said}", error.code, _retry_after(error.headers))


def _tls_problem(error: ssl.SSLError) -> _PassingError | None:
    """A problem that a retry would not change: an untrusted certificate, or no TLS at all."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _PassingError(
            f"its TLS certificate is not trusted: {error.verify_message}; SSL_CERT_FILE may name "
            "a file with the authority that signed it",
            final=True,
        )
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return _PassingError("no TLS is spoken there: is it http://, not https://?", final=True)
    return None


def _message(raw: bytes) -> str:
    """The message in an error's body, in any of the common formats."""
    text = raw.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    while isinstance(value, dict):
        inner = next(
            (value[name] for name in ("error", "message", "detail") if value.get(name)), ""
        )
        if not inner:
            break
        value = inner
    return value if isinstance(value, str) else json.dumps(value)


def _retry_after(headers: Any) -> float:
    """Seconds that a server asks to wait, from a number or a date; 0 if it does not ask."""
    value = (headers.get("Retry-After") or "").strip() if headers else ""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):
        return 0.0
