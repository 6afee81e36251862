"""What a session collects and shows: no more than was asked for."""

from __future__ import annotations

from pathlib import Path

from tests.plugin.conftest import Run


def test_rules_that_are_not_set_are_not_tested(measure: Run, llama: Path) -> None:
    """Also with workers; a rule that is asked for by name says why it is skipped."""
    model = f"--leakage-model={llama}"
    limit = measure(model, "--leakage-max-rate=1", "--leakage-store=empty")
    limit.assert_outcomes(passed=2, deselected=3)
    limit.stdout.no_fnmatch_line("SKIPPED*")
    limit.stdout.no_fnmatch_line("*Δ last run*")
    measure(model, "--leakage-max-rate=1", "-n", "1").assert_outcomes(passed=2)
    again = measure(model, "--leakage-report-only", "--leakage-store=empty")
    again.assert_outcomes(passed=1, deselected=4)
    again.stdout.fnmatch_lines(
        ["model *Δ last run *", "llama * same *reported only", "Δ last run: directional rate *"]
    )
    measure(model, "--leakage-significance=require").assert_outcomes(
        passed=1, failed=1, deselected=3
    )
    named = measure(model, "--leakage-max-rate=1", "-k", "baseline", "-rs")
    named.assert_outcomes(skipped=1, deselected=4)
    named.stdout.fnmatch_lines("SKIPPED*no baseline to compare with: --leakage-compare NAME")


def test_quiet_is_one_line_a_model(measure: Run, llama: Path) -> None:
    """Below the heading."""
    asked = (f"--leakage-model={llama}", "--leakage-model=reference-clean", "--leakage-report-only")
    lines = measure(*asked, "-q").outlines
    start = next(i for i, line in enumerate(lines) if " expression leakage " in line)
    assert [line.split()[0] for line in lines[start + 1 : -1]] == [
        "model", "llama", "reference-clean"]  # fmt: skip


def test_the_table_is_as_asked(measure: Run, llama: Path) -> None:
    """Columns, order and groups; a wrong name is refused before anything is measured."""
    asked = (f"--leakage-model={llama}", "--leakage-model=reference-clean", "--leakage-report-only")
    lines = measure(*asked, "-q", "--leakage-columns=seed,n", "--leakage-sort=-n").outlines
    start = next(i for i, line in enumerate(lines) if " expression leakage " in line)
    assert lines[start + 1].split() == ["model", "data", "seed", "n", "outcome"]
    wrong = measure(*asked, "--leakage-columns=speed")
    assert wrong.ret == 4
    wrong.stderr.fnmatch_lines("*there is no column 'speed'; these are: mu_el*")
