"""Self-contained HTML pages: template, style, script and data in one file, without a network.

Templates are Jinja2 templates with all values escaped. Data is embedded as JSON without any ``<``.
A content security policy with the hashes of the page's style and script blocks everything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Characters that HTML could read as markup, and surrogates, which UTF-8 cannot encode.
_UNSAFE = re.compile("[<>&\ud800-\udfff]")


def render(
    template: Path, data: object, *, shown: Callable[[str], str] = str, **content: Any
) -> str:
    """Render a page.

    Args:
        template: ``NAME.html``; ``NAME.css`` and ``NAME.js`` beside it become its variables
            ``style`` and ``script``, with ``style_hash`` and ``script_hash``.
        data: Its variable ``data``, for a script element of the type ``application/json``.
        shown: Function applied to every shown text before it is escaped.
        content: Further variables.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        return value if isinstance(value, Markup) else shown(str(value))

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts: dict[str, Any] = {"data": Markup(embedded(data))}
    for name, suffix in (("style", ".css"), ("script", ".js")):
        text = template.with_suffix(suffix).read_text(encoding="utf-8")
        parts |= {name: Markup(text), f"{name}_hash": Markup(_hash(text))}
    return environment.get_template(template.name).render(**parts, **content) + "\n"


def embedded(data: object) -> str:
    """JSON for a script element, without characters that HTML could read as markup."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _UNSAFE.sub(lambda character: f"\\u{ord(character[0]):04x}", text)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
