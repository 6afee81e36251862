"""Pieces that continuations are put together from, to be segmented."""

from __future__ import annotations

from hypothesis import strategies as st

from exleak.sentences.answers import FirstSentence

INSTRUCTION = "Complete the sentence:"
INJECTED = "I lost my keys on the way here."
CONTROL = "Her passion is"
FIRST = FirstSentence(
    prompt=f"{INSTRUCTION} {INJECTED} {CONTROL}",
    control=CONTROL,
    injected=INJECTED,
    instruction=INSTRUCTION,
)
SHORT = FirstSentence(prompt="It's 3.5 p.m. He can", control="He can", injected="It's 3.5 p.m.")
WHOLE = FirstSentence(prompt=f"{INJECTED} It's bad. {CONTROL}")
FIRSTS = st.sampled_from([FIRST, SHORT, WHOLE])

MARKS = [*".!?…\"'“”‘’()[]«»「」*_-–:;,。！ʼ`", "...", "?!", ". . .", "''", "**", ").", '."', ".”"]
MARKS += [*"」『』（）】〈〉{}„‚‘›‹⋯။།។።;", ".)", ".)*", '.")', "。」", ". »"]
SPACES = [" ", " ", " ", "\n", "\n\n", "\t", "\r\n", "\u2028", "\u00a0", "\u200b"]
WORDS = [
    *["a", "I", "S", "é", "The", "then", "Then", "She", "painting", "次", "こ", "İ", "ß", "3", "5"],
    *["Dr.", "Mr", "e.g.", "U.S.", "p.m.", "No.", "J.", "Jan", "www.foo.com", "a@b.co", "1.", "1)"],
    *["Her", "passion", "is", "isn't", "I lost", "my keys on the way here", "He", "can", "cannot"],
    *["ς", "ου", "と", "って", "は", "ཡིན", "रूप", "រូប"],
    *["• ", "- ", "[1]", "<b>", "Yahoo!", ":(", "Her passion is", "Complete the", "It’s", "²", "١"],
]
INTRODUCTIONS = [
    *[
        "Sure!",
        "Sure, ",
        "Certainly! ",
        "Here is the completed sentence:",
        "Answer:",
        "**Answer:** ",
    ],
    *["Of course. ", "The sentence could be: ", "I'd be happy to help. ", "Here's", "completed: "],
    *["The completed sentence is ", "Let me complete that sentence for you.", "Output - "],
    *[f"{INJECTED} ", f"{CONTROL} ", '"I lost my keys', "sentence ", "is:"],
]
OTHER = ["🎉", "❤️", "👨‍👩‍👧", "\ufe0f", "\u200d", "\u0301", "\ufffd", "\x00"]
PIECES = st.sampled_from([*MARKS, *SPACES, *WORDS, *OTHER, *INTRODUCTIONS])
STARTS = [
    "",
    *INTRODUCTIONS[:10],
    CONTROL,
    f"{INJECTED} {CONTROL}",
    f'"{CONTROL}',
    "He can",
    "**I lost my keys",
]
NASTY = st.builds(
    lambda start, pieces: start + "".join(pieces),
    st.sampled_from(STARTS),
    st.lists(st.one_of(PIECES, st.just(" ")), max_size=24),
)
