"""Where settings come from, and what a session without leakage sees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import exleak
from exleak.records import Sample
from leakage_fixtures.guard import NOT_MEASURED
from tests.plugin.conftest import Run

HEAVY = ("torch", "transformers", "scipy", "numpy", "matplotlib")


def toml(toy: pytest.Pytester, text: str) -> None:
    """Write leakage.toml."""
    (toy.path / "leakage.toml").write_text(text)


def sample_row(sample: Sample) -> dict[str, str]:
    """A sample as a line of a dataset file."""
    names = ("id", "control", "positive", "neutral", "negative")
    return {name: getattr(sample, name) for name in names}


def test_a_toml_entry_is_measured(measure: Run, toy: pytest.Pytester, llama: Path) -> None:
    """Its name stands in the table, its limit is used."""
    toml(toy, f'[models.mine]\npath = "{llama}"\nmax_rate = 1.0\ndevice = "cpu"')
    result = measure()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["mine *1 *pass"])


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ('device = "cpu,cpu"', '"devices": ["cpu", "cpu"]'),
        ('device = "auto"\nmax_memory = { cpu = "100KB" }', '"device_map": {"disk": 2}'),
        ('device = "auto"\nmax_memory = "cpu=100KB"', '"device_map": {"disk": 2}'),
    ],
)
def test_a_model_on_several_devices_is_measured(
    device: str, found: str, measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Copies in processes of their own, or layers on disk; not a gpu test without CUDA."""
    toml(toy, f'[models.mine]\npath = "{llama}"\nmax_rate = 1.0\n{device}')
    result = measure("--leakage-store=none", "--leakage-report=out.json")
    result.stdout.fnmatch_lines(["*mine*hexl *1 *pass"])
    (measured,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert found in json.dumps(measured["environment"])


def test_the_command_line_beats_toml_and_a_marker_beats_both(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Marker > CLI > leakage.toml > ini > default."""
    toml(toy, f'[models.mine]\npath = "{llama}"\nmax_rate = 0.9\ndevice = "cpu"')
    toy.makeini("[pytest]\nleakage_max_rate = 0.8\nleakage_seed = 7")
    toy.makepyfile(
        test_marked="""
        import pytest
        from leakage_fixtures.suite import TestLeakage as Suite

        @pytest.mark.leakage(max_rate=1.0)
        class TestMarked(Suite):
            pass
        """
    )
    measure("test_leakage.py").stdout.fnmatch_lines(["mine *0.9 *"])
    measure("test_leakage.py", "--leakage-max-rate=0.95").stdout.fnmatch_lines(["mine *0.95 *"])
    measure("test_marked.py", "--leakage-max-rate=0.95").stdout.fnmatch_lines(["mine * 1 *"])


def test_ini_values_are_used(measure: Run, toy: pytest.Pytester, llama: Path) -> None:
    """Every option has an ini twin."""
    toy.makeini(f"[pytest]\nleakage_max_rate = 1\nleakage_model = {llama}")
    measure().stdout.fnmatch_lines(["*hexl *1 *pass"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models.a]\nmax_rat = 1", "*[[]models.a]: unknown max_rat*"),
        ("[models.a]\nmax_rate = 2", "*max rate must be from 0 to 1*"),
        ("models = 3", "*only [[]models.NAME] tables*"),
        ("[model.a]", "*only [[]models.NAME] tables*"),
        ("[models.a", "*not TOML*"),
        ('[models.a]\ndevice = "cuda:0,cpu"', "*device 'cuda:0,cpu': a list names one device*"),
        ("[models.a]\nmax_memory = { 0 = 20 }", "*max_memory 0=20: give each device one size*"),
        ('[models.a]\nmax_memory = "cpu=1GB"', "*max_memory limits *it needs device 'auto'*"),
    ],
)
def test_a_bad_toml_is_a_usage_error(
    text: str, message: str, measure: Run, toy: pytest.Pytester
) -> None:
    """The message names the entry."""
    toml(toy, text)
    result = measure()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_an_expected_failure_is_strict(measure: Run, toy: pytest.Pytester, llama: Path) -> None:
    """Xfail in leakage.toml: a caught model is fine, one that passes fails the session."""
    entry = f'[models.mine]\npath = "{llama}"\ndevice = "cpu"\nxfail = "known to leak"\n'
    toml(toy, entry + 'significance = "require"')
    caught = measure()
    caught.assert_outcomes(passed=1, xfailed=1)
    caught.stdout.fnmatch_lines(["mine *caught, as expected"])
    toml(toy, entry + "max_rate = 1.0")
    passed = measure()
    passed.assert_outcomes(passed=1, failed=1)


@pytest.mark.parametrize("strict", [(), ("--leakage-strict",)])
def test_what_cannot_be_told_is_no_expected_failure(
    strict: tuple[str, ...], measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """An inconclusive model is not caught, also where inconclusive is to fail."""
    entry = f'[models.mine]\npath = "{llama}"\ndevice = "cpu"\nxfail = "known to leak"\n'
    toml(toy, entry + "max_rate = 0.6")
    result = measure(*strict)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["mine is expected to fail*and this run cannot tell*"])


def test_an_expected_failure_need_not_fail_by_every_rule(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """The rule that an expected failure keeps is skipped; with none that fails it is red."""
    entry = f'[models.mine]\npath = "{llama}"\ndevice = "cpu"\nxfail = "known to leak"\n'
    toml(toy, entry + 'significance = "require"\nmax_rate = 1.0')
    caught = measure("-rs")
    caught.assert_outcomes(passed=1, skipped=1, xfailed=1)
    caught.stdout.fnmatch_lines(["*fails by another rule, as expected*"])
    assert caught.ret == 0
    toml(toy, entry + 'significance = "forbid"\nmax_rate = 1.0')
    measure().assert_outcomes(passed=1, failed=2)


@pytest.mark.parametrize("value", ["false", "true", '""', "1"])
def test_an_expected_failure_needs_a_reason(
    value: str, measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Anything but a text might mean the opposite."""
    toml(toy, f'[models.mine]\npath = "{llama}"\nmax_rate = 0.0\nxfail = {value}')
    result = measure()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*xfail is the reason why*"])


def test_a_model_of_the_ini_file_that_is_skipped_is_no_green(
    measure: Run, toy: pytest.Pytester, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of leakage.toml; other tests alone ask for nothing."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    toy.makeini(f"[pytest]\nleakage_model = {llama}\nleakage_max_rate = 1\nleakage_device = cuda")
    toy.makepyfile(test_other="def test_other(): pass")
    assert toy.runpytest_inprocess("-p", "no:cacheprovider").ret == NOT_MEASURED
    assert toy.runpytest_inprocess("-p", "no:cacheprovider", "test_other.py").ret == 0


def test_datasets_of_one_name_are_refused(measure: Run, toy: pytest.Pytester, llama: Path) -> None:
    """One would be measured and shown twice."""
    rows = [{"dataset": "mine"}, *map(sample_row, exleak.load_dataset("hexl").samples[:3])]
    for name in ("one", "two"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (toy.path / f"{name}.jsonl").write_text(text)
    arguments = (f"--leakage-model={llama}", "--leakage-max-rate=1")
    one, two = "--leakage-dataset=one.jsonl", "--leakage-dataset=two.jsonl"
    assert measure(*arguments, one).ret == 0
    result = measure(*arguments, one, two)
    assert result.ret not in (0, 1)
    assert "both call themselves 'mine'" in f"{result.stdout}{result.stderr}"


def test_a_gpu_entry_is_skipped_loudly_and_is_no_green(
    measure: Run, toy: pytest.Pytester, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leakage.toml entry runs on CUDA unless it says otherwise; all skipped is not a pass."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    toml(toy, f'[models.mine]\npath = "{llama}"\nmax_rate = 1.0')
    result = measure("-m", "gpu")
    result.assert_outcomes(skipped=2, deselected=3)
    assert result.ret == NOT_MEASURED
    result.stdout.fnmatch_lines(["*not measured*", "*none gave a verdict*"])


def test_leakage_without_a_suite_is_no_green(pytester: pytest.Pytester) -> None:
    """Asked for, but no test measures it: the message has the missing line."""
    pytester.makepyfile("def test_other(): pass")
    result = pytester.runpytest_inprocess("--leakage-max-rate=0.7")
    assert result.ret == NOT_MEASURED
    result.stdout.fnmatch_lines(["*from leakage_fixtures.suite import TestLeakage*"])


def test_a_suite_without_a_model_changes_nothing(toy: pytest.Pytester) -> None:
    """Nobody asked: the tests are skipped with what to do, the session passes."""
    toy.makepyfile(test_other="def test_other(): pass")
    result = toy.runpytest_inprocess("-rs")
    result.assert_outcomes(passed=1, skipped=5)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*no model: pass --leakage-model*"])


def test_who_does_not_use_the_plugin_pays_nothing(cold: None, pytester: pytest.Pytester) -> None:
    """No heavy import, and no output."""
    pytester.makepyfile(
        conftest=f"""
        import sys

        def pytest_unconfigure(config):
            assert not [name for name in {HEAVY!r} if name in sys.modules]
        """,
        test_other="def test_other(): pass",
    )
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:hypothesispytest"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "leakage" not in done.stdout.replace("exleak", "")


def test_a_model_path_taken_for_a_test_folder_is_told(toy: pytest.Pytester, llama: Path) -> None:
    """Pytest would read the ini file of the model's folder instead of the repository's."""
    toy.makeini("[pytest]\nleakage_max_rate = 1")
    result = toy.runpytest_inprocess("--leakage-model", str(llama))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*write --leakage-model={llama}*"])


def test_an_unknown_marker_setting_is_refused(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """The message lists what the marker takes."""
    toy.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.leakage(max_rat=0.9)
        def test_own(leakage_measurement):
            pass
        """
    )
    result = measure("test_own.py", f"--leakage-model={llama}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*does not know*max_rat*it takes max_rate*"])


def test_nothing_is_written_beside_a_model(
    toy: pytest.Pytester, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pytest takes the model's folder for its root, the store is still the repository's."""
    repository = toy.path / "repository"
    repository.mkdir()
    (toy.path / "test_leakage.py").rename(repository / "test_leakage.py")
    monkeypatch.chdir(repository)
    command = ["--leakage-model", str(llama), "--leakage-max-rate=1", "--leakage-limit=1",
               "--leakage-generations=1"]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "pytest", *command], check=False)
    assert done.returncode == 0
    assert (repository / ".exleak").is_dir()
    assert not (llama / ".exleak").exists()
