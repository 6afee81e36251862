"""Snapshots of rates: recorded on demand, equal within the recorded interval."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from leakage_fixtures.snapshots import RatesSnapshotExtension
from tests.plugin.conftest import Run


def recorded(toy: pytest.Pytester) -> Path:
    """The one snapshot file."""
    (found,) = toy.path.glob("__snapshots__/**/*.json")
    return found


def test_a_snapshot_is_recorded_and_then_compared(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Left out at first, written with --snapshot-update, compared from then on."""
    arguments = (f"--leakage-model={llama}", "--leakage-max-rate=1")
    measure(*arguments).assert_outcomes(passed=2, deselected=3)
    named = measure(*arguments, "-rs", "-k", "snapshot")
    named.stdout.fnmatch_lines(["*no snapshot of this model yet*"])
    measure(*arguments, "--snapshot-update").assert_outcomes(passed=3)
    data = json.loads(recorded(toy).read_text())
    assert set(data["rates"]["rate"]) == {"rate", "n", "interval"}
    measure(*arguments).assert_outcomes(passed=3)


def test_a_snapshot_is_of_rates_not_of_a_checkpoint(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """The next checkpoint in the same place is compared, with the store and without."""
    place = toy.path / "model"
    shutil.copytree(llama, place)
    arguments = (f"--leakage-model={place}", "--leakage-max-rate=1")
    measure(*arguments, "--snapshot-update")
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "trained": "further"}))
    for more in ((), ("--leakage-store=none",)):
        measure(*arguments, *more).assert_outcomes(passed=3)


def test_a_rate_outside_its_interval_fails(measure: Run, toy: pytest.Pytester, llama: Path) -> None:
    """A recorded rate that this checkpoint does not have is a red test."""
    arguments = (f"--leakage-model={llama}", "--leakage-max-rate=1")
    measure(*arguments, "--snapshot-update")
    path = recorded(toy)
    data = json.loads(path.read_text())
    data["rates"]["rate"]["interval"] = [1.5, 2.0]
    path.write_text(json.dumps(data))
    measure(*arguments).assert_outcomes(passed=2, failed=1)


def test_updating_with_several_workers_is_refused(measure: Run, llama: Path) -> None:
    """With the command to use instead; a single process is not."""
    arguments = (f"--leakage-model={llama}", "--leakage-max-rate=1", "--snapshot-update")
    result = measure(*arguments, "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pytest -n0 --snapshot-update*"])
    assert measure(*arguments, "-n0").ret == 0


def test_an_update_within_tolerance_rewrites_nothing(
    measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """Another seed's rates lie in the recorded interval: the file stays as it is."""
    arguments = (f"--leakage-model={llama}", "--leakage-max-rate=1", "--snapshot-update")
    measure(*arguments)
    path = recorded(toy)
    data = json.loads(path.read_text())
    data["rates"]["rate"]["rate"] = 0.123
    path.write_text(text := json.dumps(data))
    measure(*arguments)
    assert path.read_text() == text


def snapshot(**changes: Any) -> str:
    """A serialised snapshot."""
    rate = {"rate": 0.5, "n": 120, "interval": [0.4, 0.6]}
    data = {
        "model": "m",
        "dataset": "d",
        "instrument": "i",
        "sampling": {},
        "identity": {},
        "rates": {"rate": {**rate, **changes.pop("rate", {})}},
        **changes,
    }
    return json.dumps(data)


@pytest.mark.parametrize(
    ("changes", "equal"),
    [
        ({}, True),
        ({"rate": {"rate": 0.59}}, True),
        ({"rate": {"rate": 0.61}}, False),
        ({"rate": {"rate": None}}, False),
        ({"rate": {"n": 119}}, False),
        ({"instrument": "other"}, False),
        ({"identity": {"instrument": "another hash"}}, False),
        ({"sampling": {"generations": 5}}, False),
    ],
)
def test_what_matches(changes: dict[str, Any], equal: bool) -> None:
    """Rates within the interval match; another identity, size or an undefined rate does not."""
    extension = RatesSnapshotExtension()
    new, old = snapshot(**changes), snapshot()
    assert extension.matches(serialized_data=new, snapshot_data=old) is equal
