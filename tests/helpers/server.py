"""A small OpenAI-compatible server that misbehaves on demand."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.helpers import loopback
from tests.helpers.loopback import Loopback

#: What a fault does with a request instead of answering it.
Fault = Callable[["Handler", dict[str, Any]], None]


class Handler(loopback.Handler):
    """Answers from the server's :class:`Fake`."""

    def do_GET(self) -> None:  # noqa: N802
        """List the models."""
        if self.fake.fault is not None and self.fake.breaks_everything:
            self.fake.fault(self, {})
        else:
            self.send({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:  # noqa: N802
        """Continue a prompt."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        broken = self.fake.record(self, body)
        time.sleep(0 if is_probe(body) else self.fake.delay)
        if self.fake.fault is not None and broken:
            self.fake.fault(self, body)
        else:
            status, answer = self.fake.answer(self.path, body)
            self.send(answer, status)


@dataclass
class Fake(Loopback):
    """A server with a model made of hashes.

    Attributes:
        ignores: Settings that change nothing.
        defaults: Settings that hold where a request has none, or one that is ignored.
        accepts: Fields that are taken with these values only.
        refuses: Fields that are an error.
        most: Most choices given at once.
        modes: Paths that are served.
        continues: Whether it goes on with an answer that has begun, where it is asked to.
        fault: Done instead of answering, once ``healthy`` continuations were given.
        healthy: How many are given before; the probes do not count.
        breaks_everything: The fault also hits the list of models and the probes.
        port: Where it listens; 0 for any free port.
        delay: Seconds that an answer takes.
        requests: Headers and body of every request.
    """

    handler: ClassVar = Handler
    ignores: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    defaults: dict[str, Any] = field(default_factory=dict)
    accepts: dict[str, Callable[[Any], bool]] = field(default_factory=dict)
    most: int = 100
    modes: tuple[str, ...] = ("/v1/chat/completions", "/v1/completions")
    continues: bool = False
    fault: Fault | None = None
    healthy: int = 0
    breaks_everything: bool = False
    port: int = 0
    delay: float = 0.0
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    given: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Bodies of the requests for continuations, without the probes."""
        return [body for _, body in self.requests if not is_probe(body)]

    def record(self, handler: Handler, body: dict[str, Any]) -> bool:
        """Remember a request, and tell whether the fault hits it."""
        probe = is_probe(body)
        with self.lock:
            self.requests.append((dict(handler.headers.items()), body))
            self.given += not probe
            return self.breaks_everything or (not probe and self.given > self.healthy)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        if path not in self.modes:
            return 404, {"error": {"message": "no such path"}}
        if refused := self.refuses & set(body):
            return 400, {"error": {"message": f"Unknown parameter: '{min(refused)}'"}}
        for name, is_right in self.accepts.items():
            if name in body and not is_right(body[name]):
                return 400, {"error": {"message": f"'{name}' does not support {body[name]}"}}
        chat = path.endswith("chat/completions")
        prompt = body["messages"][0]["content"] if chat else body["prompt"]
        texts = [self.text(prompt, body, i) for i in range(min(body.get("n", 1), self.most))]
        choices = [{"message": {"content": t}} if chat else {"text": t} for t in texts]
        return 200, {"choices": choices, "model": body["model"]}

    def text(self, prompt: str, body: dict[str, Any], number: int) -> str:
        """A continuation that depends on what is honoured."""
        if self.continues and body.get("continue_final_message"):
            return _going_on(body)
        used = self.defaults | {n: value for n, value in body.items() if n not in self.ignores}
        greedy = (
            not used.get("temperature") or used.get("top_k") == 1 or used.get("top_p", 1.0) < 0.1
        )
        seed = used.get("seed", time.perf_counter_ns())
        key = prompt if greedy else f"{prompt} {seed} {number}"
        penalty = used.get("repetition_penalty", used.get("repeat_penalty", 1.0))
        if penalty > 1.1 or (penalty < 1 and not _says_again(prompt)):
            key += f" {penalty}"
        return f" {hashlib.sha256(key.encode()).hexdigest()[:12]}. And so on."


def _going_on(body: dict[str, Any]) -> str:
    """Words behind what the assistant has said; each depends on all before it."""
    said = f"{body['messages'][0]['content']} | {body['messages'][-1]['content']}"
    added = ""
    for _ in range(12):
        added += f" {hashlib.sha256((said + added).encode()).hexdigest()[:6]}"
    return added


def _says_again(prompt: str) -> bool:
    """Whether a model repeats the prompt anyway: no reward of repetition changes that."""
    words = prompt.lower().replace(".", "").split()
    return len(set(words)) < len(words)


def is_probe(body: dict[str, Any]) -> bool:
    """Whether a request only asks what the server is."""
    return bool(body.get("max_tokens", body.get("max_completion_tokens")) == 24)
