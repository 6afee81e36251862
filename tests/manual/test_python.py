"""Python in the pages: names exist, and calls have arguments that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

import exleak
from tests.helpers.manual import DOCS, ROOT, markdown, python
from tests.helpers.manual.markdown import Block

PAGES = [page for page in markdown.pages() if page.name != "python.md"]
BLOCKS = [block for page in PAGES for block in markdown.blocks(page, "python")]
_CALLBACK = "exleak.integrations.transformers.LeakageCallback"
_ATTACH = "exleak.integrations.transformers.attach"
#: Names that stand in the text without an import.
_KNOWN = {"LeakageCallback": _CALLBACK, "attach": _ATTACH, "measure": "exleak.measure"}
#: Whose arguments a function hands on.
_HANDED_ON = {_ATTACH: _CALLBACK}
#: Of which class the fields may be given, as a mapping.
_FIELDS = {"limits": "exleak.Limits", "sampling": "exleak.Sampling"}


def imported(tree: ast.AST) -> dict[str, str]:
    """The names that are imported from this repository, with where they are defined."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").partition(".")[0] in ("exleak", "leakage_fixtures")
        for alias in node.names
    }


def problems(text: str, known: Mapping[str, str] | None = None) -> Iterator[str]:
    """What does not exist of the names of ``exleak``, and of the arguments of calls.

    Args:
        text: Python, in which … stands for anything.
        known: Names of the repository besides those that the text imports.
    """
    tree = ast.parse(text.replace("…", "..."))
    names = {**(known or {}), **imported(tree)}
    yield from (name for name in names.values() if not exists(name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "exleak":
            if node.attr not in exleak.__all__ and not exists(f"exleak.{node.attr}"):
                yield f"exleak.{node.attr}"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            name = names.get(called, called)
            if name.startswith("exleak.") and exists(name):
                yield from (f"{called}({key}=…)" for key in unknown(name, node))


def unknown(name: str, call: ast.Call) -> Iterator[str]:
    """The arguments of a call that a function or class does not have."""
    taken = parameters(name)
    for keyword in call.keywords:
        if keyword.arg and taken and keyword.arg not in taken:
            yield keyword.arg
        elif keyword.arg in _FIELDS and isinstance(keyword.value, ast.Dict):
            keys = {ast.literal_eval(key) for key in keyword.value.keys if key}
            yield from (f"{keyword.arg}: {key}" for key in keys - parameters(_FIELDS[keyword.arg]))


def parameters(name: str) -> set[str]:
    """The names of a function's arguments, or of a class's; empty for a constant."""
    node = python.find(_HANDED_ON.get(name, name))
    if isinstance(node, ast.Assign):
        return set()
    if isinstance(node, ast.ClassDef):
        own = [part for part in node.body if isinstance(part, ast.FunctionDef)]
        makers = [part for part in own if part.name == "__init__"]
        if not makers:
            fields = (part.target for part in node.body if isinstance(part, ast.AnnAssign))
            return {field.id for field in fields if isinstance(field, ast.Name)}
        node = makers[0]
    return {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}


def exists(name: str) -> bool:
    """Whether a dotted name is a module, a name in one, or a method of a class in one."""
    path = ROOT / Path(*name.split("."))
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    try:
        python.find(name)
    except (KeyError, OSError):
        owner, _, method = name.rpartition(".")
        try:
            node = python.find(owner) if "." in owner else None
        except (KeyError, OSError):
            return False
        return isinstance(node, ast.ClassDef) and any(
            isinstance(part, ast.FunctionDef) and part.name == method for part in node.body
        )
    return True


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_python_is_python_and_its_names_exist(block: Block) -> None:
    """In blocks."""
    assert [*problems(block.text)] == []


def test_python_in_the_text_exists() -> None:
    """Calls and dotted names in code spans."""
    seen = set()
    for page in PAGES:
        for span in markdown.spans(page):
            if re.fullmatch(r"exleak(?:\.\w+)+", span):
                assert exists(span), f"{page.name}: {span}"
                seen.add("name")
            elif re.fullmatch(r"(?:exleak\.[\w.]+|LeakageCallback|attach|measure)\(.*\)", span):
                assert [*problems(span, _KNOWN)] == [], f"{page.name}: {span}"
                seen.add("call")
    assert seen == {"name", "call"}


def test_what_does_not_exist_would_be_found() -> None:
    """Names, arguments, and fields."""
    wrong = "import exleak\nfrom exleak.reports import nothing\nexleak.mesure('a', limit=1)"
    assert [*problems(wrong)] == ["exleak.reports.nothing", "exleak.mesure"]
    assert [*problems("exleak.measure(…, limt=1)")] == ["exleak.measure(limt=…)"]
    callback = "attach(t, limits={'max_rat': 1}, sampling={'generations': 4}, on_fial='stop')"
    assert [*problems(callback, _KNOWN)] == [
        "attach(limits: max_rat=…)", "attach(on_fial=…)",
    ]  # fmt: skip
    assert not exists("exleak.Measurement.to_yaml")


def test_settings_of_axolotl_are_those_of_the_callback() -> None:
    """Below ``leakage``, also those of limits and sampling."""
    blocks = [yaml.safe_load(b.text) for b in markdown.blocks(DOCS / "training.md", "yaml")]
    (given,) = [block["leakage"] for block in blocks if "leakage" in block]
    assert set(given) <= parameters(_CALLBACK)
    for name, kind in _FIELDS.items():
        assert set(given[name]) <= parameters(kind)


def test_files_in_the_text_exist() -> None:
    """Those of the repository's folders, by their path from its top."""
    folders = "exleak|leakage_fixtures|benchmarks|examples|training|docs"
    found = [
        (page.name, span)
        for page in PAGES
        for span in markdown.spans(page)
        if re.fullmatch(rf"(?:{folders})/[\w./-]+\.\w+", span) and "NAME" not in span
    ]
    assert len(found) > 5
    assert [(page, path) for page, path in found if not (ROOT / path).is_file()] == []
