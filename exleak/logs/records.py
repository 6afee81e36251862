"""What a reader takes from a file: prompts as they were asked, with their generations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from exleak.errors import DatasetError
from exleak.files import decoded, object_in
from exleak.logs.node import whole


@dataclass(frozen=True)
class Asked:
    """A prompt as a tool logged it, with what the model answered.

    Attributes:
        where: The file, and the line or member.
        texts: The prompt's text in every form that may be that of a dataset, such as a whole chat
            and its last user message; the first is the one that was sent.
        generations: The answers; ``None`` where a request failed.
        id: Its id, if it has one.
    """

    where: str
    texts: tuple[str, ...]
    generations: tuple[str | None, ...]
    id: str | None = None


@dataclass(frozen=True)
class Answers:
    """The prompts of a file.

    Attributes:
        asked: The prompts, in file order.
        model: The model's name; empty if the file does not tell.
        notes: What a reader of the rates must know of the run, such as that it was cut short.
    """

    asked: tuple[Asked, ...]
    model: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """The columns of a table; ``None`` or empty takes the usual ones.

    Attributes:
        prompt: The prompt's text.
        generations: One generation each, or a list of them.
        id: The prompt's id in the dataset.
    """

    prompt: str | None = None
    generations: tuple[str, ...] = ()
    id: str | None = None

    def __bool__(self) -> bool:
        """Whether any is given."""
        return self != Columns()


@dataclass(frozen=True)
class Head:
    """A file that was opened, by whose beginning its format is found out.

    Attributes:
        path: The file.
        kind: How it is written: a zip archive, Parquet, a JSON object over several lines, JSON
            objects one a line, or other text.
        value: The first JSON object.
        text: All of it; empty for an archive and Parquet.
    """

    path: Path
    kind: Literal["zip", "parquet", "object", "lines", "text"]
    value: dict[str, Any] = field(default_factory=dict)
    text: str = field(default="", repr=False)

    def has(self, *names: str) -> bool:
        """Whether the first JSON object has these fields."""
        return all(name in self.value for name in names)

    @property
    def is_report(self) -> bool:
        """Whether it is a report of exleak, which holds no generations."""
        return self.has("schema", "measurements")


def head_of(path: Path) -> Head:
    """Open a file.

    Raises:
        DatasetError: It cannot be read, is neither of the kinds nor UTF-8, or is damaged JSON.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start == b"PK\x03\x04":
                return Head(path, "zip")
            if start == b"PAR1":
                return Head(path, "parquet")
            content = start + file.read()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    whole_text = decoded(content, path)
    text = whole_text.lstrip()
    if text.startswith("["):
        raise DatasetError(f"{path}: a JSON list; write its objects one a line (JSON lines)")
    if not text.startswith("{"):
        return Head(path, "text", text=whole_text)
    first = text.partition("\n")[0].strip()
    if first == "{":
        return Head(path, "object", whole(text, str(path)).value, whole_text)
    return Head(path, "lines", object_in(first, f"{path}, line 1"), whole_text)
