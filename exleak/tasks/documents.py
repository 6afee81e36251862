"""What a tool carries through its run: a prompt as flat values, and its rates at the end.

A document is a line of a generations file without the generations, and with the prompt's place in
the dataset. A tool that keeps it with each prompt can compute rates without the dataset.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exleak.prompts import prompt_text
from exleak.records import Dataset, Measurement, PromptGenerations

if TYPE_CHECKING:
    from exleak.scoring import Instrument

Document = dict[str, Any]

#: The field with a prompt's place in its dataset.
PLACE = "place"
_FIELDS = tuple(field.name for field in dataclasses.fields(PromptGenerations))


def documents(dataset: Dataset, mitigation: str | None = None) -> list[Document]:
    """The prompts of a dataset.

    Args:
        dataset: The dataset.
        mitigation: An instruction prepended to each prompt.
    """
    return [
        _document(PromptGenerations.of(prompt, prompt_text(prompt, mitigation), ()), place)
        for place, prompt in enumerate(dataset.prompts)
    ]


def _document(row: PromptGenerations, place: int) -> Document:
    fields = dataclasses.asdict(row)
    del fields["generations"]
    return {**fields, PLACE: place}


def row_of(document: Mapping[str, Any], generations: Sequence[str]) -> PromptGenerations:
    """The row of a document; further fields are ignored."""
    fields = {name: document[name] for name in _FIELDS if name != "generations"}
    return PromptGenerations(**fields, generations=tuple(generations))


def rates(
    answered: Iterable[tuple[Mapping[str, Any], Sequence[str]]], instrument: str | Instrument
) -> dict[str, float]:
    """The rates that ``exleak score`` computes of a tool's log, by name; undefined ones are absent.

    Args:
        answered: Documents with generations, in any order; those of a document that is there
            several times are joined.
        instrument: An instrument, or its name.

    Returns:
        ``mu_EL``; ``W_EL_p``, the p-value of W_EL; ``directional``, the directional rate;
        ``residual``, that of continuations that restate nothing; ``unusable``, the share of
        generations that have nothing to score. Empty if no test prompt has its control.

    Raises:
        ExleakError: The instrument cannot be loaded, or does not know the language.
    """
    from exleak.measurement import score

    rows = _rows(answered)
    if all(row.control is None for row in rows):
        return {}
    found = _named(score(rows, instrument))
    return {name: float(value) for name, value in found.items() if value is not None}


def _rows(answered: Iterable[tuple[Mapping[str, Any], Sequence[str]]]) -> list[PromptGenerations]:
    """One row a prompt, in the order of the dataset; tests without their control are left out."""
    known: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for document, generations in answered:
        known.setdefault(document["id"], (document, []))[1].extend(generations)
    rows = [
        row_of(document, texts)
        for document, texts in sorted(known.values(), key=lambda item: item[0][PLACE])
        if texts
    ]
    controls = {row.id for row in rows if row.control is None}
    return [row for row in rows if row.control is None or row.control in controls]


def _named(measurement: Measurement) -> dict[str, float | None]:
    expression, counts = measurement.expression, measurement.generations
    residual = expression.residual
    return {
        "mu_EL": expression.rate,
        "W_EL_p": expression.p_value,
        "directional": expression.directional.rate,
        "residual": residual.directional.rate if residual else None,
        "unusable": counts["unusable"] / counts["total"],
    }
