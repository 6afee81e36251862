"""The table in a terminal: which columns it has, and in which order its rows stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from exleak.errors import SettingsError
from exleak.records import LastRun, Measurement
from exleak.reports.columns import COLUMNS, SUMMARY, lookup
from exleak.reports.layout import COMPACT, GROUPS, Layout, find, layout
from exleak.reports.terminal import failure, fitted, table
from tests.helpers.measurements import compared, measurement

HEADINGS = [column.title for column in SUMMARY]
FOUND = [
    measurement("b", "hexl"),
    measurement("a", "aexl", seed=1, limit=0.95),
    measurement("b", "aexl", seed=2, limit=None),
]


def shown(found: Sequence[Measurement], chosen: Layout | None = None) -> list[list[str]]:
    """The cells of each line."""
    return [re.split(r"\s{2,}", line) for line, _ in table(found, set(), chosen)]


def test_the_usual_columns_are_the_summary_s() -> None:
    """And the difference to a baseline where one measurement has it."""
    head = ["model", "data", *HEADINGS]
    assert shown(FOUND)[0] == [*head, "outcome"]
    assert shown([*FOUND, compared()])[0] == [*head, "Δ", "outcome"]
    delta = compared().verdict.comparison
    assert delta is not None
    assert shown([compared()])[1][-2] == f"{delta.delta:+.3f}"


def test_columns_are_found_by_name_and_by_heading() -> None:
    """Every one of them, also in capitals; several in one text."""
    for column in COLUMNS:
        for name in filter(None, (column.name, column.heading)):
            assert find(name.upper()).place == column.place
    head, *rows = shown(FOUND, layout(["seed, n", "directional"]))
    assert head == ["model", "data", "seed", "n", "directional", "outcome"]
    for row, one in zip(rows, FOUND, strict=True):
        rate = one.expression.directional.rate
        assert row[2:5] == [
            str(one.sampling.get("seed", "-")),
            str(one.expression.n),
            f"{rate:.3f}",
        ]


def test_a_compact_table_fits_80_characters() -> None:
    """With a model's name of 16 characters."""
    found = [measurement("a-checkpoint-100"), measurement("a-checkpoint-200", limit=None)]
    assert max(len(line) for line, _ in table(found, set(), layout(COMPACT))) <= 80


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (None, [*HEADINGS, "Δ last run"]),
        (130, [*HEADINGS, "Δ last run"]),
        (90, ["μ_EL", "95% interval", "residual", "limit", "Δ last run"]),
        (80, ["μ_EL", "95% interval", "residual", "limit"]),
        (20, ["μ_EL", "95% interval", "residual", "limit"]),
    ],
)
def test_a_narrow_terminal_gets_the_columns_that_fit(width: int | None, head: list[str]) -> None:
    """The difference to the last run goes last; columns that were chosen stay."""
    found = [
        replace(measurement("a-checkpoint-100"), last_run=LastRun(0.0, 15, "")),
        replace(measurement("a-checkpoint-200"), last_run=LastRun(-0.0251, 15, "")),
        measurement("a-checkpoint-300", limit=None),
    ]
    lines, used = fitted(found, set(), width=width)
    assert re.split(r"\s{2,}", lines[0][0]) == ["model", "data", *head, "outcome"]
    assert used.is_cut == (len(head) < 6)
    if "Δ last run" in head:
        assert [re.split(r"\s{2,}", line)[-2] for line, _ in lines[1:]] == ["same", "-0.025", "-"]
    chosen = layout(["seed, n, directional, residual, superiority, mu_l_paired"])
    assert fitted(found, set(), chosen, width)[1] == chosen


@pytest.mark.parametrize("sign", ["", "-"])
def test_rows_are_sorted(sign: str) -> None:
    """Up or down; those without a value last."""
    rates = [row[2] for row in shown(FOUND, layout(["mu_el"], f"{sign}mu_el"))[1:]]
    assert rates == sorted(rates, reverse=bool(sign))
    assert len(set(rates)) == 3
    assert shown(FOUND, layout(["limit"], f"{sign}limit"))[-1][:2] == ["b", "aexl"]


def test_rows_are_grouped() -> None:
    """In the order of each group's first row, with an empty line between groups."""
    for name, place in GROUPS.items():
        of_rows = [str(lookup(one, place)) for one in FOUND]
        lines = shown(FOUND, layout([], None, name))[1:]
        assert lines.count([""]) == len(set(of_rows)) - 1
    assert [row[:2] for row in shown(FOUND, layout([], None, "model"))[1:]] == [
        ["b", "hexl"], ["b", "aexl"], [""], ["a", "aexl"]]  # fmt: skip


def test_what_is_not_there_is_named() -> None:
    """With what there is."""
    with pytest.raises(SettingsError, match=r"no column 'mu'; these are: mu_el, 95% interval"):
        layout(["mu"])
    with pytest.raises(SettingsError, match="no column 'speed'"):
        layout([], "-speed")
    with pytest.raises(SettingsError, match=r"grouped by 'day': use model, dataset, outcome"):
        layout([], None, "day")


def test_a_pair_stands_side_by_side() -> None:
    """Both continuations whole, in two columns, in lines that fit 80 characters."""
    one = measurement()
    lines = failure(one, "fail", "reason").splitlines()
    start = lines.index("  The continuations that leak most:") + 1
    sides = [line.split(" │ ") for line in lines[start:] if " │" in line]
    worst = one.worst[0]
    left = " ".join(side[0].strip() for side in sides)
    assert worst.sentence in left
    assert f"with it: {worst.probability:.2f}" in left
    assert worst.control_sentence in " ".join(side[-1].strip() for side in sides)
    assert max(map(len, lines[start:])) <= 80
    assert len({line.index("│") for line in lines[start:] if "│" in line}) == 1
