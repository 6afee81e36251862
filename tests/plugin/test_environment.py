"""Settings from environment variables: every option has one, for the jobs of a CI."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import exleak
import leakage_fixtures
from leakage_fixtures import environment
from leakage_fixtures.guard import NOT_MEASURED
from leakage_fixtures.options import OPTIONS, Option
from tests.plugin.conftest import Run


def option(name: str) -> Option:
    """The option of a name."""
    return next(option for option in OPTIONS if option.name == name)


def test_a_variable_lies_between_command_line_and_toml(
    measure: Run, toy: pytest.Pytester, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marker > CLI > environment > leakage.toml > ini > default."""
    text = f'[models.mine]\npath = "{llama}"\nmax_rate = 0.9\ndevice = "cpu"'
    (toy.path / "leakage.toml").write_text(text)
    toy.makeini("[pytest]\nleakage_max_rate = 0.8")
    toy.makepyfile(
        test_marked="""
        import pytest
        from leakage_fixtures.suite import TestLeakage as Suite

        @pytest.mark.leakage(max_rate=1.0)
        class TestMarked(Suite):
            pass
        """
    )
    monkeypatch.setenv("EXLEAK_MAX_RATE", "0.95")
    measure("test_leakage.py").stdout.fnmatch_lines(["mine *0.95 *"])
    measure("test_leakage.py", "--leakage-max-rate=0.97").stdout.fnmatch_lines(["mine *0.97 *"])
    measure("test_marked.py").stdout.fnmatch_lines(["mine * 1 *"])
    monkeypatch.setenv("EXLEAK_MAX_RATE", "")
    measure("test_leakage.py").stdout.fnmatch_lines(["mine *0.9 *"])


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=("one process", "two workers"))
def test_a_session_may_be_set_by_variables_alone(
    workers: tuple[str, ...],
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With lists, a flag, and paths from where pytest was started."""
    monkeypatch.setenv("EXLEAK_MODEL", f"{llama};reference-clean")
    monkeypatch.setenv("EXLEAK_REPORT", "out.json\nout.csv\n")
    monkeypatch.setenv("EXLEAK_REPORT_ONLY", "yes")
    assert measure(*workers).ret == 0
    measured = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert [one["model"] for one in measured] == ["llama", "reference-clean"]
    assert (toy.path / "out.csv").exists()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("model", "org/base:org/adapter;C:\\models", ["org/base:org/adapter", "C:\\models"]),
        (
            "endpoint",
            "http://a:8000/v1\nhttp://b:8000/v1",
            ["http://a:8000/v1", "http://b:8000/v1"],
        ),
        ("template", "tone=a;b\n", ["tone=a;b"]),
        ("model", " ; ", None),
        ("strict", "TRUE", True),
        ("strict", "0", False),
        ("strict", " ", None),
        ("system", " Be brief.", " Be brief."),
    ],
)
def test_the_form_of_a_value(
    name: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines, or semicolons in one line; true or false; other texts as they are."""
    monkeypatch.setenv(option(name).variable, text)
    assert environment.value(option(name)) == value


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("EXLEAK_MAX_RATE", "high", "*EXLEAK_MAX_RATE: 'high' is not a number*"),
        ("EXLEAK_MAX_RATE", "2", "*must be from 0 to 1*the environment sets EXLEAK_MAX_RATE*"),
        ("EXLEAK_SEED", "1.5", "*EXLEAK_SEED: '1.5' is not a whole number*"),
        ("EXLEAK_CHAT", "maybe", "*EXLEAK_CHAT: 'maybe' is unknown; use one of auto*"),
        ("EXLEAK_STRICT", "maybe", "*EXLEAK_STRICT: 'maybe' is neither true nor false*"),
        ("EXLEAK_TEMPLATE", "plain", "*EXLEAK_TEMPLATE: *'plain'* is not a KEY=VALUE*"),
        ("EXLEAK_REPORT", "out.pdf", "*the suffix must be*the environment sets EXLEAK_REPORT*"),
        ("EXLEAK_DISABLE", "2", "*EXLEAK_DISABLE: '2' is neither true nor false*"),
    ],
)
def test_a_bad_value_is_a_usage_error_that_names_the_variable(
    variable: str,
    value: str,
    message: str,
    measure: Run,
    llama: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one on the command line names its option."""
    monkeypatch.setenv(variable, value)
    arguments = (f"--leakage-model={llama}", "--leakage-significance=report")
    result = measure(*arguments, "--leakage-report-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_model_that_is_not_there_names_the_variable(
    measure: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pattern without a match, too."""
    monkeypatch.setenv("EXLEAK_MODEL", "nowhere-*")
    result = measure("--leakage-report-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*nothing matches*the environment sets EXLEAK_MODEL*"])


@pytest.mark.parametrize(
    ("variable", "value", "status"),
    [
        ("EXLEAK_SEED", "7", 0),
        ("EXLEAK_SEED", "no number", 0),
        ("EXLEAK_MAX_RATE", "0.5", 0),
        ("EXLEAK_SEEDS", "7", 0),
        ("EXLEAK_ONLY", "0", 0),
        ("EXLEAK_DISABLE", "1", 0),
        ("EXLEAK_MODEL", "reference-clean", NOT_MEASURED),
        ("EXLEAK_ONLY", "1", NOT_MEASURED),
    ],
)
def test_only_what_names_models_or_tests_asks_for_leakage(
    variable: str,
    value: str,
    status: int,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A setting may be there for all jobs; a session of other tests does not see it."""
    pytester.makepyfile(test_other="def test_other(): pass")
    monkeypatch.setenv(variable, value)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == status
    if status == 0:
        said = result.stdout.str().replace(str(pytester.path), "")
        assert "leakage" not in said
        assert "EXLEAK" not in said


def test_an_unknown_variable_is_a_remark(
    measure: Run, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the nearest name, once also under xdist; the endpoint's key is known."""
    monkeypatch.setenv("EXLEAK_MAXRATE", "0.5")
    monkeypatch.setenv("EXLEAK_API_KEY", "secret")
    result = measure(f"--leakage-model={llama}", "--leakage-report-only", "-n2")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["REMARK*EXLEAK_MAXRATE is unknown, and has no effect; is EXLEAK_MAX_RATE meant?"]
    )
    assert result.stdout.str().count("EXLEAK_") == 2


def test_no_variable_has_two_meanings() -> None:
    """All that the code reads are options, or known to be none."""
    packages = [Path(package.__file__ or "").parent for package in (exleak, leakage_fixtures)]
    texts = [path.read_text(encoding="utf-8") for package in packages
             for path in package.rglob("*.py")]  # fmt: skip
    read = {name for text in texts for name in re.findall(r"\"(EXLEAK_[A-Z_]+)\"", text)}
    assert read == set(environment.OTHERS)
    assert not read & {option.variable for option in OPTIONS}
