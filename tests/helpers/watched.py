"""A training as a watch sees it: checkpoint folders that come and go, and a clock of its own."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from exleak import load_dataset, reference
from exleak.generation.sampling import Sampling
from exleak.integrations.trackers import Tracker
from exleak.scoring import load_instrument
from exleak.store import Store
from exleak.watching.memory import Memory
from exleak.watching.plan import Plan
from exleak.watching.watch import Ending, Watch

#: Enough that a leaky model is marked at the first look.
SAMPLES, GENERATIONS = 16, 4


def save(
    training: Path, step: int, model: str, *, last: int | None = 30, state: bool = True
) -> Path:
    """Save a reference model as the checkpoint of a step, in the order of transformers' trainer."""
    folder = training / f"checkpoint-{step}"
    shutil.copytree(reference.path(model), folder)
    os.utime(folder / "config.json")  # a copy bears the times of what was copied
    if state:
        write_state(folder, step, last)
    return folder


def write_state(folder: Path, step: int, last: int | None = 30) -> None:
    """Write the file that the trainer writes last."""
    state = {"global_step": step, "max_steps": last}
    (folder / "trainer_state.json").write_text(json.dumps(state))


class Training:
    """A clock whose sleep is the training's time: each one does the next thing.

    Args:
        events: What happens, in turn; when nothing is left, sleeping fails.
    """

    def __init__(self, events: Sequence[Callable[[], object]] = ()) -> None:
        self._events = list(events)
        self._gone = 0.0

    def clock(self) -> float:
        """The time in seconds; files are as old as they really are, and what was slept."""
        return time.time() + self._gone

    def sleep(self, seconds: float) -> None:
        """Let time pass, and the next thing happen."""
        assert self._events, "the watch waits, and nothing will come any more"
        self._gone += seconds
        self._events.pop(0)()


def plan(store: Path | None, **changes: object) -> Plan:
    """How the checkpoints are measured: few samples, few generations."""
    settings: dict[str, object] = {
        "dataset": load_dataset("hexl", limit=SAMPLES),
        "instrument": load_instrument("embedded"),
        "sampling": Sampling(generations=GENERATIONS),
        "limit": SAMPLES,
        "device": "cpu",
        "store": store and Store(store),
    }
    return Plan(**(settings | changes))  # type: ignore[arg-type]


def watch(
    folder: Path,
    how: Plan,
    report: Path | None = None,
    ending: Ending | None = None,
    events: Sequence[Callable[[], object]] = (),
    trackers: Sequence[Tracker] = (),
) -> Watch:
    """A watch whose time is that of the events."""
    training = Training(events)
    return Watch(
        folder, how, Memory(report, how), ending,
        trackers=trackers, clock=training.clock, sleep=training.sleep,
    )  # fmt: skip


def nothing() -> None:
    """Nothing happens."""
