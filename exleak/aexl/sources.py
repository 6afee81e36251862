"""Text sources: files of several formats, folders, standard input, the hub.

A source is a list of *parts*. Each is read in blocks of records, so that only a block is in memory
at a time. Unusable records are counted; an unreadable part is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exleak.aexl import formats
from exleak.aexl.formats import Part, Reading
from exleak.errors import DatasetError

CORPUS = "corpus"
HUB = "hub:"
BLOCK = 512
_CORPUS_PATH = Path(__file__).parents[1] / "datasets" / "corpus.jsonl.gz"
_UNREADABLE = re.compile("[\ufffd\ud800-\udfff]")
_PROGRAMS = ("__MACOSX", "__pycache__")
#: Number of records after which the encoding is checked.
_TRIAL = 20


@dataclass(frozen=True)
class Block:
    """A number of consecutive records of a part.

    Attributes:
        texts: Their texts, one or more sentences each.
        problems: Number of records without a text, by reason.
        position: Bytes of the part read so far, 0 if unknown.
    """

    texts: tuple[str, ...]
    problems: dict[str, int] = field(default_factory=dict)
    position: int = 0


def find_parts(sources: Sequence[str | Path], reading: Reading) -> tuple[list[Part], int]:
    """Resolve sources into parts.

    Args:
        sources: Files, folders, ``"-"`` for standard input, ``"hub:NAME"``, or ``"corpus"`` for
            the corpus that is part of exleak.
        reading: Settings for reading them.

    Returns:
        The parts in order, with files of folders sorted; and the number of files of unknown format
        in folders.

    Raises:
        DatasetError: A source does not exist, or a folder has no readable file.
    """
    parts: list[Part] = []
    ignored = 0
    for source in map(str, sources):
        path = Path(source)
        if source == "-":
            parts.append(Part("stdin", "-"))
        elif source.startswith(HUB):
            parts.append(Part("hub", source.removeprefix(HUB)))
        elif source == CORPUS and not path.exists():
            parts.append(Part("file", str(_CORPUS_PATH), _CORPUS_PATH.stat().st_size))
        elif path.is_dir():
            known, unknown = _folder(path, reading)
            parts += known
            ignored += unknown
        elif path.exists():
            size = path.stat().st_size if path.is_file() else 0
            parts.append(Part("file", source, size))
        else:
            raise DatasetError(
                f"{source}: there is no such file or folder; a dataset on the Hugging Face hub is "
                f"named {HUB}OWNER/NAME"
            )
    if not parts:
        raise DatasetError("no source: give files, folders, - or hub:OWNER/NAME")
    return parts, ignored


def _folder(folder: Path, reading: Reading) -> tuple[list[Part], int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [path for path in files if not _is_hidden(path.relative_to(folder))]
    known = [p for p in files if reading.format or formats.format_of(p) is not None]
    if not known:
        raise DatasetError(
            f"{folder}: no file of a known format in it ({', '.join(formats.SUFFIXES)}, plain or "
            "compressed); name the format with --format"
        )
    parts = [Part("file", str(path), path.stat().st_size) for path in known]
    return parts, len(files) - len(known)


def _is_hidden(path: Path) -> bool:
    """Whether a path is hidden or a program's internal file, such as a repository's or cache's."""
    return any(name.startswith(".") or name in _PROGRAMS for name in path.parts)


def read(part: Part, reading: Reading, block: int = BLOCK) -> Iterator[Block]:
    """Read a part in blocks.

    Args:
        part: The part.
        reading: Settings for reading it.
        block: Number of records per block.

    Raises:
        DatasetError: The part cannot be read; the message says where and why.
    """
    records = formats.records(part, reading)
    texts: list[str] = []
    problems: Counter[str] = Counter()
    unreadable = 0
    for seen, (text, problem, position) in enumerate(records, start=1):
        if problem is None and _UNREADABLE.search(text):
            problem = "not decodable"
            unreadable += 1
        if seen == _TRIAL and unreadable > _TRIAL // 2:
            raise DatasetError(
                f"{part.name}: {unreadable} of the first {seen} records are not "
                f"{reading.encoding.upper()} text; name the encoding with --encoding"
            )
        if problem is not None:
            problems[problem] += 1
        elif text.strip():
            texts.append(text)
        else:
            problems["blank"] += 1
        if len(texts) + problems.total() >= block:
            yield Block(tuple(texts), dict(problems), position)
            texts, problems = [], Counter()
    if texts or problems:
        yield Block(tuple(texts), dict(problems), part.size)
