"""A model that is loaded only when something has to be generated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

from exleak.generation.checkpoint import (
    Chat,
    LocalModel,
    check_chat,
    load_model,
    locate,
    placement,
)

if TYPE_CHECKING:
    from exleak.generation.sampling import Sampling
    from exleak.store import Store


@dataclass
class ModelSource:
    """Where a model is and how it shall be loaded.

    Attributes:
        name: What reports call it.
        path: A checkpoint folder, hub name or reference model's name.
        device, dtype, chat: As for :func:`exleak.load_model`.
        loader: Loads it, where somebody else keeps the loaded model.
    """

    name: str
    path: str
    device: str | None = None
    dtype: str | None = None
    chat: Chat = "auto"
    loader: Callable[[], LocalModel] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_chat(self.chat)

    @cached_property
    def model(self) -> LocalModel:
        """The loaded model."""
        if self.loader is not None:
            return self.loader()
        return load_model(
            self.path, device=self.device, dtype=self.dtype, chat=self.chat, name=self.name
        )

    def about(self, sampling: Sampling, store: Store) -> dict[str, Any]:
        """Everything that continuations depend on, except prompt and index.

        The model is loaded only if its files are not all on this machine yet.
        """
        from exleak.store.identity import checkpoint_hash, is_whole, local_folder

        path = locate(self.path)
        folder = local_folder(path)
        if folder is None or not is_whole(folder):
            _ = self.model
            folder = local_folder(path)
        assert folder is not None
        device, dtype = placement(self.device, self.dtype)
        settings = sampling.to_json()
        del settings["generations"]
        return {
            "checkpoint": checkpoint_hash(folder, store.memo),
            "chat": self.chat,
            "device": device.partition(":")[0],
            "dtype": dtype,
            "sampling": settings,
            "sentencex": metadata.version("sentencex"),
        }
