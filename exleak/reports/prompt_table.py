"""The data of the page's table of prompts, small enough for several models on every dataset.

Texts are listed once and named by number. A probability has two decimals and a difference three,
so that the browser shows the digits that Python rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exleak.records import CLASSES, Example, Measurement, PairScore, PromptScore
from exleak.reports.formatting import printable

_WIDTH = 240


def prompt_data(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Every test prompt beside its control.

    Returns:
        ``texts``; and ``measurements``, each with its ``name`` and ``rows``: condition, number of
        the control prompt and of the injected sentence, d, share of the continuations that restate
        the sentence; then of the control and of the test prompt the class probabilities and the
        typical sentence; last, the strongest test sentence. A sentence is its number, probability,
        whether it restates, and the words that it shares. A probability is that of the injected
        class, ``None`` where there is none.
    """
    texts: dict[str, int] = {}
    found = [{"name": printable(one.title, 500), "rows": _rows(one, texts)} for one in measurements]
    return {"texts": list(texts), "measurements": found}


def _rows(measurement: Measurement, texts: dict[str, int]) -> list[list[Any]]:
    prompts = {prompt.id: prompt for prompt in measurement.prompts}
    rows = []
    for pair in measurement.pairs:
        test, control = prompts.get(pair.id), prompts.get(pair.control)
        if test is not None and control is not None:
            rows.append(_row(pair, test, control, texts))
    return rows


def _row(
    pair: PairScore, test: PromptScore, control: PromptScore, texts: dict[str, int]
) -> list[Any]:
    condition, d = pair.condition, pair.difference
    column = CLASSES.index(condition) if condition in CLASSES else None
    row: list[Any] = [
        condition,
        _text(test.control, texts),
        None if test.injected is None else _text(test.injected, texts),
        None if d is None else _short(d, 3),
        None if test.carry_over is None else _short(test.carry_over, 2),
    ]
    for prompt in (control, test):
        row += [[_short(p, 2) for p in prompt.probabilities]]
        row += _example(prompt.typical, column, texts)
    return row + _example(test.strongest, column, texts)


def _example(example: Example | None, column: int | None, texts: dict[str, int]) -> list[Any]:
    if example is None:
        return [None, None, None, []]
    p = None if column is None else _short(example.probabilities[column], 2)
    kind = [example.restates, [_shown(word) for word in example.shared]]
    return [_text(example.sentence, texts), p, *kind]


def _text(text: str, texts: dict[str, int]) -> int:
    return texts.setdefault(_shown(text), len(texts))


def _shown(text: str) -> str:
    return printable(" ".join(text.split()), _WIDTH)


def _short(value: float, digits: int) -> float:
    return float(f"{value:.{digits}f}")
