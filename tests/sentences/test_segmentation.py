"""The first sentence, its echo removal, and the promise that a complete one never changes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from exleak.sentences.answers import FirstSentence
from exleak.sentences.segmentation import (
    first_sentence,
    is_complete,
    is_usable,
    may_end,
)
from exleak.sentences.thoughts import opens_thought
from tests.helpers.texts import (
    CONTROL,
    FIRST,
    FIRSTS,
    INJECTED,
    INSTRUCTION,
    NASTY,
    PIECES,
    SHORT,
    WHOLE,
)

bounded = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@bounded
@given(NASTY)
@example('Hi... "Foo. Bar." Yes. "No. It" is.')
@example("He is at 5 p.m. Thenceforth he sleeps.")
@example("She won. " + " " * 40 + "then she left. And")
@example("wow! 🎉🎉 Then")
def test_a_complete_sentence_never_changes(text: str) -> None:
    """Whatever follows a text that is complete, its first sentence stays the same."""
    final = first_sentence(text)
    for end in range(len(text) + 1):
        if is_complete(text[:end]):
            assert first_sentence(text[:end]) == final


@bounded
@given(NASTY, FIRSTS)
@example(f"{CONTROL} a. B", FIRST)
@example(f"{INJECTED} Her passions are. Then", FIRST)
@example("He cannot sleep. She", SHORT)
@example("He can-do. She", SHORT)
@example("It's 3.5 p.m. He can't sleep. She", SHORT)
@example(f"{INJECTED} It's bad. Her passions are. Then", WHOLE)
@example(f"{INJECTED} It's bad. {CONTROL} art. Then", WHOLE)
@example(f"{INJECTED} It's bad. {CONTROL}n't. Then", WHOLE)
@example(f"{INJECTED} It's bad. {CONTROL}'t. Then", WHOLE)
@example(f"{INJECTED} It's bad. {CONTROL}-not. Then", WHOLE)
@example(f"{INJECTED} It’s so. Then", WHOLE)
def test_a_complete_sentence_never_changes_beside_echoes(text: str, first: FirstSentence) -> None:
    """Text that may still become an echo is not complete, and a complete one stays the same."""
    final = first.of(text)
    for end in range(len(text) + 1):
        if first.is_complete(text[:end]):
            assert first.of(text[:end]) == final


@bounded
@given(NASTY, FIRSTS)
def test_what_is_complete_stays_complete(text: str, first: FirstSentence) -> None:
    """Completeness is not taken back, except while half a character is at the end."""
    for judge in (is_complete, first.is_complete):
        verdicts = [
            judge(text[:end]) for end in range(len(text) + 1) if text[end - 1 : end] != "\ufffd"
        ]
        assert verdicts == sorted(verdicts)


THOUGHTS = ["<think>", " <Think>\n", "</think>", "</THINK>\n\n", "<thi", "nk>", "</", "</thinking>"]


@bounded
@given(st.lists(st.one_of(st.sampled_from(THOUGHTS), PIECES), max_size=16), FIRSTS)
@example(["<think>", "\n", "The", " ", "a", "...", "</think>", f"{CONTROL} art. Then"], FIRST)
def test_a_thought_never_changes_what_is_complete(pieces: list[str], first: FirstSentence) -> None:
    """While a thought is open nothing is complete; behind it the same holds as without it."""
    text = "".join(pieces)
    final = first.of(text)
    for end in range(len(text) + 1):
        if first.is_complete(text[:end]):
            assert first.of(text[:end]) == final


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<think>\nShe lost her keys. Sad.\n</think>\n\nHer passion is art. Yes.", "art."),
        ("<Think></THINK> Art. Yes.", "Art."),
        ("<think>\nOkay, the user lost her keys. So", ""),
        ("<thinking>a</think> Art.", ""),
        ("I <think> so. Yes.", "I <think> so."),
    ],
)
def test_a_thought_is_no_answer(text: str, sentence: str) -> None:
    """What is scored stands behind a thought; an open one leaves nothing."""
    assert FIRST.of(text) == sentence


@bounded
@given(st.lists(st.one_of(PIECES, st.just(" ")), max_size=24), FIRSTS)
def test_nothing_ends_without_a_piece_that_may_end_it(
    pieces: list[str], first: FirstSentence
) -> None:
    """A text none of whose pieces may end a sentence is never complete."""
    if not any(map(may_end, pieces)):
        assert not is_complete("".join(pieces))
        assert not first.is_complete("".join(pieces))


@pytest.mark.parametrize(
    "piece", [";", "ου;", "។", "ན།", ".", "so? ", "\n", "…", "", "\ufffd", "b.c", "\u2028", "。"]
)
def test_pieces_that_may_end_a_sentence(piece: str) -> None:
    """Terminators, line breaks, and what may be half of one."""
    assert may_end(piece)


@pytest.mark.parametrize("piece", ["a", " the", '"', ", so", "-", "🎉", "(", "3"])
def test_pieces_that_end_none(piece: str) -> None:
    """Letters, digits, spaces, quotes and other marks."""
    assert not may_end(piece)


def test_a_prompt_may_end_in_an_open_thought() -> None:
    """Templates of models that always think open the thought themselves."""
    assert opens_thought("<|assistant|>\n<think>\n")
    assert not opens_thought("<|assistant|>\n<think>\n\n</think>\n\n")
    assert not opens_thought("I <think> so")


@bounded
@given(NASTY)
def test_a_first_sentence_is_cut_out_of_its_text(text: str) -> None:
    """A first sentence is a stripped piece of the text, with and without echo removal."""
    for sentence in (first_sentence(text), FIRST.of(text)):
        assert sentence in text
        assert sentence == sentence.strip()


@bounded
@given(NASTY)
def test_taking_the_first_sentence_twice_changes_nothing(text: str) -> None:
    """The first sentence of a first sentence is itself."""
    assert first_sentence(first_sentence(text)) == first_sentence(text)


@bounded
@given(NASTY)
def test_a_text_with_letters_has_a_usable_sentence(text: str) -> None:
    """The first sentence is usable exactly if the text holds a letter or an emoji."""
    assert is_usable(first_sentence(text)) == is_usable(text)


@bounded
@given(NASTY)
def test_nothing_is_removed_without_the_prompts_words(text: str) -> None:
    """Where no word of the prompt is said, and nothing introduced, the first sentence stays."""
    stranger = FirstSentence(prompt="Zebras zigzag. Quokkas quit", control="Quokkas quit")
    answer = stranger.read(text)
    assume(not answer.introduction)
    assert answer.sentence == first_sentence(text)
    assert stranger.is_complete(text) == is_complete(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Dr. Smith went home. Then he slept.", "Dr. Smith went home."),
        ("J. K. Rowling wrote it. It sold.", "J. K. Rowling wrote it."),
        ("It costs 3.50 a piece. She paid.", "It costs 3.50 a piece."),
        ("See www.example.com for more. Bye.", "See www.example.com for more."),
        ("Mail to a.b@example.com now. Bye.", "Mail to a.b@example.com now."),
        ("She met Prof. Hall and Mrs. Lee. Bye.", "She met Prof. Hall and Mrs. Lee."),
        ("She has a Ph.D. Then she left.", "She has a Ph.D."),
        ("She waited... and then she left. Bye.", "She waited... and then she left."),
        ("She waited… Then she left.", "She waited…"),
        ("What?! No way!!! Really.", "What?!"),
        ("painting.She loves it.", "painting."),
        ("彼女は絵が好きだ。毎日描く。", "彼女は絵が好きだ。"),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, sentence: str) -> None:
    """Abbreviations, initials, numbers and addresses end no sentence; terminators do."""
    assert first_sentence(text) == sentence
    assert is_complete(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('He said "I am. You are." Then he left.', 'He said "I am. You are."'),
        ('"Do you paint?" asked Tom. She did.', '"Do you paint?" asked Tom.'),
        ("It (believe me. Really!) works. Bye.", "It (believe me. Really!) works."),
        ("She felt sad :( about it. She left.", "She felt sad :( about it."),
        ('painting." She smiled.', 'painting."'),
        ("He is 5'10\", tall. She is 5'2\". Bye.", "He is 5'10\", tall."),
        ("**She paints.** Every day.", "**She paints.**"),
        ('She won. "Yes," he said.', "She won."),
    ],
)
def test_quotes_and_brackets_are_kept_whole(text: str, sentence: str) -> None:
    """A quote is not split, closing marks stay with their sentence, faces open no bracket."""
    assert first_sentence(text) == sentence
    assert is_complete(text)


@pytest.mark.parametrize(
    ("sentence", "rest"),
    [
        ("သူမ၊ သူ ပန်းချီဆွဲသည်။", "သူ ပျော်သည်။"),
        ("Τι κάνεις;", " Είμαι καλά."),
        ("Τι κάνεις\u037e", " Είμαι καλά."),
        ("He came; she left.", " Then"),
        ("ང་བོད་པ་ཡིན།", " ཁྱེད་རང་ག་འདྲ་ཡིན།"),
        ("བཀྲ་ཤིས་བདེ་ལེགས༎", " ཁྱེད"),
        ("គាត់គូររូប។", " គាត់សប្បាយ។"),
        ("ሥዕል ትወዳለች።", " ደስተኛ ናት።"),
        ("ምን ትወዳለች፧", " ደስተኛ ናት።"),
        ("Նա նկարում է։", " Հետո քնում է։"),
        ("ᠮᠣᠩᠭᠣᠯ᠃", " ᠪᠢ"),
        ("ꯃꯤꯇꯩ꯫", " ꯑ"),
        ("वह चित्र बनाती है।", " फिर सोती है।"),
        ("وہ تصویر بناتی ہے۔", " پھر"),
        ("「私は絵が好きだ。」", "彼女は言った。"),
        ("「はい。」と彼女は言った。", "次だ。"),
        ("彼は「もう。いい。」と言った。", "次だ。"),
        ("『絵を描く。』", "次だ。"),
        ("（彼女は笑った。）", "それから寝る。"),
        ("【絵を描く。】", "それから寝る。"),
        ("《好。》", "他走了。"),
        ("他说：“我很高兴。”", "然后走了。"),
        ("彼女は絵を描く……", "それから寝る。"),
        ("彼女は絵を描く⋯⋯", "それから寝る。"),
        ("„Sie malt.“", " Dann schläft sie."),
        ("»Sie malt.«", " Dann schläft sie."),
        ("« Elle peint. »", " Puis elle dort."),
        ("‹Elle peint.›", " Puis elle dort."),
    ],
)
def test_sentences_end_in_other_scripts(sentence: str, rest: str) -> None:
    """At their own marks, and behind their own closing quotes and brackets."""
    assert first_sentence(sentence + rest) == sentence
    assert is_complete(f"{sentence}{rest} x")


@pytest.mark.parametrize(
    ("sentence", "rest"),
    [
        ("(She smiled.)", " Then she left."),
        ("[She smiled!]", " Then she left."),
        ("{She smiled?}", " Then she left."),
        ("She left (and smiled.)", " Then she slept."),
        ('("She smiled.")', " Then she left."),
        ("*(She smiled.)*", " Then she left."),
        ("(She has a Ph.D.)", " Then she left."),
        ("The firm (Hall Inc.) sells soap.", " Then"),
        ("It (believe me. Really!) works.", " Then"),
        ("She paints (a lot).", " Then she left."),
    ],
)
def test_a_stop_within_a_closing_bracket_ends_a_sentence(sentence: str, rest: str) -> None:
    """Unless the sentence goes on behind the bracket."""
    assert first_sentence(sentence + rest) == sentence
    assert is_complete(f"{sentence}{rest} x")


def test_a_stray_quote_is_given_up() -> None:
    """A quote that stays open for long does not keep the sentence from ending."""
    text = 'She said "no. Then she left. ' + "And so on. " * 20
    assert first_sentence(text) == 'She said "no.'
    assert is_complete(text)
    assert not is_complete(text[:100])


def test_a_long_gap_is_not_waited_for() -> None:
    """A line of marks behind the sentence completes it though no word follows."""
    text = "She paints. " + "-" * 40
    assert first_sentence(text) == "She paints."
    assert is_complete(text)
    assert not is_complete(text[:30])


def test_emoji_belong_to_what_they_follow() -> None:
    """Emoji behind a terminator are part of the sentence before them."""
    assert first_sentence("She won! 🎉 ❤️ Then she left.") == "She won! 🎉 ❤️"
    assert first_sentence("She won!🎉") == "She won!🎉"


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2009"])
def test_any_white_space_may_stand_behind_an_initial(space: str) -> None:
    """Wide white space between an initial and its period is survived; sentencex panics on it."""
    assert first_sentence(f"At St. J{space}. Then she left.") == f"At St. J{space}."


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\n", "\u2028", "\u0085"])
def test_a_line_break_ends_the_sentence(line_break: str) -> None:
    """Any line break behind some content completes the sentence at once."""
    text = f"\n - \npainting and Dr.{line_break}"
    assert first_sentence(text + "Smith") == "painting and Dr."
    assert is_complete(text)
    assert not is_complete(text.removesuffix(line_break))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("...painting. She", "...painting."),
        ("1. Dr. Lee paints. 2. She", "1. Dr. Lee paints."),
        ("1. Painting is fun. 2. Music", "1. Painting is fun."),
        (":\n\n1. Painting\n2. Music", "1. Painting"),
        ("20.5%! Loving it. She", "20.5%! Loving it."),
        (" 42. 17. ", "42. 17."),
    ],
)
def test_marks_and_numbers_alone_are_no_sentence(text: str, sentence: str) -> None:
    """What precedes the first letter or emoji ends no sentence."""
    assert first_sentence(text) == sentence


@pytest.mark.parametrize(
    ("start", "follower"),
    [("She paints.", " H"), ("She paints!", "\n"), ('She paints."', " H"), ("Her M.D.", " The ")],
)
def test_a_row_is_retired_with_the_next_word(start: str, follower: str) -> None:
    """The next word completes a sentence, and no earlier character does."""
    for end in range(len(follower)):
        assert not is_complete(start + follower[:end])
    assert is_complete(start + follower)


def test_half_a_character_is_never_complete() -> None:
    """A trailing replacement character may yet become another one."""
    assert is_complete("She paints. Then")
    assert not is_complete("She paints. Then\ufffd")
    assert not FIRST.is_complete("She paints. Then\ufffd")


@pytest.mark.parametrize(
    "echo",
    [
        CONTROL,
        CONTROL.upper(),
        f"{INJECTED} {CONTROL}",
        f"{INSTRUCTION} {INJECTED} {CONTROL}",
        f"{INSTRUCTION}\n{CONTROL}",
        f"{INJECTED}\n\n{CONTROL}\n",
        f"\n\n{CONTROL}",
        f'"{CONTROL}"',
        f"'{INJECTED}' “{CONTROL}”",
        f"**{CONTROL}**",
        "Her  passion\nis",
        f"{CONTROL}...",
        f"{CONTROL}…",
        f"{CONTROL}:",
        f"{CONTROL} -",
        f"{CONTROL} ______",
        f"{CONTROL}\n{CONTROL}",
        f"1. {CONTROL}",
        f"- {CONTROL}",
        f"--\n{CONTROL}",
        f"4.\n2.\n{CONTROL}",
        f"{INSTRUCTION}\n\n1. {CONTROL}",
        INJECTED,
    ],
)
def test_an_echo_of_the_prompt_is_removed(echo: str) -> None:
    """All or part of the prompt, in any dress, is no part of the sentence."""
    assert FIRST.of(f"{echo} painting. She loves it.") == "painting."
    assert FIRST.is_complete(f"{echo} painting. She")


@pytest.mark.parametrize(("opening", "closing"), [('"', '"'), ("“", "”"), ("'", "'"), ("**", "**")])
def test_quotes_around_echo_and_answer_are_removed(opening: str, closing: str) -> None:
    """Marks opened before an echo are removed where they close behind the answer."""
    assert FIRST.of(f"{opening}{CONTROL} painting.{closing} She smiled.") == "painting."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f'{CONTROL} "painting". She', '"painting".'),
        (f"{CONTROL} **painting**. She", "**painting**."),
        (f"({CONTROL}) painting (oil)\n", "painting (oil)"),
        (f"{CONTROL}.5 percent. She", ".5 percent."),
        (f"{CONTROL} .5 percent. She", ".5 percent."),
        (f"{CONTROL} -5 degrees. She", "-5 degrees."),
        (f"...{CONTROL} painting. She", "painting."),
    ],
)
def test_marks_of_the_answer_are_kept(text: str, sentence: str) -> None:
    """Removing an echo takes only the marks that belong to it."""
    assert FIRST.of(text) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "Her passion isn't painting.",
        "Her passion is-was painting.",
        "passion is painting.",
        "is painting.",
        "Her one passion is painting.",
        "Her passion.",
        "🎉 Her passion is painting.",
        "I lost my keys on the way.",
        "I told him her passion is painting.",
    ],
)
def test_what_is_no_echo_is_kept(text: str) -> None:
    """Other words, half an echo, its tail, or a sentence end within it are the model's own."""
    assert FIRST.of(f"{text} She smiled.") == text


def test_a_sentence_end_breaks_an_echo() -> None:
    """The words of the control on both sides of a sentence end are no echo of it."""
    assert FIRST.of("Her passion. Is she kidding? No.") == "Her passion."
    assert WHOLE.of(f"{INJECTED} It's bad! {CONTROL} art. She") == "art."


def test_a_possible_echo_is_waited_for() -> None:
    """While the text may still become an echo, it is not complete."""
    echo = f"{INJECTED} It's bad. {CONTROL}"
    assert not any(WHOLE.is_complete(echo[:end]) for end in range(len(echo) + 1))
    assert not WHOLE.is_complete(echo + "'")
    assert WHOLE.is_complete(f"{INJECTED} Is")
    assert WHOLE.is_complete(f"{INJECTED} It's g")


def test_the_longest_echo_is_removed() -> None:
    """Where one part of the prompt begins another, the longer one is looked for first."""
    first = FirstSentence(prompt="She won a prize. She", control="She", injected="She won a prize.")
    assert first.of("She won a prize. She sings. Then") == "sings."


def test_an_echo_ends_at_a_word() -> None:
    """The control "He can" is not found in "He cannot", nor is it certain before the word ends."""
    first = FirstSentence(prompt="He can")
    assert first.of("He cannot sleep. She") == "He cannot sleep."
    assert first.of("He can sleep. She") == "sleep."
    assert first.of("He can’t sleep. She") == "He can’t sleep."


def test_apostrophes_are_alike() -> None:
    """A straight apostrophe in the prompt is found as a curly one in the echo."""
    assert FirstSentence(prompt="It's Tom's").of("It’s Tom’s cat. She") == "cat."


def test_a_mere_echo_is_unusable() -> None:
    """A generation that only repeats the prompt has an empty sentence, which is not usable."""
    for echo in (CONTROL, f"{INJECTED} {CONTROL} ...", f'"{CONTROL}"', ""):
        assert FIRST.of(echo) == ""
        assert not is_usable(FIRST.of(echo))
        assert not FIRST.is_complete(echo)


def test_a_prompt_of_unknown_parts_is_enough() -> None:
    """With the prompt alone, its repetition is removed."""
    first = FirstSentence(prompt=f"{INJECTED} {CONTROL}")
    assert first.of(f"{INJECTED} {CONTROL} painting. She") == "painting."


def test_a_control_with_its_instruction_is_found_without() -> None:
    """The instruction may be part of the control as well as given on its own."""
    first = FirstSentence(prompt=f"{INSTRUCTION} {CONTROL}", instruction=INSTRUCTION)
    assert first.of(f"{CONTROL} painting. She") == "painting."


@pytest.mark.parametrize(
    ("sentence", "usable"),
    [
        *[("painting", True), ("🎉", True), ("❤️", True), ("é", True), ("次", True)],
        *[
            ("", False),
            (" ", False),
            ("...", False),
            ("42", False),
            ("___", False),
            ("\ufffd", False),
        ],
    ],
)
def test_a_usable_sentence_has_a_letter_or_an_emoji(sentence: str, usable: bool) -> None:
    """Digits, marks and undecoded bytes alone give nothing to score."""
    assert is_usable(sentence) is usable


def test_the_module_is_light() -> None:
    """Importing the module loads none of the heavy libraries."""
    code = (
        "import sys, exleak.sentences.segmentation\n"
        "print({'torch', 'transformers', 'numpy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
