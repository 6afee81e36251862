"""The annotators' answers, checked line by line.

A file is one that the page saved (JSON or CSV), or the exported CSV or JSON lines, filled in by
hand. The annotator is named in the file, or else by the file's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exleak.annotate.files import Line, read_lines
from exleak.annotate.key import Key
from exleak.annotate.task import TASKS, Question, Task
from exleak.errors import DatasetError


@dataclass(frozen=True)
class Answers:
    """The answers of all annotators.

    Attributes:
        export: Id of the export that they belong to.
        task: The task.
        annotators: Names, in the order of the files.
        items: Item ids: with a key all of the export, without one those with an answer.
        values: Answers by question name, item and annotator; missing ones are omitted.
    """

    export: str
    task: Task
    annotators: tuple[str, ...]
    items: tuple[str, ...]
    values: dict[str, dict[str, dict[str, str]]]

    def of(self, question: str, item: str) -> tuple[str, ...]:
        """The answers to a question about an item, without the annotators' names."""
        return tuple(self.values[question].get(item, {}).values())


def read_answers(paths: Sequence[Path], key: Key | None = None) -> Answers:
    """Read the answer files of all annotators.

    Args:
        paths: JSON, JSON lines or CSV files; a file may have several annotators, and an annotator
            several files.
        key: The export's key; without it, unknown items cannot be detected.

    Raises:
        DatasetError: A file cannot be read, belongs to another export, names an unknown item,
            answers an item twice or has an invalid category; the message names file and line.
    """
    lines = [line for path in paths for line in read_lines(path)]
    if not lines:
        raise DatasetError("there is no answer in these files")
    export, task = _export(lines, key)
    known = {item.id for item in key.items} if key else None
    values: dict[str, dict[str, dict[str, str]]] = {q.name: {} for q in task.questions}
    places: dict[tuple[str, str], str] = {}
    annotators: dict[str, None] = {}
    for line in lines:
        _check_place(line, export, known, task)
        given = _given(line, task)
        if not given:
            continue
        annotators[line.annotator] = None
        _check_once(line, places)
        for name, value in given.items():
            values[name].setdefault(line.item, {})[line.annotator] = value
    if not annotators:
        raise DatasetError("there is no answer in these files: every cell is empty")
    items = [item.id for item in key.items] if key else list(dict.fromkeys(i for _, i in places))
    return Answers(export, task, tuple(annotators), tuple(items), values)


def _export(lines: Sequence[Line], key: Key | None) -> tuple[str, Task]:
    """Id and task of the export that the key, or else the first line, belongs to."""
    if key:
        return key.export, key.task
    first = lines[0]
    for task in TASKS.values():
        if any(question.name in first.fields for question in task.questions):
            return first.export, task
    names = " or ".join(q.name for task in TASKS.values() for q in task.questions)
    raise DatasetError(f"{first.where}: no answers: a field {names} is expected")


def _check_place(line: Line, export: str, known: set[str] | None, task: Task) -> None:
    if line.export != export:
        raise DatasetError(
            f"{line.where}: belongs to export {line.export!r}, not {export!r}; give the files "
            "(and the key) of one export"
        )
    if known is not None and line.item not in known:
        raise DatasetError(f"{line.where}: unknown item {line.item!r}: export {export} has none")
    if not any(question.name in line.fields for question in task.questions):
        names = ", ".join(question.name for question in task.questions)
        raise DatasetError(f"{line.where}: no field {names}: not an answer to this task")


def _check_once(line: Line, places: dict[tuple[str, str], str]) -> None:
    who = (line.annotator, line.item)
    if who in places:
        raise DatasetError(
            f"{line.where}: {line.annotator!r} has answered item {line.item!r} before, in "
            f"{places[who]}; keep one answer, or give two people two names"
        )
    places[who] = line.where


def _given(line: Line, task: Task) -> dict[str, str]:
    """The answers in a line by question, without empty ones."""
    answers = {}
    for question in task.questions:
        value = line.fields.get(question.name, "").strip().casefold()
        if value:
            answers[question.name] = _checked(value, question, line.where)
    return answers


def _checked(value: str, question: Question, where: str) -> str:
    if value not in question.values:
        raise DatasetError(
            f"{where}: {question.name} must be one of {', '.join(question.values)} or empty, "
            f"not {value!r}"
        )
    return value
