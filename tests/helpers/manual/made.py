"""Every page that is made from the code, with its place."""

from __future__ import annotations

from tests.helpers.manual import commands, options, python, statuses


def made() -> dict[str, str]:
    """Texts by their place below docs/."""
    return {
        "reference/options.md": options.page(),
        "reference/commands.md": commands.page(),
        "reference/exit-statuses.md": statuses.page(),
        "reference/python.md": python.page(),
    }
