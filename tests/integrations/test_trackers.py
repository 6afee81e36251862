"""Metrics reach the run that is open, under the keys that stand beside the Trainer's own.

TensorBoard's files are read back with TensorBoard; of the other trackers a stand-in notes what it
is told, and ``benchmarks/trackers.py`` asks the real packages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugin_util import markdown_to_safe_html
from torch.utils.tensorboard import SummaryWriter

from exleak import SettingsError, TrackerError
from exleak.integrations.trackers import (
    COLUMNS,
    STEP,
    TRACKERS,
    WORST,
    OwnRun,
    cells,
    check,
    markdown,
    shown_key,
    tensorboard_folder,
    trackers,
)
from exleak.records import Continuation
from tests.helpers.measurements import HOSTILE
from tests.helpers.pages import Elements

METRICS = {"eval_leakage_rate": 0.625, "eval_leakage_failed": 1}
ROWS = [
    Continuation("1:positive", "positive", "I won. It is", "good\nnews", 0.9, "grey", 0.125, True),
    Continuation("2:negative", "negative", "I lost. It is", "bad", 0.75, "long", 0.25),
]


class Fake(ModuleType):
    """A package that notes what it is told."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(name)
        self.__file__ = "here"
        self.told: list[tuple[str, Any]] = []
        monkeypatch.setitem(sys.modules, name, self)


class FakeWandB(Fake):
    """Weights & Biases with or without an active run."""

    run: Any = None

    def init(self, **settings: Any) -> Any:
        """Begin a run; one of its own beside one that is open, if asked."""
        run = SimpleNamespace(
            define_metric=lambda *names, **options: self.told.append(("define", (names, options))),
            log=lambda values: self.told.append(("own log", dict(values))),
            finish=lambda: self.told.append(("own finish", None)),
        )
        if settings:
            self.told.append(("init", settings))
        else:
            self.run = run
        return run

    def finish(self) -> None:
        """End the run."""
        self.told.append(("finish", None))
        self.run = None

    def Table(self, columns: list[str], data: list[Any]) -> Any:  # noqa: N802
        """Headings and cells."""
        return columns, data

    def log(self, values: Mapping[str, Any]) -> None:
        """One row."""
        self.told.append(("log", dict(values)))


class FakeMLflow(Fake):
    """MLflow, whose client can write into every run, also after its end."""

    run: Any = None
    uri: str | None = None
    started = 0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__("mlflow", monkeypatch)
        self.tracking = SimpleNamespace(MlflowClient=lambda: self)
        self.entities = SimpleNamespace(Metric=lambda key, value, _, step: (key, value, step))

    def active_run(self) -> Any:
        """The run that is open."""
        return self.run

    def set_tracking_uri(self, uri: str) -> None:
        """Choose a server or folder."""
        self.uri = uri

    def start_run(self, **settings: Any) -> Any:
        """Begin a run."""
        self.started += 1
        if settings:
            self.told.append(("start", settings))
        self.run = SimpleNamespace(info=SimpleNamespace(run_id=f"run-{self.started}"))
        return self.run

    def end_run(self) -> None:
        """End the run."""
        self.run = None

    def log_batch(self, run: str, metrics: list[Any]) -> None:
        """Metrics of any run."""
        self.told.append((run, metrics))

    def log_text(self, run: str, text: str, path: str) -> None:
        """A file of any run."""
        self.told.append((run, (path, text)))


class FakeTrackio(Fake):
    """trackio, which logs to the current run only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__("trackio", monkeypatch)
        self.run: Any = None
        self.context_vars = SimpleNamespace(
            current_run=SimpleNamespace(get=lambda: self.run),
            current_space_id=SimpleNamespace(get=lambda: "me/space"),
        )

    def init(self, project: str, **settings: Any) -> None:
        """Begin a run, or go on with one."""
        self.told.append(("init", {"project": project, **settings}))
        self.run = SimpleNamespace(project=project, name=settings.get("name", "given"))

    def finish(self) -> None:
        """End the run."""
        self.told.append(("finish", None))
        self.run = None

    def Table(self, columns: list[str], data: list[Any]) -> Any:  # noqa: N802
        """Headings and cells."""
        return columns, data

    def log(self, values: Mapping[str, Any]) -> None:
        """One row."""
        assert self.run is not None
        self.told.append(("log", dict(values)))


# What all have in common


def test_an_unknown_tracker_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    """Before any package is imported."""
    with pytest.raises(SettingsError, match="'all' is unknown; use tensorboard, mlflow, wandb, tr"):
        trackers(["tensorboard", "all"], tmp_path)


def test_a_tracker_named_twice_is_told_once(tmp_path: Path) -> None:
    """Each value would stand twice otherwise."""
    assert len(trackers(["tensorboard", "tensorboard"], tmp_path)) == 1


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_an_error_that_names_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the command that installs it."""
    for module in (name, "tensorboardX"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TrackerError, match=f"^tracker {name}: .*; run pip install {name}$"):
        trackers([name], tmp_path)


def test_a_folder_is_not_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B leaves a folder wandb/ where it ran, which Python imports if W&B is not installed."""
    monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))
    with pytest.raises(TrackerError, match="folder without a package; run pip install wandb"):
        trackers(["wandb"], tmp_path)


def test_a_failing_tracker_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the step and what the package said."""
    fake = FakeWandB("wandb", monkeypatch)
    (tracker,) = trackers(["wandb"], tmp_path)
    monkeypatch.setattr(fake, "init", lambda: 1 / 0)
    with pytest.raises(TrackerError, match=r"^tracker wandb: step 7: ZeroDivisionError: division"):
        tracker.log(METRICS, 7, ROWS)


def test_keys_are_those_of_the_trainer() -> None:
    """What transformers makes of them for TensorBoard, W&B and trackio."""
    from transformers.integrations import integration_utils

    for key in ("eval_leakage_rate", "eval_loss", "test_x", "loss", "evaluation", "eval_eval_x"):
        assert list(integration_utils.rewrite_logs({key: 0})) == [shown_key(key)]
        assert shown_key("eval_leakage_worst") == WORST


def test_every_tracker_is_one_of_the_trainers() -> None:
    """Under the name that report_to has for it."""
    from transformers.integrations import integration_utils

    assert TRACKERS.keys() <= integration_utils.INTEGRATION_TO_CALLBACK.keys()


# The table


def test_cells_stand_below_their_headings() -> None:
    """Texts are on one line."""
    first, second = cells(ROWS)
    assert dict(zip(COLUMNS, first, strict=True)) == {
        "condition": "positive",
        "prompt": "I won. It is",
        "continuation": "good news",
        "probability": 0.9,
        "control continuation": "grey",
        "control probability": 0.125,
        "restates": "yes",
    }
    assert second[-1] == "unknown"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_the_table(text: str) -> None:
    """In TensorBoard's own rendering it has the same cells and tags as any other."""
    row = Continuation("1:positive", "positive", text, text, 0.9, text, 0.1)
    page = Elements()
    page.feed(markdown_to_safe_html(markdown([row, *ROWS])))
    assert page.tags.count("tr") == 4
    assert page.tags.count("td") == 3 * len(COLUMNS)
    assert set(page.tags) == {"table", "thead", "tbody", "tr", "th", "td"}


# TensorBoard


def events(folder: Path) -> EventAccumulator:
    """Everything in a folder."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_scalars_and_the_table_stand_beside_the_trainers(tmp_path: Path) -> None:
    """In the same folder, also if another process still writes there."""
    own = SummaryWriter(str(tmp_path))
    own.add_scalar("eval/loss", 2.0, 10)
    (tracker,) = trackers(["tensorboard"], tmp_path)
    tracker.log(METRICS, 10, ROWS)
    own.close()
    tracker.log({"eval_leakage_rate": 0.5}, 20, [])
    tracker.close()
    found = events(tmp_path)
    assert set(found.Tags()["scalars"]) == {
        "eval/loss", "eval/leakage_rate", "eval/leakage_failed",
    }  # fmt: skip
    points = [(event.step, event.value) for event in found.Scalars("eval/leakage_rate")]
    assert points == [(10, 0.625), (20, 0.5)]
    (table,) = found.Tensors(f"{WORST}/text_summary")
    assert table.step == 10
    assert table.tensor_proto.string_val[0].decode() == markdown(ROWS)


def test_values_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training takes days; at its end the file is closed."""
    told: list[str] = []

    def noted(name: str) -> None:
        method = getattr(SummaryWriter, name)

        def note(own: SummaryWriter) -> None:
            told.append(name)
            method(own)

        monkeypatch.setattr(SummaryWriter, name, note)

    noted("flush")
    noted("close")
    (tracker,) = trackers(["tensorboard"], tmp_path)
    tracker.log(METRICS, 10, [])
    assert told == ["flush"]
    assert events(tmp_path).Scalars("eval/leakage_rate")
    tracker.close()
    assert told == ["flush", "close"]


def test_a_closed_one_can_be_used_again(tmp_path: Path) -> None:
    """A Trainer may train twice; and without a value there is no file."""
    (tracker,) = trackers(["tensorboard"], tmp_path)
    tracker.close()
    assert list(tmp_path.iterdir()) == []
    for step in (10, 20):
        tracker.log(METRICS, step, [])
        tracker.close()
    assert [event.step for event in events(tmp_path).Scalars("eval/leakage_rate")] == [10, 20]


def test_the_folder_of_transformers_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an argument; the variable has no meaning."""
    monkeypatch.setattr("importlib.metadata.version", lambda _: "4.57.1")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "elsewhere")
    assert tensorboard_folder(SimpleNamespace(logging_dir=str(tmp_path))) == tmp_path


def test_the_folder_of_transformers_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's, or that of the newest events; an argument of 5.0 has no effect."""
    monkeypatch.setattr("importlib.metadata.version", lambda _: "5.0.0")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    args = SimpleNamespace(output_dir=str(tmp_path), logging_dir="elsewhere")
    assert tensorboard_folder(args) == tmp_path / "runs" / "leakage"
    for age, name in enumerate(("Jan02_host", "Dec31_host", "Nov01_host/trial")):
        file = tmp_path / "runs" / name / "events.out.tfevents.1.host"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (1000 - age, 1000 - age))
    assert tensorboard_folder(args) == tmp_path / "runs" / "Jan02_host"
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "~/logs")
    assert tensorboard_folder(args) == Path.home() / "logs"


def test_the_folder_is_where_the_trainers_callback_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked of the installed transformers."""
    from transformers import TrainerControl, TrainerState, TrainingArguments
    from transformers.integrations import integration_utils

    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    args = TrainingArguments(output_dir=str(tmp_path), report_to="tensorboard")
    callback = integration_utils.TensorBoardCallback()
    callback.on_train_begin(args, TrainerState(), TrainerControl())
    assert str(tensorboard_folder(args)) == callback.tb_writer.log_dir
    callback.on_train_end(args, TrainerState(), TrainerControl())


# Weights & Biases


def test_wandb_logs_to_the_active_run_by_the_global_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one row, without W&B's own step, and leaves the run open."""
    fake = FakeWandB("wandb", monkeypatch)
    fake.run = object()
    (tracker,) = trackers(["wandb"], tmp_path)
    tracker.log(METRICS, 10, ROWS)
    tracker.close()
    row = {"eval/leakage_rate": 0.625, "eval/leakage_failed": 1.0, STEP: 10}
    assert fake.told == [("log", {**row, WORST: (list(COLUMNS), cells(ROWS))})]


def test_wandb_begins_and_ends_a_run_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an active one; the global step is its axis."""
    fake = FakeWandB("wandb", monkeypatch)
    (tracker,) = trackers(["wandb"], tmp_path)
    tracker.log({}, 10, [])
    tracker.log({}, 20, [])
    tracker.close()
    assert fake.told == [
        ("define", ((STEP,), {})),
        ("define", (("*",), {"step_metric": STEP, "step_sync": True})),
        ("log", {STEP: 10}),
        ("log", {STEP: 20}),
        ("finish", None),
    ]


def test_a_run_that_others_begin_later_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after one that was begun and ended here."""
    fake = FakeWandB("wandb", monkeypatch)
    (tracker,) = trackers(["wandb"], tmp_path)
    tracker.log({}, 10, [])
    tracker.close()
    run = fake.init()
    tracker.log({}, 20, [])
    tracker.close()
    assert fake.run is run


# MLflow


def test_mlflow_logs_to_the_active_run_also_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys stay as they are; the Trainer's callback ends the run before others are told."""
    fake = FakeMLflow(monkeypatch)
    fake.start_run()
    (tracker,) = trackers(["mlflow"], tmp_path)
    tracker.log(METRICS, 10, ROWS)
    fake.end_run()
    tracker.log({"eval_leakage_rate": 0.5}, 20, [])
    assert fake.told == [
        ("run-1", [("eval_leakage_rate", 0.625, 10), ("eval_leakage_failed", 1.0, 10)]),
        ("run-1", ("leakage/worst-step-00000010.md", markdown(ROWS))),
        ("run-1", [("eval_leakage_rate", 0.5, 20)]),
    ]
    assert fake.started == 1


def test_mlflow_does_not_end_the_trainers_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing leaves it open."""
    fake = FakeMLflow(monkeypatch)
    run = fake.start_run()
    (tracker,) = trackers(["mlflow"], tmp_path)
    tracker.log({}, 10, [])
    tracker.close()
    assert fake.run is run


def test_mlflow_begins_and_ends_a_run_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an active one; a name that MLflow would refuse is changed."""
    fake = FakeMLflow(monkeypatch)
    (tracker,) = trackers(["mlflow"], tmp_path)
    tracker.log({"eval_leakage_a(1):b": 0.5}, 10, [])
    assert fake.run is not None
    tracker.close()
    assert fake.run is None
    tracker.log({}, 20, [])
    assert fake.told == [("run-1", [("eval_leakage_a_1__b", 0.5, 10)]), ("run-2", [])]


# trackio


def test_trackio_logs_to_the_current_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves it open."""
    fake = FakeTrackio(monkeypatch)
    fake.run = SimpleNamespace(project="mine", name="first")
    (tracker,) = trackers(["trackio"], tmp_path)
    tracker.log(METRICS, 10, ROWS)
    tracker.close()
    row = {"eval/leakage_rate": 0.625, "eval/leakage_failed": 1.0, STEP: 10}
    assert fake.told == [("log", {**row, WORST: (list(COLUMNS), cells(ROWS))})]


def test_trackio_goes_on_with_a_run_that_was_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Trainer's callback ends it before others are told; it is ended again."""
    fake = FakeTrackio(monkeypatch)
    fake.run = SimpleNamespace(project="mine", name="first")
    (tracker,) = trackers(["trackio"], tmp_path)
    fake.run = None
    tracker.log({}, 20, [])
    tracker.close()
    place = {"project": "mine", "name": "first", "space_id": "me/space", "resume": "allow"}
    assert fake.told == [("init", place), ("log", {STEP: 20}), ("finish", None)]


def test_trackio_begins_a_run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a current one."""
    fake = FakeTrackio(monkeypatch)
    (tracker,) = trackers(["trackio"], tmp_path)
    tracker.log({}, 10, [])
    tracker.close()
    assert [kind for kind, _ in fake.told] == ["init", "log", "finish"]
    assert fake.told[0][1] == {"project": "exleak", "resume": "allow"}


# A run of its own


def test_an_own_run_of_tensorboard_is_a_folder(tmp_path: Path) -> None:
    """Whatever it is called, it is one folder within the other."""
    for name in ("a/../../b on hexl", "..", "c"):
        (tracker,) = trackers(["tensorboard"], tmp_path / "runs", OwnRun(name))
        tracker.log(METRICS, 1, [])
        tracker.close()
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["a-..-..-b on hexl", "c", "leakage"]
    assert events(tmp_path / "runs" / "c").Scalars("eval/leakage_rate")[0].value == 0.625


def test_an_own_run_of_wandb_leaves_another_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a name and a project, and is ended."""
    fake = FakeWandB("wandb", monkeypatch)
    other = fake.init()
    (tracker,) = trackers(["wandb"], tmp_path, OwnRun("m on hexl", "leakage"))
    tracker.log({"eval_leakage_rate": 0.5}, 10, [])
    tracker.log({}, 20, [])
    tracker.close()
    assert fake.run is other
    kinds = [kind for kind, _ in fake.told]
    assert kinds == ["init", "define", "define", "own log", "own log", "own finish"]
    assert fake.told[0][1] == {"name": "m on hexl", "reinit": "create_new", "project": "leakage"}
    assert fake.told[3][1] == {"eval/leakage_rate": 0.5, STEP: 10}


def test_an_own_run_of_mlflow_lies_within_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That which is open is not written into."""
    fake = FakeMLflow(monkeypatch)
    fake.start_run()
    (tracker,) = trackers(["mlflow"], tmp_path, OwnRun("m on hexl", "sqlite:///x.db"))
    tracker.log({"eval_leakage_rate": 0.5}, 10, [])
    tracker.close()
    assert fake.uri == "sqlite:///x.db"
    assert fake.told == [
        ("start", {"run_name": "m on hexl", "nested": True}),
        ("run-2", [("eval_leakage_rate", 0.5, 10)]),
    ]
    assert fake.run is None


def test_an_own_run_of_trackio_is_begun_beside_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never resumed."""
    fake = FakeTrackio(monkeypatch)
    fake.run = SimpleNamespace(project="mine", name="first")
    (tracker,) = trackers(["trackio"], tmp_path, OwnRun("m on hexl"))
    tracker.log({}, 10, [])
    tracker.log({}, 20, [])
    tracker.close()
    assert fake.told[0] == ("init", {"project": "exleak", "name": "m on hexl", "resume": "never"})
    assert [kind for kind, _ in fake.told] == ["init", "log", "log", "finish"]


def test_what_is_installed_is_known_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of a package's name, which a tracker may have left, is none."""
    for name in ("wandb", "trackio", "mlflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (tmp_path / "wandb").mkdir()
    (tmp_path / "trackio.py").write_text("raise SystemExit")
    check(["trackio"])
    assert "trackio" not in sys.modules
    for name in ("wandb", "mlflow"):
        with pytest.raises(TrackerError, match=f"no package {name} is installed; run pip install"):
            check([name])
    with pytest.raises(SettingsError, match="tracker 'comet' is unknown"):
        check(["comet"])
