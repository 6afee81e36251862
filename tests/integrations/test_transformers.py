"""The callback within transformers' Trainer: what it adds, refuses and leaves alone."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import EarlyStoppingCallback, Trainer

import exleak
from exleak.errors import ModelError, SettingsError, TrackerError
from exleak.integrations import monitor, trackers
from exleak.integrations.metrics import METRICS
from exleak.integrations.reactions import LeakageError
from exleak.integrations.transformers import LeakageCallback, attach
from exleak.store.report import read_measurements
from tests.helpers.instruments import HASHED
from tests.helpers.training import SMALL, trainer

ALL = {**SMALL, "instrument": HASHED}
BEST: dict[str, Any] = {
    "load_best_model_at_end": True, "save_strategy": "steps", "save_steps": 2,
    "metric_for_best_model": "leakage_directional", "greater_is_better": False,
}  # fmt: skip


def measured(trained: Trainer) -> list[dict[str, float]]:
    """The entries of the log that have a rate."""
    return [entry for entry in trained.state.log_history if "eval_leakage_rate" in entry]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be measured."""

    def fail(*_: Any, **__: Any) -> None:
        raise ModelError("the disk is full")

    monkeypatch.setattr(monitor, "generate_rows", fail)


def test_handed_over_alone_it_measures_at_the_start_and_at_each_evaluation(
    llama: Path, tmp_path: Path
) -> None:
    """In the history and on disk; the end is the last evaluation, which is not repeated."""
    trained = trainer(llama, tmp_path, [LeakageCallback(**ALL)])
    trained.train()
    trained.save_state()
    saved = json.loads((tmp_path / "trainer_state.json").read_text(encoding="utf-8"))
    entries = [entry for entry in saved["log_history"] if "eval_leakage_rate" in entry]
    assert [entry["step"] for entry in entries] == [0, 2, 4]
    assert entries == measured(trained)
    assert {key.removeprefix("eval_leakage_") for key in entries[0]} >= {
        "rate", "directional", "carry_over", "semantic", "increase", "unusable", "failed",
        "inconclusive", "seconds",
    }  # fmt: skip
    files = sorted(path.name for path in (tmp_path / "leakage").glob("*.json"))
    assert files == ["step-0.json", "step-2.json", "step-4.json"]


def test_the_rates_are_those_of_the_saved_checkpoint(llama: Path, tmp_path: Path) -> None:
    """Number for number, by :func:`exleak.measure` and by scoring the generations file."""
    settings: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    trainer(llama, tmp_path, [LeakageCallback(**ALL)], **settings).train()
    (inside,) = read_measurements(tmp_path / "leakage" / "step-2.json")
    data = exleak.load_dataset("hexl", limit=SMALL["limit"])
    later = exleak.measure(
        tmp_path / "checkpoint-2", data, instrument=HASHED, store=None,
        sampling=exleak.Sampling(**SMALL["sampling"]),
    )  # fmt: skip
    assert later.expression == inside.expression
    assert later.semantic == inside.semantic
    scored = exleak.score(tmp_path / "leakage" / "step-2.jsonl", HASHED)
    assert scored.expression == inside.expression


def test_it_may_end_a_measurement_early(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first look that decides its limit, which is needed then."""
    # Some texts of random weights cannot be scored.
    monkeypatch.setattr("exleak.gate.rules.unusable_because", lambda *given: None)
    early = {**ALL, "limit": 8, "limits": {"max_rate": 1.0}, "adaptive": True}
    trainer(llama, tmp_path, [LeakageCallback(**early)], max_steps=1).train()
    (found,) = read_measurements(tmp_path / "leakage" / "step-0.json")
    assert found.interim is not None
    assert found.interim.used == "2 of 8"
    assert found.verdict.level > 0.99
    with pytest.raises(SettingsError, match="need a limit on the rate"):
        LeakageCallback(**ALL, adaptive=True)


def test_attached_its_metrics_are_in_the_entry_of_the_loss(llama: Path, tmp_path: Path) -> None:
    """And in what ``evaluate`` returns, once, with the Trainer's own speed unchanged by it."""
    given = trainer(llama, tmp_path)
    callback = attach(given, **ALL)
    assert attach(given) is callback
    given.train()
    together = [entry for entry in measured(given) if "eval_loss" in entry]
    assert [entry["step"] for entry in together] == [2, 4]
    assert [entry["step"] for entry in measured(given)] == [0, 2, 4]
    assert all(e["eval_runtime"] < e["eval_leakage_seconds"] for e in together)
    assert "eval_leakage_rate" in given.evaluate()


def test_several_evaluation_sets_are_measured_once(llama: Path, tmp_path: Path) -> None:
    """The metrics do not depend on them."""
    given = trainer(llama, tmp_path)
    rows = given.eval_dataset
    given.eval_dataset = {"first": rows, "second": rows}
    attach(given, at_start=False, **ALL)
    given.train()
    assert len(list((tmp_path / "leakage").glob("*.json"))) == 2
    rates = {(entry["step"], entry["eval_leakage_rate"]) for entry in measured(given)}
    assert len(rates) == 2


def test_the_best_model_is_the_one_that_leaks_least(llama: Path, tmp_path: Path) -> None:
    """By ``metric_for_best_model``, alone as well as attached."""
    for how in ("alone", "attached"):
        folder = tmp_path / how
        own = [LeakageCallback(**ALL)] if how == "alone" else []
        given = trainer(llama, folder, own, **BEST)
        if how == "attached":
            attach(given, **ALL)
        given.train()
        rates = {e["step"]: e["eval_leakage_directional"] for e in measured(given) if e["step"]}
        best = min(rates, key=lambda step: (rates[step], step))
        assert given.state.best_model_checkpoint == str(folder / f"checkpoint-{best}")
        assert given.state.best_metric == rates[best]


def test_the_leakiest_checkpoint_is_never_the_best(llama: Path, tmp_path: Path) -> None:
    """By default a metric whose name does not end in loss is one to maximise."""
    settings = {**BEST, "greater_is_better": None}
    with pytest.raises(SettingsError, match="greater_is_better=False"):
        trainer(llama, tmp_path, [LeakageCallback(**ALL)], **settings)
    given = trainer(llama, tmp_path, **settings)
    with pytest.raises(SettingsError, match="greater_is_better=False"):
        attach(given, **ALL)


@pytest.mark.parametrize("how", [{"when": "save"}, {"every": 2}])
def test_what_chooses_the_best_model_is_measured_each_time(
    llama: Path, tmp_path: Path, how: dict[str, Any]
) -> None:
    """An evaluation without the metric would end the training, or count as no improvement."""
    with pytest.raises(SettingsError, match="every evaluation"):
        trainer(llama, tmp_path, [LeakageCallback(**ALL, **how)], **BEST)


def test_early_stopping_comes_after_the_metric_that_it_looks_for(
    llama: Path, tmp_path: Path
) -> None:
    """In the list of callbacks; attached, the metrics are there before any callback."""
    stopping, own = EarlyStoppingCallback(1), LeakageCallback(**ALL)
    with pytest.raises(SettingsError, match="stands before"):
        trainer(llama, tmp_path / "before", [stopping, own], **BEST)
    later = trainer(llama, tmp_path / "added", [EarlyStoppingCallback(1)], **BEST)
    later.add_callback(LeakageCallback(**ALL))
    with pytest.raises(SettingsError, match="stands before"):
        later.train()
    trainer(llama, tmp_path / "after", [LeakageCallback(**ALL), stopping], **BEST).train()
    attached = trainer(llama, tmp_path / "attached", [EarlyStoppingCallback(1)], **BEST)
    attach(attached, **ALL)
    attached.train()
    assert measured(attached)


def test_a_failing_model_warns_stops_or_raises(
    llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A significant leak is required here, which nine pairs cannot be."""
    settings = {**ALL, "limits": {"significance": "require"}, "at_start": False}
    warned = trainer(llama, tmp_path, [LeakageCallback(**settings)])
    warned.train()
    assert warned.state.global_step == 4
    assert {entry["eval_leakage_failed"] for entry in measured(warned)} == {1.0}
    assert "leaks expression" in caplog.text
    assert "The continuations that leak most" in caplog.text
    stopped = trainer(llama, tmp_path, [LeakageCallback(**settings, on_fail="stop")])
    stopped.train()
    assert stopped.state.global_step == 2
    raised = trainer(llama, tmp_path, [LeakageCallback(**settings, on_fail="raise")])
    with pytest.raises(LeakageError, match="significance is set to require"):
        raised.train()
    assert [entry["step"] for entry in measured(raised)] == [2]


@pytest.mark.usefixtures("broken")
def test_an_error_of_ours_does_not_end_the_training(
    llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless asked to; and a checkpoint that was not measured is never the best."""
    given = trainer(llama, tmp_path, [LeakageCallback(**ALL)], **BEST)
    given.train()
    assert given.state.global_step == 4
    assert given.state.best_metric == float("inf")
    assert "step 2 was not measured: ModelError: the disk is full" in caplog.text
    asked = trainer(llama, tmp_path, [LeakageCallback(**ALL, on_error="raise")])
    with pytest.raises(ModelError, match="disk is full"):
        asked.train()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_training_takes_the_same_steps(
    llama: Path, tmp_path: Path, checkpointing: bool, mixed: bool
) -> None:
    """To the last bit, with dropout: losses, weights, and what was set on model and tokenizer."""
    runs = []
    for own in ([], [LeakageCallback(**ALL)]):
        random.seed(1)
        np.random.seed(1)
        given = trainer(
            llama, tmp_path, own, dropout=0.2, gradient_checkpointing=checkpointing, bf16=mixed
        )
        given.train()
        left = random.random(), float(np.random.rand()), torch.rand(1), torch.get_num_threads()
        losses = [entry["loss"] for entry in given.state.log_history if "loss" in entry]
        runs.append((given, losses, left))
    (without, losses, left), (with_it, same_losses, same_left) = runs
    assert measured(with_it)
    assert losses == same_losses
    assert left == same_left
    weights = with_it.model.state_dict()
    assert all(torch.equal(weights[name], v) for name, v in without.model.state_dict().items())
    assert without.model.training == with_it.model.training
    assert without.model.config.use_cache == with_it.model.config.use_cache
    tokenizers = without.processing_class, with_it.processing_class
    assert len({tokenizer.padding_side for tokenizer in tokenizers}) == 1


@pytest.mark.filterwarnings("error:.*cannot be refilled one by one")
def test_mixed_precision_takes_the_fast_path(llama: Path, tmp_path: Path) -> None:
    """Logits computed in bfloat16 are kept in float32 there, with the rounding of bfloat16."""
    given = trainer(llama, tmp_path, [LeakageCallback(**ALL, at_start=False)], bf16=True)
    given.train()
    assert [entry["step"] for entry in measured(given)] == [2, 4]


def test_when_and_how_often(llama: Path, tmp_path: Path) -> None:
    """At saves, every second time, at fixed steps, or at the end alone."""

    def steps(name: str, **settings: Any) -> list[float]:
        given = trainer(
            llama, tmp_path / name, [LeakageCallback(**ALL, **settings)],
            save_strategy="steps", save_steps=3,
        )  # fmt: skip
        given.train()
        return [entry["step"] for entry in measured(given)]

    assert steps("save", when="save", at_start=False, at_end=False) == [3, 4]
    assert steps("every", every=2, at_start=False) == [4]
    assert steps("fixed", when="end", fixed_steps=[1, 3], at_start=False) == [1, 3, 4]
    assert steps("end", when="end") == [0, 4]


def test_a_resumed_training_keeps_its_start(
    llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Read from the first run's report; without one it says what increases are measured from."""
    saves: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    trainer(llama, tmp_path, [LeakageCallback(**ALL)], max_steps=2, **saves).train()
    callback = LeakageCallback(**ALL)
    again = trainer(llama, tmp_path, [callback], **saves)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    start = read_measurements(tmp_path / "leakage" / "step-0.json")[0].expression.directional.rate
    last = measured(again)[-1]
    assert last["step"] == 4
    assert start is not None
    increase = last["eval_leakage_directional"] - start
    assert last["eval_leakage_increase"] == pytest.approx(increase, abs=1e-9)
    assert "no measurement of the start" not in caplog.text
    (tmp_path / "leakage" / "step-0.json").unlink()
    lost = trainer(llama, tmp_path, [LeakageCallback(**ALL)], **saves)
    lost.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert "measured from step 2" in caplog.text


def test_a_second_training_has_a_start_of_its_own(llama: Path, tmp_path: Path) -> None:
    """Also with the same callback."""
    callback = LeakageCallback(**ALL)
    given = trainer(llama, tmp_path, [callback])
    given.train()
    given.train()
    starts = [entry for entry in measured(given) if entry["step"] == 0]
    assert [entry["eval_leakage_increase"] for entry in starts] == [0.0]


def test_transformers_may_restore_it_from_a_checkpoint(llama: Path, tmp_path: Path) -> None:
    """From the settings in trainer_state.json; objects cannot be in there, and it says so."""
    saves: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    settings = {**SMALL, "every": 2, "limits": exleak.Limits(max_rate=0.9)}
    trainer(llama, tmp_path, [LeakageCallback(**settings)], max_steps=2, **saves).train()
    again = trainer(
        llama, tmp_path, [LeakageCallback(**SMALL)],
        restore_callback_states_from_checkpoint=True, **saves,
    )  # fmt: skip
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    (own,) = (c for c in again.callback_handler.callbacks if isinstance(c, LeakageCallback))
    assert own.every == 2
    assert own.state()["args"]["limits"]["max_rate"] == 0.9
    with pytest.raises(SettingsError, match="instrument was an object"):
        LeakageCallback(**LeakageCallback(**ALL).state()["args"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"when": "often"}, "when must be one of"),
        ({"every": 0}, "every must be at least 1"),
        ({"on_fail": "cry"}, "on_fail must be one of"),
        ({"limits": {"max": 1}}, "max: no field of Limits"),
        ({"limits": 0.6}, "Limits or a mapping of its fields is needed, not 0.6"),
        ({"dataset": "none-such"}, "unknown dataset"),
        ({"baseline": "none-such.json"}, "none-such.json"),
    ],
)
def test_a_bad_setting_is_refused_at_once(settings: dict[str, Any], said: str) -> None:
    """Before a model is loaded."""
    with pytest.raises(exleak.ExleakError, match=said):
        LeakageCallback(**settings)


def test_a_training_without_a_tokenizer_is_refused_at_its_start(
    llama: Path, tmp_path: Path
) -> None:
    """Not after the first evaluation; the callback may have its own."""
    given = trainer(llama, tmp_path, [LeakageCallback(**ALL)])
    tokenizer, given.processing_class = given.processing_class, None
    given.callback_handler.processing_class = None
    with pytest.raises(SettingsError, match="no tokenizer"):
        given.train()
    own = trainer(llama, tmp_path, [LeakageCallback(**ALL, tokenizer=tokenizer)])
    own.callback_handler.processing_class = None
    own.train()
    assert measured(own)


def test_a_tracker_that_fails_does_not_end_the_training(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in a log nor at the end; and its run is opened when the training begins."""
    begun: list[int] = []

    class Broken:
        def __init__(self, folder: Path, run: None) -> None:
            begun.append(len(list(tmp_path.glob("leakage/*"))))

        def log(self, *_: Any, **__: Any) -> None:
            raise TrackerError("its server is gone")

        def close(self) -> None:
            raise TrackerError("nor can it be closed")

    monkeypatch.setitem(trackers.TRACKERS, "tensorboard", Broken)
    given = trainer(llama, tmp_path, [LeakageCallback(**ALL, at_start=False)],
                    report_to=["tensorboard"])  # fmt: skip
    given.train()
    assert begun == [0]
    assert [entry["step"] for entry in measured(given)] == [2, 4]
    assert "server is gone" in caplog.text
    assert "nor can it be closed" in caplog.text


def test_the_metrics_are_in_tensorboard_once(llama: Path, tmp_path: Path) -> None:
    """Beside the loss; from the Trainer's log if attached, from the callback otherwise."""
    for how in ("alone", "attached"):
        own = [LeakageCallback(**ALL)] if how == "alone" else []
        given = trainer(llama, tmp_path / how, own, report_to=["tensorboard"])
        if how == "attached":
            attach(given, **ALL)
        given.train()
        (folder,) = {path.parent for path in (tmp_path / how).rglob("events.out.*")}
        found = EventAccumulator(str(folder)).Reload()
        steps = [event.step for event in found.Scalars("eval/leakage_rate")]
        assert steps == [0, 2, 4], how
        assert "eval/leakage_worst/text_summary" in found.Tags()["tensors"]


def test_every_metric_is_a_plain_number() -> None:
    """Trackers take nothing else."""
    assert len(METRICS) == len(set(METRICS)) == 12
