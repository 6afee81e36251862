"""What is written into a repository, and what stays as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from exleak.errors import SettingsError
from exleak.starting.files import File, plan, write
from exleak.starting.search import Found

NAMES = ["tests/test_leakage.py", "leakage.toml", ".gitignore", ".github/workflows/leakage.yml"]
LINE = "from leakage_fixtures.suite import TestLeakage  # noqa: F401\n"


def planned(folder: Path, *models: Found) -> dict[str, File]:
    """The files by their paths."""
    return {file.path: file for file in plan(folder, models, cuda=False)}


def written(folder: Path) -> dict[str, bytes]:
    """The contents of all files."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def start(folder: Path) -> None:
    """Write what is planned."""
    for file in planned(folder).values():
        write(folder, file)


def test_an_empty_folder_gets_four_files(tmp_path: Path) -> None:
    """A second time changes nothing."""
    start(tmp_path)
    first = written(tmp_path)
    assert sorted(first) == sorted(NAMES)
    assert first[NAMES[0]].decode() == LINE
    assert first[".gitignore"] == b".exleak/\n"
    assert f"pytest {NAMES[0]} ".encode() in first[NAMES[3]]
    start(tmp_path)
    assert written(tmp_path) == first
    assert all(file.text is None for file in planned(tmp_path).values())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_there_is_not_overwritten(name: str, tmp_path: Path) -> None:
    """Not even a link that leads nowhere."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("# mine")
    start(tmp_path)
    assert (tmp_path / name).read_bytes().startswith(b"# mine")
    (tmp_path / NAMES[3]).unlink()
    (tmp_path / NAMES[3]).symlink_to("nowhere")
    assert planned(tmp_path)[NAMES[3]].text is None


def test_a_test_file_without_the_line_is_told_so(tmp_path: Path) -> None:
    """One with it, whatever else it has, is complete."""
    (tmp_path / "tests").mkdir()
    (tmp_path / NAMES[0]).write_text("def test_mine(): ...\n")
    assert planned(tmp_path)[NAMES[0]].wanted == LINE
    (tmp_path / NAMES[0]).write_text("import leakage_fixtures.suite as suite\n")
    assert planned(tmp_path)[NAMES[0]].wanted == ""


def test_a_leakage_toml_is_told_what_it_lacks(tmp_path: Path) -> None:
    """As text that can be added to it."""
    (tmp_path / "leakage.toml").write_text("[models.b]\n")
    file = planned(tmp_path, Found("a", "a"))["leakage.toml"]
    assert (file.text, file.note) == (None, "is there, without a")
    assert tomllib.loads(file.wanted) == {"models": {"a": {"path": "a", "device": "cpu"}}}


@pytest.mark.parametrize("line", [b".exleak", b".exleak/ ", b"/.exleak/", b"/.exleak"])
def test_gitignore_is_left_if_it_has_the_line(line: bytes, tmp_path: Path) -> None:
    """In any of its spellings."""
    (tmp_path / ".gitignore").write_bytes(b"x\n" + line + b"\ny\n")
    assert planned(tmp_path)[".gitignore"].text is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b".exleak/\n"),
        (b"a", b"a\n.exleak/\n"),
        (b"# .exleak/\n", b"# .exleak/\n.exleak/\n"),
        (b"a\r\nb", b"a\r\nb\r\n.exleak/\r\n"),
        (b"\xff\n", b"\xff\n.exleak/\n"),
    ],
)
def test_gitignore_gets_the_line(before: bytes, after: bytes, tmp_path: Path) -> None:
    """On a line of its own, with the file's own line breaks."""
    (tmp_path / ".gitignore").write_bytes(before)
    start(tmp_path)
    assert (tmp_path / ".gitignore").read_bytes() == after


def test_the_workflow_belongs_to_the_top_of_the_repository(tmp_path: Path) -> None:
    """GitHub reads none below; without a repository, the folder is its top."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "below").mkdir()
    assert planned(tmp_path)[NAMES[3]].text is not None
    file = planned(tmp_path / "below")[NAMES[3]]
    assert file.text is None
    assert str(tmp_path) in file.note


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Nor is a file in the place of a folder."""
    files = planned(tmp_path)
    (tmp_path / "leakage.toml").write_text("mine")
    (tmp_path / "tests").write_text("mine")
    for name in NAMES[:2]:
        with pytest.raises(SettingsError, match="in the way"):
            write(tmp_path, files[name])
    assert (tmp_path / "leakage.toml").read_text() == "mine"


def test_a_folder_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    """It says which."""
    (tmp_path / ".gitignore").mkdir()
    with pytest.raises(SettingsError, match="gitignore: cannot be read"):
        plan(tmp_path, (), cuda=False)
