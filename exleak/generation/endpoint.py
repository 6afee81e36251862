"""A served model as a source of continuations: found out about before anything is asked of it.

A server does not say what its weights are, nor which sampling settings it ignores. A dozen short
requests tell: greedy answers are the model's fingerprint, and settings that must change an answer
show whether they do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError, SettingsError
from exleak.generation.server import Server
from exleak.generation.transport import RETRIED, RefusedError, Transport, base_url

if TYPE_CHECKING:
    from exleak.generation.checkpoint import Chat
    from exleak.generation.sampling import Sampling
    from exleak.records import PromptGenerations
    from exleak.store import Store

TIMEOUT = 120.0
_LONGEST = 1e6
#: A server that says nothing at all, not even to a simple question, is given up this soon.
_FIRST_ANSWER = 20.0
_PROMPTS = ("One two three. One two three. One two", "Every morning the old man would")
_GREEDY: dict[str, Any] = {
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": 50,
    "repetition_penalty": 1.0,
    "max_tokens": 24,
    "seed": 1,
}
#: So hot that two draws of 24 tokens are never the same by chance.
_HOT = 1.9
#: Values that change nothing: a server may ignore them.
_NEUTRAL = {"temperature": None, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0}
#: From this share of prompts whose continuations are all alike a note says so.
_ALIKE = 0.5


@dataclass(frozen=True)
class Findings:
    """What a server showed.

    Attributes:
        fingerprint: Hash of what it answers greedily, and to fixed seeds where it honours them;
            ``None`` where its greedy answers are not steady.
        honoured: Whether it applies ``temperature``, ``top_p``, ``top_k``,
            ``repetition_penalty`` and ``seed``; ``None`` where that could not be told.
    """

    fingerprint: str | None
    honoured: dict[str, bool | None]


@dataclass
class EndpointSource:
    """A model behind an OpenAI-compatible completions or chat server.

    Attributes:
        name: What reports call it.
        url: Where the server is, ``http://localhost:8000/v1`` for example.
        path: What the server calls the model; by default the name.
        chat: ``"auto"`` asks for chat completions and falls back to plain ones, ``"always"`` and
            ``"never"`` take no other.
        timeout: Seconds that one request may take, its retries included.
    """

    name: str
    url: str
    path: str | None = None
    chat: Chat = "auto"
    timeout: float = TIMEOUT
    server: Server = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.timeout < _LONGEST:
            raise SettingsError(
                f"endpoint: the time-out must be above 0 and below {_LONGEST:.0f} seconds, not "
                f"{self.timeout}"
            )
        self.base = base_url(self.url)
        label = f"endpoint {self.base}, model {self.name}"
        transport = Transport(self.base, label, self.timeout)
        self.server = Server(self.name, self.path or self.name, transport)

    @property
    def model(self) -> Server:
        """The server, once it has shown what it honours.

        Raises:
            ModelError: It does not answer, or does not serve this model.
        """
        _ = self.findings
        return self.server

    @cached_property
    def findings(self) -> Findings:
        """What the server showed; asked once.

        Raises:
            ModelError: It does not answer, or does not serve this model.
        """
        transport = self.server.transport
        if problem := transport.answers(min(_FIRST_ANSWER, self.timeout)):
            raise ModelError(f"{transport.label}: {problem}; is the server up?")
        _choose_mode(self.server, self.chat)
        return find_out(self.server)

    def about(self, sampling: Sampling, store: Store) -> dict[str, Any]:
        """Everything that continuations depend on, as far as a server lets one know it."""
        del store  # there are no files to hash
        settings = sampling.to_json()
        del settings["generations"]
        findings = self.findings
        return {
            "endpoint": self.base,
            "model": self.server.model,
            "fingerprint": findings.fingerprint,
            "honoured": findings.honoured,
            "chat": self.model.chat,
            "sampling": settings,
        }

    @property
    def identity(self) -> dict[str, Any]:
        """What the model is, for comparisons."""
        ignored = sorted(name for name, ok in self.findings.honoured.items() if ok is False)
        return {
            "chat": self.model.chat,
            "endpoint": self.base,
            "fingerprint": self.findings.fingerprint,
            "ignored": ignored,
        }

    def notes(self, sampling: Sampling, rows: Iterable[PromptGenerations]) -> tuple[str, ...]:
        """What a reader must know of how the server made these continuations."""
        found = list(_setting_notes(self.findings.honoured, sampling))
        if self.findings.fingerprint is None:
            found.append(
                "the server's greedy answers differ from call to call: another model under the "
                "same name would not be noticed"
            )
        for name, value in sorted(self.server.reported.items()):
            asked = getattr(sampling, "max_new_tokens" if name == "max_tokens" else name)
            found.append(f"the server reports {name} {value}, asked for was {asked}")
        if note := _alike(list(rows), sampling):
            found.append(note)
        return tuple(found)


def _choose_mode(server: Server, chat: Chat) -> None:
    """Find out whether chat or plain completions are to be asked for."""
    modes = {"auto": (True, False), "always": (True,), "never": (False,)}[chat]
    settings = {**_GREEDY, "temperature": 1.0}
    for server.chat in modes:
        try:
            # A model without a chat template is an internal error to some servers.
            retried = RETRIED - {500} if len(modes) > 1 and server.chat else RETRIED
            server.complete(_PROMPTS[0], settings, retried=retried)
        except RefusedError as error:
            if server.chat != modes[-1]:
                continue
            other = {"always": "never", "never": "always"}.get(chat)
            hint = f"; --leakage-chat {other} would ask the other way" if other else ""
            raise ModelError(f"{error}{hint}") from None
        return


def find_out(server: Server) -> Findings:
    """Ask what the server honours; see the module's docstring."""

    def ask(prompt: str = _PROMPTS[0], **changed: Any) -> str | None:
        try:
            return server.complete(prompt, {**_GREEDY, **changed})[0]
        except RefusedError:
            return None

    greedy, again = ask(), ask()
    steady = greedy is not None and greedy == again
    first, second = ask(temperature=_HOT), ask(temperature=_HOT, seed=2)
    samples = None if first is None or second is None else first != second
    honoured: dict[str, bool | None] = {"temperature": samples}
    honoured["seed"] = _equal(first, ask(temperature=_HOT)) if samples else None
    narrow: dict[str, Any]
    for narrow in ({"top_k": 1}, {"top_p": 0.01}):
        known = steady and samples
        same = _equal(greedy, ask(temperature=_HOT, **narrow)) if known else None
        honoured[next(iter(narrow))] = same
    # A penalty far below 1 makes a model repeat itself.
    honoured["repetition_penalty"] = _penalises(server, greedy, ask) if steady else None
    if not steady:
        return Findings(None, honoured)
    shown = [str(greedy), str(ask(_PROMPTS[1])), server.model, *_only(server.fingerprints)]
    if honoured["seed"]:  # hot draws differ long before greedy answers do
        shown += [str(first), str(second)]
    digest = hashlib.sha256("\0".join(shown).encode("utf-8", "surrogatepass")).hexdigest()
    return Findings(digest[:32], honoured)


def _penalises(server: Server, greedy: str | None, ask: Any) -> bool | None:
    same = _equal(greedy, ask(repetition_penalty=0.2))
    if same:
        server.llama = True
        same = bool(_equal(greedy, ask(repetition_penalty=0.2)))
        server.llama = not same
    return None if same is None else not same


def _equal(one: str | None, other: str | None) -> bool | None:
    return None if one is None or other is None else one == other


def _only(values: set[str]) -> list[str]:
    """The value, if there is one alone."""
    return [*values] if len(values) == 1 else []


def _setting_notes(honoured: dict[str, bool | None], sampling: Sampling) -> Iterable[str]:
    if honoured["temperature"] is False:
        yield "the server ignores temperature or seed: the same prompt gives the same continuation"
        return
    asked = {name: getattr(sampling, name) for name, no in _NEUTRAL.items()
             if getattr(sampling, name) != no}  # fmt: skip
    ignored = [f"{name} {asked[name]}" for name in asked if honoured[name] is False]
    unsure = [f"{name} {asked[name]}" for name in asked if honoured[name] is None]
    if ignored:
        yield f"the server ignores {', '.join(ignored)}: compare with runs on this server only"
    if unsure:
        yield f"whether the server applies {', '.join(unsure)} could not be told"
    if honoured["seed"] is False:
        yield "the server ignores seeds: only the store makes a second run give the same"


def _alike(rows: list[PromptGenerations], sampling: Sampling) -> str | None:
    """A note where most prompts have K continuations that are all the same."""
    if sampling.generations < 2:
        return None
    alike = sum(len(set(row.generations)) == 1 for row in rows)
    if alike < _ALIKE * len(rows):
        return None
    return (
        f"all {sampling.generations} continuations of {alike} of {len(rows)} prompts are the "
        "same: the server may not be sampling"
    )
