"""Selects a model's source of continuations: a loaded model, a checkpoint, or a server.

A new backend is a module with a :class:`exleak.generation.requests.Source`, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.errors import SettingsError
from exleak.generation.endpoint.launch import Launch
from exleak.generation.endpoint.launched import LaunchedSource
from exleak.generation.endpoint.several import SeveralSource
from exleak.generation.endpoint.source import TIMEOUT, EndpointSource
from exleak.generation.endpoint.transport import base_url
from exleak.generation.local.loading import load_model, locate
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
    endpoint: str | Sequence[str] | None = None,
    server: str | Launch | None = None,
    timeout: float = TIMEOUT,
    device: str | None = None,
    dtype: str | None = None,
    chat: Chat = "auto",
    loader: Callable[[], LocalModel] | None = None,
) -> Source:
    """The source of a model's continuations; loads no checkpoint and contacts no server.

    Args:
        model: As for :func:`exleak.measure`.
        name: Name in reports; by default a short name of the model.
        tokenizer: Tokenizer of a model object.
        endpoint: Address of a server that serves the model, or of several.
        server: The kind of server to start on the checkpoint.
        timeout: Time-out of one request to the server, in seconds.
        device, dtype, chat: As for :func:`exleak.load_model`.
        loader: Function that loads the checkpoint, for callers that cache the loaded model.

    Raises:
        SettingsError: A setting is out of range, or an endpoint is given without a model's name.
        ModelError: A model object cannot be used.
    """
    if server is not None:
        return _launched(model, name, endpoint, server, timeout, (device, dtype), chat)
    if endpoint:
        if not isinstance(model, str):
            raise SettingsError("with an endpoint, give the model's name as the server knows it")
        given = [endpoint] if isinstance(endpoint, str) else endpoint
        addresses = list(dict.fromkeys(map(base_url, given)))
        if len(addresses) > 1:
            return SeveralSource(name or model, addresses, model, chat, timeout)
        return EndpointSource(name or model, addresses[0], model, chat, timeout)
    if isinstance(model, (str, Path)):
        label = name or short_names([str(model)])[0]
        return CheckpointSource(label, str(model), device, dtype, chat, loader)
    if isinstance(model, LocalModel):
        return LoadedSource(model)
    if callable(getattr(model, "about", None)):  # asking for its backend would load it
        return model
    return LoadedSource(load_model(model, tokenizer, chat=chat))


def _launched(
    model: object,
    name: str | None,
    endpoint: object,
    server: str | Launch,
    timeout: float,
    placement: tuple[str | None, str | None],
    chat: Chat,
) -> LaunchedSource:
    if endpoint:
        raise SettingsError("give an endpoint, or a server to start, not both")
    if placement[1] is not None:
        raise SettingsError(
            f"dtype {placement[1]!r}: a server that exleak starts gets it in its own words, as "
            "--leakage-server-args"
        )
    if not isinstance(model, (str, Path)):
        raise SettingsError("with a server to start, give the checkpoint's folder")
    launch = Launch(server) if isinstance(server, str) else server
    place = str(model)
    if not Path(place).expanduser().is_file():  # llama.cpp's checkpoints are files
        place = place if _is_gguf_folder(place) else locate(model)
    return LaunchedSource(name or short_names([str(model)])[0], place, launch, chat, timeout)


def _is_gguf_folder(place: str) -> bool:
    return any(True for _ in Path(place).expanduser().glob("*.gguf"))
