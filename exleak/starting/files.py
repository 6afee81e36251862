"""What ``exleak init`` writes into a repository; a file that is there stays as it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from exleak.errors import SettingsError
from exleak.model_names import TOML
from exleak.starting.entries import missing, models_text, toml_text
from exleak.starting.installed import requirement
from exleak.starting.search import Found

TEST = "tests/test_leakage.py"
#: With the mark for linters, of which some remove what seems unused.
IMPORT = "from leakage_fixtures.suite import TestLeakage  # noqa: F401"
WORKFLOW = ".github/workflows/leakage.yml"
GITIGNORE = ".gitignore"
STORE = ".exleak/"
_SUITE = "leakage_fixtures.suite"
#: Spellings of the line in .gitignore.
_IGNORED = {b".exleak", b".exleak/", b"/.exleak", b"/.exleak/"}


@dataclass(frozen=True)
class File:
    """A file, and what becomes of it.

    Attributes:
        path: Its path from the repository's folder.
        text: What is written; ``None`` if it stays as it is.
        note: Why it stays, or what its reader has to do.
        wanted: Text that it lacks, and that its reader may add.
        is_addition: Whether the text is added at the end of a file that is there.
    """

    path: str
    text: str | None
    note: str = ""
    wanted: str = ""
    is_addition: bool = False


def plan(folder: Path, models: tuple[Found, ...], *, cuda: bool) -> tuple[File, ...]:
    """The files of a repository, before anything is written.

    Args:
        folder: The repository's folder.
        models: The checkpoints in it.
        cuda: Whether this machine has CUDA.

    Raises:
        SettingsError: A file that is there cannot be read, or leakage.toml is not TOML.
    """
    return (
        _test(folder),
        _toml(folder, models, cuda),
        _gitignore(folder),
        _workflow(folder),
    )


def _test(folder: Path) -> File:
    if not os.path.lexists(folder / TEST):
        return File(TEST, f"{IMPORT}\n")
    if _SUITE.encode() in _bytes(folder / TEST):
        return File(TEST, None, "is there, and imports the suite")
    return File(TEST, None, "is there, without the suite's line", f"{IMPORT}\n")


def _toml(folder: Path, models: tuple[Found, ...], cuda: bool) -> File:
    if not os.path.lexists(folder / TOML):
        return File(TOML, toml_text(models, cuda=cuda))
    lacking = missing(folder / TOML, models)
    if not lacking:
        return File(TOML, None, "is there, and has all that was found")
    names = ", ".join(found.name for found in lacking)
    return File(TOML, None, f"is there, without {names}", models_text(lacking, cuda=cuda))


def _gitignore(folder: Path) -> File:
    path = folder / GITIGNORE
    if not os.path.lexists(path):
        return File(GITIGNORE, f"{STORE}\n")
    content = _bytes(path)
    if any(line.strip() in _IGNORED for line in content.splitlines()):
        return File(GITIGNORE, None, f"is there, with {STORE}")
    end = "\r\n" if b"\r\n" in content else "\n"
    start = "" if not content or content.endswith((b"\n", b"\r")) else end
    return File(GITIGNORE, f"{start}{STORE}{end}", f"line {STORE}", is_addition=True)


def _workflow(folder: Path) -> File:
    if os.path.lexists(folder / WORKFLOW):
        return File(WORKFLOW, None, "is there")
    repositories = (place for place in (folder, *folder.parents) if (place / ".git").exists())
    if (top := next(repositories, folder)) != folder:
        return File(WORKFLOW, None, f"is read by GitHub in {top} alone, where none is written")
    text = Path(__file__).with_name("leakage.yml").read_text(encoding="utf-8")
    wanted, is_known = requirement()
    note = "" if is_known else f"its `pip install {wanted}` needs an address"
    return File(WORKFLOW, text.replace("EXLEAK", wanted), note)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}); move it away") from None


def write(folder: Path, file: File) -> None:
    """Write or add to a file; one that appeared meanwhile is not overwritten.

    Raises:
        SettingsError: The file appeared meanwhile, or a file is where its folder should be.
    """
    if file.text is None:
        return
    path = folder / file.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if file.is_addition else "x", encoding="utf-8", newline="") as stream:
            stream.write(file.text)
    except FileExistsError as error:
        raise SettingsError(f"{error.filename}: in the way; move it, and start again") from None
