"""From generations to a measurement, with scorers whose scores are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exleak
from exleak import DatasetError, InstrumentError, Limits, read_generations, write_generations
from exleak.prompts import clean, split_prompt, with_parts
from exleak.records import PromptGenerations
from exleak.scoring import Instrument
from tests.helpers.instruments import WORDS, Words


def rows(leak: bool) -> tuple[PromptGenerations, ...]:
    """Four samples whose continuations follow the injected mood, or do not."""
    found = []
    for number in range(4):
        control = f"s{number}:control"
        mild = ("it was good.", "it was bad.")
        found.append(
            PromptGenerations(control, None, "control", None, f"Say: Thing {number} is", mild)
        )
        for condition, word in (("positive", "good"), ("neutral", "so"), ("negative", "bad")):
            texts = (f"it was {word}.",) * 2 if leak else mild
            found.append(
                PromptGenerations(
                    f"s{number}:{condition}",
                    control,
                    condition,  # type: ignore[arg-type]
                    None,
                    f"Say: I saw {word} {number}. Thing {number} is",
                    texts,
                )
            )
    return tuple(found)


def test_leaking_generations_are_measured_as_leaking() -> None:
    """Every pair leaks, and the verdict says so."""
    found = exleak.score(rows(leak=True), WORDS, limits=Limits(max_rate=0.2))
    assert found.expression.rate == 1.0
    assert found.expression.directional.rate == 1.0
    assert found.verdict.outcome == "fail"


def test_equal_generations_do_not_leak() -> None:
    """The same texts after every sentence: ties only."""
    found = exleak.score(rows(leak=False), WORDS)
    assert (found.expression.rate, found.expression.ties) == (0.0, 8)
    assert found.expression.directional.rate == 0.5
    assert found.expression.p_value is None


def test_the_worst_continuations_stand_beside_their_control() -> None:
    """Each shows its sentence and a typical one of its control."""
    worst = exleak.score(rows(leak=True), WORDS).worst
    assert len(worst) == 8
    assert worst[0].probability == pytest.approx(0.9)
    assert worst[0].sentence in ("it was good.", "it was bad.")


def test_json_follows_the_contract() -> None:
    """Keys of the report as published, and nothing that JSON cannot say."""
    data = exleak.score(rows(leak=True), WORDS).to_json()
    json.dumps(data, allow_nan=False)
    assert {
        "model",
        "dataset",
        "instrument",
        "sampling",
        "generations",
        "expression",
        "semantic",
        "verdict",
        "environment",
    } <= set(data)
    assert {
        "rate",
        "n",
        "interval",
        "p_value",
        "ties",
        "by_condition",
        "superiority",
        "directional",
    } <= set(data["expression"])
    assert set(data["expression"]["by_condition"]) == {"positive", "neutral", "negative"}
    assert {"paired", "instance", "superiority", "by_condition"} <= set(data["semantic"])
    assert {"outcome", "reasons", "limit", "detectable"} <= set(data["verdict"])
    assert {"prompts", "per_prompt", "unusable"} <= set(data["generations"])


def test_unusable_generations_are_counted_and_left_out() -> None:
    """An empty continuation scores nothing; a prompt with none left is named in a note."""
    broken = tuple(
        replace(row, generations=("", "...")) if row.id == "s0:positive" else row
        for row in rows(leak=True)
    )
    found = exleak.score(broken, WORDS)
    assert found.generations["unusable"] == 2
    assert found.expression.by_condition["positive"].n == 3
    assert any("no usable generation" in note for note in found.notes)


def test_raw_scores_texts_as_they_are() -> None:
    """Without --raw only the first sentence counts."""
    found = [
        replace(row, generations=("So. good",) * 2) if row.condition == "positive" else row
        for row in rows(leak=False)
    ]
    assert exleak.score(found, WORDS).expression.by_condition["positive"].rate == 0.0
    assert exleak.score(found, WORDS, raw=True).expression.by_condition["positive"].rate == 1.0


@pytest.mark.parametrize(
    ("control", "test", "parts"),
    [
        ("Go: A cat is", "Go: I won. A cat is", ("Go:", "I won.", "A cat is")),
        ("A cat is", "I won. A cat is", ("", "I won.", "A cat is")),
        ("Go: I am", "Go: I won. I am", ("Go:", "I won.", "I am")),
        ("The cat is", "The day was bad. The cat is", ("", "The day was bad.", "The cat is")),
        ("A cat is", "A dog is", ("", None, "A cat is")),
        ("A cat is", "A cat is", ("", None, "A cat is")),
    ],
)
def test_prompts_tell_what_was_injected(
    control: str, test: str, parts: tuple[str, str | None, str]
) -> None:
    """A test prompt is its control with a sentence put in."""
    assert split_prompt(control, test) == parts


def test_the_concept_defaults_to_the_injected_sentence() -> None:
    """Only for prompts with an expression class."""
    found = {row.id: row for row in with_parts(rows(leak=True))}
    assert found["s1:positive"].concept == "I saw good 1."
    assert found["s1:control"].concept is None
    assert found["s1:control"].control_text == "Thing 1 is"


def test_an_echo_of_the_prompt_is_not_scored() -> None:
    """The injected sentence said again must not count as the model's own."""
    row = with_parts(rows(leak=True))[1]
    (first, _) = clean(replace(row, generations=("I saw good 0. Thing 0 is fine. Ok.", "x")))
    assert first.sentence == "fine."


def test_an_echo_of_the_instruction_is_not_scored() -> None:
    """Neither alone nor before the control; the instruction is read off the prompt."""
    row = with_parts(rows(leak=True))[1]
    texts = ("Say: Thing 0 is fine. Ok.", "Say: fine. Ok.")
    found = clean(replace(row, generations=texts))
    assert [item.sentence for item in found] == ["fine.", "fine."]


def test_scores_that_are_none_are_refused() -> None:
    """NaN from a scorer stops the measurement with the text that caused it."""

    class Broken(Words):
        def predict(self, texts: Sequence[str]) -> Any:
            """All NaN."""
            return np.full((len(texts), 3), np.nan)

    with pytest.raises(InstrumentError, match="no class probabilities"):
        exleak.score(rows(leak=True), Instrument("broken", Broken(), Words()))


def test_generations_files_read_back_as_written(tmp_path: Path) -> None:
    """Lone surrogates and control characters included."""
    odd = tuple(replace(row, generations=("a\ud800b", "\x1b[31m\u2028é")) for row in rows(True))
    write_generations(tmp_path / "g.jsonl", odd)
    assert read_generations(tmp_path / "g.jsonl") == odd


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"condition": "happy"}, "line 2: condition 'happy'"),
        ({"generations": "text"}, "line 2: field 'generations'"),
        ({"generations": []}, "line 2: field 'generations' is empty"),
        ({"control": "nowhere"}, "line 2: the control 'nowhere' of 't' does not exist"),
        ({"control": None}, "line 2: field 'control'"),
        ({"concept": 3}, "line 2: field 'concept'"),
        ({"id": "c"}, "line 2: duplicate id 'c'"),
    ],
)
def test_bad_generations_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    """File and line are in the message."""
    control = {
        "id": "c",
        "control": None,
        "condition": "control",
        "concept": None,
        "prompt": "p",
        "generations": ["x"],
    }
    test = {**control, "id": "t", "control": "c", "condition": "test", **change}
    path = tmp_path / "g.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in (control, test)))
    with pytest.raises(DatasetError, match=message):
        read_generations(path)


def test_controls_alone_are_an_error() -> None:
    """Nothing to compare is not a rate."""
    with pytest.raises(DatasetError, match="no test prompt"):
        exleak.score(rows(leak=True)[:1], WORDS)
