"""Continuations from a server: complete, resumed, and one clear error for everything else."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import exleak
from exleak import ModelError, Sampling, SettingsError, load_dataset
from exleak.generation.dataset import Generated, generate_rows
from exleak.generation.endpoint import transport
from exleak.generation.endpoint.source import EndpointSource
from exleak.generation.endpoint.transport import base_url
from exleak.generation.requests import Template
from exleak.store import Store
from tests.helpers.server import Fake, Handler

DATA = load_dataset("hexl", limit=2)
SETTINGS = Sampling(generations=3, seed=5)
WANTED = len(DATA.prompts) * SETTINGS.generations
KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, no key from outside."""
    monkeypatch.setattr(transport, "_WAITS", (0.01, 0.02))
    monkeypatch.delenv("EXLEAK_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server that does everything right."""
    with Fake() as server:
        yield server


def run(fake: Fake, store: Store | None = None, timeout: float = 10, **settings: Any) -> Generated:
    """Continue the small dataset."""
    chat, sampling = settings.pop("chat", "auto"), settings.pop("sampling", SETTINGS)
    template = settings.pop("template", Template())
    source = EndpointSource("m", fake.url, chat=chat, timeout=timeout, template=template)
    return generate_rows(source, DATA, sampling, store=store, **settings)


def stored(store: Store) -> int:
    """How many continuations a store holds."""
    return sum(
        ":" in key
        for kind, segments, _ in store.all()
        if kind == "generations"
        for key in segments.read()
    )


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("https://host/api/v1/chat/completions", "https://host/api/v1"),
        ("http://[::1]:80/v1/completions", "http://[::1]:80/v1"),
        ("https://host/serving", "https://host/serving"),
    ],
)
def test_addresses_are_completed(url: str, base: str) -> None:
    """The server, its /v1 or a full path: all are understood."""
    assert base_url(url) == base


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host", "http://", "http://host:port", "/v1",
     f"http://me:{KEY}@host/v1", f"http://host/v1?api_key={KEY}"],
)  # fmt: skip
def test_what_is_no_address_is_told_without_secrets(url: str) -> None:
    """Passwords and keys in an address are refused and not repeated."""
    with pytest.raises(SettingsError, match="endpoint") as error:
        EndpointSource("m", url)
    assert KEY not in str(error.value)


def test_every_prompt_gets_its_continuations(fake: Fake) -> None:
    """K different ones each, with one request per distinct prompt, and nothing to note."""
    found = run(fake)
    assert [row.id for row in found.rows] == [prompt.id for prompt in DATA.prompts]
    assert all(len(set(row.generations)) == SETTINGS.generations for row in found.rows)
    assert len(fake.asked) == len(DATA.prompts)
    assert found.notes == ()


def test_the_settings_are_sent(fake: Fake) -> None:
    """The paper's, and a seed of its own for each prompt."""
    run(fake)
    body = fake.asked[0]
    wanted = {"top_p": 0.9, "top_k": 50, "temperature": 1.0, "repetition_penalty": 1.1,
              "max_tokens": 128, "n": 3, "model": "m"}  # fmt: skip
    assert {name: body[name] for name in wanted} == wanted
    assert len({request["seed"] for request in fake.asked}) == len(DATA.prompts)


def test_the_same_seed_gives_the_same(fake: Fake) -> None:
    """Without any store, as far as the server honours seeds."""
    assert run(fake).rows == run(fake).rows
    other = Sampling(generations=3, seed=6)
    assert run(fake, sampling=other).rows != run(fake).rows


@pytest.mark.parametrize("batch_size", [1, 4, 640])
def test_the_batch_size_bounds_what_is_under_way(fake: Fake, batch_size: int) -> None:
    """It changes the speed, not the result."""
    assert run(fake, batch_size=batch_size).rows == run(fake).rows


def test_what_is_stored_is_not_asked_for_again(fake: Fake, tmp_path: Path) -> None:
    """The second time only the probes are sent."""
    first = run(fake, Store(tmp_path))
    fake.requests.clear()
    assert run(fake, Store(tmp_path)) == first
    assert not fake.asked


def test_another_model_behind_the_same_name_is_noticed(fake: Fake, tmp_path: Path) -> None:
    """Its greedy answers differ: nothing that is stored is used."""
    first = run(fake, Store(tmp_path))
    text = fake.text
    fake.text = lambda prompt, *rest: text(f"new {prompt}", *rest)  # type: ignore[method-assign]
    second = run(fake, Store(tmp_path))
    assert first.identity["fingerprint"] != second.identity["fingerprint"]
    assert first.rows != second.rows


def test_a_close_relative_behind_the_same_name_is_noticed(fake: Fake) -> None:
    """Its greedy answers are the same, its draws are not."""
    first = run(fake).identity["fingerprint"]
    text = fake.text
    fake.text = lambda prompt, body, number: text(  # type: ignore[method-assign]
        prompt, body | {"seed": body["seed"] + 1}, number
    )
    assert run(fake).identity["fingerprint"] != first


def test_a_server_without_a_steady_answer_has_no_fingerprint(fake: Fake) -> None:
    """Nothing that needs one is claimed, and a note says so."""
    fake.ignores = frozenset({"seed"})
    text = fake.text
    fake.text = lambda prompt, body, number: text(  # type: ignore[method-assign]
        prompt, body | {"temperature": 1.0}, number
    )
    found = run(fake)
    assert found.identity["fingerprint"] is None
    assert any("would not be noticed" in note for note in found.notes)
    assert any("top_k 50, repetition_penalty 1.1 could not be told" in note for note in found.notes)


@pytest.mark.parametrize(
    ("ignored", "note"),
    [
        ({"top_k"}, "ignores top_k 50:"),
        ({"top_p"}, "ignores top_p 0.9:"),
        ({"repetition_penalty", "repeat_penalty"}, "ignores repetition_penalty 1.1:"),
        ({"seed"}, "ignores seeds"),
        ({"temperature"}, "ignores temperature"),
    ],
)
def test_ignored_settings_are_said(ignored: set[str], note: str) -> None:
    """They are found out by what they would have to change."""
    with Fake(ignores=frozenset(ignored)) as fake:
        notes = run(fake).notes
    assert any(note in found for found in notes)


def test_a_setting_that_changes_nothing_may_be_ignored() -> None:
    """No note on a repetition penalty of 1."""
    with Fake(ignores=frozenset({"repetition_penalty", "repeat_penalty"})) as fake:
        plain = Sampling(generations=3, repetition_penalty=1.0)
        assert run(fake, sampling=plain).notes == ()


def test_other_names_of_a_setting_are_tried() -> None:
    """A server that knows only repeat_penalty is sent that, and honours it."""
    with Fake(ignores=frozenset({"repetition_penalty"})) as fake:
        assert run(fake).notes == ()
        assert fake.asked[0]["repeat_penalty"] == 1.1


def test_refused_fields_are_left_out_and_said() -> None:
    """The run goes on without them."""
    refused = frozenset(
        {"top_k", "repetition_penalty", "repeat_penalty", "min_p", "generation_config", "n"}
    )
    with Fake(refuses=refused) as fake:
        found = run(fake)
        assert not refused & set(fake.asked[-1])
    assert sum(len(row.generations) for row in found.rows) == WANTED
    assert "ignores top_k 50, repetition_penalty 1.1" in found.notes[0]


def test_settings_that_the_server_reports_are_compared(fake: Fake) -> None:
    """What it says it used is held against what was asked."""
    answer = fake.answer

    def reporting(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status, found = answer(path, body)
        return status, found | {"generation_settings": {**body, "top_k": 40}}

    fake.answer = reporting  # type: ignore[method-assign]
    assert "the server reports top_k 40, asked for was 50" in run(fake).notes


@pytest.mark.parametrize("usage", [[1], "many", {"completion_tokens": None}, None])
def test_a_strange_usage_is_ignored(usage: Any, fake: Fake) -> None:
    """It is no part of the answer that anything depends on."""
    answer = fake.answer

    def strange(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status, found = answer(path, body)
        return status, found | {"usage": usage}

    fake.answer = strange  # type: ignore[method-assign]
    assert sum(len(row.generations) for row in run(fake).rows) == WANTED


@pytest.mark.parametrize("most", [1, 2])
def test_a_server_that_gives_fewer_is_asked_again(most: int) -> None:
    """Every index is there in the end."""
    with Fake(most=most) as fake:
        found = run(fake)
    assert all(len(set(row.generations)) == 3 for row in found.rows)


def test_one_seed_for_all_choices_is_noticed(fake: Fake) -> None:
    """Choices that are all alike are asked for one by one, each with its own seed."""
    text = fake.text
    fake.text = lambda prompt, body, number: text(prompt, body, 0)  # type: ignore[method-assign]
    found = run(fake)
    assert all(len(set(row.generations)) == 3 for row in found.rows)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("modes", "chat", "used"),
    [
        (("chat/completions", "completions"), "auto", True),
        (("completions",), "auto", False),
        (("chat/completions", "completions"), "never", False),
        (("chat/completions",), "always", True),
    ],
)
def test_chat_is_chosen(modes: tuple[str, ...], chat: str, used: bool) -> None:
    """Auto takes chat completions where there are any."""
    with Fake(modes=tuple(f"/v1/{mode}" for mode in modes)) as fake:
        found = run(fake, chat=chat)
        assert found.identity["chat"] is used
        assert all(("messages" in body) is used for body in fake.asked)


@pytest.mark.parametrize(("mode", "chat"), [("completions", "always"), ("chat", "never")])
def test_a_mode_that_is_not_served_is_told(mode: str, chat: str) -> None:
    """The message names the other one."""
    path = "/v1/completions" if mode == "completions" else "/v1/chat/completions"
    with Fake(modes=(path,)) as fake, pytest.raises(ModelError, match="--leakage-chat"):
        run(fake, chat=chat)


def test_a_system_prompt_and_variables_are_sent(tmp_path: Path) -> None:
    """In every request, under a key of their own; plain completions have no place for them."""
    template = Template("Be calm.", {"enable_thinking": False})
    with Fake() as fake:
        found = run(fake, Store(tmp_path), template=template)
        for body in fake.asked:
            assert body["messages"][0] == {"role": "system", "content": "Be calm."}
            assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert "system prompt: Be calm." in found.notes
        assert any("chat_template_kwargs" in note for note in found.notes)
        before = len(fake.asked)
        run(fake, Store(tmp_path))
        assert len(fake.asked) > before
        with pytest.raises(ModelError, match="continues plain text here"):
            run(fake, template=template, chat="never")


def test_a_prefilled_answer_is_gone_on_with(tmp_path: Path) -> None:
    """The control prompt is the assistant's; the user's message is the whole prompt as ever."""
    with Fake(continues=True) as fake:
        found = run(fake, Store(tmp_path), chat="prefill")
        prompts = {prompt.text: prompt.control for prompt in DATA.prompts}
        for body in fake.asked:
            user, assistant = body["messages"]
            assert (user["role"], assistant["role"]) == ("user", "assistant")
            assert assistant["content"] == prompts[user["content"]]
            assert body["continue_final_message"]
            assert not body["add_generation_prompt"]
        assert found.identity["chat"] == "prefill"
        assert "not the paper's protocol" in found.notes[0]
        # Other continuations than those of a chat, under another key.
        other = run(fake, Store(tmp_path))
        assert other.identity["chat"] is True
        assert other.rows != found.rows
        assert run(fake, Store(tmp_path), chat="prefill").rows == found.rows


@pytest.mark.parametrize(
    ("refuses", "message"),
    [
        (frozenset(), "does not go on with an answer that has begun"),
        (frozenset({"continue_final_message"}), "Unknown parameter: 'continue_final_message'"),
    ],
)
def test_a_server_that_opens_a_new_turn_is_told(refuses: frozenset[str], message: str) -> None:
    """It refuses the field, or ignores it; either way what would be measured is something else."""
    with Fake(refuses=refuses) as fake, pytest.raises(ModelError, match=message) as error:
        run(fake, chat="prefill")
    assert "vLLM and SGLang" in str(error.value)


def half(handler: Handler, body: dict[str, Any]) -> None:
    """Promise more than is sent."""
    handler.send(b'{"choices": [', Content_Length="1000")
    handler.close_connection = True


def cut_chunks(handler: Handler, body: dict[str, Any]) -> None:
    """A stream that stops in mid-chunk."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"40\r\n{")
    handler.close_connection = True


def trickle(handler: Handler, body: dict[str, Any]) -> None:
    """A byte now and then, without end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.1)


FAULTS: dict[str, Any] = {
    "error": (lambda h, b: h.send({"error": {"message": "boom"}}, 500), "HTTP 500: boom"),
    "detail": (lambda h, b: h.send({"detail": "nope"}, 422), "HTTP 422: nope"),
    "garbage": (lambda h, b: h.send(b"\xff<html>\x1b[31m"), "not JSON"),
    "deep": (lambda h, b: h.send(b"[" * 200_000), "not JSON"),
    "deep error": (lambda h, b: h.send(b"[" * 60_000, 422), "HTTP 422"),
    "number": (lambda h, b: h.send(7), "no choices"),
    "empty": (lambda h, b: h.send({"choices": []}), "no choices"),
    "textless": (lambda h, b: h.send({"choices": [{"text": 3}]}), "without text"),
    "error in 200": (lambda h, b: h.send({"error": "overloaded"}), "overloaded"),
    "half": (half, "broke off|not JSON"),
    "chunks": (cut_chunks, "broke off|not JSON"),
    "hang-up": (lambda h, b: h.connection.close(), "talked to|broke off"),
    "silence": (lambda h, b: time.sleep(5), "no answer within"),
    "trickle": (trickle, "no answer within"),
    "redirect": (lambda h, b: h.send(b"", 307, Location="http://127.0.0.1:9/v1"), "HTTP 307"),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_fault_is_one_clear_error_in_time(fault: str, at_once: bool, tmp_path: Path) -> None:
    """It names server and problem; what was stored before is kept."""
    do, message = FAULTS[fault]
    store, healthy = Store(tmp_path), 0 if at_once else 3
    started = time.monotonic()
    with Fake(fault=do, healthy=healthy, breaks_everything=at_once) as fake:
        with pytest.raises(ModelError, match=message) as error:
            run(fake, store, timeout=1)
        assert fake.url in str(error.value)
        assert str(error.value).isprintable()
        if "no answer within" in message and not at_once:  # else: is the server up?
            assert str(error.value).endswith("needs a longer --leakage-endpoint-timeout")
    assert time.monotonic() - started < 5
    assert stored(store) == healthy * SETTINGS.generations


def test_a_server_that_is_not_there_is_told() -> None:
    """At once, with the question to ask oneself."""
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9/v1, model m: .*is the server up"):
        generate_rows(EndpointSource("m", "http://127.0.0.1:9"), DATA, SETTINGS)


def test_a_server_that_is_slow_for_many_is_asked_for_fewer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What got no answer in time beside others is asked again alone; nothing is lost."""
    under_way: list[int] = []

    def crowded(handler: Any, body: dict[str, Any]) -> None:
        under_way.append(1)
        for _ in range(20):  # the requests share one processor
            time.sleep(0.03 * len(under_way))
        under_way.pop()
        with contextlib.suppress(OSError):  # the client has gone
            handler.send(handler.fake.answer(handler.path, body)[1])

    with Fake(fault=crowded) as fake:
        slow = run(fake, timeout=2, batch_size=12).rows
        fake.fault = None
        assert slow == run(fake).rows
    assert "no answer within 2 seconds" in caplog.text
    assert "; now one request, then " in caplog.text


def test_a_failed_run_resumes(tmp_path: Path) -> None:
    """Only what is missing is asked for; the result is that of an undisturbed run."""
    store = Store(tmp_path)
    with Fake(fault=FAULTS["hang-up"][0], healthy=4) as fake:
        with pytest.raises(ModelError):
            run(fake, store)
        fake.fault = None
        fake.requests.clear()
        assert stored(store) == 4 * SETTINGS.generations
        again = run(fake, store)
        assert len(fake.asked) == len(DATA.prompts) - 4
        assert again.rows == run(fake).rows


def test_passing_faults_are_survived(fake: Fake) -> None:
    """Two errors, then an answer; a wait that the server asks for is kept."""
    times: list[float] = []

    def busy(handler: Handler, body: dict[str, Any]) -> None:
        times.append(time.monotonic())
        if len(times) <= 2:
            handler.send({"error": "busy"}, 429, Retry_After="0.3")
        else:
            status, answer = fake.answer(handler.path, body)
            handler.send(answer, status)

    fake.fault = busy
    assert len(run(fake, batch_size=1).rows) == len(DATA.prompts)
    assert times[1] - times[0] >= 0.3
    assert times[2] - times[1] >= 0.3


def test_a_wait_beyond_the_time_out_is_not_waited() -> None:
    """The server's own words are the error."""
    busy = FAULTS["error"][0]
    with Fake(fault=busy, breaks_everything=False) as fake:
        fake.fault = lambda h, b: h.send({"error": "come back later"}, 429, Retry_After="3600")
        with pytest.raises(ModelError, match="come back later"):
            run(fake, timeout=2)


def test_the_key_goes_into_its_header_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not into bodies, store, report or the message of an error that repeats it."""
    monkeypatch.setenv("EXLEAK_API_KEY", KEY)
    with Fake() as fake:
        found = exleak.measure(
            "m", DATA, endpoint=fake.url, sampling=SETTINGS, store=tmp_path / "store"
        )
        assert all(headers["Authorization"] == f"Bearer {KEY}" for headers, _ in fake.requests)
        assert KEY not in json.dumps([body for _, body in fake.requests])
        fake.fault = lambda h, b: h.send({"error": f"bad key {KEY}"}, 401)
        fake.breaks_everything = True
        with pytest.raises(ModelError, match="bad key …; the key is read from") as error:
            run(fake)
    assert KEY not in str(error.value)
    assert KEY not in json.dumps(found.to_json())
    assert not any(KEY in path.read_text() for path in tmp_path.rglob("*") if path.is_file())


def test_a_providers_key_goes_to_that_provider_alone(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPENAI_API_KEY is nobody else's business."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    run(fake)
    assert not any("Authorization" in headers for headers, _ in fake.requests)
    assert transport.key_for("https://api.openai.com/v1") == KEY


def test_a_measurement_says_where_it_was_made(fake: Fake) -> None:
    """Endpoint and fingerprint stand in the measurement; notes of the server do, too."""
    fake.ignores = frozenset({"top_k"})
    found = exleak.measure("m", DATA, endpoint=fake.url, sampling=SETTINGS, store=None)
    assert found.environment["endpoint"] == base_url(fake.url)
    assert found.identity["ignored"] == ["top_k"]
    assert any("ignores top_k" in note for note in found.notes)


def test_an_endpoint_needs_a_name(fake: Fake) -> None:
    """A folder object cannot be on a server."""
    with pytest.raises(SettingsError, match="as the server knows it"):
        exleak.measure(Path("x"), DATA, endpoint=fake.url)
