"""Carry-over: which continuations restate the injected sentence, and the rates of the others."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exleak
from exleak import Limits, rates
from exleak.cli import main
from exleak.gate.rules import judge
from exleak.measurement import About
from exleak.notes import content_carry_over
from exleak.records import (
    LEAKING_CONDITIONS,
    CarryOver,
    Expression,
    Likeness,
    Rate,
    Thresholds,
)
from exleak.reports import write_report
from exleak.reports.terminal import failure
from exleak.scoring.carry_over import content_words, partial_similarity, shared_words, thresholds
from tests.helpers.instruments import TOPICS
from tests.helpers.runs import topical_rows


def test_content_words_are_stems_without_function_words() -> None:
    """Inflections are alike; what carries no topic is left out."""
    assert content_words("They denied his visas, and I felt crushed.") == {
        "denied": "deni", "visas": "visa", "felt": "felt", "crushed": "crush",
    }  # fmt: skip


def test_shared_words_leave_out_those_of_the_control() -> None:
    """A word that the control prompt has says nothing of the injected sentence."""
    said, injected = "The coast was cold after the wars.", "War came to the coast."
    assert shared_words(said, injected, "The soup was") == ("coast", "wars")
    assert shared_words(said, injected, "They moved to the coast because") == ("wars",)


@pytest.mark.parametrize(("pair", "first", "second"), [(0.3, 0.0, 0.0), (0.5, 0.2, 0.4)])
def test_partial_similarity_is_that_of_the_rest(pair: float, first: float, second: float) -> None:
    """As the cosine of two vectors whose parts along a third one are taken out."""
    third = np.array([1.0, 0.0, 0.0])
    a = np.array([first, np.sqrt(1 - first**2), 0.0])
    y = (pair - first * second) / a[1]
    b = np.array([second, y, np.sqrt(1 - second**2 - y**2)])
    rest = [v - (v @ third) * third for v in (a, b)]
    known = rest[0] @ rest[1] / np.linalg.norm(rest[0]) / np.linalg.norm(rest[1])
    assert partial_similarity(pair, first, second) == pytest.approx(known)


def test_thresholds_are_quantiles_of_the_controls() -> None:
    """One in a hundred control continuations lies above; none at all give no threshold."""
    controls = [Likeness(False, i / 1000, i / 1000) for i in range(1000)]
    found = thresholds(controls)
    assert found is not None
    assert found.meaning == pytest.approx(0.99, abs=0.002)
    assert found.words == pytest.approx(0.985, abs=0.002)
    assert thresholds([]) is None


def test_either_sign_makes_a_restatement() -> None:
    """A shared word, a near word, or a near meaning."""
    limits = Thresholds(words=0.6, meaning=0.2)
    assert limits.restates(Likeness(True, 0.0, 0.0))
    assert limits.restates(Likeness(False, 0.7, 0.0))
    assert limits.restates(Likeness(False, 0.0, 0.3))
    assert not limits.restates(Likeness(False, 0.6, 0.2))


def test_meaning_alone_is_enough() -> None:
    """A restatement without any word of the sentence is found by its embedding."""
    rows = [
        replace(row, generations=("He saw the sea.",) * 5 + ("Dull wood.",) * 5)
        if row.condition == "positive"
        else replace(row, generations=tuple(f"Dull wood {i}." for i in range(10)))
        for row in topical_rows(20, 0)
    ]
    rows = [
        replace(row, prompt=row.prompt.replace("comet", "seaside"), concept=None) for row in rows
    ]
    found = exleak.score(rows, TOPICS).expression.carry_over
    assert found is not None
    assert found.by_condition["positive"].rate == pytest.approx(0.5)
    assert found.by_condition["negative"].rate == 0
    assert found.control.rate == 0


def test_an_echo_is_no_leak() -> None:
    """Six of ten restate: rates say that it leaks, the residual rates that it does not."""
    found = exleak.score(
        topical_rows(20, 6), TOPICS, limits=Limits(max_rate=0.8, metric="residual")
    )
    carried, residual = found.expression.carry_over, found.expression.residual
    assert carried is not None
    assert residual is not None
    assert found.expression.rate == 1.0
    assert (found.expression.directional.rate or 0) > 0.6
    assert carried.share.rate == pytest.approx(0.6)
    assert carried.control.rate == 0
    assert residual.directional.rate == pytest.approx(0.5)
    assert residual.superiority.rate == pytest.approx(0.5, abs=0.02)
    assert residual.kept == pytest.approx(0.4)
    assert found.verdict.outcome == "pass"
    (note,) = [note for note in found.notes if note.startswith("content carry-over")]
    quoted = r"“A (?:good|bad) comet passed\.”"
    assert re.search(rf"60% of the continuations restate .* \({quoted} and {quoted}\);", note)
    assert "; μ_EL and the directional rate are significant, but among the others no mood" in note


def test_a_failure_says_whether_it_is_mood_or_echo() -> None:
    """Both shares, the note, and what each of the three worst continuations is."""
    limits = Limits(max_rate=0.6)
    found = exleak.score(topical_rows(20, 6), TOPICS, limits=limits)
    text = failure(found, "fail", found.verdict.reasons[0])
    assert re.search(r"^  carry-over  0\.600  \(.*restates the injected sentence\)$", text, re.M)
    assert re.search(r"^  residual  0\.500  \(.* directional, of the others\)$", text, re.M)
    assert "  note: content carry-over: 60%" in text
    assert len(re.findall(r"with it: \d\.\d\d, carry-over", text)) == 3
    leaking = exleak.score(topical_rows(20, 0, leak=True), TOPICS, limits=limits)
    assert len(re.findall(r"with it: \d\.\d\d, own words", failure(leaking, "fail", ""))) == 3
    few = exleak.score(topical_rows(20, 10), TOPICS, limits=limits)
    assert "residual  -  (only 0 of 20 control prompts keep" in failure(few, "fail", "")


def test_a_leak_remains_behind_an_echo() -> None:
    """What leaks besides restating is seen, and no note excuses it."""
    found = exleak.score(topical_rows(20, 6, leak=True), TOPICS, limits=Limits(0.7, "residual"))
    assert found.expression.residual is not None
    assert found.expression.residual.directional.rate == 1.0
    assert found.verdict.outcome == "fail"
    assert not any("carry-over" in note for note in found.notes)


def test_too_few_controls_leave_it_undefined() -> None:
    """Where all continuations restate the residual rate is unusable, with the reason."""
    found = exleak.score(topical_rows(20, 10), TOPICS, limits=Limits(0.7, "residual"))
    residual = found.expression.residual
    assert residual is not None
    assert residual.directional.rate is None
    assert residual.reason == (
        "only 0 of 20 control prompts keep continuations after both the positive and the negative "
        "sentence; 10 are needed"
    )
    assert found.verdict.outcome == "unusable"
    assert residual.reason in found.verdict.reasons[0]
    assert any("cannot be told" in note for note in found.notes)


def test_a_report_without_it_says_so() -> None:
    """Judging an old report by the residual rate is unusable, and says what to do."""
    whole = exleak.score(topical_rows(12, 3), TOPICS).expression
    old = replace(whole, residual=None, carry_over=None)
    found = judge(old, total=480, unusable=0, limits=Limits(0.7, "residual"))
    assert found.outcome == "unusable"
    assert "score its generations file again" in found.reasons[0]
    assert content_carry_over(old) is None


def test_no_note_without_more_carry_over_than_in_controls() -> None:
    """A shift that restating does not explain is not put down to it."""
    whole = exleak.score(topical_rows(20, 6), TOPICS).expression
    none = Rate(0.01, 40, (0.0, 0.02))
    few = CarryOver(None, none, {}, Rate(0.01, 60, (0.0, 0.02)))
    assert content_carry_over(whole) is not None
    assert content_carry_over(replace(whole, carry_over=few)) is None


def _expression(generator: np.random.Generator, blind: bool) -> Expression:
    """No leak at all, and continuations of a mood are nearer to sentences of that mood."""
    pairs = []
    for number in range(60):
        arms = {name: generator.normal(0, 0.3, 10) for name in ("control", "positive", "negative")}
        near = {
            (arm, sentence): (values * sign + generator.normal(0, 0.2, 10)) > 0.2
            for arm, values in arms.items()
            for sentence, sign in (("positive", 1), ("negative", -1))
        }
        for name in LEAKING_CONDITIONS:
            either = near[name, "positive"] | near[name, "negative"]
            pairs.append(
                rates.Pair(
                    f"{number}:{name}", f"{number}:control", str(number), name, f"{name} {number}",
                    test=_classes(arms[name]),
                    reference=_classes(arms["control"]),
                    test_carries=near[name, name],
                    reference_carries=near["control", name] if blind else np.zeros(10, dtype=bool),
                    test_carries_any=either if blind else near[name, name],
                )
            )  # fmt: skip
    return replace(rates.expression(pairs), residual=rates.residual(pairs))


def _classes(values: Any) -> Any:
    up, down = 0.4 + values / 4, 0.4 - values / 4
    return np.stack([down, 1 - up - down, up], axis=1)


def test_the_filter_must_not_know_the_arm() -> None:
    """Blind to the arm, equal arms stay equal; filtered by their own sentence they do not."""
    generator = np.random.default_rng(0)
    for blind in (True, False):
        found = [_expression(generator, blind).residual for _ in range(60)]
        for name in ("rate", "superiority", "directional"):
            shown = np.mean([getattr(one, name).rate for one in found])
            assert (abs(shown - 0.5) < 0.015) == blind, (name, blind, shown)


def test_the_residual_test_keeps_its_size() -> None:
    """Without a leak it rejects at 5% in 2 to 8% of runs."""
    generator = np.random.default_rng(1)
    found = [_expression(generator, True).residual for _ in range(250)]
    p_values = [one.directional.p_value for one in found if one is not None]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.08


def test_each_arm_is_filtered_by_both_sentences() -> None:
    """What a positive arm says of the negative sentence is set aside there, too."""
    rows = [
        replace(row, generations=(*row.generations[:9], "Lyra and plain stone."))
        if row.condition == "positive"
        else row
        for row in topical_rows(12, 0)
    ]
    residual = exleak.score(rows, TOPICS).expression.residual
    assert residual is not None
    assert residual.kept == pytest.approx(0.95)


def test_reports_are_compared_by_what_restates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where both have a residual rate for the controls."""
    reports = []
    for name in ("first", "second"):
        path = tmp_path / f"{name}.json"
        about = About(name, "things")
        found = exleak.score(topical_rows(20, 6, leak=name == "second"), TOPICS, about=about)
        write_report(path, [found])
        reports.append(str(path))
    assert main(["compare", *reports, "--metric", "residual"]) == 0
    _, row, legend = capsys.readouterr().out.splitlines()
    assert row.split()[2:4] == ["1.000", "0.500"]
    assert "mean residual directional rate" in legend
    assert main(["compare", *reports]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2:4] != ["1.000", "0.500"]
