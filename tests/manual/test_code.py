"""Commands and settings in the pages are those that exleak takes."""

from __future__ import annotations

import configparser
import contextlib
import io
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exleak import cli
from exleak.datasets import load_dataset
from leakage_fixtures import environment
from leakage_fixtures.options import OPTIONS
from leakage_fixtures.settings import MODEL_KEYS
from tests.helpers.manual import DOCS, ROOT, commands, markdown
from tests.helpers.manual.markdown import Block

PAGES = markdown.pages()
#: Workflows to copy.
RECIPES = [*sorted(DOCS.glob("*.yml")), ROOT / "exleak" / "starting" / "leakage.yml"]
_SHELL = ("", "sh", "bash", "console", "text")
#: What may stand in front of a command.
_BEFORE = re.compile(r"^\s*(?:\$ |[A-Z_]+=\S+ )*")


def code(*languages: str) -> list[Block]:
    """The blocks of all pages in one of these languages."""
    return [block for page in PAGES for block in markdown.blocks(page, *languages)]


def lines() -> Iterator[tuple[str, str]]:
    """Every line that may be a command, with its place: of blocks, of recipes, and code spans."""
    for block in code(*_SHELL):
        for line in block.text.replace("\\\n", " ").splitlines():
            yield str(block), line
    for place, text in yamls():
        for line in texts(yaml.safe_load(text)):
            yield place, line
    for page in PAGES:
        for span in markdown.spans(page):
            if not span.startswith("--leakage-"):
                yield page.name, span
            elif re.search("[= ]", span) and not re.search(r"[A-Z|\[]", span):
                # Not if N or NAME stand for the value, or nothing.
                yield page.name, f"pytest {span}"


def yamls() -> Iterator[tuple[str, str]]:
    """The YAML of the pages and the recipes, each with its place."""
    yield from ((str(block), block.text) for block in code("yaml"))
    yield from ((path.name, path.read_text(encoding="utf-8")) for path in RECIPES)


def texts(value: Any) -> Iterator[str]:
    """The commands in YAML: lines of its texts, and arguments of pytest for exleak's action."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from ([f"pytest {item}"] if key == "arguments" else texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield from value.splitlines()


def typed(*words: str) -> list[tuple[str, list[str]]]:
    """The command lines that begin with one of these words, with their place; each once."""
    found: dict[str, tuple[str, list[str]]] = {}
    for place, line in lines():
        for part in line.split("&&"):
            text = _BEFORE.sub("", part).replace("…", " ")
            if text.startswith(tuple(f"{word} " for word in words)):
                found.setdefault(text, (place, shlex.split(text, comments=True)))
    return [*found.values()]


def refused(arguments: list[str]) -> str:
    """What the command line says of arguments that it does not take; nothing if it takes them."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli._parser().parse_args(arguments)
        except SystemExit as end:
            return said.getvalue() if end.code else ""
    return ""


def test_a_command_is_taken() -> None:
    """By the parser of ``exleak``. In the text, arguments may be left out: see below."""
    is_span = {page.name for page in PAGES}
    found = [(place, words) for place, words in typed("exleak") if place not in is_span]
    assert len(found) > 30
    said = {f"{place}: {shlex.join(words)}": refused(words[1:]) for place, words in found}
    assert {place: text for place, text in said.items() if text} == {}


@pytest.mark.parametrize(("place", "words"), typed("pytest"))
def test_an_option_of_pytest_is_taken(
    place: str, words: list[str], pytestconfig: pytest.Config
) -> None:
    """By pytest's parser with the plugin, and its value by the option."""
    parser = pytestconfig._parser
    known, unknown = parser.parse_known_and_unknown_args(words[1:])
    assert unknown == [], f"{place}: {shlex.join(words)}"
    for option in OPTIONS:
        value = getattr(known, option.dest)
        if value is not None and not option.flag:
            for one in value if isinstance(value, list) else [value]:
                option.kind(one)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_options_in_the_text_exist(page: Path) -> None:
    """Those of pytest wherever they stand, those of a command in a span that names it."""
    known = {option.spelling for option in OPTIONS}
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"--leakage-[a-z-]*[a-z]", text)) - known - {"--leakage"} == set()
    parsers = {name: parser for name, parser, _ in commands.commands()}
    for span in markdown.spans(page):
        path = re.match(r"exleak(?: [a-z][a-z-]*){0,2}", span)
        if path is None or not span.startswith("exleak "):
            continue
        names = [name for name in parsers if (path[0] + " ").startswith(name + " ")]
        under = any(name.startswith(path[0] + " ") for name in parsers)
        assert names or under, span
        options = {o for name in names for o in parsers[name]._option_string_actions}
        assert {*re.findall(r"--[a-z-]*[a-z]", span)} <= options | {"--help"}, span


def script(words: list[str]) -> Path:
    """The file that ``python`` runs with these arguments."""
    if words[1] != "-m":
        return ROOT / words[1]
    path = ROOT / Path(*words[2].split("."))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize(("place", "words"), typed("python"))
def test_a_script_is_there_and_has_the_options(place: str, words: list[str]) -> None:
    """Of benchmarks and examples."""
    path = script(words)
    if place.startswith("examples/"):
        path = (ROOT / place.partition(":")[0]).parent / words[1]
    assert path.is_file(), f"{place}: {shlex.join(words)}"
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    text = path.read_text(encoding="utf-8")
    assert [option for option in options if f'"{option}"' not in text] == []


def test_extras_exist() -> None:
    """Those in ``exleak[NAME]``, and in ``.[NAME]`` in the clone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {*project["optional-dependencies"], "NAME"}
    found = {
        (page.name, extra)
        for page in PAGES
        for extras in re.findall(r"(?:exleak|'\.)\[([\w,]+)\]", page.read_text(encoding="utf-8"))
        for extra in extras.split(",")
    }
    assert len(found) > 5
    assert [(page, extra) for page, extra in found if extra not in known] == []


def test_environment_variables_exist() -> None:
    """Those of options, and the few others."""
    known = {*(option.variable for option in OPTIONS), *environment.OTHERS}
    for path in (*PAGES, *RECIPES):
        names = set(re.findall(r"\bEXLEAK_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
        assert names - known == set(), path.name


@pytest.mark.parametrize("block", code("toml"), ids=str)
def test_a_table_of_models_has_known_keys(block: Block) -> None:
    """Those of leakage.toml."""
    for entry in tomllib.loads(block.text).get("models", {}).values():
        assert set(entry) <= {*MODEL_KEYS, "enable_thinking"}


def test_the_table_of_keys_has_every_key() -> None:
    """On the page of settings, each once."""
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    table = text.partition("| keys |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    keys = [key for row in rows for key in re.findall(r"`(\w+)`", row)]
    assert sorted(keys) == sorted({*MODEL_KEYS, "enable_thinking"})


@pytest.mark.parametrize("block", code("ini"), ids=str)
def test_an_ini_file_has_known_keys(block: Block) -> None:
    """Those of the plugin begin as its options do."""
    parser = configparser.ConfigParser()
    parser.read_string(block.text)
    given = {key for section in parser.values() for key in section if key.startswith("leakage")}
    assert given
    assert given <= {option.dest for option in OPTIONS}


@pytest.mark.parametrize("block", code("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    """A block is one value, or one a line."""
    try:
        json.loads(block.text)
    except ValueError:
        for line in block.text.splitlines():
            json.loads(line)


def test_the_dataset_to_write_is_one(tmp_path: Path) -> None:
    """That of the page on datasets."""
    (block,) = markdown.blocks(DOCS / "dataset.md", "json")
    (tmp_path / "mine.jsonl").write_text(block.text, encoding="utf-8")
    assert load_dataset(tmp_path / "mine.jsonl").license == "CC0"


def test_no_block_is_left_out() -> None:
    """The language of each is one that is checked, or is drawn."""
    checked = {*_SHELL, "python", "pycon", "toml", "ini", "yaml", "json", "mermaid"}
    for page in PAGES:
        for language in re.findall(r"^ *```(\S+)$", page.read_text(encoding="utf-8"), flags=re.M):
            assert language in checked, f"{page.name}: {language}"
