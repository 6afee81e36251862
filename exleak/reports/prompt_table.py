"""Data of the HTML report's prompt table, compact enough for several models on every dataset.

Texts are listed once and referred to by index. Python rounds probabilities to two decimals and
differences to three, and the browser shows these digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exleak.records import CLASSES, Example, Measurement, PairScore, PromptScore
from exleak.reports.formatting import printable

_WIDTH = 240


def prompt_data(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Table data of every test prompt with its control.

    Returns:
        ``texts``, and ``measurements``, each with its ``name`` and ``rows``. A row has the
        condition, the text indices of the control prompt and the injected sentence, d, and the
        share of continuations that restate the sentence; then, for the control and for the test
        prompt, the class probabilities and the typical sentence; last, the strongest test
        sentence. A sentence has its text index, probability of the injected class (``None`` if
        there is no such class), whether it restates, and the shared words.
    """
    texts: dict[str, int] = {}
    tables = [
        {"name": printable(one.title, 500), "rows": _rows(one, texts)} for one in measurements
    ]
    return {"texts": list(texts), "measurements": tables}


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
