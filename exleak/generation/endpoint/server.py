"""A model behind an OpenAI-compatible server: requests and answers."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter, deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from exleak.errors import ModelError
from exleak.generation.draws import stream
from exleak.generation.endpoint.answers import ends_of, error_in, plain, thoughts_of
from exleak.generation.endpoint.transport import RETRIED, RefusedError, TooSlowError, Transport
from exleak.generation.requests import Continued, Template
from exleak.generation.sampling import Sampling
from exleak.generation.turns import cut_turn

if TYPE_CHECKING:
    from exleak.generation.requests import ChatUse, Counts, Request

_log = logging.getLogger("exleak")

#: Default number of continuations generated at once. With more of them, vLLM gets more tokens at
#: the start than it takes in one step, and with seeds that crashes its CPU engine.
_AT_ONCE = 32
#: Fields that a server may reject; they are then left out.
#: A temperature is left out only if it is every server's default.
_OPTIONAL = ("temperature", "top_k", "repetition_penalty", "min_p", "seed", "top_p",
             "repeat_penalty", "repeat_last_n", "generation_config")  # fmt: skip
_SETTINGS = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens")
#: Fields in which some servers report the settings used, and their names for our settings.
_REPORTS = ("generation_settings", "sampling_params", "parameters")
_ALIASES = {"repeat_penalty": "repetition_penalty", "max_new_tokens": "max_tokens",
            "n_predict": "max_tokens"}  # fmt: skip
_SEED_BITS = 31
_FLUSH_SECONDS = 1.0
DEFAULT_TEMPERATURE = 1.0
#: Fields that make vLLM and SGLang continue an answer that has begun.
_GO_ON = {"add_generation_prompt": False, "continue_final_message": True}
#: Tolerance in tokens: servers differ in whether they count those that begin and end an answer.
_COUNTED = 2


class Ended(NamedTuple):
    """A continuation and its finish reason."""

    text: str
    end: str


class Job(NamedTuple):
    """Generations of one prompt that are requested together."""

    request: int
    text: str
    indices: tuple[int, ...]
    begun: str | None


@dataclass
class Server:
    """A served model; fields that the server rejects are remembered and not sent again.

    Attributes:
        name: The model's name in reports.
        model: The model's name on the server.
        transport: HTTP client for the server.
        chat: Whether prompts go through the server's chat template; ``"prefill"`` if the answer
            begins with the control prompt.
        template: System prompt and variables for the server's chat template.
        refused: Unknown fields: the server rejected more than one value and accepted none.
        disliked: Rejected values, as pairs of field and value.
        accepted: Fields that it accepted with some value.
        single: Whether each continuation needs a separate request.
        llama: Whether to send llama.cpp's names of the repetition penalty as well.
        fingerprints: Every ``system_fingerprint`` it reported.
        reported: Settings that it reported with other values than requested.
        is_fixed: Whether it rejected a temperature.
        ends: Number of continuations by ``finish_reason``.
    """

    name: str
    model: str
    transport: Transport
    chat: ChatUse = False
    template: Template = field(default_factory=Template)
    refused: set[str] = field(default_factory=set)
    disliked: set[tuple[str, Any]] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    single: bool = False
    llama: bool = False
    fingerprints: set[str] = field(default_factory=set)
    reported: dict[str, Any] = field(default_factory=dict)
    is_fixed: bool = False
    ends: Counter[str] = field(default_factory=Counter)

    @property
    def loading_notes(self) -> tuple[str, ...]:
        """Empty: a server does not report how the model was loaded."""
        return ()

    @property
    def flush_seconds(self) -> float:
        """A short interval: a server's continuations are expensive, so they are stored soon."""
        return _FLUSH_SECONDS

    @property
    def base(self) -> str:
        """The server's address."""
        return self.transport.base

    def render(self, text: str, begun: str | None = None) -> str:
        """The text itself: the server applies the chat template, if any."""
        del begun
        return text

    def complete(
        self,
        prompt: str,
        settings: dict[str, Any],
        retried: frozenset[int] = RETRIED,
        *,
        n: int = 1,
        begun: str | None = None,
        thoughts: bool = False,
    ) -> list[Ended]:
        """Request ``n`` continuations of a prompt; the server may return fewer.

        Args:
            prompt: Sent unchanged, or as the user's message if ``chat`` is set.
            settings: ``temperature``, ``top_p``, ``top_k``, ``repetition_penalty``,
                ``max_tokens`` and ``seed``.
            retried: HTTP statuses that are retried.
            n: Number of continuations.
            begun: Prefilled beginning of the answer; for chat only.
            thoughts: Whether to prepend a reasoning model's thoughts to its answer.

        Raises:
            RefusedError: The server refuses the request.
            ModelError: No usable answer in time.
        """
        path = "chat/completions" if self.chat else "completions"
        check = partial(_checked, chat=bool(self.chat))
        while True:
            body = self._body(prompt, settings, n, begun)
            try:
                answer = self.transport.post(path, body, check, retried)
            except RefusedError as error:
                if self._learns(error, body):
                    continue
                raise
            self.accepted |= set(body)
            self._note_reports(answer, settings, n)
            texts = _texts(answer, bool(self.chat))
            if thoughts:
                texts = [*map(str.__add__, thoughts_of(answer), texts)]
            return [*map(Ended, texts, ends_of(answer))][:n]

    def continue_prompts(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        batch_size: int | None = None,
        counts: Counts | None = None,
    ) -> Generator[Continued, None, None]:
        """Continue every request, several at a time, in the order in which they finish.

        Args:
            requests: Prompts with the generations wanted of each.
            sampling: Settings.
            batch_size: Maximum number of continuations generated at once.
            counts: Unchanged: a server does not report what it computes.

        Raises:
            ModelError: The first failure.
        """
        yield from self.work(jobs_of(requests), sampling, batch_size)

    def work(
        self, jobs: deque[Job], sampling: Sampling, batch_size: int | None = None
    ) -> Generator[Continued, None, None]:
        """Do jobs of a queue, which several servers may share, until it is empty.

        After a permanent failure no more requests are sent; running ones are still yielded, and
        jobs that were not done are in the queue. A request that timed out while others were running
        is repeated alone, and then fewer run at once.

        Args:
            jobs: The queue, from :func:`jobs_of`.
            sampling: Settings.
            batch_size: Maximum number of continuations generated at once.

        Raises:
            ModelError: The first failure.
        """
        most = at_once = max(1, (batch_size or _AT_ONCE) // sampling.generations)
        failure: Exception | None = None
        running: dict[Future[list[Ended]], tuple[Job, int]] = {}
        with ThreadPoolExecutor(at_once, thread_name_prefix="exleak") as pool:
            while running or (jobs and failure is None):
                while failure is None and len(running) < at_once and (job := self._next(jobs)):
                    running[pool.submit(self._do, job, sampling)] = job, at_once
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    job, among = running.pop(done)
                    problem = done.exception()
                    if isinstance(problem, TooSlowError) and among > 1:
                        if most > among // 2:
                            most = among // 2
                            _log.warning("%s; now one request, then %d at once", problem, most)
                        at_once = 1
                        jobs.appendleft(job)
                        continue
                    if problem:
                        failure = failure or raisable(problem)
                        jobs.appendleft(job)
                        continue
                    at_once = min(most, 2 * at_once)
                    texts = self._usable(done.result(), job)
                    for index, (text, end) in zip(job.indices, texts, strict=False):
                        self.ends[end] += 1
                        yield Continued(job.request, index, text)
                    if left := job.indices[len(texts) :]:
                        jobs.appendleft(job._replace(indices=left))
        if failure is not None:
            raise failure

    def _next(self, jobs: deque[Job]) -> Job | None:
        """The next job; limited to one continuation if the server returns one at a time."""
        try:
            job = jobs.popleft()
        except IndexError:  # another server may have taken the last
            return None
        if self.single and len(job.indices) > 1:
            jobs.appendleft(job._replace(indices=job.indices[1:]))
            return job._replace(indices=job.indices[:1])
        return job

    def _do(self, job: Job, sampling: Sampling) -> list[Ended]:
        settings = {name: getattr(sampling, name) for name in _SETTINGS[:-1]}
        settings["max_tokens"] = sampling.max_new_tokens
        seed = stream(sampling.seed, job.text, job.indices[0]) & (2**_SEED_BITS - 1)
        settings["seed"] = seed
        try:
            return self.complete(job.text, settings, n=len(job.indices), begun=job.begun)
        except RefusedError:
            if len(job.indices) == 1:
                raise
            self.single = True  # it may reject only requests for several
            return self.complete(job.text, settings, begun=job.begun)

    def _usable(self, texts: list[Ended], job: Job) -> list[Ended]:
        """Answers to keep: only the first if all are equal, as one seed for all makes them."""
        if len(job.indices) > 1 and len({text for text, _ in texts}) == 1:
            self.single = True
            return texts[:1]
        return texts

    def _body(
        self, prompt: str, settings: dict[str, Any], n: int, begun: str | None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, **settings, "min_p": 0.0}
        body["top_k"] = settings["top_k"] or -1
        if self.llama:
            body |= {"repeat_penalty": settings["repetition_penalty"], "repeat_last_n": -1}
        if any(self.leaves_out(name, body[name]) for name in ("top_k", "repetition_penalty")):
            body["generation_config"] = _generation_config(settings)
        if "max_tokens" in self.refused:
            body["max_completion_tokens"] = body["max_tokens"]
        body = {name: value for name, value in body.items() if not self.leaves_out(name, value)}
        if n > 1:
            body["n"] = n
        if not self.chat:
            return body | {"prompt": prompt}
        body["messages"] = self.template.messages(prompt, begun)
        if self.template.variables:
            body["chat_template_kwargs"] = dict(self.template.variables)
        return body if begun is None else body | _GO_ON

    def _learns(self, error: RefusedError, body: dict[str, Any]) -> bool:
        """Whether a refusal names a field that the next request can leave out."""
        if error.status not in (400, 422):
            return False
        if "max_completion_tokens" in error.reason and "max_tokens" in body:
            self.refused.add("max_tokens")
            return True
        named = {x for x in _OPTIONAL if x in body and re.search(rf"\b{x}\b", error.reason)}
        if "temperature" in named:
            self.is_fixed = True
            if body["temperature"] != DEFAULT_TEMPERATURE:
                named.remove("temperature")
        known = self.accepted | {name for name, _ in self.disliked}
        self.refused |= {x for x in named if x in known and x not in self.accepted}
        self.disliked |= {(x, body[x]) for x in named}
        return bool(named)

    def leaves_out(self, name: str, value: Any) -> bool:
        """Whether a field is not sent with this value because the server rejected it."""
        return name in self.refused or (name, value) in self.disliked

    def has_other_way(self, name: str) -> bool:
        """Whether the server gets a field that it rejects through ``generation_config``."""
        return "generation_config" in self.accepted and name in ("top_k", "repetition_penalty")

    def _note_reports(self, answer: dict[str, Any], settings: dict[str, Any], n: int) -> None:
        """Record what an answer reveals about the server and the settings that it used."""
        if answer.get("system_fingerprint"):
            self.fingerprints.add(str(answer["system_fingerprint"]))
        for place in (answer, answer.get("__verbose")):
            for report in _REPORTS:
                told = place.get(report) if isinstance(place, dict) else None
                for name, value in (told if isinstance(told, dict) else {}).items():
                    ours = _ALIASES.get(name, name)
                    if ours in _SETTINGS and _differs(value, settings[ours]):
                        self.reported[ours] = value
        usage = answer.get("usage")
        used = usage.get("completion_tokens") if isinstance(usage, dict) else None
        wanted = settings["max_tokens"]
        if isinstance(used, int) and used > n * wanted:
            self.reported["max_tokens"] = used
        # The server has its own cap if "length" ended an answer that is shorter than requested.
        if isinstance(used, int) and set(ends_of(answer)) == {"length"}:
            given = len(answer["choices"])
            if used < given * (wanted - _COUNTED):
                self.reported["max_tokens"] = used // given


def _differs(told: Any, asked: float) -> bool:
    return isinstance(told, (int, float)) and abs(told - asked) > 1e-4 * max(1.0, abs(asked))


def jobs_of(requests: Sequence[Request]) -> deque[Job]:
    """The queue of what is to be requested."""
    return deque(Job(i, r.text, r.indices, r.begun) for i, r in enumerate(requests) if r.indices)


def raisable(problem: BaseException) -> Exception:
    """A failure as a :class:`ModelError`."""
    if isinstance(problem, ModelError):
        return problem
    return ModelError(f"the endpoint failed in an unexpected way: {problem!r}")


def _generation_config(settings: dict[str, Any]) -> str:
    """The settings in the form in which ``transformers serve`` takes those outside OpenAI's API."""
    sampled = settings["temperature"] > 0
    config = {
        "do_sample": sampled,
        "repetition_penalty": settings["repetition_penalty"],
        "max_new_tokens": settings["max_tokens"],
    }
    if sampled:
        config |= {name: settings[name] for name in ("temperature", "top_k", "top_p")}
    return json.dumps(config)


def _checked(answer: Any, *, chat: bool) -> dict[str, Any]:
    """The answer itself, if it holds continuations.

    Raises:
        ValueError: It holds none; the message says what it holds.
    """
    if error := error_in(answer):
        raise error
    _texts(answer, chat)
    assert isinstance(answer, dict)
    return answer


def _texts(answer: Any, chat: bool) -> list[str]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices:
        raise ValueError("the answer holds no continuation (no choices)")
    texts: list[str] = []
    for choice in choices:
        place = choice.get("message") if chat and isinstance(choice, dict) else choice
        text = place.get("content" if chat else "text", 0) if isinstance(place, dict) else 0
        text = plain(text, place)
        if not isinstance(text, str):
            raise ValueError("the answer holds a choice without text")
        texts.append(cut_turn(text))
    return texts
