"""Generations in the files of other tools, as rows that :func:`exleak.score` takes.

>>> from exleak.logs import read_log
>>> log = read_log("samples_leakage.jsonl", "hexl")  # doctest: +SKIP
>>> exleak.score(log.rows)  # doctest: +SKIP

A reader is a module with ``NAME``, ``recognises`` and ``read``; :data:`READERS` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from exleak.datasets import dataset_names, load_dataset
from exleak.errors import DatasetError, SettingsError
from exleak.logs import (
    deepeval,
    every_eval_ever,
    helm,
    inspect_ai,
    lm_eval,
    promptfoo,
    tables,
)
from exleak.logs.matching import match, notes_of, rows_of
from exleak.logs.records import Answers, Columns, Head, head_of
from exleak.records import Dataset, PromptGenerations
from exleak.store.generations import generations_in

__all__ = ["READERS", "Columns", "Log", "Reader", "read_log"]

#: The fields by which one of exleak's own generations files is known.
_OWN = ("condition", "control", "concept")


class Reader(Protocol):
    """A module that reads one format."""

    NAME: str

    def recognises(self, head: Head, /) -> bool:
        """Whether a file is of this format, by its content."""

    def read(self, path: Path, head: Head, columns: Columns, /) -> Answers:
        """Its prompts, with their generations."""


#: In the order in which they are asked; the last takes every table.
READERS: tuple[Reader, ...] = (
    lm_eval, inspect_ai, every_eval_ever, helm, promptfoo, deepeval, tables,
)  # fmt: skip


@dataclass(frozen=True)
class Log:
    """The generations of a file.

    Attributes:
        rows: Prompts with their generations.
        model: The model's name; empty if the file does not tell.
        dataset: The dataset that the prompts are of; ``None`` for a generations file of exleak.
        notes: What is not in the rows, and why.
    """

    rows: tuple[PromptGenerations, ...]
    model: str = ""
    dataset: Dataset | None = None
    notes: tuple[str, ...] = ()


def read_log(
    path: str | Path | Head,
    dataset: str | Path | Dataset | None = None,
    columns: Columns | None = None,
) -> Log:
    """Read the generations of a file, whose format is found out by its content.

    Args:
        path: A generations file of exleak, or a file of one of :data:`READERS`; perhaps opened.
        dataset: The dataset that was asked; by default the shipped ones are tried.
        columns: The columns of a table.

    Returns:
        The generations of the prompts of one dataset.

    Raises:
        DatasetError: The file cannot be read in its format, or holds no prompt of the dataset; the
            message names file and place.
        SettingsError: Columns are given for a file that is not a table.
    """
    head, columns = path if isinstance(path, Head) else head_of(Path(path)), columns or Columns()
    path = head.path
    is_own = "generations" in head.value and any(name in head.value for name in _OWN)
    if is_own and not columns:
        return Log(generations_in(head.text, path))
    reader = tables if is_own else next((one for one in READERS if one.recognises(head)), None)
    if reader is None:
        raise DatasetError(
            f"{path}: JSON of an unknown tool, with the fields {', '.join(head.value)}; these are "
            f"read: {'; '.join(one.NAME for one in READERS)}"
        )
    if columns and reader is not tables:
        raise SettingsError(f"{path}: columns are for tables, and this is one of {reader.NAME}")
    answers = reader.read(path, head, columns)
    if isinstance(dataset, Dataset):
        datasets = [dataset]
    else:
        datasets = [load_dataset(name) for name in ([dataset] if dataset else dataset_names())]
    found = match(answers.asked, datasets, path)
    rows = rows_of(found, path)
    notes = (*answers.notes, *notes_of(found, rows))
    return Log(rows, answers.model, found.dataset, notes)
