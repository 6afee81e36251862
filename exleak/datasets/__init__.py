"""Leakage datasets: built-in ones by name, others by path.

A dataset is JSONL, one sample per line: ``{"id", "control", "positive", "neutral", "negative"}``,
with an optional header line ``{"dataset", "version", "instruction", "license", "provenance",
"language", "injected_language"}``. A sample may also have ``"intensity"``, numbers by condition.
Further fields are ignored.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from exleak.errors import DatasetError, SettingsError
from exleak.files import object_in
from exleak.languages import ENGLISH, is_code
from exleak.records import CLASSES, CONDITIONS, Dataset, Sample
from exleak.surrogates import has_surrogates

_FOLDER = Path(__file__).parent
_FIELDS = ("id", *CONDITIONS)
_LANGUAGES = ("language", "injected_language")
_HEADER = ("dataset", "version", "instruction", "license", "provenance", *_LANGUAGES)


def dataset_names() -> tuple[str, ...]:
    """Names of the built-in datasets."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.jsonl")))


def dataset_path(name_or_path: str | Path) -> Path:
    """The file of a dataset.

    Args:
        name_or_path: A built-in dataset's name or the path of a JSONL file.

    Raises:
        DatasetError: It is neither a built-in name nor a file.
    """
    if str(name_or_path) in dataset_names():
        return _FOLDER / f"{name_or_path}.jsonl"
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise DatasetError(
        f"unknown dataset {str(name_or_path)!r}: give one of {', '.join(dataset_names())}, "
        "or the path of a JSONL file"
    )


def load_dataset(name_or_path: str | Path, *, limit: int | None = None) -> Dataset:
    """Load a dataset and check every line.

    Args:
        name_or_path: A built-in dataset's name (see :func:`dataset_names`) or a JSONL file.
        limit: Keep only the first ``limit`` samples; the dataset's hash then differs, so that a
            partial run is never compared with a full one.

    Returns:
        The dataset, with samples in file order.

    Raises:
        DatasetError: The dataset is unknown, or a line is not a valid sample; the message names
            file and line.
        SettingsError: ``limit`` is below 1.
    """
    if limit is not None and limit < 1:
        raise SettingsError(f"dataset {name_or_path}: limit must be at least 1, not {limit}")
    path = dataset_path(name_or_path)
    header, rows = _read(path)
    instruction = header.get("instruction", "")
    language = header.get("language", ENGLISH)
    injected_language = header.get("injected_language", language)
    samples = tuple(
        Sample(
            **row,
            instruction=instruction,
            language=language,
            injected_language=injected_language,
        )
        for row in rows
    )
    if limit is not None:
        samples = samples[:limit]
    if not samples:
        raise DatasetError(f"{path}: no samples in it")
    texts = "\n".join(prompt.text for sample in samples for prompt in sample.prompts)
    if (language, injected_language) != (ENGLISH, ENGLISH):
        texts += f"\0{language} {injected_language}"
    return Dataset(
        name=header.get("dataset") or path.stem,
        version=header.get("version", ""),
        instruction=instruction,
        license=header.get("license", ""),
        provenance=header.get("provenance", ""),
        hash=hashlib.sha256(texts.encode()).hexdigest(),
        samples=samples,
        language=language,
        injected_language=injected_language,
    )


def _read(path: Path) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Header (empty if there is none) and checked sample rows of a dataset file."""
    header: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        value = object_in(line, where := f"{path}, line {number}")
        if not rows and not header and "dataset" in value and "control" not in value:
            header = {key: str(value[key]) for key in _HEADER if value.get(key)}
            _check_languages(value, where)
            continue
        row: dict[str, Any] = {key: _text(value, key, where) for key in _FIELDS}
        row["intensity"] = _intensity(value, where)
        if row["id"] in seen:
            raise DatasetError(
                f"{where}: duplicate id {row['id']!r}, first used in line {seen[row['id']]}; "
                "every sample needs an id of its own"
            )
        seen[row["id"]] = number
        rows.append(row)
    return header, rows


def _check_languages(header: dict[str, Any], where: str) -> None:
    for key in _LANGUAGES:
        if (found := header.get(key)) is not None and not is_code(found):
            raise DatasetError(
                f"{where}: {key!r} must be an ISO 639 code such as de, zh or ar, not {found!r}"
            )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from None


def _text(value: dict[str, Any], key: str, where: str) -> str:
    if key not in value:
        raise DatasetError(
            f"{where}: field {key!r} is missing; a sample has the fields {', '.join(_FIELDS)}"
        )
    text = value[key]
    if not isinstance(text, str) or not text.strip():
        raise DatasetError(f"{where}: field {key!r} must be a non-empty text, not {text!r}")
    if has_surrogates(text):
        raise DatasetError(f"{where}: field {key!r} holds half of a character: {text!r:.80}")
    return text.strip()


def _intensity(value: dict[str, Any], where: str) -> dict[str, float]:
    given = value.get("intensity")
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(
        label in CLASSES and _is_number(number) for label, number in given.items()
    ):
        raise DatasetError(
            f"{where}: field 'intensity' must hold a number by class, such as "
            f'{{"positive": 2.5, "negative": 3}}, not {given!r:.80}'
        )
    return {label: float(number) for label, number in given.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
