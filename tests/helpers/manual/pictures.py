"""The pictures of the README: a session in a terminal, and the report page that it writes.

``python -m tests.helpers.manual.pictures`` makes both anew, from a real run; it needs Chromium, as
the tests in a browser do (:mod:`tests.helpers.browser`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.helpers.manual import DOCS, ROOT

TERMINAL, REPORT = DOCS / "figures" / "terminal.svg", DOCS / "figures" / "report.png"
COMMAND = "pytest tests/test_leakage.py"
#: Characters of a line of the terminal, and the size of one in pixels.
COLUMNS, WIDTH, HEIGHT = 122, 8, 18
_CODE = re.compile(r"\x1b\[([\d;]*)m")
_STYLE = """
.t{font:13px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
.t{--b:#fff;--i:#1f2328;--r:#b3261e;--g:#1c6b3a;--y:#7a5200;--c:#1f5f8b;--l:#ccc}
@media(prefers-color-scheme:dark){
.t{--b:#16191d;--i:#e8e6e1;--r:#ff8f85;--g:#7fd19b;--y:#e8bf5f;--c:#7cb8e4;--l:#3a424c}}
.t text{fill:var(--i);white-space:pre}
.t rect{fill:var(--b);stroke:var(--l)}.t .c1{font-weight:bold}
.t .c31{fill:var(--r)}.t .c32{fill:var(--g)}.t .c33{fill:var(--y)}.t .c36{fill:var(--c)}
""".strip().replace("\n", "")


def session(*options: str) -> str:
    """What :data:`COMMAND` prints in a terminal, with its colours."""
    found = subprocess.run(
        [sys.executable, "-m", *COMMAND.split(), "--color=yes", *options],
        cwd=ROOT, env={**os.environ, "COLUMNS": str(COLUMNS)}, text=True, check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    return found.stdout.replace(str(ROOT), "~/exleak").rstrip("\n")


def drawn(output: str, title: str) -> str:
    """A terminal with this text as SVG.

    Args:
        output: Lines, with the codes of colours that terminals know.
        title: What a reader hears who does not see it.
    """
    lines = [row for line in (f"$ {COMMAND}", *output.split("\n")) for row in _rows(line)]
    width, height = COLUMNS * WIDTH + 32, len(lines) * HEIGHT + 24
    rows = []
    for place, line in enumerate(lines):
        parts = []
        for kind, cells in groupby(line, key=lambda cell: cell[1]):
            text = escape("".join(character for character, _ in cells))
            parts.append(f'<tspan class="{kind}">{text}</tspan>' if kind else text)
        if line:
            # As wide as in a terminal, whatever font there is.
            rows.append(
                f'<text x="16" y="{place * HEIGHT + 26}" textLength="{len(line) * WIDTH}">'
                f"{''.join(parts)}</text>"
            )
    head = (
        f'<svg class="t" xmlns="http://www.w3.org/2000/svg" xml:space="preserve" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">'
    )
    frame = f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", frame, *rows, "</svg>"]) + "\n"


def _rows(line: str) -> list[list[tuple[str, str]]]:
    """A line as a terminal shows it: broken where it is too long, each character with its class."""
    cells = []
    parts, codes = _CODE.split(line), set[str]()
    for text, code in zip(parts[::2], ["", *parts[1::2]], strict=True):
        for one in filter(None, code.split(";")):
            codes = set() if one == "0" else codes | {one}
        kind = " ".join(f"c{code}" for code in sorted(codes))
        cells += [(character, kind) for character in text]
    return [cells[at : at + COLUMNS] for at in range(0, len(cells) or 1, COLUMNS)]


def photographed(page: Path, fragment: str) -> bytes:
    """What a link to a page shows, as a PNG."""
    from tests.helpers.browser import chromium, screen

    with tempfile.TemporaryDirectory() as folder:
        driver: Any = chromium(Path(folder))
        try:
            screen(driver, width=1100, height=720)
            driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            driver.get(f"{page.as_uri()}#{fragment}")
            found: bytes = driver.get_screenshot_as_png()
        finally:
            driver.quit()
    return found


def main() -> None:
    """Write both pictures."""
    title = "A session: both reference models are measured; the table has one line for each."
    TERMINAL.write_text(drawn(session(), title), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        session(f"--leakage-report={page}")
        pairs = "prompts?measurement=reference-leaky-on-hexl&condition=negative"
        REPORT.write_bytes(photographed(page, pairs))


if __name__ == "__main__":
    main()
