"""The page of the commands: docs/reference/commands.md, from the argument parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from exleak import cli
from tests.helpers.manual import MADE, table

_HEAD = f"""# Commands

{MADE}

`exleak COMMAND --help` has the same lists. What each command returns is in
[Exit statuses](exit-statuses.md)."""


class Command(NamedTuple):
    """A command: its words, its parser, and what the list of commands says of it."""

    name: str
    parser: argparse.ArgumentParser
    summary: str


def commands() -> Iterator[Command]:
    """Every command: ``exleak score``, ``exleak dataset stats`` and so on."""
    yield from _below("exleak", cli._parser(), "")


def _below(name: str, parser: argparse.ArgumentParser, summary: str) -> Iterator[Command]:
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield Command(name, parser, summary)
    for group in groups:
        summaries = {choice.dest: choice.help or "" for choice in group._choices_actions}
        for word, found in group.choices.items():
            yield from _below(f"{name} {word}", found, summaries.get(word, ""))


def page() -> str:
    """The text of the page."""
    lines = [_HEAD]
    for name, parser, summary in commands():
        about = " ".join((parser.description or summary).replace("%%", "%").split())
        lines += ["", f"## `{name}`", "", about]
        places = [a for a in parser._actions if not a.option_strings]
        options = [a for a in parser._actions if a.option_strings and a.dest != "help"]
        for title, actions in (("argument", places), ("option", options)):
            if actions:
                rows = [(_spelling(action), _about(action)) for action in actions]
                lines += ["", *table((title, ""), rows)]
    return "\n".join(lines) + "\n"


def _spelling(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else None)
    value = " ".join(value) if isinstance(value, tuple) else value or action.dest.upper()
    if action.nargs in ("+", "*"):
        value = f"{value} …"
    if not action.option_strings:
        return f"`{value}`"
    name = ", ".join(action.option_strings)
    if action.nargs == 0:
        return f"`{name}`"
    return f"`{name} [{value}]`" if action.nargs == "?" else f"`{name} {value}`"


def _about(action: argparse.Action) -> str:
    text = (action.help or "") % vars(action)
    facts = []
    if action.required and action.option_strings:
        facts.append("required")
    if isinstance(action, argparse._AppendAction) and "several times" not in text:
        facts.append("repeatable")
    if action.nargs != 0 and action.default and "default" not in text:
        facts.append(f"default: `{action.default}`")
    return "; ".join(filter(None, (text, *facts)))
