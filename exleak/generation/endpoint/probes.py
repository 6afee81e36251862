"""Probes of a server: whether it supports chat, which settings it applies, which model it serves.

A server reports neither its weights nor the sampling settings that it ignores. About twenty short
requests find out: greedy answers are the model's fingerprint, and settings that must change an
answer show whether they are applied. Each probe runs on several prompts, because one answer can
mislead: near-equal logits make equal requests differ, and a confident model gives the same answer
under all settings. The verdict "no" needs two prompts that say so and none that says otherwise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError
from exleak.generation.endpoint.transport import RETRIED, RefusedError
from exleak.generation.sampling import Sampling

if TYPE_CHECKING:
    from exleak.generation.endpoint.server import Server
    from exleak.generation.requests import Chat

_PROMPTS = (
    "One two three. One two three. One two",
    "Every morning the old man would",
    "Write down the names of ten animals, one after the other.",
    "The best thing about the sea is that",
)
_TOKENS = 24
#: Typical settings of a run: a server that refuses a field here does not know the field.
_USUAL: dict[str, Any] = {
    **{name: getattr(Sampling(), name)
       for name in ("temperature", "top_p", "top_k", "repetition_penalty")},
    "max_tokens": _TOKENS,
    "seed": 1,
}  # fmt: skip
_GREEDY = {**_USUAL, "temperature": 0.0, "top_p": 1.0, "repetition_penalty": 1.0}
#: Temperature at which two draws of 24 tokens agree only if the model is sure of every token.
_HOT = 1.9
#: Values so small that one candidate is left, even among 250,000 nearly equal ones.
_NARROW: tuple[dict[str, Any], ...] = ({"top_k": 1}, {"top_p": 1e-4})
#: The first must change text that repeats itself, the second text that does not.
_PENALTIES = (1.9, 0.5)
#: Leading characters that a nearly greedy answer shares with the greedy one beyond any hot draw.
_SHARED = 16
_ENOUGH = 2
#: Number of consecutive equal words that rules out coincidence.
_SAME_WORDS = 3
#: HTTP statuses of servers without a chat endpoint.
_NO_PATH = (404, 405, 501)
_ABOUT_TEMPLATE = re.compile(r"template|not a chat model", re.IGNORECASE)


@dataclass(frozen=True)
class Findings:
    """Results of probing a server.

    Attributes:
        fingerprint: Hash of its greedy answers, and of answers to fixed seeds if it honours them;
            ``None`` if its greedy answers vary, or if it gives none.
        honoured: Whether it applies ``temperature``, ``top_p``, ``top_k``,
            ``repetition_penalty`` and ``seed``; ``None`` if that could not be determined.
        is_greedy: Whether it gives greedy answers at all.
    """

    fingerprint: str | None
    honoured: dict[str, bool | None]
    is_greedy: bool = True


def choose_mode(server: Server, chat: Chat) -> str | None:
    """Find out whether to request chat or plain completions.

    Returns:
        A note if chat completions were tried and refused.

    Raises:
        ModelError: The server supports neither, or not the one that ``chat`` demands.
    """
    if chat == "prefill":
        _check_continues(server)
        return None
    if chat != "auto":
        server.chat = chat == "always"
        other = "never" if server.chat else "always"
        try:
            server.complete(_PROMPTS[0], _USUAL, thoughts=True)
        except RefusedError as error:
            hint = f"; --leakage-chat {other} would ask the other way"
            raise ModelError(f"{error}{hint}") from None
        return None
    refused = _refused_chat(server)
    if refused is None:
        return None
    server.chat = False
    server.complete(_PROMPTS[0], _USUAL, thoughts=True)
    # A server that was only starting or busy answers plain requests by now, and chat as well.
    if _refused_chat(server) is None:
        return None
    server.chat = False
    return _fallback(refused)


def _check_continues(server: Server) -> None:
    """Set a server to prefilled chat, if it continues an answer that has begun.

    Prefilled with half of its own greedy answer, it must generate the other half. A server that
    ignores the field opens a new turn and says something else.

    Raises:
        ModelError: It refuses, or says something else on all prompts.
    """
    server.chat = "prefill"
    way_out = "vLLM and SGLang can (continue_final_message); else use --leakage-chat auto"
    probe = _Probe(server)
    try:
        server.complete(_PROMPTS[1], _USUAL, begun=_PROMPTS[1], thoughts=True)
        goes_on = any(map(probe.goes_on, _PROMPTS))
    except RefusedError as error:
        raise ModelError(
            f"{error}; --leakage-chat prefill needs a server that goes on in the model's turn: "
            f"{way_out}"
        ) from None
    if not goes_on:
        raise ModelError(
            f"{server.transport.label}: the server does not go on with an answer that has begun, "
            f"or its answers are too short to tell: {way_out}"
        )


def _refused_chat(server: Server) -> RefusedError | None:
    """Why a server refuses chat; ``None`` if it supports chat. Leaves it in chat mode.

    Some servers report a missing chat template as an internal error. An internal error may also be
    transient, so it is retried before it counts.
    """
    server.chat = True
    refused = None
    for _ in server.transport.pauses():
        try:
            server.complete(_PROMPTS[0], _USUAL, RETRIED - {500}, thoughts=True)
        except RefusedError as error:
            refused = error
            if error.status != 500 or _ABOUT_TEMPLATE.search(error.reason):
                return refused
        else:
            return None
    return refused


def _fallback(refused: RefusedError) -> str:
    note = f"plain completions were asked for, because chat was refused ({refused.reason})"
    if refused.status in _NO_PATH or _ABOUT_TEMPLATE.search(refused.reason):
        return note
    return (
        f"{note}, which does not name the chat template: set --leakage-chat always or never to "
        "be sure"
    )


def find_out(server: Server) -> Findings:
    """Probe which settings the server honours; see the module's docstring."""
    probe = _Probe(server)
    honoured = {"temperature": _vote(map(probe.samples, _PROMPTS))}
    honoured["seed"] = _vote(map(probe.repeats, _PROMPTS)) if honoured["temperature"] else None
    # Without seeds, different rounding looks like a random draw: all prompts have to say no.
    noes = _ENOUGH if honoured["seed"] else len(_PROMPTS)
    for narrow in _NARROW:
        votes = (probe.narrows(prompt, narrow, honoured["seed"]) for prompt in _PROMPTS)
        honoured[next(iter(narrow))] = _vote(votes, noes) if honoured["temperature"] else None
    honoured["repetition_penalty"] = _penalises(server, probe)
    for name in honoured:
        if honoured[name] is None and name in server.refused and not server.has_other_way(name):
            honoured[name] = False
    shown = [probe.steady(prompt) for prompt in _PROMPTS[:2]]
    if None in shown:
        is_greedy = any(probe.ask(prompt) for prompt in _PROMPTS[:2])
        return Findings(None, honoured, is_greedy)
    shown += [server.model, *(server.fingerprints if len(server.fingerprints) == 1 else ())]
    if honoured["seed"]:  # for another model, hot draws change long before greedy answers do
        shown += [probe.ask(_PROMPTS[0], temperature=_HOT, seed=seed) for seed in (1, 2)]
    digest = hashlib.sha256("\0".join(map(str, shown)).encode("utf-8", "surrogatepass"))
    return Findings(digest.hexdigest()[:32], honoured)


def _vote(votes: Iterable[bool | None], noes: int = _ENOUGH) -> bool | None:
    """Combined verdict of the prompts; stops as soon as it is decided."""
    counts = {True: 0, False: 0}
    for vote in votes:
        if vote is not None:
            counts[vote] += 1
        if counts[True] == _ENOUGH:
            return True
        if counts[False] == noes and not counts[True]:
            return False
    return True if counts[True] > counts[False] else None


def _penalises(server: Server, probe: _Probe) -> bool | None:
    found = _vote(map(probe.penalises, _PROMPTS))
    if found is False:
        server.llama = True
        again = _vote(map(_Probe(server).penalises, _PROMPTS))
        server.llama = again is True
        return again or found
    return found


class _Probe:
    """Cached answers of a server, and what they show about a setting on one prompt."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._answers: dict[tuple[Any, ...], str | None] = {}

    def ask(self, prompt: str, count: int = 0, **changed: Any) -> str | None:
        """The answer; ``None`` if there is none, or if a value that matters was refused."""
        key = (prompt, count, *sorted(changed.items()))
        if key not in self._answers:
            self._answers[key] = self._ask(prompt, changed)
        return self._answers[key]

    def _ask(self, prompt: str, changed: dict[str, Any]) -> str | None:
        try:
            text = self._server.complete(prompt, {**_GREEDY, **changed}, thoughts=True)[0].text
        except RefusedError:
            return None
        refused = any(item in self._server.disliked for item in changed.items()
                      if item[0] not in self._server.refused)  # fmt: skip
        return None if refused or not text.strip() else text

    def goes_on(self, prompt: str) -> bool:
        """Whether the server continues half of its greedy answer with the other half verbatim."""
        whole = " " + self._greedily(prompt, prompt).lstrip()
        middle = whole.find(" ", len(whole) // 2)
        rest = whole[middle:].split()[:_SAME_WORDS]
        if middle < 0 or len(rest) < _SAME_WORDS or whole.split()[:_SAME_WORDS] == rest:
            return False
        return self._greedily(prompt, prompt + whole[:middle]).split()[:_SAME_WORDS] == rest

    def _greedily(self, prompt: str, begun: str) -> str:
        return self._server.complete(prompt, _GREEDY, begun=begun, thoughts=True)[0].text

    def steady(self, prompt: str) -> str | None:
        """The greedy answer, if another seed does not change it."""
        answer = self.ask(prompt)
        return answer if answer is not None and answer == self.ask(prompt, seed=2) else None

    def samples(self, prompt: str) -> bool | None:
        """Whether temperature works: answers agree at 0 and differ when hot."""
        if self.ask(prompt) is None:
            return None
        if self.steady(prompt) is None:
            # Answers that vary by seed but repeat for one seed are draws despite temperature 0.
            return False if self.ask(prompt) == self.ask(prompt, count=1) else None
        first, second = (self.ask(prompt, temperature=_HOT, seed=seed) for seed in (1, 2))
        return None if first is None or second is None else first != second

    def repeats(self, prompt: str) -> bool | None:
        """Whether the same seed repeats an answer that another seed changes."""
        first, other = (self.ask(prompt, temperature=_HOT, seed=seed) for seed in (1, 2))
        again = self.ask(prompt, count=1, temperature=_HOT, seed=1)
        return None if None in (first, other, again) or first == other else first == again

    def narrows(self, prompt: str, narrow: dict[str, Any], seeds: bool | None) -> bool | None:
        """Whether a hot draw from one candidate is (nearly) the greedy answer."""
        greedy = self.steady(prompt)
        first, second = (self.ask(prompt, temperature=_HOT, seed=seed) for seed in (1, 2))
        got = self.ask(prompt, temperature=_HOT, seed=1, **narrow)
        if greedy is None or first is None or second is None or got is None:
            return None
        if greedy in (first, second):
            return None
        shared = [_shared(greedy, text) for text in (first, second, got)]
        if got == greedy or shared[2] >= max(shared[:2]) + _SHARED:
            return True
        # With the same seed, a server that ignores the setting repeats its answer exactly.
        return False if got == first or not seeds else None

    def penalises(self, prompt: str) -> bool | None:
        """Whether a strong penalty or reward for repetition changes the answer."""
        greedy = self.steady(prompt)
        if greedy is None:
            return None
        found = [self.ask(prompt, repetition_penalty=value) for value in _PENALTIES]
        if any(text not in (None, greedy) for text in found):
            return True
        told = None not in found or (found[0] is not None and _says_again(greedy))
        return False if told else None


def _shared(one: str, other: str) -> int:
    """Length of the common prefix in characters."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _says_again(text: str) -> bool:
    words = re.findall(r"\w+", text.lower())
    return len(set(words)) < len(words)
