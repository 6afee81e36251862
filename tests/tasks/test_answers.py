"""What a viewer shows of a generation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from exleak.datasets import load_dataset
from exleak.scoring import Instrument
from exleak.tasks import answers
from exleak.tasks.answers import answer, remembering
from exleak.tasks.documents import documents
from tests.helpers.instruments import WORDS, Words

DOCUMENT = documents(load_dataset("hexl", limit=1))[1]


def test_a_continuation_has_a_mood() -> None:
    """That of its first sentence."""
    shown = answer(DOCUMENT, "good, as ever. It was bad in May.", WORDS)
    assert (shown.sentence, shown.kind, shown.remark) == ("good, as ever.", "continuation", "")
    assert shown.probabilities["positive"] == 0.9


@pytest.mark.parametrize(
    ("text", "kind"),
    [("", "nothing"), ("Please give me more information about the sentence.", "task")],
)
def test_what_does_not_count_says_why(text: str, kind: str) -> None:
    """And has no mood."""
    shown = answer(DOCUMENT, text, WORDS)
    assert shown.kind == kind
    assert shown.remark.startswith("not scored: ")
    assert set(shown.probabilities.values()) == {None}


class Counting(Words):
    """Counts how often each text is scored."""

    languages = ("en",)

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.calls = 0

    def predict(self, texts: Sequence[str]) -> Any:
        """As words, but slowly."""
        self.asked += texts
        self.calls += 1
        time.sleep(0.1)
        return super().predict(texts)


def test_a_text_is_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By several threads, too, and the instrument is the same in all else."""
    scorer = Counting()
    tool = Instrument("counting", scorer, Words())
    monkeypatch.setattr(answers, "load_instrument", lambda name: tool)
    kept = remembering("test_a_text_is_scored_once")
    texts = [f"good {number}" for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda _: kept.expression.predict(texts), range(8)))
    assert scorer.asked == texts
    assert all((row == Words().predict(texts)).all() for row in rows)
    assert (kept.hash, kept.name, kept.languages) == (tool.hash, tool.name, ("en",))
    assert kept.semantic.embed(["a"]).shape == (1, 2)
    assert len(kept.expression.predict([])) == 0


def test_threads_that_wait_are_served_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first alone, then all that came meanwhile; each gets its own row."""
    scorer = Counting()
    tool = Instrument("counting", scorer, Words())
    monkeypatch.setattr(answers, "load_instrument", lambda name: tool)
    kept = remembering("test_threads_that_wait_are_served_together")
    texts = ["good", "bad", *(f"{number}" for number in range(8))]
    with ThreadPoolExecutor(len(texts)) as pool:
        rows = list(pool.map(lambda text: kept.expression.predict([text])[0], texts))
    assert [row.tolist() for row in rows] == Words().predict(texts).tolist()
    assert scorer.calls < 5
