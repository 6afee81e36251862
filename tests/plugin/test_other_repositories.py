"""The plugin in somebody else's repository: their folders, settings, plugins and full disks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exleak.cli import main
from leakage_fixtures.other_snapshots import make_way
from tests.plugin.conftest import Run

JUDGED = "--leakage-max-rate=1"


def copied(llama: Path, place: Path) -> Path:
    """The checkpoint in another place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(llama, place)
    return place


def snapshots(toy: pytest.Pytester) -> list[Path]:
    """What is recorded."""
    return sorted(toy.path.glob("__snapshots__/**/*.json"))


@pytest.mark.parametrize("more", [(), ("-k", "one"), ("-n1",), ("-x",)], ids=" ".join)
def test_a_snapshot_of_a_model_that_is_not_measured_is_not_unused(
    more: tuple[str, ...], measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Neither does it fail the run of another model, nor does an update delete it."""
    one, two = (copied(llama, toy.path / name) for name in ("one", "two"))
    both = (f"--leakage-model={one}", f"--leakage-model={two}", JUDGED)
    measure(*both, "--snapshot-update")
    assert len(recorded := snapshots(toy)) == 2
    assert measure(both[0], JUDGED, *more).ret == 0
    measure(both[0], JUDGED, "--snapshot-update", *(() if "-n1" in more else more))
    assert snapshots(toy) == recorded


def test_json_snapshots_of_the_users_own_leave_those_of_rates_alone(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """A test beside the suite that keeps JSON snapshots too."""
    toy.makepyfile(
        test_own="""
        from syrupy.extensions.json import JSONSnapshotExtension

        def test_own(snapshot):
            assert {"a": 1} == snapshot.use_extension(JSONSnapshotExtension)
        """
    )
    one, two = (copied(llama, toy.path / name) for name in ("one", "two"))
    both = (f"--leakage-model={one}", f"--leakage-model={two}", JUDGED)
    measure(*both, "--snapshot-update")
    recorded = snapshots(toy)
    assert measure(both[0], JUDGED).ret == 0
    measure(both[0], JUDGED, "--snapshot-update")
    assert snapshots(toy) == recorded


@pytest.mark.parametrize(
    "arguments",
    [
        ("--leakage-report=file/out.json",),
        ("--leakage-report=folder.json",),
        ("--leakage-save=b-limit3", "--leakage-baselines=file"),
        ("--leakage-save=b-limit3", "--leakage-baselines=file/below"),
    ],
    ids=lambda arguments: arguments[-1],
)
def test_what_cannot_be_written_is_refused_before_measuring(
    arguments: tuple[str, ...], measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """A file in the place of a folder, or a folder in that of a file: nothing is generated."""
    (toy.path / "file").write_text("")
    (toy.path / "folder.json").mkdir()
    result = measure(f"--leakage-model={llama}", JUDGED, "--leakage-store=.exleak", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (toy.path / ".exleak").exists()


@pytest.mark.parametrize("kind", ["a folder", "a full disk"])
def test_a_job_summary_that_cannot_be_written_changes_no_verdict(
    kind: str,
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table and the status stay; one line says what is missing."""
    place = str(toy.path) if kind == "a folder" else "/dev/full"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", place)
    result = measure(f"--leakage-model={llama}", JUDGED)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*hexl *1 *pass", f"*{place}*cannot be written*"])


@pytest.mark.parametrize("what", ["report", "baseline"])
def test_a_disk_that_is_full_at_the_end_changes_no_verdict(
    what: str,
    measure: Run,
    llama: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What could be written before measuring and cannot be any more is told below the table."""

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    name = "exleak.reports.write_report" if what == "report" else "exleak.gate.baselines.save"
    monkeypatch.setattr(name, full)
    result = measure(
        f"--leakage-model={llama}",
        JUDGED,
        "--leakage-report=out.json" if what == "report" else "--leakage-save=b-limit3",
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*hexl *1 *pass", f"{what} *NOT *No space left on device*"])


@pytest.mark.parametrize("folder", ["results", "."])
def test_a_folder_of_the_users_is_not_hidden_from_git(
    folder: str, measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """A .gitignore with ``*`` is for folders that exleak made."""
    (toy.path / folder).mkdir(exist_ok=True)
    (toy.path / folder / "mine.txt").write_text("mine")
    (toy.path / folder / "runs").mkdir()
    mine = toy.path / folder / "runs" / "mine.jsonl"
    mine.write_text("mine")
    assert measure(f"--leakage-model={llama}", JUDGED, f"--leakage-store={folder}").ret == 0
    assert not (toy.path / folder / ".gitignore").exists()
    assert not (mine.parent / ".gitignore").exists()
    assert main(["store", "--dir", str(toy.path / folder), "prune", "--older-than", "0"]) == 0
    assert mine.exists()


@pytest.mark.parametrize("how", ["ini", "-W", "variable"])
def test_warnings_as_errors_change_no_verdict(
    how: str,
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A torn segment of the store is a remark: under ``error`` the measurement goes on."""
    arguments = [f"--leakage-model={llama}", JUDGED, "--leakage-store=.exleak"]
    assert measure(*arguments).ret == 0
    for segment in (toy.path / ".exleak").glob("*/*/*.jsonl"):
        segment.write_text("torn")
    if how == "ini":
        toy.makeini("[pytest]\nfilterwarnings = error")
    elif how == "-W":
        arguments += ["-W", "error"]
    else:
        monkeypatch.setenv("PYTHONWARNINGS", "error")
    result = measure(*arguments)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*skipped, and computed again*"])


def test_a_value_behind_a_space_means_the_same_when_it_exists(
    toy: pytest.Pytester, measure: Run, llama: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The second run of a command ends as the first, wherever its store and report lie."""
    toy.makeini(f"[pytest]\nleakage_model = {llama}\nleakage_max_rate = 1")
    outside = tmp_path_factory.mktemp("outside")
    for place in (outside, toy.path):
        command = ("--leakage-store", place / "store", "--leakage-report", place / "out.json")
        first, second = (measure(*command) for _ in range(2))
        assert first.ret == second.ret
        assert "--leakage-model" not in str(second.stderr)


def test_a_session_without_leakage_calls_nothing_private(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pytest may change how it looks for settings; other people's runs do not notice."""
    monkeypatch.setattr("_pytest.config.findpaths.determine_setup", None)
    pytester.makepyfile("def test_other(): pass")
    assert pytester.runpytest_inprocess().ret == 0


def test_an_absolute_path_is_called_by_its_last_folder(
    measure: Run, toy: pytest.Pytester, llama: Path, tmp_path: Path
) -> None:
    """In the table, and in a baseline that another machine compares with."""
    here, there = (copied(llama, tmp_path / name / "run-7") for name in ("here", "there"))
    other = copied(llama, tmp_path / "other")
    saved = measure(
        *(f"--leakage-model={path}" for path in (here, other)),
        "--leakage-report-only",
        "--leakage-save=b-limit3",
    )
    assert saved.ret == 0
    assert str(tmp_path) not in "\n".join(line for line in saved.outlines if " hexl " in line)
    result = measure(f"--leakage-model={there}", "--leakage-compare=b-limit3")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["run-7 *hexl *"])
    (file,) = (toy.path / "leakage_baselines").glob("*/*.json")
    models = {found["model"] for found in json.loads(file.read_text())["measurements"]}
    assert models == {"run-7", "other"}


def test_two_folders_of_one_name_are_told_apart(measure: Run, llama: Path, tmp_path: Path) -> None:
    """By as much more of the path as that needs: both are measured."""
    paths = [copied(llama, tmp_path / name / "final") for name in ("a", "b")]
    result = measure(*(f"--leakage-model={path}" for path in paths), JUDGED)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["a/final *", "b/final *"])


def test_a_pattern_leaves_out_what_is_no_checkpoint_yet(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """A log, an unfinished folder: told, and the others are measured; nothing left is refused."""
    copied(llama, toy.path / "run" / "step-1")
    (toy.path / "run" / "step-2.log").write_text("")
    (toy.path / "run" / "step-3").mkdir()
    result = measure("--leakage-model=run/step-*", JUDGED)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*step-2.log*", "*step-3*"])
    shutil.rmtree(toy.path / "run" / "step-1")
    assert measure("--leakage-model=run/step-*", JUDGED).ret == pytest.ExitCode.USAGE_ERROR


def test_paths_of_the_ini_file_are_relative_to_it(
    measure: Run, toy: pytest.Pytester, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models, patterns and reports, from a folder below."""
    copied(llama, toy.path / "run" / "step-1")
    (toy.path / "below").mkdir()
    monkeypatch.chdir(toy.path / "below")
    for model in ("run/step-1", "run/step-*"):
        toy.makeini(
            f"[pytest]\nleakage_max_rate = 1\nleakage_model = {model}\nleakage_report = out.json"
        )
        assert measure(toy.path / "test_leakage.py").ret == 0
        (toy.path / "out.json").unlink()


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="typed settings came with pytest 9")
@pytest.mark.parametrize("file", ["pyproject.toml", "pytest.toml"])
def test_typed_settings_are_read(
    file: str, measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Numbers, booleans and lists as TOML has them."""
    table = "[tool.pytest]" if file == "pyproject.toml" else "[pytest]"
    (toy.path / file).write_text(
        f'{table}\nleakage_model = ["{llama}"]\nleakage_max_rate = 1.0\nleakage_seed = 3\n'
        "leakage_strict = false\nleakage_confidence = 0.95\n"
    )
    result = measure("--leakage-report=out.json")
    assert result.ret == 0
    (found,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert found["sampling"]["seed"] == 3


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="typed settings came with pytest 9")
def test_a_whole_number_is_a_limit_too(measure: Run, toy: pytest.Pytester, llama: Path) -> None:
    """``leakage_max_rate = 1`` in TOML is no reason to refuse."""
    (toy.path / "pytest.toml").write_text(
        f'[pytest]\nleakage_model = ["{llama}"]\nleakage_max_rate = 1\n'
    )
    assert measure().ret == 0


def test_a_byte_order_mark_is_no_error(measure: Run, toy: pytest.Pytester, llama: Path) -> None:
    """Some editors begin leakage.toml with one."""
    text = f'[models.mine]\npath = "{llama}"\nmax_rate = 1.0\ndevice = "cpu"'
    (toy.path / "leakage.toml").write_text(text, encoding="utf-8-sig")
    measure().assert_outcomes(passed=2)


def test_an_expected_failure_that_is_inconclusive_says_so(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Red, for what it is: the model did not pass unexpectedly, the run could not tell."""
    (toy.path / "leakage.toml").write_text(
        f'[models.mine]\npath = "{llama}"\nmax_rate = 0.7\ndevice = "cpu"\n'
        'xfail = "trained to leak"'
    )
    result = measure()
    printed = str(result.stdout)
    assert result.ret != 0
    assert "XPASS" not in printed
    assert "inconclusive" in printed


@pytest.mark.parametrize("arguments", [("--collect-only", "-q"), ("--setup-plan",)], ids=" ".join)
def test_looking_at_the_tests_asks_for_no_verdict(
    arguments: tuple[str, ...], measure: Run, llama: Path
) -> None:
    """Nothing is measured, and that is no failure."""
    assert measure(f"--leakage-model={llama}", JUDGED, *arguments).ret == 0


@pytest.mark.parametrize(
    ("module", "loaded", "blocked", "makes_way"),
    [
        ("pytest_snapshot", None, None, True),
        ("snapshottest", None, None, True),
        ("pytest_snapshot", "syrupy", None, False),
        ("pytest_snapshot", None, "snapshot", False),
        ("something_else", None, None, False),
    ],
)
def test_syrupy_makes_way_for_another_snapshot_plugin(
    module: str,
    loaded: str | None,
    blocked: str | None,
    makes_way: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both have --snapshot-update, which would end every run; unless the other is off."""
    (tmp_path / f"{module}.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    manager = pytest.PytestPluginManager()
    if loaded:
        manager.register(object(), loaded)
    if blocked:
        manager.set_blocked(blocked)
    make_way(manager)
    assert manager.is_blocked("syrupy") is makes_way


def test_without_syrupy_the_rates_have_no_snapshot_and_say_so(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Whatever fixture is called snapshot then."""
    (toy.path / "__snapshots__" / "test_leakage").mkdir(parents=True)
    toy.makeconftest(
        """
        import pytest

        @pytest.fixture
        def snapshot():
            return "another package's"
        """
    )
    found = measure("-p", "no:syrupy", f"--leakage-model={llama}", JUDGED, "-rs")
    assert found.ret == 0
    found.stdout.fnmatch_lines(["*syrupy is switched off*-p no:snapshot*"])
