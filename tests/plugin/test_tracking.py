"""``--leakage-log``: what trackers hold equals the report, and none of them changes a verdict."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from exleak.integrations.metrics import flat
from exleak.integrations.trackers import WORST, markdown, shown_key
from exleak.reports import read_measurements
from leakage_fixtures.summary import Entry
from leakage_fixtures.tracking import curves
from tests.helpers.measurements import measured
from tests.plugin.conftest import Run

BROKEN = """
run = None

def init(**settings):
    raise RuntimeError("no network\\nhere")
"""


def events(folder: Path) -> EventAccumulator:
    """What TensorBoard reads in one folder."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=("one process", "two workers"))
def test_tensorboard_holds_the_report(
    workers: tuple[str, ...], measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """One run for each model and dataset, each number once, and a table of the worst pairs."""
    result = measure(
        f"--leakage-model={llama}", "--leakage-model=reference-leaky", "--leakage-dataset=hexl",
        "--leakage-dataset=aexl", "--leakage-report-only", "--leakage-report=out.json",
        "--leakage-log=tensorboard:events", *workers,
    )  # fmt: skip
    assert result.ret == 0
    result.stdout.fnmatch_lines(["logged to tensorboard:events: 4 of 4"])
    found = {measurement.title: measurement for measurement in
             read_measurements(toy.path / "out.json")}  # fmt: skip
    assert {path.name for path in (toy.path / "events").iterdir()} == set(found)
    for title, measurement in found.items():
        read = events(toy.path / "events" / title)
        points = {tag: [(e.step, e.value) for e in read.Scalars(tag)]
                  for tag in read.Tags()["scalars"]}  # fmt: skip
        expected = flat(measurement)
        assert points == {
            shown_key(key): [(0, pytest.approx(value, rel=1e-6))] for key, value in expected.items()
        }
        (table,) = read.Tensors(f"{WORST}/text_summary")
        assert table.tensor_proto.string_val[0].decode() == markdown(measurement.worst)
        assert measurement.worst


def test_a_folder_of_its_own_is_below_pytests_root(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Without a target; the option comes from the ini file, too."""
    toy.makeini("[pytest]\nleakage_log = tensorboard")
    assert measure(f"--leakage-model={llama}", "--leakage-report-only").ret == 0
    (folder,) = (toy.path / "runs" / "leakage").iterdir()
    assert "eval/leakage_rate" in events(folder).Tags()["scalars"]


@pytest.mark.parametrize(("limit", "status"), [("1", 0), ("0", 1)], ids=("green", "red"))
def test_a_tracker_that_fails_changes_no_verdict(
    limit: str,
    status: int,
    measure: Run,
    toy: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told with its reason, and the others are logged to."""
    toy.makepyfile(wandb=BROKEN)
    toy.syspathinsert()
    result = measure(
        "--leakage-model=reference-leaky", f"--leakage-max-rate={limit}", "--leakage-log=wandb",
        "--leakage-log=tensorboard", "--leakage-report=out.json", "--leakage-generations=4",
        "--leakage-limit=20",
    )  # fmt: skip
    assert result.ret == status
    result.stdout.fnmatch_lines(
        [
            "logged to tensorboard: 1 of 1",
            "REMARK  NOT LOGGED to wandb: reference-leaky on hexl (tracker wandb: step 0: "
            "RuntimeError: no network here)",
        ]
    )
    outcome = json.loads((toy.path / "out.json").read_text())["measurements"][0]["verdict"]
    assert outcome["outcome"] == ("fail" if status else "pass")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("comet", "*--leakage-log comet: tracker 'comet' is unknown; use tensorboard*"),
        ("trackio", "*--leakage-log trackio: tracker trackio: no package trackio is installed*"),
        ("tensorboard:file/runs", "*file is a file, not a folder*"),
    ],
)
def test_what_cannot_log_is_a_usage_error_at_the_start(
    value: str,
    message: str,
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything is measured."""
    monkeypatch.setattr(
        "exleak.integrations.trackers._is_installed", lambda package: package == "tensorboard"
    )
    (toy.path / "file").touch()
    result = measure(f"--leakage-model={llama}", "--leakage-max-rate=1", f"--leakage-log={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_log_alone_asks_for_nothing(pytester: pytest.Pytester) -> None:
    """As a report."""
    pytester.makepyfile(test_other="def test_other(): pass")
    result = pytester.runpytest_inprocess("--leakage-log=tensorboard")
    assert result.ret == 0
    assert not (pytester.path / "runs").exists()


def entry(model: str, series: str | None, dataset: str = "hexl") -> Entry:
    """A measurement of a model that a pattern matched."""
    return Entry(measured([0.5], model, dataset=dataset), {}, [0], series=series)


def titles(*entries: Entry) -> list[tuple[str, list[int]]]:
    """The curves, with their steps."""
    return [(curve.title, [step for step, _ in curve.points]) for curve in curves(entries)]


def test_a_series_of_checkpoints_is_one_curve() -> None:
    """On each dataset, over their steps; others stand for themselves."""
    found = [entry(f"step-{step}", "out/step-*", data) for step in (5, 10)
             for data in ("hexl", "aexl")]  # fmt: skip
    assert titles(*found, entry("final", None), entry("run-7", None)) == [
        ("out/step-* on hexl", [5, 10]),
        ("out/step-* on aexl", [5, 10]),
        ("final on hexl", [0]),
        ("run-7 on hexl", [7]),
    ]


@pytest.mark.parametrize("names", [("a/step-5", "b/step-5"), ("a", "step-5")])
def test_checkpoints_that_would_hide_each_other_are_no_curve(names: tuple[str, str]) -> None:
    """Of equal or unknown steps."""
    found = [entry(name, "*") for name in names]
    assert [title for title, _ in titles(*found)] == [f"{name} on hexl" for name in names]


def test_a_curve_has_the_increase_of_its_series(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """As the summary shows it."""
    for step in (1, 2, 10):
        (toy.path / f"step-{step}").symlink_to(llama)
    result = measure(
        "--leakage-model=step-*", "--leakage-report-only", "--leakage-report=out.json",
        "--leakage-log=tensorboard:events",
    )  # fmt: skip
    assert result.ret == 0
    read = events(toy.path / "events" / "step-- on hexl")
    series: list[Any] = [one.series for one in read_measurements(toy.path / "out.json")]
    points = [(event.step, event.value) for event in read.Scalars("eval/leakage_increase")]
    assert points == [(1, 0.0), (2, 0.0), (10, 0.0)]
    assert [asdict(step)["delta"] for step in series] == [0.0, 0.0, 0.0]
