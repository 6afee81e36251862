"""An append-only map on disk, safe for concurrent processes and for kill -9.

The map is a folder of segments. Each segment is written once, atomically, and ends with a checksum
of its content. Appending writes a new segment, so no process ever changes a file that another one
reads. This is safe on network file systems too, where locks and appends may not work.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from exleak.files import write_text
from exleak.remarks import remark

_SUFFIX = ".jsonl"


class StoreWarning(UserWarning):
    """A file on disk could not be used; its content will be computed again."""


class Segments:
    """A map from text keys to JSON values, kept in one folder.

    Args:
        folder: The folder of the segments; created on the first write.
        head: Description of the entries; a segment with another head is foreign.

    Attributes:
        makers: Versions of the software that makes the appended entries; stored with them.
    """

    def __init__(self, folder: Path, head: str) -> None:
        self.folder, self.head = folder, head
        self.makers: dict[str, str] = {}

    def read(self) -> dict[str, Any]:
        """All entries of all intact segments; for equal keys, the oldest segment's entry."""
        return {key: value for _, part in self.parts() for key, value in part.items()}

    def parts(self) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """The entries of :meth:`read` by segment, oldest first, each with its makers."""
        known: set[str] = set()
        by_segment = []
        for path in self.paths():
            makers, entries = self._load(path)
            by_segment.append((makers, {k: v for k, v in entries.items() if k not in known}))
            known |= entries.keys()
        return by_segment

    def paths(self) -> list[Path]:
        """The segments, oldest first."""
        return sorted(self.folder.glob(f"*{_SUFFIX}")) if self.folder.is_dir() else []

    def read_one(self, name: str) -> dict[str, Any]:
        """The entries of the segment with this name; empty if it is missing or damaged."""
        return self._load(self.folder / f"{name}{_SUFFIX}")[1]

    def append(self, entries: dict[str, Any], name: str | None = None) -> Path | None:
        """Add entries as one new segment.

        Args:
            entries: The entries.
            name: The segment's name; by default one that sorts by time.

        Returns:
            The segment; ``None`` if there are no entries or (with a warning) writing failed.
        """
        return self._append(entries, self.makers, name)

    def _append(
        self, entries: dict[str, Any], makers: dict[str, str], name: str | None = None
    ) -> Path | None:
        if not entries:
            return None
        lines = [json.dumps({"head": self.head, **({"makers": makers} if makers else {})})]
        lines += [json.dumps([key, value]) for key, value in entries.items()]
        body = "".join(f"{line}\n" for line in lines)
        name = name or f"{time.time_ns():020d}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        path = self.folder / f"{name}{_SUFFIX}"
        try:
            write_text(path, body + _seal(body))
        except OSError as error:
            warn(self.folder, f"cannot be written to ({error.strerror}); going on without it")
            return None
        return path

    def merge(self) -> None:
        """Merge all intact segments into one per set of makers, then remove the old ones."""
        paths = self.paths()
        if len(paths) < 2:
            return
        merged: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        for makers, entries in self.parts():
            merged.setdefault(json.dumps(makers, sort_keys=True), (makers, {}))[1].update(entries)
        wanted = [(makers, entries) for makers, entries in merged.values() if entries]
        if all(self._append(entries, makers) is not None for makers, entries in wanted):
            for path in paths:
                path.unlink(missing_ok=True)

    def problem(self, path: Path) -> str | None:
        """What is wrong with a segment; ``None`` if it is intact and belongs to this map."""
        try:
            self._parse(path.read_bytes())
        except (OSError, ValueError) as error:
            return str(error)
        return None

    def _load(self, path: Path) -> tuple[dict[str, str], dict[str, Any]]:
        try:
            return self._parse(path.read_bytes())
        except FileNotFoundError:
            return {}, {}
        except (OSError, ValueError) as error:
            warn(path, f"skipped, and computed again: {error}")
            return {}, {}

    def _parse(self, content: bytes) -> tuple[dict[str, str], dict[str, Any]]:
        end = content.rfind(b"\n", 0, len(content) - 1) + 1
        body, seal = content[:end].decode("utf-8"), content[end:].decode("utf-8")
        if not end or seal != _seal(body):
            raise ValueError("torn or changed: its checksum does not fit")
        first, *lines = body.splitlines()
        head = json.loads(first)
        if not isinstance(head, dict) or head.get("head") != self.head:
            raise ValueError("it belongs to something else")
        return head.get("makers", {}), dict(json.loads(line) for line in lines)


def _seal(body: str) -> str:
    return json.dumps({"sha256": hashlib.sha256(body.encode("utf-8")).hexdigest()}) + "\n"


def warn(path: Path, problem: str) -> None:
    """Warn that a file on disk cannot be used, and continue."""
    remark(f"{path}: {problem}", StoreWarning, stacklevel=4)
