"""A served model as a source of continuations; the server is probed before it is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError, SettingsError
from exleak.generation.endpoint.answers import THOUGHTS
from exleak.generation.endpoint.probes import Findings, choose_mode, find_out
from exleak.generation.endpoint.server import DEFAULT_TEMPERATURE, Server
from exleak.generation.endpoint.transport import Transport, base_url
from exleak.generation.requests import Chat, ChatUse, Template, check_chat, template_notes

if TYPE_CHECKING:
    from exleak.generation.sampling import Sampling
    from exleak.records import PromptGenerations
    from exleak.store import Store

TIMEOUT = 120.0
_LONGEST = 1e6
#: Seconds after which a server that does not even answer a simple request is given up.
_FIRST_ANSWER = 20.0
#: Values without effect: a server may ignore them.
_NEUTRAL = {"temperature": None, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0}
#: Minimum share of prompts with identical continuations that leads to a note.
_ALIKE = 0.5


@dataclass
class EndpointSource:
    """A model behind an OpenAI-compatible completions or chat server.

    Attributes:
        name: The model's name in reports.
        url: The server's address, for example ``http://localhost:8000/v1``.
        path: The model's name on the server; by default ``name``.
        chat: ``"auto"`` requests chat completions and falls back to plain ones; ``"always"`` and
            ``"never"`` do not fall back; ``"prefill"`` has the model continue its own turn.
        timeout: Time limit of one request in seconds, including retries.
        template: System prompt and variables for the server's chat template.
    """

    name: str
    url: str
    path: str | None = None
    chat: Chat = "auto"
    timeout: float = TIMEOUT
    template: Template = field(default_factory=Template)
    server: Server = field(init=False, repr=False)
    _fallback: str | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        check_chat(self.chat)
        if not 0 < self.timeout < _LONGEST:
            raise SettingsError(
                f"endpoint: the time-out must be above 0 and below {_LONGEST:.0f} seconds, not "
                f"{self.timeout}"
            )
        self.base = base_url(self.url)
        label = f"endpoint {self.base}, model {self.name}"
        transport = Transport(self.base, label, self.timeout)
        self.server = Server(self.name, self.path or self.name, transport, template=self.template)

    @property
    def backend(self) -> Server:
        """The server, after it was probed.

        Raises:
            ModelError: It does not answer, or does not serve this model.
        """
        _ = self.findings
        return self.server

    @cached_property
    def findings(self) -> Findings:
        """Results of probing the server; computed once.

        Raises:
            ModelError: It does not answer, or does not serve this model.
        """
        transport = self.server.transport
        if problem := transport.answers(min(_FIRST_ANSWER, self.timeout)):
            raise ModelError(f"{transport.label}: {problem}")
        self._fallback = choose_mode(self.server, self.chat)
        if self.template and not self.server.chat:
            raise ModelError(
                f"{transport.label}: a system prompt or template variables are set, but the server "
                "continues plain text here; leave them out, or set chat to always"
            )
        return find_out(self.server)

    def about(self, sampling: Sampling, store: Store) -> dict[str, Any]:
        """The store key: everything that continuations depend on, as far as a server reveals it."""
        del store  # there are no files to hash
        settings = sampling.to_json()
        del settings["generations"]
        findings = self.findings
        return {
            "endpoint": self.base,
            "model": self.server.model,
            "fingerprint": findings.fingerprint,
            "honoured": findings.honoured,
            "chat": self.backend.chat,
            "sampling": settings,
            **self.template.entry,
        }

    @property
    def environment(self) -> dict[str, Any]:
        """The server's address."""
        return {"endpoint": self.base}

    @property
    def made_with(self) -> dict[str, str]:
        """Empty: continuations do not depend on the packages of this machine."""
        return {}

    def check(self) -> None:
        """Do nothing: the server is contacted only to generate."""

    def identity(self, chat: ChatUse, about: dict[str, Any] | None) -> dict[str, Any]:
        """Identity of the model, for comparisons."""
        ignored = sorted(name for name, ok in self.findings.honoured.items() if ok is False)
        return {
            "chat": chat,
            "endpoint": self.base,
            "fingerprint": self.findings.fingerprint,
            "ignored": ignored,
            **self.template.entry,
        }

    def notes(self, sampling: Sampling, rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
        """Caveats on how the server made these continuations."""
        collected = [*self.probe_notes(sampling), *self.course_notes(sampling)]
        if note := alike(rows, sampling):
            collected.append(note)
        return tuple(collected)

    def probe_notes(self, sampling: Sampling) -> list[str]:
        """Caveats that are known before anything is generated."""
        collected = [*template_notes(self.template)]
        if self.template.variables:
            collected.append(
                "template variables are sent as chat_template_kwargs; a server that does not know "
                "the field ignores them without a word"
            )
        collected += _setting_notes(self.findings.honoured, self.server, sampling)
        if self._fallback:
            collected.insert(0, self._fallback)
        if self.findings.fingerprint is None:
            collected.append(
                ("the server's greedy answers differ from call to call" if self.findings.is_greedy
                 else "the server gives no greedy answers")
                + ": another model under the same name would not be noticed"
            )  # fmt: skip
        return collected

    def course_notes(self, sampling: Sampling) -> list[str]:
        """Caveats on what was generated since this source was made."""
        collected = []
        for name, value in sorted(self.server.reported.items()):
            asked = getattr(sampling, "max_new_tokens" if name == "max_tokens" else name)
            collected.append(f"the server reports {name} {value}, asked for was {asked}")
        return [*collected, *_end_notes(self.server)]


def _setting_notes(
    honoured: dict[str, bool | None], server: Server, sampling: Sampling
) -> Iterable[str]:
    asked = {name: getattr(sampling, name) for name, no in _NEUTRAL.items()
             if getattr(sampling, name) != no}  # fmt: skip
    told = {name for name in server.refused if server.has_other_way(name)}
    refused = {item for item in asked.items()
               if server.leaves_out(*item) and item[0] not in told}  # fmt: skip
    if sampling.temperature == DEFAULT_TEMPERATURE and server.is_fixed:
        del asked["temperature"]
    elif honoured["temperature"] is False:
        yield (
            "the server ignores temperature or seed, or its model is sure of every token: draws "
            "do not depend on them as they should"
        )
        return
    ignored = [f"{name} {asked[name]}" for name in asked
               if honoured[name] is False or (name, asked[name]) in refused]  # fmt: skip
    unsure = [f"{name} {asked[name]}" for name in asked
              if honoured[name] is None and (name, asked[name]) not in refused]  # fmt: skip
    if ignored:
        yield f"the server ignores {', '.join(ignored)}: compare with runs on this server only"
    if unsure:
        yield f"whether the server applies {', '.join(unsure)} could not be told"
    if honoured["seed"] is False:
        yield "the server ignores seeds: only the store makes a second run give the same"


def _end_notes(server: Server) -> Iterable[str]:
    """Notes on new continuations that were filtered or ended before an answer."""
    made = server.ends.total()
    if filtered := server.ends["content_filter"]:
        yield f"the server's content filter cut {filtered} of {made} continuations"
    if spent := server.ends[THOUGHTS]:
        yield (
            f"{spent} of {made} continuations ended in the model's thoughts, before any answer: "
            "raise max_new_tokens, or serve the model without thinking"
        )


def alike(rows: Sequence[PromptGenerations], sampling: Sampling) -> str | None:
    """A note if many prompts have K identical continuations."""
    if sampling.generations < 2:
        return None
    alike = sum(len(set(row.generations)) == 1 for row in rows)
    if alike < _ALIKE * len(rows):
        return None
    return (
        f"all {sampling.generations} continuations of {alike} of {len(rows)} prompts are the "
        "same: the server may not be sampling"
    )
