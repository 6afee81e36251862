"""One model on several servers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from exleak import ModelError, Sampling, load_dataset
from exleak.generation.dataset import Generated, generate_rows
from exleak.generation.endpoint import several, transport
from exleak.generation.endpoint.several import SeveralSource
from exleak.remarks import heard
from exleak.sources import source_of
from exleak.store import Store
from tests.helpers.server import Fake, Handler

DATA = load_dataset("hexl", limit=3)
SETTINGS = Sampling(generations=2, seed=5)
REQUESTS = len(DATA.prompts)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses."""
    monkeypatch.setattr(transport, "_WAITS", (0.01, 0.02))
    monkeypatch.setattr(several, "_PATIENCE", 0.3)


@pytest.fixture
def pair() -> Iterator[tuple[Fake, Fake]]:
    """Two servers of one model."""
    with ExitStack() as stack:
        yield stack.enter_context(Fake(delay=0.02)), stack.enter_context(Fake(delay=0.02))


def run(*urls: str, store: Store | None = None) -> Generated:
    """Continue the small dataset, two prompts at once on each server."""
    source = source_of("m", endpoint=urls, timeout=5)
    return generate_rows(source, DATA, SETTINGS, store=store, batch_size=4)


def dies(handler: Handler, body: dict[str, Any]) -> None:
    """No answer, and no further connection."""
    handler.fake.server.socket.close()
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_prompts_are_shared_out(pair: tuple[Fake, Fake]) -> None:
    """Each is asked once, and the texts are those of a single server."""
    found = run(*(fake.url for fake in pair))
    assert found.rows == run(pair[0].url).rows
    assert all(len(fake.asked) > 2 for fake in pair)
    assert found.environment["endpoint"] == ", ".join(f"{fake.url}/v1" for fake in pair)


def test_others_take_over_from_one_that_dies(pair: tuple[Fake, Fake], tmp_path: Path) -> None:
    """Nothing is lost, nothing is asked twice but what was in flight, and a remark says it."""
    alone = run(pair[0].url)
    asked = len(pair[0].asked)
    pair[1].fault, pair[1].healthy = dies, 3
    remarks: list[str] = []
    with heard(remarks.append):
        found = run(*(fake.url for fake in pair), store=Store(tmp_path))
    assert found.rows == alone.rows
    assert len(pair[0].asked) - asked == REQUESTS - 3
    assert len(remarks) == 1
    assert f"{pair[1].url}/v1, model m: " in remarks[0]
    assert remarks[0].endswith("; its prompts go to the others (1 left)")


def test_one_that_is_down_is_left_out(pair: tuple[Fake, Fake], tmp_path: Path) -> None:
    """And what is stored does not depend on which one it was."""
    urls, down = [fake.url for fake in pair], "http://127.0.0.1:9"
    remarks: list[str] = []
    with heard(remarks.append):
        first = run(urls[0], down, store=Store(tmp_path))
        second = run(down, urls[1], store=Store(tmp_path))
    assert second.rows == first.rows
    assert not pair[1].asked
    assert all("the run goes on without it" in remark for remark in remarks)
    assert len(remarks) == 2


def test_if_all_fail_the_run_fails(pair: tuple[Fake, Fake], tmp_path: Path) -> None:
    """With one message; what was made is kept."""
    for fake in pair:
        fake.fault, fake.healthy = dies, 2
    with heard(lambda _: None), pytest.raises(ModelError, match="cannot be talked to"):
        run(*(fake.url for fake in pair), store=Store(tmp_path))
    with Fake() as one, Fake() as other:
        run(one.url, other.url, store=Store(tmp_path))
        assert len(one.asked) + len(other.asked) == REQUESTS - 4
    with pytest.raises(ModelError, match=r"127.0.0.1:9/v1.*; endpoint http://127.0.0.1:7/v1"):
        run("http://127.0.0.1:9", "http://127.0.0.1:7")


def test_another_model_is_refused(pair: tuple[Fake, Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names both addresses."""
    text = Fake.text
    monkeypatch.setattr(
        Fake, "text", lambda self, prompt, *rest: text(self, f"{prompt}{self is pair[1]}", *rest)
    )
    with pytest.raises(ModelError, match=r"http\S+/v1 and http\S+/v1: model m answers differently"):
        run(*(fake.url for fake in pair))


def test_a_server_that_ignores_a_setting_is_refused() -> None:
    """Its draws are of another distribution."""
    with (
        Fake() as one,
        Fake(ignores=frozenset({"top_k"})) as other,
        pytest.raises(ModelError, match="only one of them applies top_k"),
    ):
        run(one.url, other.url)


def test_a_server_without_the_template_is_refused() -> None:
    """The fake's answers are the same either way."""
    with (
        Fake() as one,
        Fake(modes=("/v1/completions",)) as other,
        pytest.raises(ModelError, match="only one of them knows the model's chat template"),
    ):
        run(one.url, other.url)


def test_one_address_is_stored_as_ever(pair: tuple[Fake, Fake], tmp_path: Path) -> None:
    """Also if it is given twice; the key of several holds no address."""
    url = pair[0].url
    keys = []
    for urls in ([url], [url, f"{url}/v1/"], [fake.url for fake in pair]):
        source = source_of("m", endpoint=urls)
        keys.append(source.about(SETTINGS, Store(tmp_path)) or {})
    assert keys[0] == keys[1]
    assert list(keys[0]) == ["endpoint", "model", "fingerprint", "honoured", "chat", "sampling"]
    assert isinstance(source, SeveralSource)
    assert url not in json.dumps(keys[2])


def test_servers_that_cannot_be_told_apart_are_stored_by_address(
    pair: tuple[Fake, Fake], tmp_path: Path
) -> None:
    """Their greedy answers vary, so they could serve anything."""
    for fake in pair:
        fake.ignores = frozenset({"temperature", "seed"})
        fake.defaults = {"temperature": 1.0}
    about = source_of("m", endpoint=[f.url for f in pair]).about(SETTINGS, Store(tmp_path))
    assert about is not None
    assert about["endpoint"] == sorted(f"{fake.url}/v1" for fake in pair)
