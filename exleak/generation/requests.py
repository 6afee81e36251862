"""Requests to a model and their results; protocols of model sources and backends.

A :class:`Source` says where a model is. Its :class:`Backend` continues prompts, on this machine or
on a server, and is created only when something has to be generated.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from exleak.errors import SettingsError

if TYPE_CHECKING:
    from exleak.generation.sampling import Sampling
    from exleak.records import PromptGenerations
    from exleak.store import Store

Chat = Literal["auto", "always", "never", "prefill"]
#: Actual use of a chat template: not at all, for the prompt, or for the prompt and the beginning of
#: the answer.
ChatUse = bool | Literal["prefill"]


def template_notes(template: Template) -> tuple[str, ...]:
    """Notes for the report that say which system prompt and variables were used."""
    said = [f"system prompt: {template.system}"] if template.system is not None else []
    said += [f"template variable {name} = {value!r}" for name, value in template.variables.items()]
    return tuple(said)


def check_chat(chat: Chat) -> None:
    """Refuse a chat setting that is not in :data:`Chat`.

    Raises:
        SettingsError: The setting is unknown.
    """
    if chat not in get_args(Chat):
        raise SettingsError(f"chat {chat!r} is unknown; use {', '.join(map(repr, get_args(Chat)))}")


@dataclass(frozen=True)
class Template:
    """What a chat template is given besides the prompt.

    Attributes:
        system: The system prompt; ``None`` for the template's own, if it has one.
        variables: Variables of the template, for example ``{"enable_thinking": False}``.
    """

    system: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.system is not None or bool(self.variables)

    def to_json(self) -> dict[str, Any]:
        """The settings for the store key and reports; empty without any."""
        system = {} if self.system is None else {"system": self.system}
        return {**system, **({"variables": dict(self.variables)} if self.variables else {})}

    @property
    def entry(self) -> dict[str, Any]:
        """The settings under their key, ``"template"``; empty without any."""
        return {"template": self.to_json()} if self else {}

    def messages(self, text: str, begun: str | None = None) -> list[dict[str, Any]]:
        """The turns of a conversation: system prompt, the user's, and the answer's beginning."""
        said = {"system": self.system, "user": text, "assistant": begun}
        return [{"role": role, "content": part} for role, part in said.items() if part is not None]


@dataclass(frozen=True)
class Request:
    """One prompt to continue.

    Attributes:
        text: The rendered prompt; part of the key of each draw.
        indices: Indices of the wanted generations, usually 0 to K - 1.
        is_complete: Whether a continuation may end after a text; ``None`` disables early stopping.
        begun: Prefilled beginning of the answer, for a server; a local model has it in ``text``.
    """

    text: str
    indices: tuple[int, ...]
    is_complete: Callable[[str], bool] | None = None
    begun: str | None = None


@dataclass(frozen=True)
class Continued:
    """A finished continuation: its request number, generation index and raw text."""

    request: int
    index: int
    text: str


@dataclass
class Counts:
    """Counts of the work of a run.

    Attributes:
        steps: Forward passes that decoded a token for every row of a batch.
        computed: Rows decoded, summed over all steps.
        useful: Those of them that belonged to an unfinished continuation.
        prefilled: Prompt tokens prefilled.
        batch_sizes: Batch sizes used; more than one if memory ran out.
        notes: Caveats on how the rows were computed.
    """

    steps: int = 0
    computed: int = 0
    useful: int = 0
    prefilled: int = 0
    batch_sizes: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Add the counts of another engine of the same run."""
        self.steps += other.steps
        self.computed += other.computed
        self.useful += other.useful
        self.prefilled += other.prefilled


class Backend(Protocol):
    """A model that can generate: loaded on this machine, or served."""

    @property
    def name(self) -> str:
        """The model's name in reports."""

    @property
    def chat(self) -> ChatUse:
        """How the chat template is used."""

    @property
    def loading_notes(self) -> tuple[str, ...]:
        """Caveats on how the model was loaded."""

    @property
    def flush_seconds(self) -> float:
        """Maximum seconds between two flushes of new continuations to the store."""

    def render(self, text: str, begun: str | None = None) -> str:
        """Render a prompt as the model receives it.

        Args:
            text: The prompt.
            begun: Prefilled beginning of the answer.
        """

    def continue_prompts(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        batch_size: int | None = None,
        counts: Counts | None = None,
    ) -> Generator[Continued, None, None]:
        """Continue every request, in any order.

        Args:
            requests: Prompts with the generations wanted of each.
            sampling: Settings; ``sampling.generations`` is not used here.
            batch_size: Maximum number of continuations generated at once.
            counts: Updated during the run, as far as the backend knows them.

        Yields:
            One :class:`Continued` for each request and index.

        Raises:
            ModelError: The model cannot be run, or a prompt cannot be continued.
        """


class Source(Protocol):
    """Location of a model, and access to it."""

    @property
    def name(self) -> str:
        """The model's name in reports."""

    @property
    def chat(self) -> ChatUse | Chat:
        """The chat setting: how to use the chat template."""

    @property
    def backend(self) -> Backend:
        """The model itself, loaded or probed on first access."""

    @property
    def environment(self) -> dict[str, Any]:
        """Where continuations are made: device and dtype, or a server's address."""

    @property
    def made_with(self) -> dict[str, str]:
        """Versions of the packages that continuations depend on; empty for a remote model."""

    def check(self) -> None:
        """Run the checks that are possible before anything is loaded.

        Raises:
            ModelError: There is no such model.
        """

    def about(self, sampling: Sampling, store: Store) -> dict[str, Any] | None:
        """The store key: everything that continuations depend on, except prompt and index.

        ``None`` if that cannot be known; then nothing may be stored.
        """

    def identity(self, chat: ChatUse, about: dict[str, Any] | None) -> dict[str, Any]:
        """Identity of the model, for comparisons.

        Args:
            chat: How the chat template was used.
            about: The store key from :meth:`about`.
        """

    def notes(self, sampling: Sampling, rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
        """Caveats on how these continuations were made."""
