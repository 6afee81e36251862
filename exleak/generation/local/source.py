"""A checkpoint on this machine as a source of continuations, loaded on demand."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

from exleak.environment import makers
from exleak.generation.local.checkpoint import CONTENT, Checkpoint, Loading, checkpoint_of
from exleak.generation.local.devices import (
    AUTO,
    check_accelerate,
    check_devices,
    layers_by_device,
)
from exleak.generation.local.loading import load_model, placement
from exleak.generation.local.model import LocalModel
from exleak.generation.requests import (
    Chat,
    ChatUse,
    Continued,
    Counts,
    Request,
    Template,
    check_chat,
    template_notes,
)

if TYPE_CHECKING:
    from exleak.generation.sampling import Sampling
    from exleak.records import PromptGenerations
    from exleak.store import Store

#: Maximum seconds between two flushes of new continuations to the store.
_FLUSH_SECONDS = 5.0


@dataclass(frozen=True)
class LocalBackend:
    """A loaded model that continues prompts.

    Attributes:
        model: The model.
    """

    model: LocalModel
    flush_seconds: float = _FLUSH_SECONDS

    @property
    def name(self) -> str:
        """The model's name in reports."""
        return self.model.name

    @property
    def chat(self) -> ChatUse:
        """How the chat template is used."""
        return self.model.chat

    @property
    def loading_notes(self) -> tuple[str, ...]:
        """Caveats on how the model was loaded."""
        return self.model.notes

    def render(self, text: str, begun: str | None = None) -> str:
        """As :meth:`exleak.generation.local.model.LocalModel.render`."""
        return self.model.render(text, begun)

    def continue_prompts(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        batch_size: int | None = None,
        counts: Counts | None = None,
    ) -> Generator[Continued, None, None]:
        """As :func:`exleak.generation.local.replicas.continue_prompts`."""
        from exleak.generation.local.replicas import continue_prompts

        return continue_prompts(
            self.model, requests, sampling, batch_size=batch_size, counts=counts
        )


@dataclass(frozen=True)
class LoadedSource:
    """A model that the caller loaded. Its weights may have changed, so nothing is stored.

    Attributes:
        model: The loaded model.
    """

    model: LocalModel

    @property
    def name(self) -> str:
        """The model's name in reports."""
        return self.model.name

    @property
    def chat(self) -> ChatUse:
        """How the chat template is used."""
        return self.model.chat

    @property
    def backend(self) -> LocalBackend:
        """The model."""
        return LocalBackend(self.model)

    @property
    def environment(self) -> dict[str, Any]:
        """Device and dtype."""
        return {
            "device": self.model.device.type,
            "dtype": self.model.dtype,
            **_spread(self.model),
        }

    @property
    def made_with(self) -> dict[str, str]:
        """Versions of the packages that continuations depend on."""
        return makers()

    def check(self) -> None:
        """Do nothing: the model is already loaded."""

    def about(self, sampling: Sampling, store: Store) -> None:
        """No store key: which weights the model holds cannot be known."""

    def identity(self, chat: ChatUse, about: dict[str, Any] | None) -> dict[str, Any]:
        """How the chat template is used; the weights are unknown."""
        return {"chat": chat, **self.model.template.entry}

    def notes(self, sampling: Sampling, rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
        """The system prompt and variables of the chat template."""
        return template_notes(self.model.template)


@dataclass
class CheckpointSource:
    """Location of a checkpoint and how to load it.

    Attributes:
        name: The model's name in reports.
        path: A checkpoint folder, adapter folder, GGUF file, hub name, reference model's name or
            ``BASE:ADAPTER``.
        device, dtype, chat, loading, template: As for :func:`exleak.load_model`.
        loader: Returns the loaded model, if the caller keeps it.
    """

    name: str
    path: str
    device: str | None = None
    dtype: str | None = None
    chat: Chat = "auto"
    loading: Loading = field(default_factory=Loading)
    template: Template = field(default_factory=Template)
    loader: Callable[[], LocalModel] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_chat(self.chat)
        check_devices(self.device, self.loading.max_memory)

    @cached_property
    def backend(self) -> LocalBackend:
        """The loaded model.

        Raises:
            ModelError: It cannot be loaded.
        """
        if self.loader is not None:
            return LocalBackend(self.loader())
        model = load_model(
            self.path,
            device=self.device,
            dtype=self.dtype,
            chat=self.chat,
            name=self.name,
            loading=self.loading,
            template=self.template,
        )
        return LocalBackend(model)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The files of the checkpoint; those of an adapter on the hub once they are here.

        Raises:
            ModelError: There is no such checkpoint.
        """
        return checkpoint_of(self.path, self.loading)

    def _placement(self) -> tuple[str, str]:
        """Device and dtype that the model gets; a quantised one keeps its dtype."""
        device, dtype = placement(self.device, self.dtype)
        keeps = self.dtype is None and self.checkpoint.quantised is not None
        return device, "auto" if keeps else dtype

    @property
    def environment(self) -> dict[str, Any]:
        """Device and dtype that the model gets; once it is loaded, its parts and copies."""
        device, dtype = self._placement()
        spread = _spread(self.backend.model) if "backend" in vars(self) else {}
        return {"device": device, "dtype": dtype, **spread}

    @property
    def made_with(self) -> dict[str, str]:
        """Versions of the packages that continuations depend on."""
        return makers()

    def check(self) -> None:
        """Check the files with :func:`exleak.generation.local.checkpoint.checkpoint_of`."""
        if self.device == AUTO:
            check_accelerate()
        _ = self.checkpoint

    def about(self, sampling: Sampling, store: Store) -> dict[str, Any]:
        """The store key: everything that continuations depend on, except prompt and index.

        The model is loaded only if some of its files are not on this machine yet.
        """
        found = self.checkpoint.resolved()
        if not found.is_here():
            _ = self.backend
            found = self.checkpoint.resolved()
        device, dtype = self._placement()
        settings = sampling.to_json()
        del settings["generations"]
        return {
            **found.content(store.memo),
            **self.template.entry,
            "chat": self.chat,
            "device": device.partition(":")[0],
            "dtype": dtype,
            "sampling": settings,
            "sentencex": metadata.version("sentencex"),
        }

    def identity(self, chat: ChatUse, about: dict[str, Any] | None) -> dict[str, Any]:
        """Hash of the checkpoint's files, and how the chat template is used."""
        known = {"chat": chat, **self.template.entry}
        if about is None:  # without a store, files are not hashed
            return known
        return known | {key: about[key] for key in CONTENT if key in about}

    def notes(self, sampling: Sampling, rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
        """The system prompt and variables of the chat template."""
        return template_notes(self.template)


def _spread(model: LocalModel) -> dict[str, Any]:
    """Number of layers by device of a spread model, devices of a model with copies."""
    layers = layers_by_device(model.model)
    devices = [str(model.device), *(one.device for one in model.replicas)]
    return {
        **({"device_map": layers} if layers else {}),
        **({"devices": devices} if model.replicas else {}),
    }
