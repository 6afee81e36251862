"""Selects a model's source of continuations: a loaded model, a checkpoint, or a server.

A new backend is a module with a :class:`exleak.generation.requests.Source`, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.errors import SettingsError
from exleak.generation.endpoint.source import TIMEOUT, EndpointSource
from exleak.generation.local.devices import MaxMemory
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.source import CheckpointSource, LoadedSource
from exleak.generation.requests import Chat, Source
from exleak.model_names import short_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def source_of(
    model: str | Path | PreTrainedModel | LocalModel | Source,
    *,
    name: str | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    endpoint: str | None = None,
    timeout: float = TIMEOUT,
    device: str | None = None,
    dtype: str | None = None,
    chat: Chat = "auto",
    loader: Callable[[], LocalModel] | None = None,
    max_memory: MaxMemory | None = None,
) -> Source:
    """The source of a model's continuations; loads no checkpoint and contacts no server.

    Args:
        model: As for :func:`exleak.measure`.
        name: Name in reports; by default a short name of the model.
        tokenizer: Tokenizer of a model object.
        endpoint: Address of a server that serves the model.
        timeout: Time-out of one request to the server, in seconds.
        device, dtype, chat, max_memory: As for :func:`exleak.load_model`.
        loader: Function that loads the checkpoint, for callers that cache the loaded model.

    Raises:
        SettingsError: A setting is out of range, or an endpoint is given without a model's name.
        ModelError: A model object cannot be used.
    """
    if endpoint is not None:
        if not isinstance(model, str):
            raise SettingsError("with an endpoint, give the model's name as the server knows it")
        return EndpointSource(name or model, endpoint, model, chat, timeout)
    if isinstance(model, (str, Path)):
        label = name or short_names([str(model)])[0]
        return CheckpointSource(label, str(model), device, dtype, chat, loader, max_memory)
    if isinstance(model, LocalModel):
        return LoadedSource(model)
    if callable(getattr(model, "about", None)):  # asking for its backend would load it
        return model
    return LoadedSource(load_model(model, tokenizer, chat=chat))
