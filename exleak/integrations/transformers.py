"""Leakage in the training loop of transformers' Trainer, and of what builds on it.

    >>> from exleak.integrations.transformers import LeakageCallback
    >>> callback = LeakageCallback(limit=12, on_fail="stop")

:class:`LeakageCallback` works handed over alone, as a callback (TRL, axolotl, LLaMA-Factory,
unsloth and ms-swift take callbacks). :func:`attach` also puts the metrics into the Trainer's own
log entry of an evaluation, beside the loss.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from exleak.errors import SettingsError, one_line
from exleak.gate.limits import Limits
from exleak.generation.requests import Template
from exleak.generation.sampling import Sampling
from exleak.integrations.metrics import METRICS
from exleak.integrations.monitor import START, Checked, Monitor
from exleak.integrations.reactions import OnError, OnFail, check_choices, react
from exleak.integrations.sharding import check_gathers, sharded_by
from exleak.integrations.trackers import TRACKERS, Tracker, tensorboard_folder, trackers

if TYPE_CHECKING:
    from transformers import (
        PreTrainedTokenizerBase,
        Trainer,
        TrainerControl,
        TrainerState,
        TrainingArguments,
    )

    from exleak.generation.requests import Chat
    from exleak.records import Dataset
    from exleak.scoring import Instrument

When = Literal["evaluate", "save", "end"]

#: Share of the training's time-out (``ddp_timeout``) that a rank waits for the others at most.
_WAITING = 0.25
#: Value of a metric that chooses the best model, if there is none: never the best.
_NEVER_BEST = float("inf")
#: A key that the Trainer's log entry of an evaluation has, and no other.
_END_OF_EVALUATION = re.compile(r"eval(?:_.*)?_runtime")
#: Stands for a setting that does not fit into ``trainer_state.json``.
_OBJECT = "<object>"

_log = logging.getLogger(__name__)


class LeakageCallback(TrainerCallback, ExportableState):
    """Measures expression leakage during training.

    The metrics are ``eval_leakage_rate`` and so on (:data:`exleak.integrations.metrics.METRICS`).
    They are added to the metrics of the evaluation, so that ``metric_for_best_model`` and early
    stopping can use them, and to ``state.log_history`` and the trackers of ``report_to``. Each
    measurement leaves a JSON report and its generations in the output folder.

    Args:
        dataset: A built-in dataset's name, a JSONL file, or a loaded dataset.
        limit: Number of samples to measure, the first of the dataset; ``None`` for all.
        limits: The limits for the verdict, an :class:`exleak.Limits` or its fields.
        instrument: ``"embedded"``, ``"paper"``, a classifier, or a loaded instrument.
        sampling: Sampling settings, an :class:`exleak.Sampling` or its fields.
        chat: As for :func:`exleak.measure`.
        template: System prompt and variables for the chat template.
        batch_size: Maximum number of continuations generated at once.
        mitigation: An instruction prepended to each prompt.
        adaptive: Measure a quarter of the samples after another until the limit is decided.
        when: Measure at evaluations, at saves, or only at the end.
        every: Measure at every n-th evaluation or save.
        fixed_steps: Training steps to measure at besides.
        at_start, at_end: Whether to measure before the first and after the last step.
        baseline: What increases are measured from: ``"start"``, a JSON report, or ``None``.
        on_fail: What a failing or unusable measurement does: warn, stop the training, or raise
            :class:`exleak.integrations.reactions.LeakageError`.
        on_error: Whether an error while measuring is a warning, or raised.
        prefix: The keys begin with ``eval_`` and this.
        samples: Number of worst pairs in the table for the trackers.
        report: Folder for reports within the output folder; ``None`` writes none.
        tokenizer: The tokenizer, if the Trainer has none.

    Raises:
        SettingsError: A setting is unknown or out of range.
    """

    def __init__(
        self,
        dataset: str | Path | Dataset = "hexl",
        *,
        limit: int | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        instrument: str | Instrument = "embedded",
        sampling: Sampling | Mapping[str, Any] | None = None,
        chat: Chat = "auto",
        template: Template | Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        mitigation: str | None = None,
        adaptive: bool = False,
        when: When = "evaluate",
        every: int = 1,
        fixed_steps: Sequence[int] = (),
        at_start: bool = True,
        at_end: bool = True,
        baseline: str | Path | None = START,
        on_fail: OnFail = "warn",
        on_error: OnError = "warn",
        prefix: str = "leakage",
        samples: int = 16,
        report: str | None = "leakage",
        tokenizer: Any = None,
    ) -> None:
        given = dict(locals())
        self._settings = {name: given[name] for name in given if name not in ("self", "__class__")}
        for name, value in self._settings.items():
            if isinstance(value, str) and value == _OBJECT:
                raise SettingsError(
                    f"LeakageCallback's {name} was an object, which a checkpoint cannot restore; "
                    "set restore_callback_states_from_checkpoint=False, or give its name or file"
                )
        check_choices(when=(when, When), on_fail=(on_fail, OnFail), on_error=(on_error, OnError))
        if every < 1:
            raise SettingsError(f"every must be at least 1, not {every}")
        self.when, self.every, self.fixed_steps = when, every, frozenset(fixed_steps)
        self.at_start, self.at_end = at_start, at_end
        self.on_fail, self.on_error = on_fail, on_error
        self.samples, self.report, self.tokenizer = samples, report, tokenizer
        self.monitor = Monitor(
            dataset,
            limit=limit,
            limits=limits,
            instrument=instrument,
            sampling=sampling,
            chat=chat,
            template=template,
            batch_size=batch_size,
            mitigation=mitigation,
            baseline=baseline,
            prefix=f"eval_{prefix}",
            adaptive=adaptive,
        )
        #: The Trainer's ``log`` method, once attached to it.
        self.log: Callable[[dict[str, float]], None] | None = None
        self._trackers: list[Tracker] | None = None
        self._is_training = False
        #: Steps of evaluations or saves so far.
        self._events: list[int] = []
        #: Measurements of this training by step; ``None`` if it failed with an error.
        self._checked: dict[int, Checked | None] = {}
        self._judged: set[int] = set()

    def state(self) -> dict[str, Any]:
        """The settings, for transformers' ``restore_callback_states_from_checkpoint``."""
        settings = {name: _as_json(value) for name, value in self._settings.items()}
        return {"args": settings, "attributes": {}}

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **known: Any
    ) -> None:
        """Refuse settings that would choose the leakiest checkpoint."""
        self._check_best(args, state)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **known: Any
    ) -> None:
        """Check the settings, and measure the model before the first step."""
        self._check_best(args, state)
        _tokenizer(known, self.tokenizer)
        if self.when != "save":
            check_gathers(known["model"])
        self._events, self._checked, self._judged = [], {}, set()
        self._is_training = True
        self._prepare(args)
        self._track({}, None, args, state)
        if warning := self.monitor.resume(state.global_step):
            self._warn(state, warning)
        if self.at_start and not state.global_step:
            self._at(state.global_step, args, state, control, known)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **known: Any
    ) -> None:
        """Measure at fixed steps."""
        if state.global_step in self.fixed_steps:
            self._at(state.global_step, args, state, control, known)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **known: Any,
    ) -> None:
        """Add the metrics to those of the evaluation, unless :func:`attach` has done so."""
        step = state.global_step
        if self.log is None:
            was_known = self._is_known(step)
            if checked := self.evaluated(args, state, known):
                metrics.update(checked.metrics)
                if not was_known:
                    self._send(checked, args, state)
        if (best := _best_metric(args)) in self._keys and best not in metrics:
            metrics[best] = _NEVER_BEST
        self._judge(step, state, control)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **known: Any
    ) -> None:
        """Measure what was saved."""
        if self.when == "save" and self._is_due(state.global_step):
            self._at(state.global_step, args, state, control, known)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **known: Any
    ) -> None:
        """Measure the model that the training ends with."""
        if self.at_end or self.when == "end":
            is_best = args.load_best_model_at_end and state.best_model_checkpoint
            step = _step_of(state.best_model_checkpoint) if is_best else state.global_step
            self._at(step, args, state, control, known)
        self._close(state)
        self._is_training = False

    def evaluated(
        self, args: TrainingArguments, state: TrainerState, known: Mapping[str, Any]
    ) -> Checked | None:
        """The measurement that belongs to an evaluation; ``None`` if none is due, or it failed.

        Args:
            args: The training's arguments.
            state: Its state.
            known: ``model`` and ``processing_class``, as the Trainer hands them to callbacks.
        """
        if self.when != "evaluate" or not self._is_due(state.global_step):
            return None
        return self._measure(state.global_step, args, state, known)

    def _is_known(self, step: int) -> bool:
        """Whether the training's model has been measured at a step."""
        return self._is_training and step in self._checked

    def _is_due(self, step: int) -> bool:
        """Whether an evaluation or save at a step is one to measure; several datasets are one."""
        if not self._is_training:
            return True
        if step not in self._events:
            self._events.append(step)
        return (self._events.index(step) + 1) % self.every == 0

    def _at(
        self,
        step: int,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        known: Mapping[str, Any],
    ) -> None:
        """Measure, log and judge outside an evaluation, unless the step has been measured."""
        if not self._is_known(step) and (checked := self._measure(step, args, state, known)):
            self._send(checked, args, state)
        self._judge(step, state, control)

    def _measure(
        self, step: int, args: TrainingArguments, state: TrainerState, known: Mapping[str, Any]
    ) -> Checked | None:
        if self._is_known(step):
            return self._checked[step]
        self._prepare(args)
        self._judged.discard(step)
        self._checked[step] = None
        with self._warned(state, f"step {step} was not measured"):
            self._checked[step] = self._measured(step, args, known)
        return self._checked[step]

    def _measured(self, step: int, args: TrainingArguments, known: Mapping[str, Any]) -> Checked:
        model = known["model"]
        if self.when == "save" and sharded_by(model):
            folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{step}"
            return self.monitor.check_saved(folder, step)
        return self.monitor.check(model, _tokenizer(known, self.tokenizer), step)

    def _prepare(self, args: TrainingArguments) -> None:
        """Take the output folder and the time-out from the training's arguments."""
        folder = None if self.report is None else Path(args.output_dir) / self.report
        self.monitor.folder = folder
        self.monitor.timeout = _WAITING * args.ddp_timeout

    def _send(self, checked: Checked, args: TrainingArguments, state: TrainerState) -> None:
        """Hand metrics over to the Trainer's log, or its history, and to its trackers."""
        metrics = dict(checked.metrics)
        if self.log is not None:
            self.log(metrics)
            self.send_table(checked, args, state)
            return
        state.log_history.append({**metrics, "epoch": state.epoch, "step": state.global_step})
        self._track(metrics, checked, args, state)

    def send_table(self, checked: Checked, args: TrainingArguments, state: TrainerState) -> None:
        """Hand the worst pairs over to the trackers of ``report_to``."""
        self._track({}, checked, args, state)

    def _track(
        self,
        metrics: dict[str, float],
        checked: Checked | None,
        args: TrainingArguments,
        state: TrainerState,
    ) -> None:
        """Hand over to the trackers, made when the training begins: their runs are open then."""
        if not state.is_world_process_zero:
            return
        with self._warned(state, "metrics were not logged"):
            if self._trackers is None:
                self._trackers = _trackers_of(args)
            if checked is not None:
                for tracker in self._trackers:
                    rows = checked.measurement.worst[: self.samples]
                    tracker.log(metrics, state.global_step, rows)

    def _close(self, state: TrainerState) -> None:
        for tracker in self._trackers or ():
            with self._warned(state, "metrics may not have been logged"):
                tracker.close()
        self._trackers = None

    @contextmanager
    def _warned(self, state: TrainerState, what: str) -> Iterator[None]:
        """Turn an error into a warning, unless ``on_error`` is ``"raise"``."""
        try:
            yield
        except Exception as error:
            if self.on_error == "raise":
                raise
            self._warn(state, f"{what}: {one_line(error)}")

    def _judge(self, step: int, state: TrainerState, control: TrainerControl) -> None:
        """Act on the verdict of a step, once.

        Raises:
            LeakageError: It failed, and ``on_fail`` is ``"raise"``.
        """
        checked = self._checked.get(step)
        if checked is None or step in self._judged:
            return
        self._judged.add(step)
        if react(checked, self.on_fail, functools.partial(self._warn, state)):
            control.should_training_stop = True

    @staticmethod
    def _warn(state: TrainerState, text: str) -> None:
        if state.is_world_process_zero:
            _log.warning("exleak: %s", text)

    @property
    def _keys(self) -> set[str]:
        return {f"{self.monitor.prefix}_{name}" for name in METRICS}

    def _check_best(self, args: TrainingArguments, state: TrainerState) -> None:
        """Refuse settings under which the best model would be a leaky or unmeasured one.

        Raises:
            SettingsError: The settings, and what to set instead.
        """
        best = _best_metric(args)
        if best not in self._keys:
            return
        if args.greater_is_better:
            raise SettingsError(
                f"metric_for_best_model {best}: greater_is_better is true (the default for metrics "
                "that do not end in loss), which would keep the checkpoint that leaks most; set "
                "greater_is_better=False"
            )
        if self.when != "evaluate" or self.every != 1:
            raise SettingsError(
                f"metric_for_best_model {best}: it must be measured at every evaluation; set "
                "when='evaluate' and every=1"
            )
        order = list(state.stateful_callbacks or ())
        names = "EarlyStoppingCallback", type(self).__name__
        if self.log is None and all(name in order for name in names):
            stopping, own = map(order.index, names)
            if stopping < own:
                raise SettingsError(
                    f"EarlyStoppingCallback stands before {names[1]} in the list of callbacks, so "
                    f"that it looks for {best} before it is measured; put it after, or use attach"
                )


def attach(
    trainer: Trainer, callback: LeakageCallback | None = None, **settings: Any
) -> LeakageCallback:
    """Measure leakage in a Trainer's evaluations, before it logs them.

    The metrics then stand beside the loss in the Trainer's own log entry, so that everything it
    reports to has them, and in the metrics that ``trainer.evaluate()`` returns.

    Args:
        trainer: The Trainer, also one of TRL.
        callback: The callback; by default the Trainer's, or a new one.
        settings: Arguments of a new :class:`LeakageCallback`.

    Returns:
        The callback.

    Raises:
        SettingsError: The Trainer has a callback, and settings are given for a new one.
    """
    present = _callback_of(trainer)
    if settings and (callback or present):
        raise SettingsError("settings are for a new callback, and there is one already")
    callback = callback or present or LeakageCallback(**settings)
    if present is None:
        trainer.add_callback(callback)
    elif present is not callback:
        raise SettingsError("the Trainer has another LeakageCallback already; attach that one")
    if callback.log is None:
        callback.log = trainer.log
        trainer.log = functools.partial(_log_with_leakage, trainer, trainer.log)
    callback.on_init_end(trainer.args, trainer.state, trainer.control)
    return callback


def _log_with_leakage(
    trainer: Trainer, log: Callable[..., None], logs: dict[str, float], *more: Any, **also: Any
) -> None:
    """The Trainer's ``log``; an evaluation's entry gets the metrics first."""
    callback = _callback_of(trainer)
    checked = None
    if callback is not None and any(_END_OF_EVALUATION.fullmatch(key) for key in logs):
        callback.log = log  # a callback restored from a checkpoint is a new object
        known = {"model": trainer.model, "processing_class": trainer.processing_class}
        checked = callback.evaluated(trainer.args, trainer.state, known)
        if checked is not None:
            logs.update(checked.metrics)
    log(logs, *more, **also)
    if callback is not None and checked is not None:
        callback.send_table(checked, trainer.args, trainer.state)


def _callback_of(trainer: Trainer) -> LeakageCallback | None:
    found = (one for one in trainer.callback_handler.callbacks if isinstance(one, LeakageCallback))
    return next(found, None)


def _best_metric(args: TrainingArguments) -> str:
    """The key of the metric that chooses the best model; empty if none does."""
    name = args.metric_for_best_model or ""
    return name if not name or name.startswith("eval_") else f"eval_{name}"


def _tokenizer(known: Mapping[str, Any], given: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a training; of a processor (images, sound) its tokenizer.

    Raises:
        SettingsError: There is none.
    """
    found = given or known.get("processing_class") or known.get("tokenizer")
    found = getattr(found, "tokenizer", found)
    if found is None:
        raise SettingsError(
            "the Trainer has no tokenizer: give it one (processing_class=…), or give it to "
            "LeakageCallback(tokenizer=…)"
        )
    tokenizer: PreTrainedTokenizerBase = found
    return tokenizer


def _trackers_of(args: TrainingArguments) -> list[Tracker]:
    """The trackers that the Trainer reports to; others than these have the metrics by the log."""
    names = [name for name in args.report_to or () if name in TRACKERS]
    return trackers(names, tensorboard_folder(args)) if names else []


def _step_of(checkpoint: str) -> int:
    """The step of a checkpoint's folder."""
    return int(Path(checkpoint).name.rpartition("-")[2])


def _as_json(value: Any) -> Any:
    """A setting for ``trainer_state.json``; :data:`_OBJECT` for an object that does not fit in."""
    if isinstance(value, (Limits, Sampling, Template)):
        value = asdict(value)
    try:
        json.dumps(value)
    except TypeError:
        return str(value) if isinstance(value, Path) else _OBJECT
    return value
