"""What a watch remembers, and when it does not trust it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exleak import ReportError, Sampling, SettingsError, load_dataset
from exleak.records import Measurement
from exleak.remarks import heard
from exleak.reports import write_report
from exleak.watching.memory import Memory, place_of
from tests.helpers.watched import plan, save


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the measurements of these tests."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def kept(store: Path, tmp_path: Path) -> tuple[Path, Path]:
    """An output folder with two checkpoints, and the report of both."""
    out, how = tmp_path / "out", plan(store)
    out.mkdir()
    found = [how.measure(save(out, step, "clean")) for step in (9, 10)]
    write_report(tmp_path / "report.json", found)
    return out, tmp_path / "report.json"


def recalled(store: Path | None, out: Path, report: Path) -> tuple[list[str], list[str]]:
    """Names of what a new watch recalls, and remarks."""
    remarks: list[str] = []
    with heard(remarks.append):
        found = Memory(report, plan(store)).recall(out)
    return [measurement.model for measurement in found], remarks


def test_measurements_are_recalled_with_their_checkpoints_or_without(
    store: Path, kept: tuple[Path, Path]
) -> None:
    """A trainer deletes old checkpoints; if all are deleted, later ones may follow."""
    out, report = kept
    assert recalled(store, out, report) == (["checkpoint-9", "checkpoint-10"], [])
    shutil.rmtree(out / "checkpoint-9")
    assert recalled(store, out, report) == (["checkpoint-9", "checkpoint-10"], [])
    shutil.rmtree(out / "checkpoint-10")
    save(out, 11, "clean")
    assert recalled(store, out, report) == (["checkpoint-9", "checkpoint-10"], [])


@pytest.mark.parametrize("now", ["emptied", "earlier", "replaced"])
def test_those_of_another_training_are_set_aside(
    store: Path, kept: tuple[Path, Path], now: str
) -> None:
    """The folder is empty, or begins anew, or holds other weights under the same name."""
    out, report = kept
    shutil.rmtree(out / "checkpoint-10")
    if now != "replaced":
        shutil.rmtree(out / "checkpoint-9")
    if now == "earlier":
        save(out, 8, "clean")
    if now == "replaced":
        save(out, 10, "leaky")
    found, (remark,) = recalled(store, out, report)
    assert found == []
    assert "are of another training: the series begins anew" in remark
    assert not report.exists()
    assert report.with_suffix(".old.json").is_file()


def test_without_a_store_a_name_is_enough(kept: tuple[Path, Path]) -> None:
    """There are no hashes to compare."""
    out, report = kept
    assert recalled(None, out, report)[0] == ["checkpoint-9", "checkpoint-10"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampling": Sampling(generations=3)}, "another sampling"),
        ({"dataset": load_dataset("hexl", limit=5)}, "another dataset"),
    ],
)
def test_a_report_of_other_settings_is_refused(
    store: Path, kept: tuple[Path, Path], changes: dict[str, Any], said: str
) -> None:
    """It would be overwritten, and its measurements cannot be compared."""
    out, report = kept
    with pytest.raises(SettingsError, match=f"{said}; give another --report"):
        Memory(report, plan(store, **changes)).recall(out)


def test_a_file_that_is_no_report_is_not_overwritten(store: Path, tmp_path: Path) -> None:
    """Told before anything is measured."""
    (tmp_path / "thesis.json").write_text("{}")
    with pytest.raises(ReportError):
        Memory(tmp_path / "thesis.json", plan(store))
    with pytest.raises(SettingsError, match="a watch writes JSON"):
        Memory(tmp_path / "report.html", plan(store))


def test_a_report_that_cannot_be_written_is_a_remark(
    store: Path, kept: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may be full for a while."""
    out, report = kept
    how = plan(store)
    memory, remarks = Memory(report, how), list[str]()
    (measurement, _) = memory.recall(out)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("exleak.watching.memory.write_report", full)
    with heard(remarks.append):
        memory.add(out / "checkpoint-9", replace(measurement, model="checkpoint-11"))
    assert remarks == [f"report {report} NOT written: No space left on device"]
    assert "checkpoint-11" in memory


def test_the_report_in_the_store_has_a_place_for_each_folder_and_settings(
    store: Path, tmp_path: Path
) -> None:
    """The same on every restart; none without a store."""
    places = {
        place_of(folder, how)
        for folder in (tmp_path / "a", tmp_path / "b")
        for how in (plan(store), plan(store), plan(store, sampling=Sampling(seed=1)))
    }
    assert len(places) == 4
    assert place_of(tmp_path, plan(None)) is None


def test_a_checkpoint_is_replaced_only_if_its_content_is(
    store: Path, kept: tuple[Path, Path]
) -> None:
    """Not by a copy of itself, nor by what is added to it."""
    out, report = kept
    memory = Memory(report, plan(store))
    found: list[Measurement] = [*memory.recall(out)]
    assert len(found) == 2
    folder = out / "checkpoint-10"
    assert not memory.is_replaced(folder)
    shutil.rmtree(folder)
    assert not memory.is_replaced(folder)
    save(out, 10, "clean")
    assert not memory.is_replaced(folder)
    shutil.rmtree(folder)
    save(out, 10, "leaky")
    assert memory.is_replaced(folder)
