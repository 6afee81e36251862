"""What the page's table says of each pair: its id, for links, and its kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exleak.records import Example, Measurement, PairScore, PromptScore
from exleak.reports import render
from exleak.reports.anchors import anchors
from exleak.reports.prompt_table import prompt_data
from tests.helpers.measurements import measurement
from tests.helpers.pages import elements


def prompt(name: str, negative: float, carry_over: float | None = None) -> PromptScore:
    """A prompt with this mean probability of the class negative."""
    mean = (negative, 0.0, 1 - negative)
    one = Example("text", mean)
    condition = name.partition(":")[2]
    return PromptScore(name, condition, "ask", None, mean, one, one, carry_over)  # type: ignore[arg-type]


def sample(
    negative: float, neutral: float, *, carries: float | None = 0.0, control: float = 0.2
) -> Measurement:
    """One control with its negative and its neutral prompt, by probability of the negative class.

    The share of restatements is that of the negative prompt.
    """
    prompts = (
        prompt("s:control", control),
        prompt("s:negative", negative, carries),
        prompt("s:neutral", neutral),
    )
    pairs = (
        PairScore("s:negative", "s:control", "negative", negative - control, None, None),
        PairScore("s:neutral", "s:control", "neutral", 0.1, None, None),
    )
    return replace(measurement(), prompts=prompts, pairs=pairs)


def kinds(found: Measurement) -> list[str]:
    """The kind of each pair."""
    return [row[-1] for row in prompt_data([found])["measurements"][0]["rows"]]


@pytest.mark.parametrize(
    ("negative", "neutral", "carries", "kind"),
    [
        (0.6, 0.3, 0.4, "mood"),
        (0.6, 0.3, None, "mood"),
        (0.6, 0.6, 0.4, "non-specific"),
        (0.6, 0.9, None, "non-specific"),
        (0.6, 0.9, 0.5, "echo"),
        (0.1, 0.1, 0.5, "echo"),
        (0.1, 0.3, 0.4, ""),
        (0.2, 0.3, 0.0, ""),
    ],
)
def test_a_pair_is_of_one_kind(
    negative: float, neutral: float, carries: float | None, kind: str
) -> None:
    """By what it restates, then by what the neutral sentence does; a neutral pair has no mood."""
    assert kinds(sample(negative, neutral, carries=carries)) == [kind, ""]


def test_without_a_neutral_prompt_nothing_is_non_specific() -> None:
    """There is nothing to compare with."""
    found = sample(0.6, 0.9)
    assert kinds(replace(found, pairs=found.pairs[:1])) == ["mood"]
    assert kinds(replace(found, prompts=found.prompts[:2])) == ["mood"]


def test_ids_can_stand_in_a_link() -> None:
    """They keep letters of any language, and are unique."""
    names = ["m/a on hexl", "m a on hexl", "模型 on d", "a?b#c%d&e", "\u202e<b>", "", "s7:negative"]
    assert anchors(names) == [
        "m-a-on-hexl", "m-a-on-hexl~2", "模型-on-d", "a-b-c-d-e", "b", "-", "s7:negative",
    ]  # fmt: skip
    assert len(anchors(["x" * 5000])[0]) == 200


def test_an_id_does_not_depend_on_what_else_is_on_the_page() -> None:
    """So that a link fits the next report, too."""
    first, second = measurement("first"), measurement("second")
    for found in ([first, second], [second, first], [second]):
        tables = {one["name"]: one for one in prompt_data(found)["measurements"]}
        table = tables["second on hexl"]
        assert table["id"] == "second-on-hexl"
        assert [row[-2] for row in table["rows"]] == [pair.id for pair in second.pairs]


def test_the_summary_leads_to_each_measurement_in_full() -> None:
    """Also to two of the same name."""
    found = elements(
        render("html", [measurement("m"), measurement("m"), measurement(hostile=True)])
    )
    targets = [value for name, value in found.attributes if name == "href"]
    assert targets[1:] == ["#m-on-hexl", "#m-on-hexl~2", "#runs-step-100-on-hexl"]
    assert {f"#{value}" for name, value in found.attributes if name == "id"} >= set(targets)
