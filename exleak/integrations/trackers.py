"""Metrics and the worst pairs of a measurement, sent to experiment trackers.

    >>> trackers(["comet"], Path("runs"))
    Traceback (most recent call last):
    exleak.errors.SettingsError: tracker 'comet' is unknown; use tensorboard, mlflow, wandb, trackio

They write into the run that is open, which in a transformers Trainer is the one of its own
callbacks, under the keys that these use; or into an :class:`OwnRun`. A further tracker is a
subclass of :class:`_OpenRun`, and its place in :data:`TRACKERS`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from exleak.errors import SettingsError, TrackerError, one_line
from exleak.records import Continuation
from exleak.reports.formatting import number, printable
from exleak.reports.markdown import plain, table

#: Headings of the table of the worst pairs.
COLUMNS = (
    "condition", "prompt", "continuation", "probability", "control continuation",
    "control probability", "restates",
)  # fmt: skip
#: Key of that table, as the transformers Trainer would write ``eval_leakage_worst``.
WORST = "eval/leakage_worst"
#: The metric that transformers makes the horizontal axis of every other one.
STEP = "train/global_step"

_RESTATES = {True: "yes", False: "no", None: "unknown"}
_WIDTH = 1000
#: What MLflow, of any version, takes in the name of a metric.
_NOT_IN_MLFLOW = re.compile(r"[^0-9A-Za-z_\-. /]")
_NOT_IN_FOLDERS = re.compile(r"[^\w.=@+ -]+")


@dataclass(frozen=True)
class OwnRun:
    """A run to begin, whether one is open or not.

    Attributes:
        name: Its name; for TensorBoard, that of its folder.
        target: MLflow's tracking URI, or the project of W&B and trackio; ``None`` leaves that to
            their own settings.
    """

    name: str
    target: str | None = None


class Tracker(Protocol):
    """Where metrics go."""

    def log(self, metrics: Mapping[str, float], step: int, rows: Sequence[Continuation]) -> None:
        """Send the metrics of a training step, and a table of the worst pairs if there are any.

        Raises:
            TrackerError: The tracker does not take them.
        """

    def close(self) -> None:
        """Write what is left, and end the run if it was started here.

        Raises:
            TrackerError: The tracker fails.
        """


def trackers(names: Sequence[str], folder: Path, run: OwnRun | None = None) -> list[Tracker]:
    """The trackers of these names, each once.

    Make them when the training begins, after the Trainer's own callbacks: some end their run before
    other callbacks are told of the end, and the run is then found again.

    Args:
        names: Keys of :data:`TRACKERS`. ``TrainingArguments`` turns ``"all"`` and ``"none"`` into
            names of packages, of which not all are here.
        folder: Folder for TensorBoard's events, see :func:`tensorboard_folder`.
        run: The run to begin; ``None`` writes into the one that is open.

    Raises:
        SettingsError: A name is unknown.
        TrackerError: A tracker's package is not installed, or broken.
    """
    return [kind(folder, run) for kind in _kinds(names)]


def check(names: Sequence[str]) -> None:
    """Check that trackers are known and installed, without importing them.

    Raises:
        SettingsError: A name is unknown.
        TrackerError: A tracker's package is not installed.
    """
    for kind in _kinds(names):
        if not any(map(_is_installed, kind.packages)):
            raise TrackerError(
                f"tracker {kind.name}: no package {' or '.join(kind.packages)} is installed; run "
                f"pip install {kind.name}"
            )


def _kinds(names: Sequence[str]) -> list[type[_OpenRun]]:
    for name in names:
        if name not in TRACKERS:
            raise SettingsError(f"tracker {name!r} is unknown; use {', '.join(TRACKERS)}")
    return [TRACKERS[name] for name in dict.fromkeys(names)]


def _is_installed(package: str) -> bool:
    """Whether there is a package; a mere folder of that name is none."""
    if package in sys.modules:
        return bool(getattr(sys.modules[package], "__file__", None))
    found = importlib.util.find_spec(package)
    return found is not None and found.origin is not None


def tensorboard_folder(args: Any) -> Path:
    """The folder of TensorBoard's events of a transformers Trainer that has begun to train.

    transformers 4 names it in its arguments. transformers 5 takes an environment variable, or a
    folder named by the time; that is where the newest events are.

    Args:
        args: The Trainer's ``TrainingArguments``.
    """
    if importlib.metadata.version("transformers").startswith("4."):
        return Path(args.logging_dir)
    if folder := os.environ.get("TENSORBOARD_LOGGING_DIR"):
        return Path(folder).expanduser()
    runs = Path(args.output_dir) / "runs"
    events = runs.rglob("events.out.tfevents.*")
    newest = max(events, key=lambda path: path.stat().st_mtime_ns, default=None)
    return newest.parent if newest else runs / "leakage"


def shown_key(key: str) -> str:
    """A key as the Trainer's callbacks write it, but that of MLflow: ``eval/x`` for ``eval_x``."""
    for part in ("eval", "test"):
        if key.startswith(f"{part}_"):
            return f"{part}/{key.removeprefix(f'{part}_')}"
    return f"train/{key}"


def cells(rows: Sequence[Continuation]) -> list[list[str | float]]:
    """The cells below :data:`COLUMNS`, texts on one line and without control characters."""
    return [
        [
            row.condition,
            _line(row.prompt),
            _line(row.sentence),
            row.probability,
            _line(row.control_sentence),
            row.control_probability,
            _RESTATES[row.restates],
        ]
        for row in rows
    ]


def markdown(rows: Sequence[Continuation]) -> str:
    """The same table in Markdown, where the texts' special characters do nothing."""
    shown = (
        [number(cell, 2) if isinstance(cell, float) else plain(cell) for cell in row]
        for row in cells(rows)
    )
    return "\n".join(table(COLUMNS, shown))


def _as_folder(name: str) -> str:
    """A run's name as that of one folder."""
    return _NOT_IN_FOLDERS.sub("-", name).strip(" .-") or "leakage"


def _line(text: str) -> str:
    return printable(" ".join(text.split()), _WIDTH)


class _OpenRun(ABC):
    """What the trackers share: their errors carry the tracker's name."""

    name: ClassVar[str]
    #: Packages of which any serves.
    packages: ClassVar[tuple[str, ...]]

    def __init__(self, folder: Path, run: OwnRun | None = None) -> None:
        self.folder = folder
        self._own = run
        self._started_here = False
        with self._named():
            self._find()

    def log(self, metrics: Mapping[str, float], step: int, rows: Sequence[Continuation]) -> None:
        """See :meth:`Tracker.log`."""
        with self._named(f"step {step}: "):
            self._send({key: float(value) for key, value in metrics.items()}, step, rows)

    def close(self) -> None:
        """See :meth:`Tracker.close`."""
        with self._named():
            self._end()
            self._started_here = False

    @contextmanager
    def _named(self, at: str = "") -> Iterator[None]:
        try:
            yield
        except TrackerError:
            raise
        except Exception as error:
            raise TrackerError(f"tracker {self.name}: {at}{one_line(error)}") from error

    def _library(self, module: str) -> Any:
        """Import a package; a mere folder of that name, such as W&B's own ``wandb/``, is none."""
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            reason = one_line(error)
        else:
            if getattr(found, "__file__", None):
                return found
            reason = f"{module} is a folder without a package"
        raise TrackerError(f"tracker {self.name}: {reason}; run pip install {self.name}")

    @abstractmethod
    def _find(self) -> None:
        """Import the package, and remember the run that is open."""

    @abstractmethod
    def _send(self, metrics: dict[str, float], step: int, rows: Sequence[Continuation]) -> None:
        """Log, in a new run if none is open."""

    @abstractmethod
    def _end(self) -> None:
        """Write what is left; end the run if it was started here."""


class TensorBoard(_OpenRun):
    """A file of events of its own, beside the Trainer's."""

    name = "tensorboard"
    packages = ("tensorboard", "tensorboardX")
    _writer: Any = None

    def _find(self) -> None:
        try:
            self._library("tensorboard")
            self._writers = importlib.import_module("torch.utils.tensorboard")
        except (ImportError, TrackerError):
            self._writers = self._library("tensorboardX")

    def _send(self, metrics: dict[str, float], step: int, rows: Sequence[Continuation]) -> None:
        if self._writer is None:
            folder = self.folder / _as_folder(self._own.name) if self._own else self.folder
            self._writer = self._writers.SummaryWriter(str(folder), filename_suffix=".leakage")
        for key, value in metrics.items():
            self._writer.add_scalar(shown_key(key), value, step)
        if rows:
            self._writer.add_text(WORST, markdown(rows), step)
        self._writer.flush()

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()


class MLflow(_OpenRun):
    """Metrics and an artifact in Markdown, in the active run or the one that was active before."""

    name = "mlflow"
    packages = ("mlflow",)

    def _find(self) -> None:
        self._mlflow = self._library("mlflow")
        if self._own and self._own.target is not None:
            self._mlflow.set_tracking_uri(self._own.target)
        self._run = None if self._own else self._active()

    def _active(self) -> str | None:
        run = self._mlflow.active_run()
        return None if run is None else str(run.info.run_id)

    def _send(self, metrics: dict[str, float], step: int, rows: Sequence[Continuation]) -> None:
        if self._own is None:
            self._run = self._active() or self._run
        if self._run is None:
            # One that others began stays open, as the parent of this.
            given = {"run_name": self._own.name, "nested": True} if self._own else {}
            self._run = self._mlflow.start_run(**given).info.run_id
            self._started_here = True
        # The Trainer ends its run before other callbacks hear that the training ended; a client
        # can write into a run that has ended.
        client, now = self._mlflow.tracking.MlflowClient(), int(time.time() * 1000)
        metric = self._mlflow.entities.Metric
        batch = [
            metric(_NOT_IN_MLFLOW.sub("_", key), value, now, step) for key, value in metrics.items()
        ]
        client.log_batch(self._run, metrics=batch)
        if rows:
            client.log_text(self._run, markdown(rows), f"leakage/worst-step-{step:08}.md")

    def _end(self) -> None:
        if self._started_here and self._active() == self._run:
            self._mlflow.end_run()
        self._run = None


class WandB(_OpenRun):
    """Metrics and a table in the active run of Weights & Biases."""

    name = "wandb"
    packages = ("wandb",)
    _run: Any = None

    def _find(self) -> None:
        self._wandb = self._library("wandb")

    def _send(self, metrics: dict[str, float], step: int, rows: Sequence[Continuation]) -> None:
        if (self._run if self._own else self._wandb.run) is None:
            self._begin()
        found: dict[str, Any] = {shown_key(key): value for key, value in metrics.items()}
        if rows:
            found[WORST] = self._wandb.Table(columns=list(COLUMNS), data=cells(rows))
        # Not step=: W&B counts its own steps, and drops rows that would go back in them.
        (self._run if self._own else self._wandb).log({**found, STEP: step})

    def _begin(self) -> None:
        given: dict[str, Any] = {}
        if self._own:
            # One that others began stays open.
            given = {"name": self._own.name, "reinit": "create_new"}
            given |= {"project": self._own.target} if self._own.target else {}
        self._run = self._wandb.init(**given)
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP, step_sync=True)
        self._started_here = True

    def _end(self) -> None:
        if self._started_here:
            (self._run if self._own else self._wandb).finish()
            self._run = None


class Trackio(_OpenRun):
    """Metrics and a table in the current run of trackio, or again in the one before."""

    name = "trackio"
    packages = ("trackio",)

    def _find(self) -> None:
        self._trackio = self._library("trackio")
        self._place: dict[str, Any] = {"project": "exleak"}
        if self._own is None:
            self._remember()
            return
        self._place = {"project": self._own.target or "exleak", "name": self._own.name}

    def _remember(self) -> bool:
        """Whether a run is open; its place is remembered."""
        context = self._trackio.context_vars
        run = context.current_run.get()
        if run is not None:
            space = context.current_space_id.get()
            self._place = {"project": run.project, "name": run.name, "space_id": space}
        return run is not None

    def _send(self, metrics: dict[str, float], step: int, rows: Sequence[Continuation]) -> None:
        is_begun = self._started_here if self._own else self._remember()
        if not is_begun:
            # The Trainer ends its run before other callbacks hear that the training ended.
            resume = "never" if self._own else "allow"
            self._trackio.init(**self._place, resume=resume)
            self._started_here = True
        found: dict[str, Any] = {shown_key(key): value for key, value in metrics.items()}
        if rows:
            found[WORST] = self._trackio.Table(columns=list(COLUMNS), data=cells(rows))
        self._trackio.log({**found, STEP: step})

    def _end(self) -> None:
        if self._started_here and self._remember():
            self._trackio.finish()


#: Every tracker by the name that ``report_to`` has for it.
TRACKERS: dict[str, type[_OpenRun]] = {
    kind.name: kind for kind in (TensorBoard, MLflow, WandB, Trackio)
}
