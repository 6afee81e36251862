"""The report for pull requests: its numbers are the JSON's, its texts do nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from exleak.reports import render
from exleak.reports.columns import FACTS, RATES, lookup
from exleak.reports.markdown import code
from exleak.reports.terminal import series_lines
from tests.helpers.measurements import HOSTILE, compared, measurement, mitigated
from tests.helpers.numbers import at, shows

FOUND = [
    measurement(),
    measurement("meta/Model_1", "aexl", seed=1, limit=0.95),
    measurement("plain", limit=None, seed=2),
    measurement(hostile=True),
    mitigated(),
    compared(),
]
SUMMARY = {
    3: "expression.rate",
    4: "expression.interval",
    5: "expression.p_value",
    6: "expression.directional.rate",
    7: "expression.carry_over.share.rate",
    8: "expression.residual.directional.rate",
    9: "semantic.instance.rate",
    10: "verdict.limit",
}
COLUMNS = ("rate", "interval", "n", "p_value", "ties")


def cells(text: str, head: str) -> list[list[list[str]]]:
    """The rows of each table that begins with this heading."""
    tables, lines = [], text.splitlines()
    for start, line in enumerate(lines):
        if line.startswith(f"| {head}"):
            end = lines.index("", start)
            rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in lines[start + 2 : end]]
            tables.append([[cell.strip() for cell in row] for row in rows])
    return tables


def test_the_summary_shows_the_numbers_of_the_json() -> None:
    """Each cell is the value at its place, rounded."""
    (rows,) = cells(render("md", FOUND), " | model")
    assert len(rows) == len(FOUND)
    for index, row in enumerate(rows):
        assert row[1] == f"`{FOUND[index].label}`"
        for column, place in SUMMARY.items():
            assert shows(row[column], at(FOUND, f"{index}.{place}")), (row, place)
        assert shows(row[11], lookup(FOUND[index], "verdict.comparison.delta"))
        assert row[12] == (FOUND[index].verdict.outcome or "reported only")


def test_the_summary_has_a_difference_only_where_there_is_one() -> None:
    """Without a baseline no column is empty."""
    assert "Δ" not in render("md", FOUND[:3])


def test_the_details_show_the_numbers_of_the_json() -> None:
    """Every rate with interval, n, p-value and ties."""
    tables = cells(render("md", FOUND), "rate |")
    assert len(tables) == len(FOUND)
    for index, rows in enumerate(tables):
        assert len(rows) == len(RATES)
        for (name, place), row in zip(RATES, rows, strict=True):
            assert row[0] == name
            for column, key in enumerate(COLUMNS, start=1):
                assert shows(row[column], at(FOUND, f"{index}.{place}.{key}")), (row, key)


def test_a_baseline_and_a_series_show_the_numbers_of_the_json() -> None:
    """What the gate knows besides, where there is any; checkpoints under their headings."""
    for index, rows in enumerate(cells(render("md", FOUND), "besides")):
        known = [(name, found) for name, place, _ in FACTS
                 if (found := lookup(FOUND[index], place)) is not None]  # fmt: skip
        assert [row[0] for row in rows] == [name for name, _ in known]
        assert all(shows(row[1], value) for row, (_, value) in zip(rows, known, strict=True))
    ((row,),) = cells(render("md", FOUND), "checkpoint")
    step = FOUND[-1].series
    assert step is not None
    assert all(map(shows, row[2:5], [step.rate, step.delta, step.p_value]))


@pytest.mark.parametrize(
    ("p_value", "is_first", "said"),
    [
        (None, False, ""),
        (0.02, False, ""),
        (0.0001, True, "first worse than the start"),
        (0.0001, False, "worse than the start"),
    ],
)
def test_a_checkpoint_says_whether_it_is_worse(
    p_value: float | None, is_first: bool, said: str
) -> None:
    """Also one after the first that is worse; the same words in Markdown, HTML and terminal."""
    assert FOUND[-1].series is not None
    step = replace(FOUND[-1].series, p_value=p_value, is_first_worse=is_first)
    found = replace(FOUND[-1], series=step)
    ((row,),) = cells(render("md", [found]), "checkpoint")
    assert row[-1] == said
    *_, (line, is_alarm) = series_lines([found])
    assert line.partition("← ")[2] == said
    assert is_alarm == is_first
    assert f">{said or 'no'}</td>" in render("html", [found])


def test_the_worst_continuations_show_their_probabilities() -> None:
    """In the order of the JSON."""
    for index, rows in enumerate(cells(render("md", FOUND), "after |")):
        for place, row in enumerate(rows):
            item = at(FOUND, f"{index}.worst.{place}")
            assert row[3] == ("carry-over" if item["restates"] else "own words")
            assert shows(row[4], item["probability"])
            assert shows(row[6], item["control_probability"])


def test_no_other_number_is_shown() -> None:
    """Apart from the tables, numbers stand in texts of the JSON, counts and constants."""
    lines = [line for line in render("md", FOUND).splitlines() if not line.startswith(("|", "- "))]
    numbers = re.findall(r"\d+\.?\d*", re.sub("<code>.*</code>", "", "\n".join(lines)))
    assert set(numbers) <= {"1", "2", "3", "5"}


def test_the_headline_counts_outcomes() -> None:
    """The worst first."""
    first = render("md", FOUND).splitlines()[0]
    outcomes = [found.verdict.outcome for found in FOUND]
    for word in ("fail", "inconclusive", "pass", "unusable"):
        if outcomes.count(word):
            assert f"{outcomes.count(word)} {word}" in first
    assert first.endswith("1 reported only")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_are_code_spans(text: str) -> None:
    """On one line, closed by its own fence, without control characters."""
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    inside = span[len(fence[0]) : -len(fence[0])]
    assert span.endswith(fence[0])
    assert not re.search(rf"(?<!`){fence[0]}(?!`)", inside)
    assert span.isprintable()
    assert len(span) < 200


def test_hostile_texts_make_no_markup() -> None:
    """A CommonMark renderer finds the tags that we wrote, and no others."""
    parser = pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
    rendered = parser.MarkdownIt("commonmark").enable("table").render(render("md", FOUND))
    tags = set(re.findall(r"<(\w+)", rendered))
    assert tags <= {"h3", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "p",
                    "details", "summary"}  # fmt: skip
    assert rendered.count("<details>") == rendered.count("</details>") == len(FOUND)


def test_a_hostile_model_name_makes_no_markup() -> None:
    """Where it stands between tags, too."""
    found = replace(measurement(), model="</summary><script>x</script>`|`")
    assert "<script" not in re.sub("`+[^`]*`+", "", render("md", [found]))
