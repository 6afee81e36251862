"""What a measurement shows, in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from exleak.notes import effect, explained
from exleak.records import CarryOver, Expression, Outcome, Rate, Residual, Verdict
from tests.helpers.measurements import measured

ABOVE, OPEN = Rate(0.8, 60, (0.7, 0.9)), Rate(0.56, 60, (0.49, 0.63))
FALSE_ALARMS = Rate(0.03, 60, (0.02, 0.04))
LOW, SOME, HIGH = (
    Rate(0.06, 120, (0.04, 0.08)),
    Rate(0.12, 120, (0.09, 0.15)),
    Rate(0.44, 120, (0.4, 0.5)),
)
UNDEFINED = Rate(None, 0)


def rates(
    rate: Rate = ABOVE,
    directional: Rate = ABOVE,
    residual: Rate | None = ABOVE,
    share: Rate = LOW,
    false_alarms: Rate = FALSE_ALARMS,
) -> Expression:
    """Rates with these intervals."""
    rest = None
    if residual is not None:
        rest = Residual(rate, rate, residual, 60, 60, 0.5, "only 3 of 60 are left")
    carried = CarryOver(None, share, {}, false_alarms)
    return Expression(
        rate.rate, rate.n, rate.interval, directional=directional, carry_over=carried, residual=rest
    )


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (rates(), "mood: "),
        (rates(residual=OPEN), "mood: "),
        (rates(share=SOME), "mood: "),
        (rates(share=HIGH), "mood and echo: "),
        (rates(share=HIGH, false_alarms=Rate(0.5, 60)), "mood: "),
        (rates(share=HIGH, residual=OPEN), "echo, as far as can be seen: .* may be 0.63 at most"),
        (rates(share=HIGH, residual=UNDEFINED), "echo, .* cannot be told, only 3 of 60 are left"),
        (rates(directional=OPEN), "non-specific: .*--leakage-metric directional"),
        (rates(directional=OPEN, share=HIGH, residual=OPEN), "non-specific: "),
        (rates(rate=OPEN, directional=OPEN), "none seen: "),
        (rates(rate=UNDEFINED, directional=UNDEFINED), "none seen: "),
        (rates(residual=None), "mood or echo: .*score its generations again"),
    ],
)
def test_the_kind_of_effect(found: Expression, kind: str) -> None:
    """By the 95% intervals; restating counts above a tenth, and above false alarms."""
    assert re.match(kind, effect(found))


@pytest.mark.parametrize(
    ("outcome", "is_told"),
    [("fail", True), ("inconclusive", True), (None, True), ("pass", False), ("unusable", False)],
)
def test_where_the_kind_is_told(outcome: Outcome | None, is_told: bool) -> None:
    """Between the reasons and the notes."""
    verdict = Verdict(outcome, ("a reason",))
    found = replace(measured([0.5] * 12), expression=rates(), notes=("a note",), verdict=verdict)
    kind = (f"kind: {effect(rates())}",) if is_told else ()
    assert explained(found) == ("a reason", *kind, "a note")
