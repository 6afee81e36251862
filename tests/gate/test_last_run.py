"""The difference to the last run of a model, where there is no baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from exleak.gate import last_run
from exleak.gate.comparison import compare
from exleak.gate.last_run import compared, keep
from exleak.records import Measurement, Verdict
from exleak.store import Store
from exleak.store.report import read_measurements
from tests.helpers.measurements import measurement

ENTRY = "checkpoints/latest"


def run(shift: float = 0.0) -> Measurement:
    """A measurement whose directional rate is higher by so much, below 1, at each control."""
    found = measurement("m")
    values = {key: min(1.0, value + shift) for key, value in found.by_control.items()}
    return replace(found, by_control=values)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / ".exleak")


def at(monkeypatch: pytest.MonkeyPatch, minute: int) -> str:
    """Set the time, for what is kept next."""
    time = f"2026-11-27T20:{minute:02}:00Z"
    monkeypatch.setattr("time.strftime", lambda *given: time)
    return time


def test_the_last_run_is_compared_with(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the mean difference over controls, as with a baseline; the same rates are the same."""
    first, second = run(), run(0.1)
    assert compared(store, first, ENTRY) == (None, None)
    times = [at(monkeypatch, 1)]
    keep(store, first, ENTRY)
    last, why = compared(store, second, ENTRY)
    assert last is not None
    assert why is None
    expected = compare(second, [first])
    assert (last.delta, last.n, last.time) == (expected.delta, expected.n, times[0])
    assert 0.05 < last.delta <= 0.1
    times.append(at(monkeypatch, 2))
    keep(store, second, ENTRY)
    found, _ = compared(store, second, ENTRY)
    assert found is not None
    assert (found.delta, found.time) == (0, times[1])


def test_another_model_of_that_name_is_not_the_same(store: Store) -> None:
    """Folders may have the same name; datasets and models are told apart, however spelled."""
    found = run()
    keep(store, found, "a/latest")
    assert compared(store, found, "b/latest") == (None, None)
    for other in (replace(found, model="m-hexl", dataset="1"), replace(found, dataset="aexl")):
        keep(store, other, ENTRY)
        assert compared(store, found, ENTRY) == (None, None)


def test_runs_with_other_settings_are_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest comparable one counts; without any, the reason is that of the newest."""
    found = run()
    quick = replace(found, generations={**found.generations, "per_prompt": 3})
    at(monkeypatch, 1)
    keep(store, quick, ENTRY)
    last, why = compared(store, found, ENTRY)
    assert last is None
    assert why is not None
    assert why.startswith("the number of generations differs (")
    others = (
        replace(found, identity={**found.identity, "limit": 5}),
        replace(found, identity={**found.identity, "instrument": "paper"}),
    )
    reasons = ("the number of samples measured", "the instrument differs (")
    for minute, (other, reason) in enumerate(zip(others, reasons, strict=True), start=2):
        at(monkeypatch, minute)
        keep(store, other, ENTRY)
        why = compared(store, found, ENTRY)[1]
        assert why is not None
        assert why.startswith(reason)
    full = at(monkeypatch, 4)
    keep(store, found, ENTRY)
    at(monkeypatch, 5)
    for other in (quick, *others):
        keep(store, other, ENTRY)
    assert len(list(store.runs.iterdir())) == 4
    last, why = compared(store, found, ENTRY)
    assert last is not None
    assert (last.time, why) == (full, None)


def test_what_is_kept_is_one_small_report_of_each_setting(store: Store) -> None:
    """A later run replaces it; it can be read as a report, and pruned with the runs."""
    for shift in (0, 0.1):
        keep(store, run(shift), ENTRY)
    (path,) = store.runs.iterdir()
    assert path.suffix == ".json"
    assert store.owns(store.runs)
    (found,) = read_measurements(path)
    assert found.by_control == run(0.1).by_control
    assert (found.pairs, found.prompts, found.worst) == ((), (), ())


@pytest.mark.parametrize(
    "found",
    [replace(run(), verdict=Verdict("unusable")), replace(run(), by_control={})],
    ids=["unusable", "without controls"],
)
def test_what_cannot_be_compared_is_not_kept(found: Measurement, store: Store) -> None:
    """An unusable run must not be what the next one is held against."""
    assert keep(store, found, ENTRY) is None
    assert not store.runs.exists()


def test_files_of_others_are_left_alone(store: Store) -> None:
    """Damaged ones, and reports that a user put there."""
    found = run()
    path = keep(store, found, ENTRY)
    assert path is not None
    report = json.loads(path.read_text())
    for number, text in enumerate(["", "{}", json.dumps({**report, "saved": []})]):
        (store.runs / f"{path.stem[:-8]}{number}.json").write_text(text)
    del report["saved"]
    (store.runs / f"{path.stem[:-8]}users.json").write_text(json.dumps(report))
    assert len(list(last_run._runs(store, found, ENTRY))) == 1
