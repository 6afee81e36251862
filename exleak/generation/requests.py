"""What is asked of a model and what comes back; the protocols of those that answer.

A :class:`Source` says where a model is. Its :class:`Backend` continues prompts, on this machine or
on a server; it is made when something has to be generated, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from exleak.errors import SettingsError

if TYPE_CHECKING:
    from exleak.generation.sampling import Sampling
    from exleak.records import PromptGenerations
    from exleak.store import Store

Chat = Literal["auto", "always", "never", "prefill"]
#: How a chat template is used in the end: not at all, for the prompt, or for the prompt and the
#: beginning of the answer.
ChatUse = bool | Literal["prefill"]


def check_chat(chat: Chat) -> None:
    """Refuse a use of the chat template that is none of :data:`Chat`.

    Raises:
        SettingsError: It is unknown.
    """
    if chat not in get_args(Chat):
        raise SettingsError(f"chat {chat!r} is unknown; use {', '.join(map(repr, get_args(Chat)))}")


@dataclass(frozen=True)
class Request:
    """One prompt to continue.

    Attributes:
        text: The rendered prompt; the draws are keyed by it.
        indices: Which generations are wanted, usually 0 to K - 1.
        is_complete: Whether a continuation may end here; ``None`` runs to the end.
        begun: How the answer begins, where a server is to put that into the model's turn; a local
            model has it in the text.
    """

    text: str
    indices: tuple[int, ...]
    is_complete: Callable[[str], bool] | None = None
    begun: str | None = None


@dataclass(frozen=True)
class Continued:
    """A finished continuation: the request's number, the generation's index and its raw text."""

    request: int
    index: int
    text: str


@dataclass
class Counts:
    """What a run computed.

    Attributes:
        computed: Rows that were sent through the model for one more token.
        useful: Those that a continuation was waiting for.
        prefilled: Prompt tokens.
        batch_sizes: Rows at once; more than one number where memory ran out.
        notes: What a reader must know of how the rows were computed.
    """

    computed: int = 0
    useful: int = 0
    prefilled: int = 0
    batch_sizes: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Add what another engine of the same run computed."""
        self.computed += other.computed
        self.useful += other.useful
        self.prefilled += other.prefilled


class Backend(Protocol):
    """A model that can be asked: loaded on this machine, or served."""

    @property
    def name(self) -> str:
        """What reports call the model."""

    @property
    def chat(self) -> ChatUse:
        """How the chat template is used."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of how it was loaded."""

    @property
    def flush_seconds(self) -> float:
        """New continuations are stored at least this often."""

    def render(self, text: str, begun: str | None = None) -> str:
        """The text as the model shall see it.

        Args:
            text: The prompt.
            begun: How the answer begins, in the model's own turn.
        """

    def continue_prompts(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        batch_size: int | None = None,
        counts: Counts | None = None,
    ) -> Generator[Continued, None, None]:
        """Continue every request, in whatever order they finish.

        Args:
            requests: Prompts with the generations wanted of each.
            sampling: Settings; ``sampling.generations`` is not used here.
            batch_size: Most continuations in the making at once.
            counts: Filled in while the run goes on, as far as the backend can tell.

        Yields:
            One :class:`Continued` for each request and index.

        Raises:
            ModelError: The model cannot be run, or a prompt cannot be continued.
        """


class Source(Protocol):
    """Where a model is."""

    @property
    def name(self) -> str:
        """What reports call the model."""

    @property
    def chat(self) -> ChatUse | Chat:
        """How the chat template shall be used."""

    @property
    def backend(self) -> Backend:
        """The model itself; loaded, or found out about, when first asked for."""

    @property
    def environment(self) -> dict[str, Any]:
        """Where continuations are made: device and dtype, or a server's address."""

    @property
    def made_with(self) -> dict[str, str]:
        """Versions of the packages that continuations depend on; empty where they run elsewhere."""

    def check(self) -> None:
        """Refuse what can be refused before anything is loaded.

        Raises:
            ModelError: There is no such model.
        """

    def about(self, sampling: Sampling, store: Store) -> dict[str, Any] | None:
        """Everything that continuations depend on, except prompt and index: the store's key.

        ``None`` where that cannot be known, and nothing may be stored.
        """

    def identity(self, chat: ChatUse, about: dict[str, Any] | None) -> dict[str, Any]:
        """What the model is, for comparisons.

        Args:
            chat: How the chat template was used.
            about: As :meth:`about` gave it.
        """

    def notes(self, sampling: Sampling, rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
        """What a reader must know of how these continuations were made."""
