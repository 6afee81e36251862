"""Measures the checkpoints of a running training as they are completed, each one once.

The measurements so far are kept in a JSON report. A watch that is started again takes them from
there, also those of checkpoints that the trainer has deleted since (``save_total_limit``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.checkpoints import Completion, checkpoints_in, contents, step_of, trainer_state
from exleak.errors import (
    ComparisonError,
    ExleakError,
    InstrumentError,
    SettingsError,
    one_line,
)
from exleak.gate.comparison import compared_metric
from exleak.gate.sequential import Look, Series
from exleak.records import Measurement
from exleak.remarks import remark
from exleak.resources import drop_unused_models
from exleak.watching.memory import Memory
from exleak.watching.plan import Plan

if TYPE_CHECKING:
    from exleak.integrations.trackers import Tracker
    from exleak.progress import Progress

#: Seconds without a change after which a checkpoint without trainer_state.json is complete.
SETTLE = 30.0
#: Seconds between two looks into the folder.
INTERVAL = 20.0


@dataclass(frozen=True)
class Ending:
    """When a watch ends, besides the end of the training, which trainer_state.json tells.

    Attributes:
        once: Whether to end after what is there has been measured.
        until_step: End after a checkpoint of this step or a later one.
        idle: End after so many seconds without a new checkpoint.
    """

    once: bool = False
    until_step: int | None = None
    idle: float | None = None


@dataclass(frozen=True)
class Checked:
    """A checkpoint that was measured, or could not be.

    Attributes:
        name: The folder's name.
        measurement: The measurement, with its place in the series; ``None`` without one.
        look: The comparison with the first checkpoint; ``None`` without one.
        problem: Why it could not be measured or compared; empty if it was.
    """

    name: str
    measurement: Measurement | None = None
    look: Look | None = None
    problem: str = ""

    @property
    def is_marked(self) -> bool:
        """Whether it leaks more than the first."""
        return self.look is not None and self.look.is_marked

    @property
    def outcome(self) -> str | None:
        """The outcome for the exit status: that of a marked checkpoint is a failure."""
        if self.is_marked:
            return "fail"
        outcome = self.measurement.verdict.outcome if self.measurement else "unusable"
        return "unusable" if self.problem and outcome != "fail" else outcome


class Watch:
    """The watch over the output folder of a training.

    Args:
        folder: The output folder; it need not be there yet.
        plan: How checkpoints are measured.
        memory: The measurements of an earlier watch over it, and where new ones are kept.
        ending: When to end.
        trackers: Trackers that new measurements are logged to.
        interval: Seconds between two looks into the folder.
        settle: Seconds without a change after which a checkpoint without trainer_state.json is
            complete.
        progress: Factory of a progress display for a checkpoint's continuations, given its name.
        clock, sleep: As :func:`time.time` and :func:`time.sleep`.

    Attributes:
        first: The measurement that the others are compared with.
        why_ended: Why it ended, in words; empty before.
        waiting: What each checkpoint that is not complete still lacks.

    Raises:
        SettingsError: The folder is a file, or a setting is out of range.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        memory: Memory,
        ending: Ending | None = None,
        *,
        trackers: Sequence[Tracker] = (),
        interval: float = INTERVAL,
        settle: float = SETTLE,
        progress: Callable[[str], AbstractContextManager[Progress]] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder, self.plan, self.memory = folder, plan, memory
        self.ending = ending or Ending()
        self.trackers, self.interval, self.progress = trackers, interval, progress
        self.clock, self.sleep = clock, sleep
        self.first: Measurement | None = None
        self.why_ended = ""
        self.waiting: dict[str, str] = {}
        self._completion = Completion(settle, clock)
        self._series: Series | None = None
        self._broken: dict[str, object] = {}
        _check(self, settle)

    @property
    def controls(self) -> int:
        """Number of controls that checkpoints are compared by."""
        return self._series.controls if self._series else 0

    def run(self) -> Iterator[Checked]:
        """Yield the checkpoints: those measured earlier, then new ones as they are completed."""
        last_new = self.clock()
        for measurement in self.memory.recall(self.folder):
            checked = self._compared(measurement)
            self.memory.replace(checked.measurement or measurement)
            yield checked
        while True:
            for path in self._complete():
                if (new := self._check(path)) is not None:
                    last_new = self.clock()
                    yield new
            self.why_ended = self._why_end(self.clock() - last_new)
            if self.why_ended:
                return
            self.sleep(self.interval)

    def _complete(self) -> Iterator[Path]:
        """Complete checkpoints that are not measured yet, in training order."""
        self.waiting = {}
        for path in checkpoints_in(self.folder):
            if path.name in self.memory and not self.memory.is_replaced(path):
                continue
            if self._broken.get(path.name) == contents(path):
                continue
            if reason := self._completion.missing(path):
                self.waiting[path.name] = reason
                continue
            if path.name in self.memory:
                self.memory.set_aside(f"{path.name}: another checkpoint than the one measured")
                self._series, self.first, self._broken = None, None, {}
            yield path

    def _check(self, path: Path) -> Checked | None:
        """Measure a checkpoint; ``None`` if the trainer deletes or still writes it.

        Raises:
            SettingsError: A setting does not fit this machine.
        """
        files, begun = contents(path), self.clock()
        try:
            with self.progress(path.name) if self.progress else nullcontext() as shown:
                measurement = self.plan.measure(path, shown)
        except (SettingsError, InstrumentError):
            raise
        # A training on the same GPU may leave no memory, and a broken checkpoint fails in any way.
        except Exception as error:
            if not path.is_dir():
                remark(f"{path.name}: deleted before it was measured")
            elif contents(path) == files:
                self._broken[path.name] = files
                return Checked(path.name, problem=_reason(error, path.name))
            return None  # being deleted, or still written after all: the next round will show
        finally:
            drop_unused_models()
        checked = self._compared(measurement)
        assert checked.measurement is not None
        self._log(checked, step_of(path), self.clock() - begun)
        self.memory.add(path, checked.measurement)
        return checked

    def _compared(self, measurement: Measurement) -> Checked:
        """Compare a measurement with the first usable one."""
        name = measurement.model
        if measurement.verdict.outcome == "unusable":
            return Checked(name, measurement)
        try:
            if self._series is None:
                metric = compared_metric(self.plan.limits.metric)
                self._series, self.first = Series(measurement, self.plan.alpha, metric), measurement
                look = self._series.start
            else:
                look = self._series.look(measurement)
        except ComparisonError as error:
            return Checked(name, measurement, problem=str(error))
        return Checked(name, replace(measurement, series=look.step), look)

    def _log(self, checked: Checked, step: int | None, seconds: float) -> None:
        """Log a new measurement; a tracker that fails does not end the watch."""
        if not self.trackers or checked.measurement is None:
            return
        from exleak.integrations.metrics import flat

        increase = checked.look.step.delta if checked.look else None
        metrics = flat(checked.measurement, increase=increase, seconds=seconds)
        place = len(self.memory) if step is None else step
        for tracker in self.trackers:
            try:
                tracker.log(metrics, place, checked.measurement.worst)
            except Exception as error:
                remark(f"{checked.name}: not logged: {one_line(error)}")

    def _why_end(self, quiet: float) -> str:
        """Why the watch ends now; empty if it goes on."""
        ending, steps = self.ending, list(self._steps())
        if ending.once:
            return "all that is there is measured"
        if ending.until_step is not None and any(step >= ending.until_step for step, _ in steps):
            return f"step {ending.until_step} is reached"
        # One that was given up half-written is told about before the end.
        if any(is_over for _, is_over in steps) and not self.waiting:
            return "the training is over"
        if ending.idle is not None and quiet >= ending.idle:
            return f"no new checkpoint for {ending.idle:g} s"
        return ""

    def _steps(self) -> Iterator[tuple[int, bool]]:
        """The step of each checkpoint done with, and whether it is the trainer's last."""
        for path in checkpoints_in(self.folder):
            if path.name in self.memory or path.name in self._broken:
                state, step = trainer_state(path), step_of(path)
                if step is not None:
                    yield step, state is not None and state.is_over


def _check(watch: Watch, settle: float) -> None:
    if watch.folder.exists() and not watch.folder.is_dir():
        raise SettingsError(f"{watch.folder}: a training's output folder is expected, not a file")
    if watch.ending.once and not watch.folder.is_dir():
        raise SettingsError(f"{watch.folder}: there is no such folder")
    if not watch.interval > 0:
        raise SettingsError(f"interval must be above 0 seconds, not {watch.interval:g}")
    if not settle >= 0:
        raise SettingsError(f"settle must be at least 0 seconds, not {settle:g}")
    if watch.ending.idle is not None and not watch.ending.idle > 0:
        raise SettingsError(f"idle must be above 0 seconds, not {watch.ending.idle:g}")


def _reason(error: Exception, name: str) -> str:
    said = str(error) if isinstance(error, ExleakError) else one_line(error)
    return said.removeprefix(f"model {name}: ")
