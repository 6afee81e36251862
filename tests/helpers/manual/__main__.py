"""Write the pages and figures of the manual that are made from the code."""

from __future__ import annotations

from tests.helpers.manual import DOCS
from tests.helpers.manual.made import made

for place, text in made().items():
    (DOCS / place).write_text(text, encoding="utf-8")
