"""The store: a folder with generations and scores under content keys."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exleak.files import write_text
from exleak.store.segments import Segments

#: Increased when stored generations or scores of older versions must not be used any more.
PROTOCOL = 2

_MARK = "# Made by exleak."
#: Folders of a store.
_FOLDERS = ("generations", "scores", "runs", "locks")
#: Names of segment folders.
_NAME = re.compile(r"[0-9a-f]{32}")


class Store:
    """Generations and scores on disk.

    Args:
        root: The folder; created, with a .gitignore file in it, on the first write.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    @property
    def memo(self) -> Path:
        """The file that caches hashes of large files."""
        return self.root / "hashes.json"

    def generations(self, about: dict[str, Any]) -> Segments:
        """Continuations of one checkpoint with one set of settings, by prompt and index.

        Args:
            about: Everything that continuations depend on, except prompt and index.
        """
        return self._segments("generations", about)

    def scores(self, instrument: str) -> Segments:
        """Scores of one instrument, by text.

        Args:
            instrument: Its content hash.
        """
        return self._segments("scores", {"instrument": instrument})

    def block_scores(self, instrument: str) -> Segments:
        """Scores of one instrument with a segment per block of texts, for building AEXL.

        Args:
            instrument: Its content hash.
        """
        return self._segments("scores", {"instrument": instrument, "unit": "block"})

    @property
    def runs(self) -> Path:
        """The folder of the runs' generations files."""
        return self.root / "runs"

    def _segments(self, kind: str, about: dict[str, Any]) -> Segments:
        head = json.dumps({"kind": kind, "protocol": PROTOCOL, **about}, sort_keys=True)
        name = hashlib.sha256(head.encode()).hexdigest()[:32]
        self.mark()
        return Segments(self.root / kind / name, head)

    def mark(self) -> None:
        """Mark the folder as a store with a .gitignore file that also excludes it from git.

        A folder that contains other files is not excluded as a whole; then only the store's
        subfolders that exleak creates are marked and excluded.
        """
        is_own = _is_marked(self.root) or not self._is_shared()
        for place in [self.root] if is_own else self._folders:
            with contextlib.suppress(OSError):  # the first write of an entry will report it
                if (is_own and not _is_marked(place)) or _is_free(place):
                    write_text(place / ".gitignore", f"{_MARK}\n*\n")

    def _is_shared(self) -> bool:
        """Whether the folder has content that is not part of the store."""
        own = {*_FOLDERS, self.memo.name}
        return self.root.is_dir() and any(path.name not in own for path in self.root.iterdir())

    @contextmanager
    def lock(self, segments: Segments) -> Iterator[None]:
        """Let one process at a time compute missing entries: saves work, not needed for safety."""
        from filelock import FileLock

        path = self.root / "locks" / segments.folder.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            lock.acquire()
        except (OSError, NotImplementedError):
            yield
            return
        try:
            yield
        finally:
            lock.release()

    @property
    def _folders(self) -> list[Path]:
        return [self.root / name for name in _FOLDERS]

    def is_one(self) -> bool:
        """Whether the folder is marked as a store."""
        return any(map(_is_marked, (self.root, *self._folders)))

    def owns(self, folder: Path) -> bool:
        """Whether exleak created one of the store's folders, so that its files may be removed."""
        return _is_marked(self.root) or _is_marked(folder)

    def all(self) -> Iterator[tuple[str, Segments, dict[str, Any] | None]]:
        """Kind, segments and description of everything stored; unusable without description."""
        for kind in ("generations", "scores"):
            for folder in sorted((self.root / kind).glob("*")):
                if not _NAME.fullmatch(folder.name) or not folder.is_dir():
                    continue
                head = _head(folder)
                yield kind, Segments(folder, head or ""), json.loads(head) if head else None


def _is_free(folder: Path) -> bool:
    return not folder.is_dir() or not any(folder.iterdir())


def _is_marked(folder: Path) -> bool:
    try:
        return (folder / ".gitignore").read_text(encoding="utf-8").startswith(_MARK)
    except (OSError, UnicodeDecodeError):
        return False


def _head(folder: Path) -> str | None:
    """The head of a folder's first readable segment."""
    for path in sorted(folder.glob("*.jsonl")):
        try:
            with path.open(encoding="utf-8") as file:
                return str(json.loads(file.readline())["head"])
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            continue
    return None


def digest(text: str) -> str:
    """Content key of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
