"""HTML pages: hostile texts to put in, and what a browser would make of them."""

from __future__ import annotations

from html.parser import HTMLParser

#: What a model might write; every one has broken some page somewhere.
HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<!-- <script> -->",
    "]]> &lt;b&gt; &amp; \"quotes\" 'and' `ticks` ${window.hacked = 1}",
    "{{data}} {{script}} {{style}} {{script-hash}}",
    "line\u2028separator\u2029 and \u202eright to left",
    "nul \x00 bell \x07 lone surrogate \udcff",
    "javascript:window.hacked=1 data:text/html,<script>",
)


class Elements(HTMLParser):
    """The start tags of a page and the text of its scripts, as a browser would split them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += attrs
        self.inside = tag in ("script", "style")
        if self.inside:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Note that an element has ended."""
        self.inside = False

    def handle_data(self, data: str) -> None:
        """Note the text of a script or style."""
        if self.inside:
            self.scripts[-1] += data


def elements(text: str) -> Elements:
    """The parsed page."""
    parser = Elements()
    parser.feed(text)
    return parser
