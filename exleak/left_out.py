"""Notes on what models write beside continuations, and what of it was not scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from exleak.records import Generation

#: A smaller share of the generations is not worth a note.
_NOTABLE = 0.02
_EXAMPLE = 80

_WORDS: tuple[tuple[Callable[[Generation], bool], str], ...] = (
    (lambda item: item.kind == "task", "talk about the task and are left out"),
    (lambda item: item.kind == "foreign", "are not English and are left out"),
    (
        lambda item: item.foreign and item.kind != "foreign",
        "are not English, which the instrument does not know",
    ),
    (lambda item: item.introduced, "begin with an introduction or a label, which is not scored"),
    (lambda item: item.echoed, "repeat a part of the prompt, which is not scored"),
)


def left_out(cleaned: Mapping[str, Sequence[Generation]]) -> tuple[str, ...]:
    """A note on each kind of writing that is no continuation, unless it is rare, with an example.

    Args:
        cleaned: The generations by prompt.
    """
    items = [item for found in cleaned.values() for item in found]
    notes = []
    for applies, words in _WORDS:
        found = [item for item in items if applies(item)]
        if len(found) >= _NOTABLE * len(items) and found:
            share = f"{len(found)} of {len(items)} generations ({len(found) / len(items):.0%})"
            notes.append(f"{share} {words}: {shortened(found[0].text)}")
    return tuple(notes)


def shortened(text: str) -> str:
    """A text as a note quotes it: its beginning, in one line."""
    plain = " ".join(text.split())
    return f"{plain[: _EXAMPLE - 1]}…" if len(plain) > _EXAMPLE else plain
