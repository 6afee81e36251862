"""What `mkdocs build` does beside rendering: linked files of the repository, diagrams and figures.

Pages are written to be read on a code host too. There a link may lead out of `docs/`, and a Mermaid
block is drawn. On the site, such a file is copied into it, and the block becomes a table: Mermaid's
script would come from another machine. Figures become part of the page, and so have its colours.
Output (blocks of `text`) has no button to copy it, which would cover a part of it. A page that
would load anything from another machine is warned of.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
#: Where linked files of the repository lie on the site.
FOLDER = "repository"
_LINK = re.compile(r"(?<=\]\()(?:\.\./)+[^)#\s]+")
_MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FIGURE = re.compile(r"!\[[^\]]*\]\(((?:\.\./)*figures/[\w-]+\.svg)\)")
_OUTPUT = re.compile(r"^```text$", re.MULTILINE)
_LOADED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
_log = get_plugin_logger("hooks")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Rewrite a page before it is rendered."""
    folder = posixpath.dirname(page.file.src_uri)

    def linked(match: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join("docs", folder, match[0]))
        if place.startswith(("docs/", "../")) or not (ROOT / place).is_file():
            return match[0]
        # As text: mkdocs takes Markdown for a page.
        uri = f"{FOLDER}/{place}{'.txt' if place.endswith('.md') else ''}"
        if files.get_file_from_path(uri) is None:
            content = (ROOT / place).read_bytes()
            files.append(File.generated(config, uri, content=content))
        return posixpath.relpath(uri, folder or ".")

    def drawn(match: re.Match[str]) -> str:
        path = Path(page.file.abs_src_path).parent / match[1]
        # No empty line: it would end the HTML.
        return f'<div class="figure">{path.read_text(encoding="utf-8").strip()}</div>'

    markdown = _OUTPUT.sub("``` {.text .no-copy}", _LINK.sub(linked, markdown))
    return _FIGURE.sub(drawn, _MERMAID.sub(_table, markdown))


def on_post_page(output: str, *, page: Any, config: Any) -> None:
    """Warn, which is an error in a strict build, of what a page would load from elsewhere."""
    for tag in _LOADED.findall(output):
        _log.warning("%s loads something from another machine: %s", page.file.src_uri, tag)


def _table(match: re.Match[str]) -> str:
    names = dict(re.findall(r"(\w+)\[(.+?)\]", match[1]))
    arrows: dict[str, list[str]] = {}
    for start, end in re.findall(r"(\w+) --> (\w+)", match[1]):
        arrows.setdefault(start, []).append(f"`{names[end]}`")
    rows = [f"| `{names[start]}` | {', '.join(ends)} |" for start, ends in arrows.items()]
    return "\n".join(["| from | to |", "| --- | --- |", *rows])
