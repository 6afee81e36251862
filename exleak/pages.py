"""Self-contained HTML pages: template, style, script and data in one file, nothing from a network.

Data enters a page as JSON in which no ``<`` is left. A content security policy, with the hashes of
the page's own style and script, lets nothing else run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

_MARK = re.compile(r"\{\{([a-z-]+)\}\}")
#: What HTML could read as markup, and what no encoding can write.
_UNSAFE = re.compile("[<>&\ud800-\udfff]")


def fill(template: Path, content: Mapping[str, str]) -> str:
    """Fill in a page.

    Args:
        template: ``NAME.html``, with marks such as ``{{data}}``; ``NAME.css`` and ``NAME.js`` lie
            beside it and stand for ``{{style}}`` and ``{{script}}``.
        content: What the other marks stand for. It is put in once, and not searched for marks.
    """
    values = dict(content)
    for mark, suffix in (("style", ".css"), ("script", ".js")):
        text = template.with_suffix(suffix).read_text(encoding="utf-8")
        values |= {mark: text, f"{mark}-hash": _hash(text)}
    return _MARK.sub(lambda mark: values[mark[1]], template.read_text(encoding="utf-8"))


def embedded(data: object) -> str:
    """JSON for a script element, without anything that HTML could read as markup."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda character: f"\\u{ord(character[0]):04x}", text)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
