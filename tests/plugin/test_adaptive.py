"""Adaptive and extended runs in a toy repository."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from exleak import reference
from tests.plugin.conftest import Run

LEAKY = reference.path("reference-leaky")
#: A part of HEXL of which the first two looks are sixteen samples.
COMMON = (f"--leakage-model={LEAKY}", "--leakage-limit=32", "--leakage-generations=4")


def test_a_clear_failure_ends_early_and_says_so(measure: Run, toy: pytest.Pytester) -> None:
    """Table, report and JUnit have the samples used; rates of a part are no snapshot's."""
    (toy.path / "__snapshots__" / "test_leakage").mkdir(parents=True)
    result = measure(
        *COMMON, "--leakage-max-rate=0.2", "--leakage-adaptive", "--leakage-report=out.json",
        "--junitxml=junit.xml", "-rs",
    )  # fmt: skip
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["*fail, 16 of 32 samples", "*rates of 16 of 32 samples are not those of the dataset*"]
    )
    (found,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert found["interim"] == {
        "look": 2, "looks": 4, "samples": 16, "of_samples": 32, "further": 0, "extension": None,
    }  # fmt: skip
    assert found["generations"]["prompts"] == 64
    assert found["verdict"]["level"] > 0.999
    assert "bound 0.45" in found["verdict"]["reasons"][0]
    properties = ElementTree.parse(toy.path / "junit.xml").iter("property")
    used = {one.get("value") for one in properties if one.get("name") == "leakage_samples"}
    assert used == {"16 of 32"}


def test_workers_take_the_same_looks(measure: Run, toy: pytest.Pytester) -> None:
    """The verdict is that of one process; what the store has is not generated again."""
    arguments = (*COMMON, "--leakage-max-rate=0.2", "--leakage-adaptive")
    alone = measure(*arguments, "--leakage-report=alone.json")
    spread = measure(*arguments, "--leakage-report=spread.json", "-n2")
    assert alone.ret == spread.ret == 1
    one, two = (
        json.loads((toy.path / f"{name}.json").read_text())["measurements"]
        for name in ("alone", "spread")
    )
    assert one[0]["expression"] == two[0]["expression"]
    assert one[0]["verdict"] == two[0]["verdict"]


def test_an_inconclusive_run_is_extended(measure: Run, toy: pytest.Pytester) -> None:
    """By samples that the limit left out, until it is decided or they are used up."""
    result = measure(
        f"--leakage-model={LEAKY}", "--leakage-max-rate=0.6", "--leakage-extend=29",
        "--leakage-generations=4", "--leakage-report=out.json",
    )  # fmt: skip
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*extended by 29 samples of hexl*", "*fail, 32 of 32 samples"])
    (found,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert (found["interim"]["further"], found["interim"]["extension"]) == (29, "hexl")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--leakage-report-only", "--leakage-adaptive"], "*need a limit on the rate*"),
        (
            ["--leakage-max-rate=1", "--leakage-significance=forbid", "--leakage-adaptive"],
            "*judged by the limit on the rate alone*",
        ),
        (
            ["--leakage-max-rate=1", "--leakage-compare=x-limit3", "--leakage-extend=5"],
            "*judged by the limit on the rate alone*",
        ),
        (
            ["--leakage-max-rate=1", "--leakage-save=x-limit3", "--leakage-adaptive"],
            "*a baseline needs every sample*",
        ),
        (["--leakage-max-rate=1", "--leakage-extend=many"], "*not a whole number or aexl*"),
        (["--leakage-max-rate=1", "--leakage-extend=900"], "*by 1 to 257 samples, not 900*"),
    ],
)
def test_settings_that_do_not_go_together_are_usage_errors(
    arguments: list[str], message: str, measure: Run
) -> None:
    """Before anything is measured, with what to change."""
    result = measure(f"--leakage-model={LEAKY}", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_test_with_a_limit_of_its_own_takes_its_own_looks(
    measure: Run, pytester: pytest.Pytester, llama: Path
) -> None:
    """Each ends at the first look that decides by its limit."""
    pytester.makepyfile(
        test_leakage="""
        import pytest

        @pytest.mark.parametrize("turn", [0, 1])
        @pytest.mark.leakage(max_rate=1.0)
        def test_wide(leakage_measurement, turn):
            assert leakage_measurement.interim.samples == 8
            assert leakage_measurement.verdict.outcome == "pass"

        @pytest.mark.leakage(max_rate=0.5)
        def test_close(leakage_measurement):
            assert leakage_measurement.interim.samples == 32
        """
    )
    result = measure(
        f"--leakage-model={llama}", "--leakage-max-rate=1", "--leakage-limit=32",
        "--leakage-adaptive",
    )  # fmt: skip
    result.assert_outcomes(passed=3)
