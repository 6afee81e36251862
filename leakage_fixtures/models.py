"""Finds the models of a session: by name, in leakage.toml, or by a glob pattern."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exleak.model_names import TOML, is_path, natural, spelled
from leakage_fixtures.options import ModelSpec, Settings
from leakage_fixtures.rootdir import root
from leakage_fixtures.session import session_of
from leakage_fixtures.settings import MODEL_KEYS, resolve

if TYPE_CHECKING:
    from exleak.generation.endpoint.launch import Servers
    from exleak.generation.local.model import LocalModel
    from exleak.generation.requests import Source


#: Keys of an entry that may be paths, besides ``path``.
_PATHS = ("base", "tokenizer")


def models(config: pytest.Config) -> tuple[ModelSpec, ...]:
    """The models to measure: those named, or else all entries of leakage.toml.

    Raises:
        pytest.UsageError: leakage.toml is invalid, or a pattern matches no checkpoint.
    """
    session = session_of(config)
    if session.models is None:
        session.models = _models(config)
    return session.models


def _models(config: pytest.Config) -> tuple[ModelSpec, ...]:
    entries = read_toml(root(config) / TOML)
    named = resolve(config).model
    specs = [s for name in named for s in _named(config, name, entries)] if named else [*entries]
    # Entries may share a folder, with different limits; a path given twice is one model.
    distinct = {spec.name if spec.from_toml else spec.path: spec for spec in reversed(specs)}
    specs = _shortened([*distinct.values()][::-1])
    return tuple({spec.name: spec for spec in reversed(specs)}.values())[::-1]


def _shortened(specs: list[ModelSpec]) -> list[ModelSpec]:
    """Give folders names that are the same on every machine; leakage.toml entries keep theirs."""
    from exleak.model_names import short_names

    names = short_names([spec.path for spec in specs])
    taken = {spec.name for spec in specs if spec.from_toml}
    return [
        spec if spec.from_toml or name in taken else replace(spec, name=name)
        for spec, name in zip(specs, names, strict=True)
    ]


def order(config: pytest.Config, model: ModelSpec, dataset: str) -> list[Any]:
    """The sort key of a measurement in tables: models in the order given, datasets by name."""
    known = [spec.name for spec in models(config)]
    return [known.index(model.name), dataset]


def identity(config: pytest.Config, model: str) -> str:
    """What a model of this session is, by more than its name: its path, or its name on a server.

    Paths are those from the root folder, the same in another clone.
    """
    spec = {spec.name: spec for spec in models(config)}[model]
    servers = resolve(config, spec).endpoint
    if servers:
        return f"{spec.path} at {', '.join(servers)}"
    place = Path(spec.path)
    return os.path.relpath(place, root(config)) if place.exists() else spec.path


def _named(config: pytest.Config, name: str, entries: tuple[ModelSpec, ...]) -> list[ModelSpec]:
    known = [spec for spec in entries if spec.name == name]
    if known:
        return known
    if not glob.has_magic(name) or Path(name).exists():
        return [ModelSpec(name, name)]
    if (revisions := _revisions(name)) is not None:
        return [ModelSpec(found, found, series=name) for found in revisions]
    from exleak.checkpoints import no_checkpoint

    found = sorted(glob.glob(name), key=natural)  # noqa: PTH207 (absolute patterns too)
    if not found:
        raise pytest.UsageError(f"--leakage-model {name}: nothing matches this pattern")
    reasons = {path: reason for path in found if (reason := no_checkpoint(Path(path)))}
    session_of(config).left_out.update(reasons)
    whole = [path for path in found if path not in reasons]
    if not whole:
        listed = "; ".join(f"{path}: {reason}" for path, reason in reasons.items())
        raise pytest.UsageError(f"--leakage-model {name}: no checkpoint matches ({listed})")
    return [ModelSpec(path, path, series=name) for path in whole]


def _revisions(name: str) -> list[str] | None:
    """The revisions on the hub that match ``NAME@PATTERN``; ``None`` for a pattern of paths."""
    from exleak.errors import ModelError
    from exleak.hub import revisions

    named, adapter = spelled(name)
    if named.revision is None or adapter is not None or glob.has_magic(named.name):
        return None
    try:
        found = sorted(revisions(named.name, named.revision), key=natural)
    except ModelError as error:
        raise pytest.UsageError(f"--leakage-model {name}: {error}") from None
    return [f"{named.name}@{revision}" for revision in found]


def read_toml(path: Path) -> tuple[ModelSpec, ...]:
    """The models in leakage.toml; an empty tuple if the file does not exist."""
    if not path.is_file():
        return ()
    import tomllib

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as error:
        raise pytest.UsageError(f"{path}: not TOML ({error})") from None
    unknown = sorted(set(content) - {"models"})
    if unknown or not isinstance(content.get("models", {}), dict):
        raise pytest.UsageError(f"{path}: only [models.NAME] tables are known, not {unknown}")
    return tuple(_spec(name, entry, path) for name, entry in content.get("models", {}).items())


def _spec(name: str, entry: object, path: Path) -> ModelSpec:
    where = f"{path}, [models.{name}]"
    if not isinstance(entry, dict):
        raise pytest.UsageError(f"{where}: a table is expected")
    unknown = sorted(set(entry) - {*MODEL_KEYS, "enable_thinking"})
    if unknown:
        raise pytest.UsageError(
            f"{where}: unknown {', '.join(unknown)}; known are {', '.join(MODEL_KEYS)}"
        )
    expected = entry.get("xfail", "why")
    if not isinstance(expected, str) or not expected.strip():
        raise pytest.UsageError(
            f"{where}: xfail is the reason why the model is expected to fail, a text, not "
            f"{expected!r}; leave it out if it is not"
        )
    entry = dict(entry)
    if "enable_thinking" in entry:
        entry["template"] = {
            **entry.get("template", {}),
            "enable_thinking": entry.pop("enable_thinking"),
        }
    source = str(entry.get("path", name))
    if "endpoint" not in entry:
        source = _beside(path, source)
        entry |= {key: _beside(path, str(entry[key])) for key in _PATHS if key in entry}
    return ModelSpec(name, source, entry, True)


def _beside(toml: Path, name: str) -> str:
    """A model's name, with each path beside leakage.toml resolved from there."""
    folder = toml.parent
    if (folder / name).exists():
        return str(folder / name)
    found = []
    for part in (part for part in spelled(name) if part is not None):
        place = folder / str(part)
        is_there = place.exists() or (is_path(part, folder) and not part.name.startswith("~"))
        found.append(str(place if is_there else part))
    return ":".join(found)


def source(
    model: ModelSpec,
    settings: Settings,
    loader: Callable[[], LocalModel] | None = None,
    servers: Servers | None = None,
) -> Source:
    """The source of a model's continuations.

    Args:
        model: The model.
        settings: The settings of the model.
        loader: Returns the loaded model, if a fixture holds it.
        servers: The session's servers.

    Raises:
        ExleakError: Settings out of range.
    """
    from exleak.sources import source_of

    launch = settings.launch
    return source_of(
        model.path,
        name=model.name,
        endpoint=settings.endpoint,
        server=launch and replace(launch, servers=servers),
        timeout=settings.endpoint_timeout,
        device=settings.device,
        dtype=settings.dtype,
        chat=settings.chat,  # type: ignore[arg-type]
        loading=settings.loading,
        template=settings.chat_template,
        loader=loader,
    )


def runs_on_cuda(model: ModelSpec, settings: Settings) -> bool:
    """Whether tests of this model get the ``gpu`` marker (docs/settings.md)."""
    if settings.endpoint:
        return False
    if settings.device is not None and settings.device != "auto":
        return settings.device.startswith("cuda")
    if model.from_toml and settings.device is None:
        return True
    from exleak.generation.local.loading import has_cuda

    return has_cuda()
