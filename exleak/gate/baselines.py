"""Baselines: named, numbered runs to commit and to compare with.

A run is a report with an additional entry ``saved`` (number, time, commit), stored as
``leakage_baselines/NAME/0001.json``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from exleak.errors import ComparisonError, SettingsError
from exleak.records import Measurement
from exleak.store.report import as_report, read_measurements

FOLDER = "leakage_baselines"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RUN = re.compile(r"[0-9]+")


def check_name(name: str) -> None:
    """Check that a name is a valid folder name.

    Raises:
        SettingsError: It has characters other than letters, digits, dots, dashes, underscores.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"baseline name {name!r}: use letters, digits, dots, dashes and underscores"
        )


def runs(folder: Path, name: str) -> list[Path]:
    """The runs saved under a name, in order; may be empty."""
    files = [path for path in (folder / name).glob("*.json") if _RUN.fullmatch(path.stem)]
    return sorted(files, key=lambda path: int(path.stem))


def is_name(text: str) -> bool:
    """Whether a text is a baseline's name rather than a report file."""
    return not text.endswith(".json") and _NAME.fullmatch(text) is not None


def save(folder: Path, name: str, measurements: Sequence[Measurement]) -> Path:
    """Write a run under the next free number.

    Args:
        folder: The folder of all baselines.
        name: The baseline's name.
        measurements: The run's measurements.

    Returns:
        The written file.

    Raises:
        SettingsError: The name is not a valid folder name.
    """
    check_name(name)
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    taken = [int(path.stem) for path in runs(folder, name)]
    number = max(taken, default=0) + 1
    # Comparisons need no sentences, and a committed file should be small.
    kept = [replace(measurement, prompts=(), worst=()) for measurement in measurements]
    while True:
        path = place / f"{number:04}.json"
        saved = {"name": name, "number": number, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                 **commit(folder)}  # fmt: skip
        text = json.dumps({**as_report(kept), "saved": saved}, indent=1, allow_nan=False)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            number += 1
            continue
        return path


def commit(folder: Path) -> dict[str, Any]:
    """The git commit of the folder's repository, and whether there are uncommitted changes."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10,
                check=False,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    return {"commit": head, "changed": bool(git("status", "--porcelain")) if head else None}


def load(folder: Path, name_or_file: str) -> list[tuple[Measurement, ...]]:
    """The runs of a baseline: all runs of a name, or the single one of a report file.

    Returns:
        The measurements of each run; empty if nothing was saved under that name yet.

    Raises:
        ReportError: The file is not a report.
    """
    if is_name(name_or_file):
        return [read_measurements(path) for path in runs(folder, name_or_file)]
    return [read_measurements(name_or_file)]


def matching(
    saved: Sequence[Sequence[Measurement]], model: str, dataset: str, against: str
) -> list[Measurement]:
    """The measurements to compare a model with: its own, or those of the only model saved.

    Raises:
        ComparisonError: The baseline has several models and none of this name.
    """
    candidates = [m for run in saved for m in run if m.dataset == dataset]
    own = [measurement for measurement in candidates if measurement.model == model]
    if not own:  # saved under the full path, before names were shortened
        alike = [m for m in candidates if m.model.endswith(f"/{model}")]
        own = alike if len({m.model for m in alike}) == 1 else []
    models = sorted({measurement.model for measurement in candidates})
    if own or len(models) == 1:
        return own or candidates
    if not models:
        raise ComparisonError(f"baseline {against} has no measurement on {dataset}")
    raise ComparisonError(
        f"baseline {against} has no model {model!r} to compare with, and several others: "
        f"{', '.join(models)}"
    )
