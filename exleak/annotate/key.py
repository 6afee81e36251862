"""The key of an export, which the annotators must not see.

It maps every item to its prompt, its condition and the side of the test sentence. It also has the
salt that item ids were drawn with, so that they cannot be drawn again from the seed alone.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exleak.annotate.task import LABELS, TASKS, Task
from exleak.errors import DatasetError
from exleak.records import CLASSES

_KIND = "exleak annotation key"


@dataclass(frozen=True)
class Item:
    """One item of an export.

    Attributes:
        id: Random letters, the only link from an answer to the key.
        shown: The texts that the annotator sees, by field of the task.
        condition: The injected class; for labels, the dataset's label.
        cluster: The control prompt: items of one control are not independent.
        injected: The injected sentence, ``None`` if unknown.
        prompt: Id of the test prompt.
        side: Side of the test sentence, ``"left"`` or ``"right"``; ``None`` for labels.
        draws: Indices of the shown generations of the test and the control prompt.
    """

    id: str
    shown: dict[str, str]
    condition: str
    cluster: str
    injected: str | None
    prompt: str
    side: str | None = None
    draws: tuple[int, int] | None = None

    @property
    def test(self) -> str:
        """The test sentence, generated after the injected one."""
        return self.shown[self.side or "sentence"]

    @property
    def reference(self) -> str:
        """The control's sentence."""
        return self.shown["right" if self.side == "left" else "left"]


@dataclass(frozen=True)
class Key:
    """The key of an export.

    Attributes:
        export: Id of the export.
        task: The task.
        seed, salt: Seeds of the draw.
        source: Path of the run, or name of the dataset.
        sha256: Hash of the run's file, or of the dataset.
        items: The items in the order shown.
    """

    export: str
    task: Task
    seed: int
    salt: str
    source: str
    sha256: str
    items: tuple[Item, ...]

    def to_text(self) -> str:
        """The key as JSON."""
        head = {"kind": _KIND, "schema": 1, "task": self.task.name, "export": self.export}
        origin = {
            "seed": self.seed,
            "salt": self.salt,
            "source": self.source,
            "sha256": self.sha256,
        }
        items = [dataclasses.asdict(item) for item in self.items]
        return json.dumps({**head, **origin, "items": items}, indent=1) + "\n"


def read_key(path: Path) -> Key:
    """Read a key file.

    Raises:
        DatasetError: It cannot be read, or is not a key.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: not a key: not JSON ({error})") from None
    if not isinstance(value, dict) or value.get("kind") != _KIND:
        raise DatasetError(f"{path}: not a key; give the key.json that the export wrote")
    if value.get("schema") != 1:
        raise DatasetError(f"{path}: written by a newer exleak (schema {value.get('schema')!r})")
    try:
        return _key(value)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: a damaged key ({error}); restore the one exported") from None


def _key(value: dict[str, Any]) -> Key:
    task = TASKS[value["task"]]
    items = tuple(
        Item(**{**item, "draws": tuple(item["draws"]) if item["draws"] else None})
        for item in value["items"]
    )
    for item in items:
        sides = (None,) if task is LABELS else ("left", "right")
        if set(item.shown) != set(task.shown) or item.side not in sides:
            raise ValueError(f"item {item.id!r}")
        if item.condition not in CLASSES:
            raise ValueError(f"condition {item.condition!r}")
    return Key(
        export=value["export"],
        task=task,
        seed=value["seed"],
        salt=value["salt"],
        source=value["source"],
        sha256=value["sha256"],
        items=items,
    )
