"""What is found out about a server: its mode, what it applies, and what it only seems to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exleak import ModelError, Sampling, load_dataset
from exleak.generation.dataset import Generated, generate_rows
from exleak.generation.endpoint import transport
from exleak.generation.endpoint.source import EndpointSource
from tests.helpers.server import Fake, is_probe

DATA = load_dataset("hexl", limit=2)
SETTINGS = Sampling(generations=2, seed=5)
CHAT, PLAIN = "/v1/chat/completions", "/v1/completions"
Answer = tuple[int, dict[str, Any]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, no key from outside."""
    monkeypatch.setattr(transport, "_WAITS", (0.01, 0.02, 0.02, 0.02, 0.02))
    monkeypatch.delenv("EXLEAK_API_KEY", raising=False)


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server that does everything right."""
    with Fake() as server:
        yield server


def run(fake: Fake, **settings: Any) -> Generated:
    """Continue the small dataset."""
    chat, sampling = settings.pop("chat", "auto"), settings.pop("sampling", SETTINGS)
    return generate_rows(EndpointSource("m", fake.url, chat=chat, timeout=5), DATA, sampling)


def honoured(fake: Fake) -> dict[str, bool | None]:
    """What the server is found to apply."""
    return EndpointSource("m", fake.url, timeout=5).findings.honoured


def replace(fake: Fake, change: Callable[[str, dict[str, Any], Answer], Answer]) -> None:
    """Let a server's answers be changed before they are sent."""
    answer = fake.answer
    fake.answer = lambda path, body: change(  # type: ignore[method-assign]
        path, body, answer(path, body)
    )


def rewrite(fake: Fake, text: Callable[[str, dict[str, Any], str], str]) -> None:
    """Let a server's texts be changed before they are sent."""
    old = fake.text
    fake.text = lambda prompt, body, number: text(  # type: ignore[method-assign]
        prompt, body, old(prompt, body, number)
    )


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("times", [1, 4])
def test_a_passing_error_does_not_change_the_mode(status: int, times: int, fake: Fake) -> None:
    """A chat model is asked to chat, whatever went wrong at first."""
    left = [times if status >= 429 else 1]

    def failing(path: str, body: dict[str, Any], found: Answer) -> Answer:
        if path == CHAT and left[0]:
            left[0] -= 1
            return status, {"error": {"message": "try later"}}
        return found

    replace(fake, failing)
    found = run(fake)
    assert found.identity["chat"] is True
    assert found.notes == ()


def test_errors_until_plain_completions_work_do_not_change_the_mode(fake: Fake) -> None:
    """A server that was starting chats as soon as it answers anything."""
    started: list[str] = []

    def starting(path: str, body: dict[str, Any], found: Answer) -> Answer:
        started.extend([path] if path == PLAIN else [])
        return found if started else (500, {"error": {"message": "starting"}})

    replace(fake, starting)
    assert run(fake).identity["chat"] is True


@pytest.mark.parametrize(
    ("status", "message", "doubt"),
    [
        (500, "Internal Server Error", True),
        (500, "tokenizer.chat_template is not set", False),
        (400, "you must provide a chat template if the tokenizer does not define one", False),
        (400, "something is wrong", True),
        (422, "unprocessable", True),
        (404, "no such path", False),
        (404, "This is not a chat model. Did you mean to use v1/completions?", False),
    ],
)
def test_a_fallback_is_said(status: int, message: str, doubt: bool, fake: Fake) -> None:
    """With the server's words, and with doubt where they do not name the cause."""
    replace(fake, lambda path, body, found: (status, {"error": message}) if path == CHAT else found)
    found = run(fake)
    assert found.identity["chat"] is False
    note = found.notes[0]
    assert f"chat was refused (HTTP {status}: {message})" in note
    assert ("--leakage-chat" in note) is doubt


def test_a_server_that_repeats_anyway_penalises(fake: Fake) -> None:
    """A reward of repetition changes nothing on a prompt that the model repeats: no note."""
    text = fake.text
    fake.text = lambda prompt, body, number: text(  # type: ignore[method-assign]
        prompt, body | {"repetition_penalty": max(1.0, body["repetition_penalty"])}, number
    )
    assert honoured(fake)["repetition_penalty"] is True
    assert run(fake).notes == ()


def test_a_prompt_that_shows_nothing_is_no_evidence(fake: Fake) -> None:
    """One answer that no penalty changes does not outweigh two that are changed."""
    rewrite(fake, lambda prompt, body, text: "One." if prompt.startswith("One two") else text)
    assert set(honoured(fake).values()) == {True}


@pytest.mark.parametrize("setting", ["top_k", "top_p"])
def test_near_equal_logits_are_no_evidence(setting: str, fake: Fake) -> None:
    """Two best candidates that tie make one answer of a narrow draw another than the greedy one."""
    narrow: dict[str, Any] = {"top_k": 1, "top_p": 1e-4}

    def tied(prompt: str, body: dict[str, Any], text: str) -> str:
        is_tied = body["temperature"] > 1 and body[setting] == narrow[setting]
        return "Another word" if is_tied and prompt.startswith("One two") else text

    rewrite(fake, tied)
    assert honoured(fake)[setting] is True


def test_what_begins_as_the_greedy_answer_is_as_good(fake: Fake) -> None:
    """A tie late in the answer."""
    rewrite(
        fake,
        lambda prompt, body, text: (
            text[:-1] + "!" if body["temperature"] > 1 and body["top_k"] == 1 else text * 2
        ),
    )
    rewrite(fake, lambda prompt, body, text: text + "." * 20)
    assert honoured(fake)["top_k"] is True


def test_draws_at_temperature_0_are_not_greedy() -> None:
    """A server that samples at its own temperature, with seeds, ignores the one it is sent."""
    with Fake(ignores=frozenset({"temperature"}), defaults={"temperature": 1.0}) as fake:
        found = run(fake)
    assert any("ignores temperature" in note for note in found.notes)
    assert found.identity["fingerprint"] is None


def test_a_setting_ignored_without_seeds_needs_every_prompt() -> None:
    """Draws that nothing repeats show it only together."""
    with Fake(ignores=frozenset({"seed", "top_k"})) as fake:
        found = honoured(fake)
    assert found["top_k"] is not True
    assert found["seed"] is False
    assert found["top_p"] is True


def test_a_sure_model_is_not_said_to_ignore(fake: Fake) -> None:
    """Of a model that always answers alike nothing can be told, and the note says as much."""
    rewrite(fake, lambda prompt, body, text: f"Yes, {prompt[:3]}")
    notes = run(fake).notes
    assert any("or its model is sure of every token" in note for note in notes)
    assert not any("top_k" in note or "top_p" in note for note in notes)


def test_empty_answers_are_no_evidence(fake: Fake) -> None:
    """A reasoning model spends all of a probe on thoughts: nothing is claimed."""
    rewrite(fake, lambda prompt, body, text: "" if is_probe(body) else text)
    found = honoured(fake)
    assert set(found.values()) == {None}
    notes = run(fake).notes
    assert any("could not be told" in note for note in notes)
    assert any("gives no greedy answers" in note for note in notes)
    assert not any("ignores" in note for note in notes)


def test_thoughts_are_evidence_but_no_answer(fake: Fake) -> None:
    """Probes look at reasoning_content; what is scored does not hold it."""

    def thinking(path: str, body: dict[str, Any], found: Answer) -> Answer:
        for choice in found[1]["choices"]:
            text = choice["message"]["content"]
            content = None if is_probe(body) else text
            choice["message"] = {"content": content, "reasoning_content": f"Hmm: {text}"}
        return found

    replace(fake, thinking)
    found = run(fake)
    assert found.notes == ()
    assert not any("Hmm" in text for row in found.rows for text in row.generations)


def test_a_reasoning_model_of_openai_is_measured() -> None:
    """Its default temperature alone, other names, fewer settings: nothing false is said of it."""
    unknown = {"max_tokens", "top_k", "top_p", "repetition_penalty", "min_p", "generation_config"}
    with Fake(refuses=frozenset(unknown), accepts={"temperature": lambda v: v == 1.0}) as fake:
        replace(fake, lambda path, body, found: _as_openai(found))
        found = run(fake)
        assert all(body["max_completion_tokens"] == 128 for body in fake.asked[-4:])
    assert any("ignores top_p 0.9, top_k 50, repetition_penalty 1.1:" in n for n in found.notes)
    assert not any("temperature" in note for note in found.notes)
    assert not any("differ from call to call" in note for note in found.notes)


def _as_openai(found: Answer) -> Answer:
    if found[0] == 400 and "max_tokens" in found[1]["error"]["message"]:
        said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        return 400, {"error": {"message": f"{said}'max_completion_tokens' instead."}}
    return found


def test_a_temperature_of_1_may_be_left_out() -> None:
    """Where a server takes none at all, its default is that; another one is an error."""
    with Fake(refuses=frozenset({"temperature"})) as fake:
        found = run(fake)
        assert "temperature" not in fake.asked[-1]
        assert not any("temperature" in note for note in found.notes)
        with pytest.raises(ModelError, match="temperature"):
            run(fake, sampling=Sampling(generations=2, temperature=0.7))


@pytest.mark.parametrize(
    ("name", "is_right"),
    [
        ("top_p", lambda value: value < 1),
        ("repetition_penalty", lambda value: 1 <= value < 1.5),
        ("top_k", lambda value: value > 1),
    ],
)
def test_a_refused_value_does_not_cost_the_setting(name: str, is_right: Any) -> None:
    """Probes go to the edge of what is allowed; what the run asks for is sent all the same."""
    with Fake(accepts={name: is_right}) as fake:
        found = run(fake)
        assert all(body[name] == getattr(SETTINGS, name) for body in fake.asked)
    assert not any(f"ignores {name}" in note for note in found.notes)


def test_a_refused_value_of_the_run_is_said() -> None:
    """Also where the field itself is known."""
    with Fake(accepts={"top_k": lambda value: value != 40}) as fake:
        notes = run(fake, sampling=Sampling(generations=2, top_k=40)).notes
    assert any("ignores top_k 40" in note for note in notes)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "Good "}, {"type": "text", "text": "day."}], "Good day."),
        ([{"type": "thinking", "thinking": [{"text": "Hm"}]}, {"text": "So."}], "So."),
        (["Good ", "day."], "Good day."),
        ([], ""),
        (None, ""),
    ],
)
def test_content_in_parts_is_one_text(content: Any, text: str, fake: Fake) -> None:
    """Thoughts among the parts are left out; no content is an empty text."""

    def parted(path: str, body: dict[str, Any], found: Answer) -> Answer:
        if not is_probe(body):
            found[1]["choices"] = [{"message": {"content": content}}]
        return found

    replace(fake, parted)
    assert all(set(row.generations) == {text} for row in run(fake).rows)


def test_a_refusal_is_an_answer(fake: Fake) -> None:
    """It is what the model said."""

    def refusing(path: str, body: dict[str, Any], found: Answer) -> Answer:
        if not is_probe(body):
            found[1]["choices"] = [{"message": {"content": None, "refusal": "I cannot."}}]
        return found

    replace(fake, refusing)
    assert all(set(row.generations) == {"I cannot."} for row in run(fake).rows)


@pytest.mark.parametrize(
    ("changed", "usage", "note"),
    [
        ({"finish_reason": "content_filter"}, {}, "content filter cut 16 of 16"),
        ({"finish_reason": "length", "message": {"content": ""}}, {}, "16 of 16 continuations"),
        ({"finish_reason": "length"}, {"completion_tokens": 32}, "max_tokens 16, asked for"),
    ],
)
def test_ends_that_the_server_made_are_said(
    changed: dict[str, Any], usage: dict[str, Any], note: str, fake: Fake
) -> None:
    """A filter, a model that only thought, a length of the server's own."""

    def ending(path: str, body: dict[str, Any], found: Answer) -> Answer:
        if not is_probe(body):
            for choice in found[1]["choices"]:
                choice.update(changed)
            found[1]["usage"] = usage
        return found

    replace(fake, ending)
    assert any(note in found for found in run(fake).notes)


@pytest.mark.parametrize("place", ["answer", "choice"])
def test_an_error_in_a_good_answer_ends_the_run_if_it_says_so(place: str, fake: Fake) -> None:
    """Gateways hide a status in the answer: one that trying again does not change ends the run."""
    error = {"error": {"code": 402, "message": "no credit left"}}

    def broke(path: str, body: dict[str, Any], found: Answer) -> Answer:
        if is_probe(body):
            return found
        choices = {"choices": [error | choice for choice in found[1]["choices"]]}
        return 200, error if place == "answer" else choices

    replace(fake, broke)
    with pytest.raises(ModelError, match="no credit left"):
        run(fake)
    assert len(fake.asked) <= 2 * len(DATA.prompts)
