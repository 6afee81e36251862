"""Commands and code in the pages are those that exleak takes."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import exleak
from exleak import cli
from leakage_fixtures.options import OPTIONS
from leakage_fixtures.settings import MODEL_KEYS
from tests.helpers.manual import ROOT, commands, markdown, python
from tests.helpers.manual.markdown import Block

PAGES = markdown.pages()
_SHELL = ("", "sh", "console")


def typed(words: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """The command lines in fenced blocks that begin with one of these words, with their place."""
    for page in PAGES:
        for block in markdown.blocks(page, *_SHELL):
            for line in block.text.replace("\\\n", " ").splitlines():
                for part in line.split("&&"):
                    if part.strip().startswith(tuple(f"{word} " for word in words)):
                        text = part.replace("…", " ")
                        yield str(block), shlex.split(text, comments=True)


def refused(arguments: list[str]) -> str:
    """What the command line says of arguments that it does not take; nothing if it takes them."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli._parser().parse_args(arguments)
        except SystemExit as end:
            return said.getvalue() if end.code else ""
    return ""


@pytest.mark.parametrize(("place", "words"), [*typed(("exleak",))])
def test_a_command_is_taken(place: str, words: list[str]) -> None:
    """By the parser of ``exleak``."""
    assert refused(words[1:]) == "", f"{place}: {shlex.join(words)}"


@pytest.mark.parametrize(("place", "words"), [*typed(("pytest",))])
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


def code(*languages: str) -> list[Block]:
    """The blocks of all pages in one of these languages."""
    return [block for page in PAGES for block in markdown.blocks(page, *languages)]


@pytest.mark.parametrize(
    "block", [b for b in code("python") if b.page.name != "python.md"], ids=str
)
def test_python_is_python_and_its_names_exist(block: Block) -> None:
    """Names imported from exleak, and attributes of ``exleak`` itself."""
    for node in ast.walk(ast.parse(block.text.replace("…", "..."))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exleak."):
            for alias in node.names:
                python.find(f"{node.module}.{alias.name}")
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "exleak":
            assert node.attr in exleak.__all__


@pytest.mark.parametrize("block", code("toml"), ids=str)
def test_a_table_of_models_has_known_keys(block: Block) -> None:
    """Those of leakage.toml."""
    for entry in tomllib.loads(block.text).get("models", {}).values():
        assert set(entry) <= {*MODEL_KEYS, "enable_thinking"}


@pytest.mark.parametrize("block", code("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    """A block is one value, or one a line."""
    try:
        json.loads(block.text)
    except ValueError:
        for line in block.text.splitlines():
            json.loads(line)
