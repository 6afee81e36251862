"""Selects a model's source of continuations: a loaded model, a checkpoint, or a server.

A new backend is a module with a :class:`exleak.generation.requests.Source`, and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.errors import ModelError, SettingsError
from exleak.generation.endpoint.launch import Launch
from exleak.generation.endpoint.launched import LaunchedSource
from exleak.generation.endpoint.several import SeveralSource
from exleak.generation.endpoint.source import TIMEOUT, EndpointSource
from exleak.generation.endpoint.transport import base_url
from exleak.generation.local.checkpoint import Loading, checkpoint_of
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.source import CheckpointSource, LoadedSource
from exleak.generation.requests import Chat, Source, Template
from exleak.model_names import Spelling, short_names

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
    loading: Loading | None = None,
    template: Template | None = None,
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
        device, dtype, chat, loading, template: As for :func:`exleak.load_model`.
        loader: Function that loads the checkpoint, for callers that cache the loaded model.

    Raises:
        SettingsError: A setting is out of range, or an endpoint is given without a model's name.
        ModelError: A model object cannot be used.
    """
    if server is not None:
        if endpoint:
            raise SettingsError("give an endpoint, or a server to start, not both")
        if dtype is not None:
            raise SettingsError(
                f"dtype {dtype!r}: a server that exleak starts gets it in its own words, as "
                "--leakage-server-args"
            )
        _refuse(loading)
        launch = Launch(server) if isinstance(server, str) else server
        path = _served(model)
        label = name or short_names([path])[0]
        return LaunchedSource(label, path, launch, chat, timeout, template or Template())
    if endpoint:
        if not isinstance(model, str):
            raise SettingsError("with an endpoint, give the model's name as the server knows it")
        _refuse(loading)
        own = template or Template()
        given = [endpoint] if isinstance(endpoint, str) else endpoint
        addresses = list(dict.fromkeys(map(base_url, given)))
        if len(addresses) > 1:
            return SeveralSource(name or model, addresses, model, chat, timeout, own)
        return EndpointSource(name or model, addresses[0], model, chat, timeout, own)
    if isinstance(model, (str, Path)):
        label = name or short_names([str(model)])[0]
        how = loading or Loading(), template or Template()
        return CheckpointSource(label, str(model), device, dtype, chat, *how, loader)
    if isinstance(model, LocalModel):
        return LoadedSource(model)
    if callable(getattr(model, "about", None)):  # asking for its backend would load it
        return model
    return LoadedSource(load_model(model, tokenizer, chat=chat, template=template))


def _refuse(loading: Loading | None) -> None:
    """Refuse settings of loading where a server loads the model."""
    if loading not in (None, Loading()):
        raise SettingsError(
            "a model on a server is loaded there: base, tokenizer, trust_remote_code, max_memory "
            "and load are for checkpoints that exleak loads"
        )


def _served(model: object) -> str:
    """The folder, file or hub name that a server is to be started on."""
    if not isinstance(model, (str, Path)):
        raise SettingsError("with a server to start, give the checkpoint's folder")
    place = Path(model).expanduser()
    if place.is_file() or any(True for _ in place.glob("*.gguf")):  # the server says what it takes
        return str(model)
    found = checkpoint_of(model)
    if found.adapter is not None:
        raise ModelError(
            f"model {model}: a server is started on a whole checkpoint, and this is an adapter; "
            "merge it into its base model, or measure it without a server"
        )
    return str(Spelling(found.weights.name, found.weights.revision))
