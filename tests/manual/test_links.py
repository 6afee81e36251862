"""Links between the pages lead somewhere, on a code host as on the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.manual import ROOT, markdown

PAGES = markdown.pages()


def broken(page: Path) -> list[str]:
    """The relative links of a page whose file or heading does not exist."""
    found = []
    for link in markdown.links(page):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_page = target.suffix == ".md"
        if not target.exists() or (anchor and is_page and anchor not in markdown.anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Files and headings exist."""
    assert broken(page) == []


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    """A file that is not there, and a heading; a link within code is none."""
    (tmp_path / "b.md").write_text("# A title, with `code`\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[a](b.md#a-title-with-code) [b](b.md#twice-1) [c](b.md#thrice) [d](c.md) `[e](d.md)` "
        "![f](f.svg)"
    )
    assert broken(page) == ["b.md#thrice", "c.md", "f.svg"]


def named_in(folders: tuple[str, ...], root: Path = ROOT) -> Iterator[tuple[str, str, str]]:
    """The pages that code names: a file, the page's path, and a heading's anchor or nothing."""
    kinds = {".py", ".yml", ".toml", ".sh", ".html", ".ipynb"}
    for path in (path for folder in folders for path in (root / folder).rglob("*")):
        if path.suffix in kinds:
            text = path.read_text(encoding="utf-8")
            for page, anchor in re.findall(r"\b(docs/[\w/.-]+\.md)(?:#([\w-]+))?", text):
                yield path.relative_to(root).as_posix(), page, anchor


def test_pages_named_in_the_code_exist() -> None:
    """In messages, comments, help and files that are copied."""
    folders = ("exleak", "leakage_fixtures", "training", "benchmarks", "examples", "action", "docs")
    found = [*named_in(folders)]
    assert ("leakage_fixtures/options.py", "docs/endpoint.md", "") in found
    for place, page, anchor in found:
        assert (ROOT / page).is_file(), f"{place}: {page}"
        assert not anchor or anchor in markdown.anchors(ROOT / page), f"{place}: {page}#{anchor}"


def test_every_page_is_in_the_navigation() -> None:
    """The site lists every page of docs/."""
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    docs = ROOT / "docs"
    pages = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md")]
    assert [page for page in pages if f": {page}\n" not in listed] == []


def test_nothing_comes_from_another_machine() -> None:
    """No picture of a page has an address; the theme loads no web fonts."""
    for page in PAGES:
        pictures = [link for link in markdown.links(page) if link.endswith((".svg", ".png"))]
        assert [link for link in pictures if "://" in link] == []
    assert "  font: false\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
