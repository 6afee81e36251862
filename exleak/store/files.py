"""Files written in one piece."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write a file in one piece: readers see the old or the new text, never half of one.

    Lone surrogates, which a model's bytes can decode to, are written as escapes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        # Not a file of tempfile's: those are for their owner's eyes only, reports are not.
        with part.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
