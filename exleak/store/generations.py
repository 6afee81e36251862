"""Generations files: JSON lines with one prompt per line, the input of ``exleak score``.

A line is ``{"id", "control", "condition", "concept", "prompt", "generations"}``. Files written by
exleak also have ``control_text`` and ``injected``, which help to detect an echo of the prompt.
Texts in another language than English have ``language`` and ``injected_language``.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from exleak.errors import DatasetError
from exleak.files import object_in, write_text
from exleak.languages import ENGLISH, is_code
from exleak.records import CONDITIONS, Condition, PromptGenerations
from exleak.store.segments import warn
from exleak.store.store import Store, digest

_CONDITIONS: tuple[str, ...] = get_args(Condition)


def write_generations(path: str | Path, rows: Iterable[PromptGenerations]) -> None:
    """Write a generations file."""
    write_text(Path(path), _lines(rows))


def _lines(rows: Iterable[PromptGenerations]) -> str:
    return "".join(f"{json.dumps(_value(row), ensure_ascii=True)}\n" for row in rows)


def _value(row: PromptGenerations) -> dict[str, Any]:
    value = dataclasses.asdict(row)
    if row.is_english:
        del value["language"], value["injected_language"]
    return value


def write_run(store: Store, name: str, rows: Iterable[PromptGenerations]) -> Path | None:
    """Write a run's generations file into the store; equal content gives the same file.

    Args:
        store: The store.
        name: Model and dataset, for the file's name.
        rows: The run's prompts with their generations.

    Returns:
        The file; ``None`` (with a warning) if it cannot be written.
    """
    text = _lines(rows)
    return write_into(store, run_path(store, name, text), text)


def run_path(store: Store, name: str, content: str, kind: str = ".jsonl") -> Path:
    """The place of a run's file: by its name, and eight digits of what tells it from others.

    Args:
        store: The store.
        name: Model and dataset.
        content: What tells it from other runs of that name.
        kind: The suffix.
    """
    key = digest(f"{name}\n{content}")[:8]
    return store.runs / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-.')[-80:]}-{key}{kind}"


def write_into(store: Store, path: Path, text: str) -> Path | None:
    """Write a file into the store; ``None`` (with a warning) if it cannot be written."""
    try:
        store.mark()
        write_text(path, text)
    except OSError as error:
        warn(path, f"cannot be written ({error.strerror}); going on without it")
        return None
    return path


def read_generations(path: str | Path) -> tuple[PromptGenerations, ...]:
    """Read a generations file and check every line.

    Raises:
        DatasetError: The file cannot be read, or a line is not a valid prompt with generations;
            the message names file and line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None
    return generations_in(text, path)


def generations_in(text: str, path: Path) -> tuple[PromptGenerations, ...]:
    """As :func:`read_generations`, of a file that was read."""
    rows: dict[str, PromptGenerations] = {}
    places: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        row = _row(line, where)
        if row.id in rows:
            raise DatasetError(f"{where}: duplicate id {row.id!r}, first used in {places[row.id]}")
        rows[row.id], places[row.id] = row, f"line {number}"
    if not rows:
        raise DatasetError(f"{path}: no prompts in it")
    _check_controls(rows, path, places)
    return tuple(rows.values())


def _row(line: str, where: str) -> PromptGenerations:
    value = object_in(line, where)
    for name in ("id", "condition", "prompt", "generations"):
        if name not in value:
            raise DatasetError(f"{where}: field {name!r} is missing")
    condition, language = value["condition"], _language(value, "language", ENGLISH, where)
    if condition not in _CONDITIONS:
        known = ", ".join(_CONDITIONS)
        raise DatasetError(f"{where}: condition {condition!r} is unknown; use one of {known}")
    return PromptGenerations(
        id=_id(value["id"], "id", where),
        control=None if condition == "control" else _control(value, where),
        condition=condition,
        concept=_text_or_none(value, "concept", where),
        prompt=_text(value["prompt"], "prompt", where),
        generations=_generations(value["generations"], where),
        control_text=_text_or_none(value, "control_text", where),
        injected=_text_or_none(value, "injected", where),
        language=language,
        injected_language=_language(value, "injected_language", language, where),
    )


def _language(value: dict[str, Any], name: str, default: str, where: str) -> str:
    if (found := value.get(name)) is None:
        return default
    if not is_code(found):
        raise DatasetError(
            f"{where}: field {name!r} must be an ISO 639 code such as de, zh or ar, not {found!r}"
        )
    return str(found)


def _control(value: dict[str, Any], where: str) -> str:
    if value.get("control") is None:
        raise DatasetError(f"{where}: field 'control' must name the control row of this prompt")
    return _id(value["control"], "control", where)


def _id(found: object, name: str, where: str) -> str:
    if isinstance(found, (str, int)) and not isinstance(found, bool):
        return str(found)
    raise DatasetError(f"{where}: field {name!r} must be a text or a whole number, not {found!r}")


def _text(found: object, name: str, where: str) -> str:
    if isinstance(found, str):
        return found
    raise DatasetError(f"{where}: field {name!r} must be a text, not {found!r}")


def _text_or_none(value: dict[str, Any], name: str, where: str) -> str | None:
    text = value.get(name)
    if text is None or isinstance(text, str):
        return text
    raise DatasetError(f"{where}: field {name!r} must be a text or null, not {text!r}")


def _generations(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DatasetError(f"{where}: field 'generations' must be a list of texts")
    if not value:
        raise DatasetError(f"{where}: field 'generations' is empty")
    return tuple(value)


def _check_controls(rows: dict[str, PromptGenerations], path: Path, places: dict[str, str]) -> None:
    for row in rows.values():
        if row.control is None:
            continue
        control = rows.get(row.control)
        if control is None or control.condition != CONDITIONS[0]:
            problem = "does not exist" if control is None else "is not a control"
            raise DatasetError(
                f"{path}, {places[row.id]}: the control {row.control!r} of {row.id!r} {problem}"
            )
