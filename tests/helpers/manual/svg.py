"""Small figures: texts, lines and marks whose colours follow the page, light or dark."""

from __future__ import annotations

from html import escape

#: On the site the figure is part of the page and has its colours; elsewhere it follows the system.
_STYLE = """
.f{--i:#222;--s:#666;--n:#b3402a;--p:#1f6fb5;--b:#88888833}
@media(prefers-color-scheme:dark){.f{--i:#ddd;--s:#aaa;--n:#f0866f;--p:#74b3ee}}
[data-md-color-scheme=default] .f{--i:#222;--s:#666;--n:#b3402a;--p:#1f6fb5}
[data-md-color-scheme=slate] .f{--i:#ddd;--s:#aaa;--n:#f0866f;--p:#74b3ee}
.f text{font-family:system-ui,sans-serif;font-size:15px;fill:var(--i)}
.f .s{fill:var(--s)}.f .h{font-weight:bold}.f .e{text-anchor:end}.f .m{text-anchor:middle}
.f .ln{stroke:var(--s)}.f .li{stroke:var(--i);stroke-width:2}
.f .neg{fill:var(--n)}.f .pos{fill:var(--p)}.f .box{fill:var(--b)}
.f .lneg{stroke:var(--n);stroke-width:3}.f .lpos{stroke:var(--p);stroke-width:3}
.f .out{fill:none;stroke:var(--s);stroke-dasharray:3 2}
""".strip().replace("\n", "")


def figure(width: int, height: int, title: str, parts: list[str]) -> str:
    """A whole figure.

    Args:
        width, height: Size in pixels.
        title: What a reader hears who does not see it.
        parts: Its elements.
    """
    head = (
        f'<svg class="f" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>"]) + "\n"


def text(x: float, y: float, content: str, kind: str = "") -> str:
    """A line of text that begins at x (kind ``e``: ends, ``m``: is centred there)."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "ln") -> str:
    """A straight line."""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}"/>'


def dot(x: float, y: float, kind: str, radius: float = 4) -> str:
    """A filled circle."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{kind}"/>'


def box(x: float, y: float, width: float, height: float, kind: str = "box") -> str:
    """A rectangle."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" class="{kind}"/>'
    )
