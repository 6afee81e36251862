"""What the real packages of experiment trackers keep of what exleak sends them.

    python benchmarks/trackers.py [tensorboard mlflow wandb trackio]

Two steps are logged to each tracker that is installed, in a temporary folder and without a
network, and read back with the tracker's own means: once in a run that is open, as within a
transformers Trainer, and once after that run has ended. Printed is what came back; what did not is
an error.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

from exleak.integrations.trackers import STEP, TRACKERS, WORST, Tracker, trackers
from exleak.records import Continuation

METRICS = {"eval_leakage_rate": 0.625, "eval_leakage_directional": 0.5}
HOSTILE = "a | pipe, `ticks`, <script>alert(1)</script>, **bold**\nand \ud83d half a character"
ROWS = [
    Continuation("s1:positive", "positive", "I won. The day is", HOSTILE, 0.9, "grey.", 0.1, True),
    Continuation("s2:negative", "negative", "I lost. The day is", "sad.", 0.8, "long.", 0.2),
]

Found = dict[str, list[tuple[int, float]]]


def log(tracker: Tracker, step: int) -> None:
    """Log one step; its metrics differ from those of another."""
    tracker.log({key: value + step / 1000 for key, value in METRICS.items()}, step, ROWS)


def expect(found: Found, *steps: int, prefix: str = "eval/") -> None:
    """Each metric has its value at each step."""
    for key, value in METRICS.items():
        points = found[key.replace("eval_", prefix)]
        assert [step for step, _ in points] == list(steps), (key, points)
        assert all(abs(got - value - step / 1000) < 1e-6 for step, got in points), (key, points)


def tensorboard(folder: Path) -> None:
    """Beside the Trainer's file of events, and rendered by TensorBoard's own page."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugin_util import markdown_to_safe_html
    from torch.utils.tensorboard import SummaryWriter

    own = SummaryWriter(str(folder))
    own.add_scalar("eval/loss", 2.0, 10)
    (tracker,) = trackers(["tensorboard"], folder)
    log(tracker, 10)
    own.close()
    log(tracker, 20)
    tracker.close()
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()["scalars"]
    expect({tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}, 10, 20)
    assert "eval/loss" in tags
    text = events.Tensors(f"{WORST}/text_summary")[0].tensor_proto.string_val[0]
    page = markdown_to_safe_html(text)
    assert page.count("<tr>") == 3, page
    assert page.count("<td") == 14, page
    assert "<script" not in page, page
    assert "a | pipe, `ticks`, <script>alert(1)</script>, **bold** and" in unescape(page), page
    print("scalars", tags, "and a table of", page.count("<td"), "cells")


def mlflow(folder: Path) -> None:
    """In a database, or for versions before 3 in files."""
    import mlflow

    old = int(mlflow.__version__.split(".")[0]) < 3
    mlflow.set_tracking_uri(f"file:{folder}" if old else f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("leakage", artifact_location=f"file:{folder}/artifacts")
    mlflow.set_experiment("leakage")
    client = mlflow.tracking.MlflowClient()
    run = mlflow.start_run().info.run_id
    (tracker,) = trackers(["mlflow"], folder)
    log(tracker, 10)
    mlflow.end_run()
    log(tracker, 20)
    tracker.close()
    log(tracker, 30)
    assert mlflow.active_run().info.run_id != run
    tracker.close()
    assert mlflow.active_run() is None
    history = {key: client.get_metric_history(run, key) for key in client.get_run(run).data.metrics}
    expect({key: [(m.step, m.value) for m in points] for key, points in history.items()}, 10, 20,
           prefix="eval_")  # fmt: skip
    files = [file.path for file in client.list_artifacts(run, "leakage")]
    assert files == ["leakage/worst-step-00000010.md", "leakage/worst-step-00000020.md"], files
    text = next((folder / "artifacts").rglob("worst-step-00000010.md")).read_text(encoding="utf-8")
    assert len(text.splitlines()) == 4, text
    print("metrics", sorted(history), "and", files)


def wandb(folder: Path) -> None:
    """Offline; the run's file is read back, and the table's beside it."""
    os.environ.update(WANDB_MODE="offline", WANDB_DIR=str(folder), WANDB_SILENT="true")
    import wandb
    from wandb.proto import wandb_internal_pb2

    run = wandb.init(project="leakage")
    wandb.define_metric(STEP)
    wandb.define_metric("*", step_metric=STEP, step_sync=True)
    wandb.log({"eval/loss": 2.0, STEP: 10})
    (tracker,) = trackers(["wandb"], folder)
    log(tracker, 10)
    wandb.log({"train/loss": 1.0, STEP: 15})
    log(tracker, 20)
    tracker.close()
    assert wandb.run is run
    tables = sorted(Path(run.dir).rglob("*.table.json"))
    run.finish()
    found: Found = {}
    for data in wandb_records(next(Path(run.dir).parent.glob("*.wandb")).read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        row = {item.key or "/".join(item.nested_key): json.loads(item.value_json)
               for item in record.history.item}  # fmt: skip
        for key, value in row.items():
            found.setdefault(key, []).append((row.get(STEP), value))
    expect(found, 10, 20)
    assert found[f"{WORST}/nrows"] == [(10, 2), (20, 2)], found
    first = json.loads(tables[0].read_text(encoding="utf-8"))
    assert len(first["columns"]) == 7, first
    assert first["data"][0][2].startswith("a | pipe, `ticks`"), first
    print("rows", sorted(found), "and", len(tables), "tables")


def wandb_records(log: bytes) -> Iterator[bytes]:
    """The records of a run's file: a LevelDB log, whose first block begins with 7 bytes of W&B."""
    block, header = 32768, struct.Struct("<IHB")
    at, record = 7, b""
    while at + header.size <= len(log):
        if block - at % block < header.size:
            at += block - at % block
            continue
        _, size, kind = header.unpack_from(log, at)
        at += header.size
        record += log[at : at + size]
        at += size
        if kind in (1, 4):  # whole, or the last of several parts
            yield record
            record = b""


def trackio(folder: Path) -> None:
    """In its local database; which folder is decided when trackio is imported."""
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    trackio.init(project="leakage", name="run", embed=False)
    trackio.log({"eval/loss": 2.0, STEP: 10})
    (tracker,) = trackers(["trackio"], folder)
    log(tracker, 10)
    trackio.finish()
    log(tracker, 20)
    tracker.close()
    assert trackio.context_vars.current_run.get() is None
    assert SQLiteStorage.get_runs("leakage") == ["run"]
    found: dict[str, list[Any]] = {}
    for row in SQLiteStorage.get_logs("leakage", "run"):
        for key, value in row.items():
            found.setdefault(key, []).append((row[STEP], value))
    expect(found, 10, 20)
    table = found[WORST][0][1]
    assert table["_value"][0]["restates"] == "yes", table
    print("rows", sorted(found), "and tables of", len(table["_value"]))


CHECKS: dict[str, Callable[[Path], None]] = {
    "tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb, "trackio": trackio,
}  # fmt: skip


def main() -> None:
    """Check each, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", choices=list(TRACKERS), default=[], metavar="name")
    for name in parser.parse_args().names or TRACKERS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name}: ", end="", flush=True)
            CHECKS[name](Path(folder))


if __name__ == "__main__":
    main()
