"""What a watch has measured, kept in a JSON report, so that it can be started again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exleak.checkpoints import checkpoints_in, contents
from exleak.errors import ExleakError, SettingsError
from exleak.files import check_file
from exleak.model_names import natural
from exleak.records import Measurement
from exleak.remarks import remark
from exleak.reports import kind_of, write_report
from exleak.store.report import read_measurements
from exleak.store.store import digest
from exleak.watching.plan import Plan

#: Suffix of the report of an earlier training in the same folder.
_ASIDE = ".old.json"


class Memory:
    """The measurements of the checkpoints in a folder, in the order in which they were made.

    Args:
        path: The JSON report; ``None`` keeps nothing.
        plan: How the checkpoints are measured.

    Attributes:
        measurements: The measurements.

    Raises:
        SettingsError: The report cannot be written.
        ReportError: The file is no JSON report.
    """

    def __init__(self, path: Path | None, plan: Plan) -> None:
        self.path, self._plan = path, plan
        self.measurements: list[Measurement] = []
        self._files: dict[str, frozenset[tuple[str, int, int]]] = {}
        if path is not None:
            _check(path)

    def __contains__(self, name: str) -> bool:
        return any(found.model == name for found in self.measurements)

    def __len__(self) -> int:
        return len(self.measurements)

    def recall(self, folder: Path) -> Sequence[Measurement]:
        """The measurements in the report, judged by the plan, if they are of this training.

        They are if a checkpoint is still the measured one and none is another, or if all that the
        folder holds came later. Otherwise the report is set aside.

        Raises:
            ReportError: The file is no report of this version.
            SettingsError: Its measurements were made with other settings.
        """
        if self.path is None or not self.path.is_file():
            return ()
        found = read_measurements(self.path)
        for measurement in found:
            if reason := self._plan.difference(measurement):
                raise SettingsError(
                    f"{self.path}: holds measurements with another {reason}; give another "
                    "--report, or remove this one"
                )
        if found and not self._is_of(folder, found):
            self.set_aside(f"the measurements in {self.path} are of another training")
            return ()
        self.measurements = [self._plan.judge(measurement) for measurement in found]
        return tuple(self.measurements)

    def _is_of(self, folder: Path, found: Sequence[Measurement]) -> bool:
        there = {path.name: path for path in checkpoints_in(folder)}
        known = [measurement for measurement in found if measurement.model in there]
        if known:
            return all(self._is_same(there[one.model], one) for one in known)
        last = max(natural(measurement.model) for measurement in found)
        return bool(there) and all(natural(name) > last for name in there)

    def _is_same(self, path: Path, measurement: Measurement) -> bool:
        try:
            return self._plan.is_that_of(path, measurement)
        except (ExleakError, OSError):  # being deleted
            return True

    def is_replaced(self, path: Path) -> bool:
        """Whether a folder no longer holds the checkpoint that was measured under its name."""
        files = _weights(path)
        if not files or files == self._files.get(path.name):
            return False
        measurement = next(one for one in self.measurements if one.model == path.name)
        is_unknown = path.name not in self._files
        if self._plan.store is None and not is_unknown:
            return True
        if not self._is_same(path, measurement):
            return True
        self._files[path.name] = files
        return False

    def add(self, path: Path, measurement: Measurement) -> None:
        """Add the measurement of a checkpoint, and write the report."""
        self._files[path.name] = _weights(path)
        self.measurements.append(measurement)
        if self.path is None:
            return
        try:
            write_report(self.path, self.measurements)
        except OSError as error:
            remark(f"report {self.path} NOT written: {error.strerror or error}")

    def replace(self, measurement: Measurement) -> None:
        """Put a measurement in the place of the one of the same checkpoint."""
        self.measurements = [
            measurement if known.model == measurement.model else known
            for known in self.measurements
        ]

    def set_aside(self, reason: str) -> None:
        """Begin anew, and keep the old report under another name."""
        self.measurements, self._files = [], {}
        kept = ""
        if self.path is not None and self.path.is_file():
            aside = self.path.with_suffix(_ASIDE)
            self.path.replace(aside)
            kept = f" (the old report: {aside})"
        remark(f"{reason}: the series begins anew{kept}")


def place_of(folder: Path, plan: Plan) -> Path | None:
    """Where the report is kept if no file is named: in the store, for each folder and settings."""
    if plan.store is None:
        return None
    settings = (folder.resolve(), plan.dataset.hash, plan.instrument.hash, plan.sampling.to_json(),
                plan.chat, plan.dtype)  # fmt: skip
    name = f"watch-{folder.resolve().name}-{digest(repr(settings))[:8]}.json"
    return plan.store.runs / name


def _check(path: Path) -> None:
    if kind_of(path) != "json":
        raise SettingsError(f"report {path}: a watch writes JSON; exleak report turns it into more")
    check_file(path)
    if path.is_file():
        read_measurements(path)


def _weights(path: Path) -> frozenset[tuple[str, int, int]]:
    return frozenset(
        entry for entry in contents(path) if entry[0].endswith((".safetensors", ".bin"))
    )
