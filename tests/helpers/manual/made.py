"""Every page and figure that is made from the code, with its place."""

from __future__ import annotations

from functools import cache

from tests.helpers.manual import commands, figures, files, options, python, statuses


@cache
def made() -> dict[str, str]:
    """Texts by their place below docs/."""
    return {
        "reference/options.md": options.page(),
        "reference/commands.md": commands.page(),
        "reference/exit-statuses.md": statuses.page(),
        "reference/files.md": files.page(),
        "reference/python.md": python.page(),
        "figures/pair.svg": figures.pair(),
        "figures/carry-over.svg": figures.carry_over(),
        "figures/gate.svg": figures.gate(),
    }
