"""Every continuation with its scores, one a row, as Parquet for data frames.

A measurement has no more than means and examples, so this kind is made of generations that are
scored anew. Texts are as they were generated, hostile or not; only halves of UTF-16 characters,
which Parquet cannot hold, are replaced.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exleak.continuations import ScoredContinuation
from exleak.environment import version
from exleak.files import library
from exleak.surrogates import replace_surrogates

#: Names of the columns, and of pyarrow's functions for their types.
COLUMNS: tuple[tuple[str, str], ...] = (
    ("model", "string"),
    ("dataset", "string"),
    ("instrument", "string"),
    ("instrument_hash", "string"),
    ("id", "string"),
    ("control", "string"),
    ("condition", "string"),
    ("prompt", "string"),
    ("injected", "string"),
    ("concept", "string"),
    ("index", "int64"),
    ("generation", "string"),
    ("sentence", "string"),
    ("kind", "string"),
    ("usable", "bool_"),
    ("introduced", "bool_"),
    ("echoed", "bool_"),
    ("foreign", "bool_"),
    ("negative", "float64"),
    ("neutral", "float64"),
    ("positive", "float64"),
    ("similarity", "float64"),
    ("restates", "bool_"),
)


@dataclass(frozen=True)
class Run:
    """The scored continuations of one model on one dataset.

    Attributes:
        model, dataset: Their names.
        instrument, instrument_hash: Name and content of what scored them.
        continuations: All of them.
    """

    model: str
    dataset: str
    instrument: str
    instrument_hash: str
    continuations: Sequence[ScoredContinuation]


def render(runs: Sequence[Run]) -> bytes:
    """Render the file; undefined numbers are null.

    Raises:
        DatasetError: pyarrow is not installed.
    """
    arrow = library("pyarrow", "Parquet")
    parquet = library("pyarrow.parquet", "Parquet")
    rows = [row for run in runs for row in _rows(run)]
    fields = [(name, getattr(arrow, kind)()) for name, kind in COLUMNS]
    schema = arrow.schema(fields, metadata={"exleak": version()})
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), out)
    return out.getvalue()


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    names = ("model", "dataset", "instrument", "instrument_hash")
    same = {name: replace_surrogates(getattr(run, name)) for name in names}
    for item in run.continuations:
        row, generation, scores = item.row, item.generation, item.scores
        texts = {name: getattr(row, name) for name in ("id", "control", "condition", "prompt",
                                                       "injected", "concept")}  # fmt: skip
        texts |= {"generation": generation.text, "sentence": generation.sentence}
        yield {
            **same,
            **{name: text and replace_surrogates(text) for name, text in texts.items()},
            "index": item.index,
            "kind": generation.kind,
            "usable": generation.usable,
            "introduced": generation.introduced,
            "echoed": generation.echoed,
            "foreign": generation.foreign,
            "negative": scores and scores.negative,
            "neutral": scores and scores.neutral,
            "positive": scores and scores.positive,
            "similarity": scores and scores.similarity,
            "restates": item.restates,
        }
