"""Tables and hints as plain text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exleak.records import Outcome, Verdict
from exleak.reports.terminal import failure, next_steps, table
from tests.helpers.measurements import compared, measurement


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (
            Verdict("pass", (), 0.7, 0.13),
            ["a true μ_EL of 0.83 or more fails the limit 0.7 in 90% of such runs"],
        ),
        (
            Verdict("pass", (), 0.6, 0.08, metric="residual"),
            [
                "a true residual directional rate of 0.68 or more fails the limit 0.6 in 90% of "
                "such runs"
            ],
        ),
        (Verdict("pass", (), 0.9, 0.13), []),
        (Verdict("pass", (), None, 0.13), []),
        (Verdict("fail", (), 0.7, 0.13), []),
    ],
)
def test_it_says_what_a_limit_that_is_kept_would_have_seen(
    verdict: Verdict, expected: list[str]
) -> None:
    """As a rate; nothing where no rate fails it so often."""
    found = replace(measurement("m"), verdict=verdict, notes=())
    lines = list(next_steps([found], set(), has_report=True))
    assert lines == [f"m on hexl: {line}" for line in expected]


def test_it_says_what_a_baseline_that_is_kept_would_have_seen() -> None:
    """As an increase."""
    found = compared()
    comparison = found.verdict.comparison
    assert comparison is not None
    verdict = Verdict("pass", comparison=replace(comparison, detectable=0.094))
    found = replace(found, verdict=verdict, notes=())
    (line,) = next_steps([found], set(), has_report=True)
    assert line == "step-4 on hexl: an increase of 0.09 over main fails in 90% of such runs"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("fail", "--leakage-compare base with this one"),
        ("inconclusive", "--leakage-generations for a narrower interval"),
        ("unusable", "read what the model wrote"),
    ],
)
def test_what_to_do_next_depends_on_the_outcome(outcome: Outcome, expected: str) -> None:
    """Each message ends with it; a caller may say something else."""
    message = failure(measurement(), outcome, "a reason")
    last = message[message.rindex("Next: ") :]
    assert expected in " ".join(last.split())
    assert "exleak view" in last
    other = failure(measurement(), outcome, "a reason", what_next="stop.")
    assert other.endswith("Next: stop.")


def test_a_limit_on_another_rate_says_on_which() -> None:
    """Only then is there a column for it."""
    paper = replace(measurement("m"), verdict=Verdict("pass", (), 0.7))
    other = replace(measurement("n"), verdict=Verdict("pass", (), 0.6, metric="residual"))
    open_ = replace(measurement("o"), verdict=Verdict(None, metric="residual"))
    heads = [
        next(line for line, _ in table(rows, set())).split() for rows in ([paper, open_], [other])
    ]
    assert ["on" in head for head in heads] == [False, True]
    lines = [line for line, _ in table([paper, other, open_], set())]
    assert [line.split()[-3:-1] for line in lines[1:3]] == [["0.7", "-"], ["0.6", "residual"]]
