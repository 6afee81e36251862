"""The watch over a training: what it waits for, what it survives, when it ends."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exleak import Limits, ModelError, SettingsError, reference
from exleak.generation.local import source as sources
from exleak.records import Continuation
from exleak.remarks import heard
from exleak.store.report import read_measurements
from exleak.watching.memory import Memory
from exleak.watching.watch import Ending, Watch
from tests.helpers.watched import Training, nothing, plan, save, watch, write_state

Event = Callable[[], object]
ONCE = Ending(once=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that these tests share: each model is generated once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The output folder of a training."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def names(found: Watch) -> list[str]:
    """The names of what a watch yields."""
    return [checked.name for checked in found.run()]


def test_checkpoints_are_measured_as_they_come_until_the_training_is_over(
    store: Path, out: Path
) -> None:
    """In training order; the leaky one is marked, the same one again is not worse than itself."""
    save(out, 9, "clean")
    save(out, 10, "clean")
    (out / "runs").mkdir()
    events: list[Event] = [
        nothing,
        partial(save, out, 20, "leaky"),
        partial(save, out, 30, "clean"),
    ]
    found = watch(out, plan(store), events=events)
    checked = list(found.run())
    assert [one.name for one in checked] == [f"checkpoint-{n}" for n in (9, 10, 20, 30)]
    assert [one.is_marked for one in checked] == [False, False, True, False]
    assert [one.outcome for one in checked] == [None, None, "fail", None]
    assert checked[2].measurement is not None
    assert checked[2].measurement.series == (checked[2].look and checked[2].look.step)
    assert found.first is not None
    assert found.first.model == "checkpoint-9"
    assert found.why_ended == "the training is over"


def test_a_half_written_checkpoint_is_waited_for(store: Path, out: Path) -> None:
    """Weights that are cut; then all but trainer_state.json; then it is complete."""
    save(out, 10, "clean", state=False)
    weights = out / "checkpoint-10" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000])
    seen: list[dict[str, str]] = []
    found = watch(out, plan(store))

    def look(then: Any) -> None:
        seen.append(found.waiting)
        then()

    events: list[Event] = [
        partial(look, partial(weights.write_bytes, whole)),
        partial(look, partial(write_state, out / "checkpoint-10", 10, 10)),
    ]
    training = Training(events)
    found.sleep = training.sleep
    assert names(found) == ["checkpoint-10"]
    assert "model.safetensors is not written to the end" in seen[0]["checkpoint-10"]
    assert "no trainer_state.json" in seen[1]["checkpoint-10"]


def test_without_trainer_state_a_checkpoint_is_measured_once_nothing_changes(
    store: Path, out: Path
) -> None:
    """Two rounds of twenty seconds are longer than the thirty that no file may change in."""
    save(out, 5, "clean", state=False)
    slept: list[int] = []
    events: list[Event] = [partial(slept.append, 1)] * 2
    found = watch(out, plan(store), ending=Ending(until_step=5), events=events)
    assert names(found) == ["checkpoint-5"]
    assert len(slept) == 2
    assert found.why_ended == "step 5 is reached"


def test_once_does_not_wait(store: Path, out: Path) -> None:
    """What is not complete is said to be left out."""
    save(out, 1, "clean")
    save(out, 2, "clean", state=False)
    found = watch(out, plan(store), ending=ONCE)
    assert names(found) == ["checkpoint-1"]
    assert list(found.waiting) == ["checkpoint-2"]


def test_the_end_waits_for_what_is_half_written(store: Path, out: Path) -> None:
    """A folder that a killed trainer left is told about, not passed over."""
    save(out, 30, "clean")
    (out / "checkpoint-20").mkdir()
    found = watch(out, plan(store), events=[nothing, nothing])
    checked = list(found.run())
    assert [one.name for one in checked] == ["checkpoint-30", "checkpoint-20"]
    assert "no config.json" in checked[1].problem


def test_a_quiet_folder_ends_the_watch_where_asked(store: Path, out: Path) -> None:
    """After the last new checkpoint, not after the beginning; the folder may come late."""
    shutil.rmtree(out)
    events: list[Event] = [partial(save, out, 1, "clean", last=None), *[nothing] * 3]
    found = watch(out, plan(store), ending=Ending(idle=55), events=events)
    assert names(found) == ["checkpoint-1"]
    assert found.why_ended == "no new checkpoint for 55 s"


def test_a_broken_checkpoint_does_not_end_the_watch(store: Path, out: Path) -> None:
    """It is told once, counts as unusable, and is tried again if its files change."""
    save(out, 1, "clean")
    broken = save(out, 2, "clean")
    config = (broken / "config.json").read_text()
    (broken / "config.json").write_text("{")
    events: list[Event] = [nothing, partial((broken / "config.json").write_text, config),
              partial(save, out, 30, "clean")]  # fmt: skip
    checked = list(watch(out, plan(store), events=events).run())
    assert [one.name.removeprefix("checkpoint-") for one in checked] == ["1", "2", "2", "30"]
    assert checked[1].measurement is None
    assert "config.json is not JSON" in checked[1].problem
    assert [one.outcome for one in checked] == [None, "unusable", None, None]


def test_a_setting_that_fits_no_checkpoint_ends_the_watch(store: Path, out: Path) -> None:
    """It would be said of each of them."""
    save(out, 1, "clean")
    with pytest.raises(SettingsError, match="'float99' is unknown"):
        names(watch(out, plan(store, dtype="float99"), ending=ONCE))


def test_a_deleted_checkpoint_is_no_error(
    store: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted after it was measured, or while it is."""
    how = plan(store)
    measure = type(how).measure

    def deleting(self: Any, checkpoint: Path, progress: Any = None) -> Any:
        if checkpoint.name != "checkpoint-2":
            return measure(self, checkpoint, progress)
        shutil.rmtree(checkpoint)
        raise ModelError("no such folder")

    monkeypatch.setattr(type(how), "measure", deleting)
    save(out, 1, "clean")
    save(out, 2, "clean")
    events: list[Event] = [
        partial(shutil.rmtree, out / "checkpoint-1"),
        partial(save, out, 30, "clean"),
    ]
    remarks: list[str] = []
    with heard(remarks.append):
        assert names(watch(out, how, events=events)) == ["checkpoint-1", "checkpoint-30"]
    assert remarks == ["checkpoint-2: deleted before it was measured"]


def test_a_watch_that_was_killed_goes_on(
    store: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same results, also of a deleted checkpoint, and no model is loaded again."""
    report = tmp_path / "report.json"
    for step, model in ((1, "clean"), (2, "leaky"), (3, "clean")):
        save(out, step, model)
    first = watch(out, plan(store), report, ONCE)
    before = list(islice(first.run(), 2))
    shutil.rmtree(out / "checkpoint-1")
    monkeypatch.setattr(sources, "load_model", lambda *_, **__: pytest.fail("loaded again"))
    again = list(watch(out, plan(store), report, ONCE).run())
    assert [one.name for one in again] == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]
    kept = read_measurements(report)
    assert [found.series for found in kept] == [one.look and one.look.step for one in again]
    for one, other in zip(before, again, strict=False):
        assert (one.look, one.outcome) == (other.look, other.outcome)
        assert one.measurement is not None
        assert one.measurement.to_json() == (other.measurement and other.measurement.to_json())


def test_a_restart_judges_by_its_own_limits(store: Path, out: Path, tmp_path: Path) -> None:
    """They decide nothing about what is measured."""
    save(out, 1, "leaky")
    report = tmp_path / "report.json"
    (one,) = watch(out, plan(store), report, ONCE).run()
    (other,) = watch(out, plan(store, limits=Limits(max_rate=0.5)), report, ONCE).run()
    assert (one.outcome, other.outcome) == (None, "fail")


def test_another_checkpoint_under_the_same_name_begins_the_series_anew(
    store: Path, out: Path, tmp_path: Path
) -> None:
    """A second training in the same folder, while the watch is on."""
    save(out, 1, "leaky", last=None)
    report, remarks = tmp_path / "report.json", list[str]()

    def train_again() -> None:
        shutil.rmtree(out / "checkpoint-1")
        save(out, 1, "clean", last=1)

    with heard(remarks.append):
        found = list(watch(out, plan(store), report, events=[nothing, train_again]).run())
    assert [one.look is not None and one.look.step.p_value for one in found] == [None, None]
    (remark,) = remarks
    assert remark.startswith("checkpoint-1: another checkpoint than the one measured: the series")
    assert (tmp_path / "report.old.json").is_file()


def test_an_unusable_measurement_is_not_compared(
    store: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are others compared with it."""
    monkeypatch.setattr("exleak.gate.usable.MAX_UNUSABLE", -1.0)
    save(out, 1, "clean")
    found = watch(out, plan(store), ending=ONCE)
    (one,) = found.run()
    assert (one.outcome, one.look, found.first) == ("unusable", None, None)


class Diary:
    """A tracker that keeps what it is given, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.entries: list[tuple[dict[str, float], int, int]] = []
        self.fails = fails

    def log(self, metrics: Mapping[str, float], step: int, rows: Sequence[Continuation]) -> None:
        """Keep it."""
        if self.fails:
            raise RuntimeError("no network")
        self.entries.append((dict(metrics), step, len(rows)))

    def close(self) -> None:
        """Nothing to end."""


def test_new_measurements_are_logged(
    store: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At their step, with the increase; a tracker that fails is told; no second time."""

    def flat(measurement: Any, prefix: str = "eval_leakage", **more: Any) -> dict[str, float]:
        return {"rate": measurement.expression.rate, **more}

    monkeypatch.setitem(sys.modules, "exleak.integrations.metrics", SimpleNamespace(flat=flat))
    save(out, 100, "clean")
    save(out, 200, "leaky")
    good, bad, remarks = Diary(), Diary(fails=True), list[str]()
    report = tmp_path / "r.json"
    with heard(remarks.append):
        names(watch(out, plan(store), report, ONCE, trackers=[bad, good]))
        names(watch(out, plan(store), report, ONCE, trackers=[bad, good]))
    assert [(step, rows > 0) for _, step, rows in good.entries] == [(100, True), (200, True)]
    assert good.entries[0][0]["increase"] == 0.0
    assert good.entries[1][0]["increase"] > 0.1
    assert good.entries[1][0]["seconds"] >= 0
    assert remarks == [f"checkpoint-{n}: not logged: RuntimeError: no network" for n in (100, 200)]


def test_settings_out_of_range_are_told_first(out: Path, tmp_path: Path) -> None:
    """Before anything is measured."""
    how = plan(None)
    (out / "file").write_text("")
    for folder, more, said in (
        (out / "file", {}, "a training's output folder is expected"),
        (out / "nowhere", {"ending": ONCE}, "there is no such folder"),
        (out, {"interval": 0.0}, "interval must be above 0"),
        (out, {"ending": Ending(idle=-1)}, "idle must be above 0"),
        (out, {"settle": -1.0}, "settle must be at least 0"),
    ):
        with pytest.raises(SettingsError, match=said):
            Watch(folder, how, Memory(None, how), **more)


def test_adapters_are_checkpoints_too(store: Path, out: Path, tmp_path: Path) -> None:
    """With their base model, as anywhere else."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = reference.path("clean")
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.save_pretrained(str(out / "checkpoint-3"))
    write_state(out / "checkpoint-3", 3, 3)
    (one,) = watch(out, plan(store)).run()
    assert one.problem == ""
