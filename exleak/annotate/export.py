"""Handing out: blind items for the annotators, and the key, in a folder.

``FOLDER/for-annotators/`` holds ``annotate.html``, ``items.csv`` and ``items.jsonl``: any one of
them is enough. ``FOLDER/key.json`` stays at home.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path

from exleak.annotate.key import Item, Key
from exleak.annotate.page import page
from exleak.annotate.sample import Lots, Size, draw_labels, draw_pairs
from exleak.annotate.task import LABELS, PAIRS, Task
from exleak.datasets import load_dataset
from exleak.errors import SettingsError
from exleak.files import to_csv
from exleak.store import read_generations

#: What may be handed out, in the export's folder.
HANDOUT = "for-annotators"
#: What may not.
KEY = "key.json"


def export_pairs(
    run: Path, folder: Path, size: Size | None = None, *, seed: int = 0, salt: str | None = None
) -> Key:
    """Export pairs of a test and a control sentence of a run.

    Args:
        run: A generations file.
        folder: Written to; must not hold an export yet.
        size: How many items; all that can be drawn by default.
        seed: Of the draw.
        salt: Goes into the draw, too, so that the seed alone does not tell it; random by default.
            The same run, size, seed and salt give the same files.

    Returns:
        The key, as written.

    Raises:
        ExleakError: The run cannot be read, has too few pairs, or the folder is in use.
    """
    rows = read_generations(run)
    lots = Lots(seed, _salt(salt))
    items = draw_pairs(rows, size or Size(), lots)
    digest = hashlib.sha256(run.read_bytes()).hexdigest()
    return _write(folder, PAIRS, lots, str(run.resolve()), digest, items)


def export_labels(
    dataset: str | Path,
    folder: Path,
    size: Size | None = None,
    *,
    seed: int = 0,
    salt: str | None = None,
) -> Key:
    """Export the injected sentences of a dataset for labelling; arguments as `export_pairs`."""
    data = load_dataset(dataset)
    lots = Lots(seed, _salt(salt))
    items = draw_labels(data, size or Size(), lots)
    return _write(folder, LABELS, lots, data.name, data.hash, items)


def _salt(salt: str | None) -> str:
    return secrets.token_hex(16) if salt is None else salt


def _write(
    folder: Path, task: Task, lots: Lots, source: str, digest: str, items: tuple[Item, ...]
) -> Key:
    drawn = hashlib.sha256(repr([item.shown for item in items]).encode("utf-8", "replace"))
    export = next(lots.letters("export", drawn.hexdigest()))
    key = Key(export, task, lots.seed, lots.salt, source, digest, items)
    if (folder / KEY).exists() or (folder / HANDOUT).exists():
        raise SettingsError(
            f"{folder}: holds an export already; its key would be lost. Give another folder"
        )
    (folder / HANDOUT).mkdir(parents=True)
    for path, text in (
        (folder / KEY, key.to_text()),
        (folder / HANDOUT / "items.csv", _as_csv(key)),
        (folder / HANDOUT / "items.jsonl", _as_json_lines(key)),
        (folder / HANDOUT / "annotate.html", page(export, task, blind(key))),
    ):
        # A model's bytes can decode to lone surrogates, which no encoding can write.
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
    return key


def blind(key: Key) -> list[dict[str, str]]:
    """The items as annotators see them: id and shown texts, always in the same order."""
    return [
        {"item": item.id, **{name: item.shown[name] for name in key.task.shown}}
        for item in key.items
    ]


def _as_csv(key: Key) -> str:
    names = [question.name for question in key.task.questions]
    rows = [[key.export, *item.values(), *("" for _ in names)] for item in blind(key)]
    return to_csv([["export", "item", *key.task.shown, *names], *rows])


def _as_json_lines(key: Key) -> str:
    empty = {question.name: None for question in key.task.questions}
    lines = (json.dumps({"export": key.export, **item, **empty}) for item in blind(key))
    return "".join(f"{line}\n" for line in lines)
