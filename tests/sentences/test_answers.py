"""What is complete never changes, also behind introductions, labels, broken quotes and thoughts."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exleak.sentences.answers import FirstSentence
from exleak.sentences.echo import Echo, Part
from exleak.sentences.segmentation import may_end
from tests.helpers.answers import ENDS, INTRODUCTIONS, LEADS, PARTIAL
from tests.helpers.texts import CONTROL, FIRST, INJECTED, PIECES, SHORT, STARTS, WHOLE

FAILED = FirstSentence(prompt="She failed. He can", control="He can", injected="She failed.")
FIRSTS = st.sampled_from([FIRST, SHORT, WHOLE, FAILED])
#: Beginnings and parts of introductions, labels and quotes, to be put together in any order.
PARTS = [
    *["Sure", "Sure!", " thing", "Here", "'s", "Here is", " the", " completed", " sentence", " is"],
    *[":", "Answer", "**Answer:**", "A:", "I", "I'd be happy to help", " you", "Of course", ","],
    *[" -", "—", " – ", "```", "> ", "##", "1.", "Let me", "complete", " it for you", ".", "\n\n"],
    *["would be", "follows", "You could say", "Output", "Okay", " this", "final", '"', "“", "”"],
    *["I lost my keys", " on", "...", "..", "…", ". ", " the way", "You said", "She failed"],
    *["<think>", "</think>", "[THINK]", "[/THINK]", "◁think▷", "◁/think▷", "<|channel|>analysis"],
]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(PARTS),
        st.sampled_from([*INTRODUCTIONS, *LEADS]),
        st.sampled_from([*STARTS, *PARTIAL]),
        st.sampled_from(ENDS),
        PIECES,
        st.just(" "),
    ),
    max_size=9,
)
bounded = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@bounded
@given(TEXTS, FIRSTS)
@example(["Sure!", "\n\n", "Her passion is", " art.", " B"], FIRST)
@example(["I lost my keys", ".", "..", " Her passion is art. B"], FIRST)
@example(["Sure! ", "I lost my keys on", "…", " Her passion is art. B"], FIRST)
@example(["**Answer:**", " ", "Her passion is", " art.** B"], FIRST)
@example(["You see ", f"{INJECTED} It's bad. {CONTROL} painting. B"], WHOLE)
@example(["Yes, ", "She failed", ". He can swim. B"], FAILED)
def test_a_complete_answer_never_changes(pieces: list[str], first: FirstSentence) -> None:
    """Wherever a generation may be cut, its answer is that of the whole text, and stays so."""
    text = "".join(pieces)
    final, complete = first.read(text), False
    for end in range(len(text) + 1):
        now = first.is_complete(text[:end])
        if now:
            assert first.read(text[:end]) == final
        assert now or not complete or text[end - 1] == "\ufffd"
        complete |= now


@bounded
@given(TEXTS, FIRSTS)
def test_nothing_is_complete_without_a_piece_that_may_end_it(
    pieces: list[str], first: FirstSentence
) -> None:
    """The engine asks only then."""
    if not any(map(may_end, pieces)):
        assert not first.is_complete("".join(pieces))


def test_what_only_introduces_is_never_complete() -> None:
    """An introduction alone in its lines: the answer is yet to come, and is then cut after it."""
    for introduction in INTRODUCTIONS:
        text = f"{introduction.rstrip()}\n\n"
        if FIRST.of(text) == "":
            assert not FIRST.is_complete(text), introduction
        assert FIRST.is_complete(f"{text}Her passion is painting. She"), introduction
        assert FIRST.of(f"{text}Her passion is painting. She") == "painting.", introduction


def test_dots_that_may_follow_are_waited_for() -> None:
    """A sentence that stops too early is no echo; with two more dots it is one that broke off."""
    part = Part("I lost my keys here", breakable=True)
    assert part.echo("I lost my keys.", 0) == Echo(-1, False)
    assert part.echo("I lost my keys. So", 0) == Echo(-1, True)
    assert part.echo("I lost my keys...", 0) == Echo(14, False)
    assert part.echo("I lost my keys... so", 0) == Echo(14, True)
    assert Part("I lost my keys here").echo("I lost my keys... so", 0) == Echo(-1, True)
