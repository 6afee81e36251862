"""The comment with a run's results: its text, and finding it again to update it.

A hidden mark, an HTML comment in the first line, tells it from other comments. Only a comment of
the token's own user, or of an app where the token is one's, is updated: anybody may write the mark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from exleak.errors import SettingsError
from exleak.pulls.api import Comment, GitHub
from exleak.records import Measurement
from exleak.reports.markdown import code, plain
from exleak.reports.markdown import render as render_report

#: Most characters of a comment on GitHub.
MOST = 65_536
_MARK = re.compile(r"[\w.-]+", re.ASCII)
_LINK = re.compile(r"https?://[^\s()<>\[\]\"'`\\]+", re.ASCII)


class Written(NamedTuple):
    """A comment that was written.

    Attributes:
        comment: The comment.
        is_new: Whether it was created rather than updated.
        copies: Number of further comments with the same mark, which stay as they are.
    """

    comment: Comment
    is_new: bool
    copies: int


def mark(name: str) -> str:
    """The hidden mark of this name.

    >>> mark("leakage")
    '<!-- exleak comment: leakage -->'

    Raises:
        SettingsError: The name could end the HTML comment.
    """
    if not _MARK.fullmatch(name) or "--" in name:
        raise SettingsError(
            f"--mark {name!r}: letters, digits, dots, underscores and single hyphens are expected"
        )
    return f"<!-- exleak comment: {name} -->"


def body(
    measurements: Sequence[Measurement],
    name: str,
    *,
    note: str | None = None,
    commit: str | None = None,
    link: str | None = None,
) -> str:
    """The text of the comment, at most :data:`MOST` characters.

    Args:
        measurements: What was measured; with none, ``note`` says why.
        name: The name of the mark.
        note: A remark above the report.
        commit: The commit that was measured.
        link: Address of the run, which has the whole report.

    Raises:
        SettingsError: A name or address is malformed, or there is nothing to say.
    """
    if link is not None and not _LINK.fullmatch(link):
        raise SettingsError(f"--link {link!r}: an address that begins with https:// is expected")
    if not measurements and not note:
        raise SettingsError("there is no measurement to report: say why with --note TEXT")
    head = [mark(name)] + ([f"**{plain(note)}**", ""] if note else [])
    text = render_report(measurements) if measurements else "### Expression leakage: not measured\n"
    said = ([f"commit {code(commit)}"] if commit else []) + ([f"[run]({link})"] if link else [])
    foot = f"\n{', '.join(said)}\n" if said else ""
    room = MOST - _size("\n".join(head)) - 1 - _size(foot)
    return "\n".join([*head, _cut(text, room, link)]) + foot


def _cut(text: str, most: int, link: str | None) -> str:
    """A report cut between lines, never within a folded part, with a remark on what is left out."""
    if _size(text) <= most:
        return text
    where = f"the artifacts of [the run]({link})" if link else "the run's report"
    remark = f"**Cut here: a comment has {MOST:,} characters. The whole report is in {where}.**\n"
    lines, kept, is_folded = text.split("\n"), 0, False
    size = _size(remark) + 1
    for number, line in enumerate(lines, start=1):
        size += _size(line) + 1
        if size > most:
            break
        is_folded = (is_folded or line.startswith("<details>")) and line != "</details>"
        kept = kept if is_folded else number
    return "\n".join([*lines[:kept], "", remark])


def _size(text: str) -> int:
    """Length in UTF-16 units, never less than what a server counts as characters."""
    return len(text.encode("utf-16-le", "replace")) // 2


def write(github: GitHub, pull: int, text: str) -> Written:
    """Update the comment with the mark of ``text``, its first line, or create it.

    Raises:
        PullRequestError: Comments cannot be read or written.
    """
    login, sign = github.login(), text.partition("\n")[0]
    ours = [
        comment.id
        for comment in github.comments(pull)
        if comment.body.partition("\n")[0].strip() == sign
        and (comment.is_bot if login is None else comment.login == login)
    ]
    if not ours:
        return Written(github.create(pull, text), True, 0)
    return Written(github.update(ours[0], text), False, len(ours) - 1)
