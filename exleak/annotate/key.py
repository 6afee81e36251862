"""The key of an export: what the annotators must not see.

It maps every item to the prompt it came from, its condition and the side that the test sentence
stands on. It holds the salt that the item ids were drawn with, too, so that knowing the seed is
not enough to draw them again.
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
        id: Random letters; all that joins an answer to the key.
        shown: The texts that the annotator sees, by field of the task.
        condition: The injected class; for labels, what the dataset says.
        cluster: The control prompt: items of one control are not independent.
        injected: The injected sentence, ``None`` when unknown.
        prompt: Id of the test prompt.
        side: ``"left"`` or ``"right"``: where the test sentence stands; ``None`` for labels.
        draws: Which generation of the test and of the control prompt is shown.
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
        """The sentence after the injected one."""
        return self.shown[self.side or "sentence"]

    @property
    def reference(self) -> str:
        """The control's sentence."""
        return self.shown["right" if self.side == "left" else "left"]


@dataclass(frozen=True)
class Key:
    """Everything about an export.

    Attributes:
        export: The export's id.
        task: What was asked.
        seed, salt: What the draw was made from.
        source: Path of the run, or name of the dataset.
        sha256: Of the run's file, or the dataset's hash.
        items: In the order shown.
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
        DatasetError: It cannot be read, or is no key.
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
