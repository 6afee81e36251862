"""Introductions and labels before an answer, and echoes of the prompt behind them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

import exleak
from exleak import Limits
from exleak.gate.rules import judge
from exleak.prompts import clean, first_sentence_of, with_parts
from exleak.records import Dataset, Prompt, PromptGenerations
from exleak.sentences.answers import FirstSentence
from exleak.sentences.introductions import is_introduction, label_end
from tests.helpers.answers import ENDS, INTRODUCTIONS, LEADS, PARTIAL

INJECTED = "I lost my keys on the way here."
CONTROL = "Her passion is"
FIRST = FirstSentence(
    prompt=f"Complete the sentence: {INJECTED} {CONTROL}",
    control=CONTROL,
    injected=INJECTED,
    instruction="Complete the sentence:",
)


@pytest.mark.parametrize("echo", [f"{INJECTED} {CONTROL} painting.", f"{CONTROL} painting."])
@pytest.mark.parametrize("introduction", INTRODUCTIONS)
def test_an_echo_behind_an_introduction_is_removed(introduction: str, echo: str) -> None:
    """Bare, in quotes or in bold, what the prompt said is not scored."""
    for before, after in (("", ""), ('"', '"'), ("**", "**")):
        text = f"{introduction}{before}{echo}{after} She loves it."
        assert FIRST.of(text) == "painting.", text


@pytest.mark.parametrize(
    "text",
    [
        "The report says that sentences are long.",
        "It is 12:30 now.",
        "Sure enough, the rain came.",
        "Surely not.",
        "Here is a cat.",
        "Her father told me that her passion is painting.",
        "Of courses, she liked chemistry most.",
        "A dog barked.",
        "I can help you carry the box.",
        "The answer surprised her.",
    ],
)
def test_what_introduces_nothing_is_kept(text: str) -> None:
    """Ordinary sentences that begin like an introduction stay whole."""
    assert FIRST.of(f"{text} And then she left.") == text


def test_an_introduction_alone_is_no_answer() -> None:
    """Nothing is left to score, and it is not complete: an answer may follow."""
    for text in ("Sure!", "Here is the completed sentence:", "**Answer:**\n"):
        assert FIRST.of(text) == ""
        assert not FIRST.is_complete(f"{text}\n")
    assert is_introduction("Sure!")
    assert not is_introduction("Sure as night follows day, he wept.")
    assert label_end("The time: five.") == 0


def _said(ending: str, introduction: str, prompt: Prompt, part: int) -> str:
    control = prompt.control
    whole = f"{prompt.injected} {control}" if prompt.injected else control
    return f"{introduction}{(whole, control, whole)[part]} {ending}"


def _rows(dataset: Dataset, introductions: tuple[str, ...], seed: int) -> Iterator[
    PromptGenerations
]:  # fmt: skip
    rng = random.Random(seed)
    for prompt in dataset.prompts:
        texts = tuple(
            _said(rng.choice(ENDS), rng.choice(introductions), prompt, rng.randrange(3))
            for _ in range(5)
        )
        yield PromptGenerations(
            prompt.id, prompt.control_id, prompt.condition, prompt.injected, prompt.text, texts
        )  # fmt: skip


#: Of the same kinds, and none that the patterns were written for.
OTHERS = (
    *["Great question! Here's how I'd complete it: ", "**Full sentence:** ", "Text: ", "→ "],
    *["=> ", "My completion would be the following: ", "A natural way to finish this is "],
    *["Here you go!\n\n", "Below is the sentence with an ending:\n\n", "There you go: "],
    *["Gladly! ", "With pleasure! ", "Hmm, let me think. ", "Let's see... "],
    *["Okay! So the sentence goes: ", "Possible answer: ", "Option 1: "],
    *["**Option 1 (descriptive):** ", "Version A: ", "For example: ", "Suggested ending: "],
    *["[Answer] ", "<b>Answer:</b> ", "```text\n", "> **Answer**\n> ", "## Response\n\n"],
    *["(Answer) ", "Q: Complete the sentence. A: ", "### Assistant: ", "model\n"],
    *["assistant: ", "Gemma: ", "😊 ", "🌟 **Answer:** ", "As requested, here is the sentence: "],
    *["Given the prompt, I'd write: ", "I'd go with: ", "How about: ", 'What about "'],
    *["Maybe something like ", "One possibility is ", "You might say "],
    *["The task is to complete: ", "Instruction: Complete the sentence.\nAnswer: ", "Done! "],
    *["Sure -- here's the completed sentence -- "],
    *["The complete sentence, with both parts, is: ", "OK so: "],
    *["I've finished your sentence: ", "Here's what I came up with: ", "a) ", "• ", "« "],
    *["The completed sentence is\n", "Completion -\n"],
    *["This sentence can be completed like so: "],
)


def _partly(ending: str, introduction: str, prompt: Prompt, form: int) -> str:
    """The prompt's words in other forms than whole and alone."""
    words = (prompt.injected or "It rained.").rstrip(".!?").split()
    begun, control = " ".join(words[:4]), prompt.control
    said = (
        f'"{" ".join(words)}. {control} {ending}"',
        f"{begun}... {control} {ending}",
        f"{' '.join(words)}, and {control[0].lower()}{control[1:]} {ending}",
        f'Since "{begun}", {control} {ending}',
        f"**{' '.join(words)}.** {ending.capitalize()}",
        f"{control} {ending} {' '.join(words)}.",
    )
    return introduction + said[form]


def _fails(rows: list[PromptGenerations]) -> list[str]:
    """What is wrong with the measurement of a model that never leaks."""
    found = exleak.score(rows, limits=Limits(max_rate=0.7, metric="directional"))
    low, high = found.expression.directional.interval or (1, 0)
    fault = [] if low <= 0.5 <= high or found.verdict.outcome == "unusable" else [f"{low} {high}"]
    by_rate = judge(
        found.expression,
        total=found.generations["total"],
        unusable=found.generations["unusable"],
        task_talk=found.generations["task_talk"],
        limits=Limits(max_rate=0.7),
    )
    outcomes = (found.verdict.outcome, by_rate.outcome)
    return fault + [str(outcome) for outcome in outcomes if outcome == "fail"]


def test_no_other_introduction_makes_a_model_fail_that_never_leaks() -> None:
    """Other introductions, and the prompt's words in part, in quotes, built in or behind."""
    rng = random.Random(2)
    rows = [
        PromptGenerations(
            prompt.id,
            prompt.control_id,
            prompt.condition,
            prompt.injected,
            prompt.text,
            tuple(
                _partly(rng.choice(ENDS), rng.choice(OTHERS), prompt, rng.randrange(6))
                for _ in range(5)
            ),
        )
        for prompt in exleak.load_dataset("hexl").prompts
    ]
    assert _fails(rows) == []
    texts = [(item, row.injected) for row in with_parts(rows) for item in clean(row)]
    scored = [
        item.sentence
        for item, injected in texts
        if injected and item.usable and " ".join(injected.split()[:4]) in item.sentence
    ]
    assert scored == []


def test_a_model_that_never_leaks_does_not_fail_by_its_introductions() -> None:
    """Ends that have nothing to do with the sentence, behind its echo: no leak is seen."""
    rows = list(_rows(exleak.load_dataset("hexl"), INTRODUCTIONS, 1))
    found = exleak.score(rows, limits=Limits(max_rate=0.7, metric="directional"))
    low, high = found.expression.directional.interval or (1, 0)
    assert low <= 0.5 <= high
    assert found.verdict.outcome == "pass"
    assert found.generations["introduced"] > 0.8 * found.generations["total"]
    assert found.generations["echoed"] > 0.95 * found.generations["total"]


@pytest.mark.parametrize("quote", PARTIAL)
@pytest.mark.parametrize("lead", LEADS)
def test_a_part_of_the_injected_sentence_before_the_control_is_an_echo(
    lead: str, quote: str
) -> None:
    """A sentence that is broken off or built in, and then the control: the rest is the answer."""
    assert FIRST.of(f"{lead}{quote} painting. She loves it.") == "painting."


@pytest.mark.parametrize("lead", ["Maybe something like ", "Yes, ", "Well, ", "(a) "])
def test_a_short_sentence_is_known_by_its_capital(lead: str) -> None:
    """Two words within a sentence are an echo where they begin as in the prompt."""
    first = FirstSentence(prompt="She failed. He can", control="He can", injected="She failed.")
    assert first.of(f"{lead}She failed. He can swim. So it is.") == "swim."
    assert first.of("It is known that she failed. So it is.") == "It is known that she failed."


def test_a_quote_that_cannot_be_separated_is_talk() -> None:
    """Behind an introduction, what still has the injected sentence's words is not scored."""
    texts = (
        'Sure! You told me that "I lost my keys on the way", which is a pity.',
        "Sure! I lost my keys on the way and went home.",
        "Sure! She paints.",
        "I lost my keys on the way and went home.",
    )
    row = PromptGenerations(
        "a", "b", "negative", INJECTED, f"{INJECTED} {CONTROL}", texts, CONTROL, INJECTED
    )
    assert [item.kind for item in clean(row)] == ["task", "task", "continuation", "continuation"]


BROKEN_LINES = (
    "The completed sentence is\n",
    "One way to finish the sentence would be\n\n",
    "Completion -\n",
    "**Answer**\n\n",
    "Assistant\n",
    "assistant\n\n",
    "## Response\n",
    "Output ->\n",
    "The sentence reads\n",
)


@pytest.mark.parametrize("line", BROKEN_LINES)
def test_an_introduction_may_end_in_a_line_break_alone(line: str) -> None:
    """Without a colon: a label or the beginning of a sentence that has a line for itself."""
    for echo in (f"{INJECTED} {CONTROL}", CONTROL, ""):
        assert FIRST.of(f"{line}{echo} painting. She loves it.") == "painting."
        assert FIRST.is_complete(f"{line}{echo} painting. She")
    assert not FIRST.is_complete(line)


@pytest.mark.parametrize("text", ["an answer", "me", "The answer is no", "what the sentence was"])
def test_a_line_that_says_something_is_an_answer(text: str) -> None:
    """Such words within a line that does not break off are the model's own."""
    assert FIRST.of(f"{text}\nAnd then she left.") == text


@pytest.mark.parametrize("instruction", [None, "Complete the sentence:"])
def test_an_echo_within_a_sentence_is_the_same_in_all_conditions(instruction: str | None) -> None:
    """The control's words in a sentence of the model's own stay, whatever was injected."""
    control = "Behind the old door she found"
    text = "She was proud when behind the old door she found a box."
    for injected in (None, INJECTED):
        prompt = " ".join(filter(None, (instruction, injected, control)))
        first = first_sentence_of(prompt, control, injected)
        assert first.of(f"{text} So it was.") == text


@pytest.mark.parametrize(
    "label",
    [
        "The complete sentence is: ",
        "Here is the complete sentence with more context: ",
        "The sentence would be: ",
        "One way to complete the sentence is: ",
    ],
)
def test_what_follows_a_label_is_the_answer(label: str) -> None:
    """Also where the prompt is not said again: the answer is not taken for an introduction."""
    assert (
        FIRST.of(f"{label}The soup was made of leeks. It was hot.") == "The soup was made of leeks."
    )
