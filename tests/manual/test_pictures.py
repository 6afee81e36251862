"""The pictures of the README are of today's session, and small."""

from __future__ import annotations

import re
from html import unescape

from tests.helpers.manual import ROOT
from tests.helpers.manual.pictures import COLUMNS, COMMAND, REPORT, TERMINAL, drawn


def shown(figure: str) -> list[str]:
    """The lines of a drawn terminal."""
    return [unescape(re.sub("<[^>]*>", "", line)) for line in re.findall("<text.*?</text>", figure)]


def test_the_terminal_shows_the_readmes_command_and_table() -> None:
    """Line by line; neither a path nor anything else of the machine that it was made on."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = shown(TERMINAL.read_text(encoding="utf-8"))
    assert lines[0] == f"$ {COMMAND}"
    assert f"&& {COMMAND}\n" in readme
    table = [line for line in readme.splitlines() if line.startswith(("model  ", "reference-"))]
    assert len(table) == 3
    assert [line for line in lines if line in table] == table
    assert not [line for line in lines if re.search(r"(?<![\w~.])/\w", line)]


def test_pictures_are_small() -> None:
    """Each is less than 150 kB."""
    for picture in (TERMINAL, REPORT):
        assert 1_000 < picture.stat().st_size < 150_000


def test_a_line_has_its_colours_and_ends_where_the_terminal_does() -> None:
    """Also one that is longer; codes add up until they are reset."""
    figure = drawn(f"\x1b[31mred \x1b[1m<b>\x1b[0m plain\n\n{'x' * COLUMNS}yz", "a & b")
    assert shown(figure) == [f"$ {COMMAND}", "red <b> plain", "x" * COLUMNS, "yz"]
    assert '<tspan class="c31">red </tspan><tspan class="c1 c31">&lt;b&gt;</tspan> plain' in figure
    assert 'aria-label="a &amp; b"' in figure
    assert [int(y) for y in re.findall(r'<text x="16" y="(\d+)"', figure)] == [26, 44, 80, 98]
