"""A plan in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exleak.gate.limits import Metric
from exleak.planning.cost import Cost
from exleak.planning.plan import Plan, make_plan
from exleak.planning.power import typical
from exleak.planning.scatter import Probit, Scatter
from exleak.planning.words import costs, lines


def plan(metric: Metric = "rate", scatter: Scatter | None = None, **more: Any) -> Plan:
    """A plan for HEXL."""
    about: dict[str, Any] = {"dataset": "hexl", "controls": 60, "prompts": 240, "generations": 10}
    compared = typical("directional") if scatter is None else scatter
    return make_plan(scatter or typical(metric), compared, metric=metric, **{**about, **more})


def last(plan: Plan) -> str:
    """What is said to do next."""
    return list(lines(plan))[-1]


def test_a_plan_says_what_a_run_can_tell() -> None:
    """The run, its precision, the limit, the expected rate, and what to do next."""
    text = "\n".join(lines(plan(max_rate=0.7, expected=0.75)))
    assert "run: hexl, 60 controls, 240 prompts, 10 continuations each: 2,400" in text
    assert "μ_EL 0.75 (expected) would be known to ±" in text
    assert "limit 0.7: fails a model whose true rate is 0.8" in text
    assert "of runs fail" in text
    assert "baseline of one run: an increase of the directional rate by 0." in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "give --max-rate"),
        ({"max_rate": 0.7}, "give --expected"),
        ({"max_rate": 0.7, "expected": 0.95}, "run it: 60 controls are enough"),
        ({"max_rate": 0.7, "expected": 0.7}, "no run tells a rate from itself"),
        ({"max_rate": 0.7, "expected": 0.82}, "--leakage-dataset aexl (200 controls"),
        ({"max_rate": 0.7, "expected": 0.75}, "controls (exleak aexl build)"),
        ({"max_rate": 0.7, "expected": 0.7001}, "choose another limit"),
    ],
)
def test_the_last_line_says_what_to_do_next(settings: dict[str, Any], said: str) -> None:
    """More controls, another limit, or nothing."""
    assert said in last(plan(**settings))


def test_more_continuations_are_advised_where_they_help() -> None:
    """Only for rates that do not move with them."""
    noisy = Scatter(0.7, 60, 10, 0.05, 0.045)
    assert "--leakage-generations 20" in last(
        plan("directional", noisy, max_rate=0.7, expected=0.8)
    )
    assert "--leakage-generations" not in last(plan("rate", noisy, max_rate=0.7, expected=0.8))


def test_the_parts_of_a_finished_run_are_told() -> None:
    """What more of either would do; of a report with EL alone, what is not known."""
    scatter = Scatter(0.7, 60, 10, 0.04, 0.01)
    told = "\n".join(lines(plan("directional", scatter, is_measured=True)))
    assert (
        "uncertainty: 75% between controls, 25% between continuations; 10 more per prompt narrow "
        "the interval by 6%, 60 more controls by 30%"
    ) in told
    curve = Probit(0.0, 0.0, 1.0, -0.2)
    told = "\n".join(lines(plan("rate", replace(scatter, curve=curve), is_measured=True)))
    assert "(and move the rate to 0.77), 60 more controls" in told
    unknown = "\n".join(lines(plan("rate", replace(scatter, within=None), is_measured=True)))
    assert "generations file tells" in unknown
    assert "60 more controls narrow the interval by 30%" in unknown
    assert "uncertainty" not in "\n".join(lines(plan("directional")))


def test_a_measured_rate_stands_in_for_an_expected_one() -> None:
    """What such a model would need to be told from the limit."""
    scatter = Scatter(0.75, 60, 10, 0.04, 0.01)
    found = plan("directional", scatter, is_measured=True, max_rate=0.7)
    assert found.rate_is == "measured"
    assert "measured 0.75: " in "\n".join(lines(found))
    assert "to tell 0.75 from 0.7 in 90% of runs take " in last(found)


def test_a_baseline_is_told_with_its_margin() -> None:
    """Of the rate that baselines compare."""
    text = "\n".join(lines(plan("directional", margin=0.05)))
    assert "baseline of one run: an increase of the directional rate by 0." in text
    assert "with a margin of 0.05" in text


def test_costs_are_told() -> None:
    """Seconds by part, memory, rows; or that everything is stored."""
    first, second = costs(
        Cost("m", 2400, 8, "cpu", "float32", 640, 2.0, 130.0, 9.0, 3 << 30, 20, 9)
    )
    assert first == (
        "time: m: about 2 min: 2 min for 2,400 continuations (8 more are stored), 2.0 s for "
        "loading, 9.0 s for scoring"
    )
    assert second == (
        "memory: 3.0 GiB, 640 continuations at once, on cpu in float32; from a trial of 9 "
        "continuations"
    )
    assert list(costs(Cost("m", 0, 2400))) == [
        "time: nothing to generate: all 2,400 continuations are stored"
    ]
    found = plan(cost=Cost("m", 0, 2400))
    assert "time: nothing to generate" in "\n".join(lines(found))
    assert found.to_json()["cost"]["stored"] == 2400
