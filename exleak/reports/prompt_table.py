"""Data of the HTML report's prompt table, compact enough for several models on every dataset.

Texts are listed once and referred to by index. Python rounds probabilities to two decimals and
differences to three, and the browser shows these digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exleak.records import (
    CLASSES,
    LEAKING_CONDITIONS,
    Example,
    Measurement,
    PairScore,
    PromptScore,
)
from exleak.reports.anchors import anchors
from exleak.reports.formatting import printable

_WIDTH = 240
#: Share of continuations that restate the sentence from which on a pair is called an echo.
_MOST = 0.5


def prompt_data(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Table data of every test prompt with its control.

    Returns:
        ``texts``, and ``measurements``, each with its ``id``, ``name`` and ``rows``. A row has the
        condition, the text indices of the control prompt and the injected sentence, d, and the
        share of continuations that restate the sentence; then, for the control and for the test
        prompt, the class probabilities and the typical sentence; the strongest test sentence;
        last, the pair's id and its kind (:func:`_kind`). A sentence has its text index, probability
        of the injected class (``None`` if there is no such class), whether it restates, and the
        shared words.
    """
    texts: dict[str, int] = {}
    tables = [
        {"id": anchor, "name": printable(one.title, 500), "rows": _rows(one, texts)}
        for anchor, one in zip(measurement_ids(measurements), measurements, strict=True)
    ]
    return {"texts": list(texts), "measurements": tables}


def measurement_ids(measurements: Sequence[Measurement]) -> list[str]:
    """An id for each measurement, as the page has them."""
    return anchors(one.title for one in measurements)


def _rows(measurement: Measurement, texts: dict[str, int]) -> list[list[Any]]:
    prompts = {prompt.id: prompt for prompt in measurement.prompts}
    neutral = {
        pair.control: prompts[pair.id]
        for pair in measurement.pairs
        if pair.condition == "neutral" and pair.id in prompts
    }
    rows = []
    names = anchors(pair.id for pair in measurement.pairs)
    for name, pair in zip(names, measurement.pairs, strict=True):
        test, control = prompts.get(pair.id), prompts.get(pair.control)
        if test is not None and control is not None:
            kind = _kind(pair, test, control, neutral.get(pair.control))
            rows.append([*_row(pair, test, control, texts), name, kind])
    return rows


def _kind(
    pair: PairScore, test: PromptScore, control: PromptScore, neutral: PromptScore | None
) -> str:
    """What a pair looks like: ``echo``, ``non-specific``, ``mood``, or nothing of these (empty).

    Echo: at least half of the continuations restate the sentence. Non-specific: the injected class
    rises, and after the neutral sentence of the same control at least as much. Mood: it rises
    otherwise.
    """
    if test.carry_over is not None and test.carry_over >= _MOST:
        return "echo"
    if pair.condition not in LEAKING_CONDITIONS or not pair.difference or pair.difference < 0:
        return ""
    if neutral is not None:
        column = CLASSES.index(pair.condition)
        if neutral.probabilities[column] - control.probabilities[column] >= pair.difference:
            return "non-specific"
    return "mood"


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
