"""Requests to servers that are slow, behind a proxy, or somewhere else."""

from __future__ import annotations

import logging
import ssl
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from exleak import ModelError
from exleak.generation.endpoint import transport
from exleak.generation.endpoint.proxy import is_loopback, proxy_for
from exleak.generation.endpoint.transport import RefusedError, Transport
from tests.helpers.server import Fake, Handler

BODY = {"model": "m", "prompt": "x", "max_tokens": 3}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses; no key and no proxy from outside."""
    monkeypatch.setattr(transport, "_WAITS", (0.01, 0.02))
    for name in ("EXLEAK_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def ask(url: str, timeout: float = 5.0) -> Any:
    """One request."""
    return Transport(f"{url}/v1", f"endpoint {url}", timeout).post("completions", BODY, dict)


def busy_until(fake: Fake, when: float) -> None:
    """Let a server say that it is busy until a point in time."""

    def busy(handler: Handler, body: dict[str, Any]) -> None:
        if time.monotonic() < when:
            handler.send({"error": "busy"}, 503)
        else:
            handler.send(fake.answer(handler.path, body)[1])

    fake.fault = busy


def test_it_is_tried_until_the_time_out() -> None:
    """However many tries that takes."""
    with Fake() as fake:
        busy_until(fake, time.monotonic() + 1.0)
        assert ask(fake.url)["choices"]
        assert len(fake.requests) > 10


def test_the_time_out_ends_the_trying() -> None:
    """Not before; the error has the server's own words, and how long it was tried."""
    started = time.monotonic()
    with Fake() as fake:
        busy_until(fake, started + 60)
        with pytest.raises(ModelError, match=r"busy \(tried \d\d+ times in 1 s\)"):
            ask(fake.url, timeout=1)
    assert 0.8 < time.monotonic() - started < 2


def test_pauses_do_not_reach_beyond_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long pause is cut, so that a server that is back by then is asked."""
    monkeypatch.setattr(transport, "_WAITS", (0.01, 60.0))
    with Fake() as fake:
        busy_until(fake, time.monotonic() + 0.7)
        assert ask(fake.url, timeout=2)["choices"]


def test_waiting_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What is waited for and how much longer, once and not at every try."""
    monkeypatch.setattr(transport, "_SAID_FIRST", 0.2)
    with Fake() as fake, caplog.at_level(logging.WARNING, "exleak"):
        busy_until(fake, time.monotonic() + 0.6)
        ask(fake.url)
    (message,) = caplog.messages
    assert f"{fake.url}: HTTP 503: busy; trying again for up to" in message


def test_a_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that sets it is, too."""
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@127.0.0.1:9/")
    with pytest.raises(ModelError) as error:
        ask("http://model.example:8000", timeout=0.3)
    assert "through the proxy 127.0.0.1:9 of HTTP_PROXY" in str(error.value)
    assert "secret" not in str(error.value)


def test_what_a_proxy_refuses_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is not taken for the server's."""
    with Fake() as proxy:
        proxy.fault = lambda h, b: h.send({"error": "log in"}, 407)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with pytest.raises(RefusedError, match=r"HTTP 407: log in \(through the proxy 127"):
            ask("http://model.example:8000")


def test_this_machine_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy can reach a loopback address."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Fake() as fake:
        assert ask(fake.url)["choices"]
        assert proxy_for(fake.url) is None, "an error would blame a proxy that was not asked"


def test_no_proxy_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What NO_PROXY lists goes straight."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    assert proxy_for("https://model.example/v1") == "proxy.example:3128 of HTTPS_PROXY"
    assert proxy_for("http://model.example/v1") is None
    monkeypatch.setenv("NO_PROXY", "model.example")
    assert proxy_for("https://model.example/v1") is None


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.3.2.1/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://box.localhost/v1", True),
        ("http://0.0.0.0:8000/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://localhost.example/v1", False),
    ],
)
def test_this_machine_is_known(url: str, is_here: bool) -> None:
    """By its names and by its addresses."""
    assert is_loopback(url) is is_here


def test_a_server_without_tls_is_told_at_once() -> None:
    """An https address of an http server; trying again is of no use."""
    started = time.monotonic()
    with Fake() as fake, pytest.raises(ModelError, match="no TLS is spoken there: is it http://"):
        ask(fake.url.replace("http:", "https:"), timeout=20)
    assert time.monotonic() - started < 3


def test_an_unknown_certificate_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable that names another authority."""
    problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
    problem.verify_message = "self-signed certificate"

    def opened(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError(problem)

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", opened)
    with pytest.raises(ModelError, match=r"not trusted: self-signed certificate; SSL_CERT_FILE"):
        ask("https://model.example")


def test_a_redirect_names_its_target() -> None:
    """Without the query, which may hold a key."""
    with Fake() as fake:
        fake.fault = lambda h, b: h.send(b"", 308, Location="https://other.example/v1?key=secret")
        with pytest.raises(RefusedError, match=r"redirects to https://other\.example/v1;") as error:
            ask(fake.url)
    assert "secret" not in str(error.value)
