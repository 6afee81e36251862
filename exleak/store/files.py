"""Files written in one piece."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from exleak.errors import SettingsError


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


def check_file(path: Path) -> None:
    """Refuse, before the work for it is done, a path that no file can be written to.

    Raises:
        SettingsError: It is a folder, or its folder can be neither written to nor made.
    """
    if path.is_dir():
        raise SettingsError(f"{path}: this is a folder; give the name of a file")
    check_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Refuse, before the work for it is done, a folder that cannot be written to.

    Raises:
        SettingsError: A file is in its place or in that of a folder above it, or the nearest
            folder that exists may not be written to.
    """
    place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not place.is_dir():
        raise SettingsError(f"{folder}: {place} is a file, not a folder; give another name")
    if not os.access(place, os.W_OK):
        raise SettingsError(f"{folder}: {place} may not be written to; give another name")
