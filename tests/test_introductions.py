"""Introductions and labels before an answer, and echoes of the prompt behind them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

import exleak
from exleak import Limits
from exleak.answers import FirstSentence
from exleak.introductions import is_introduction, label_end
from exleak.records import Dataset, Prompt, PromptGenerations

INJECTED = "I lost my keys on the way here."
CONTROL = "Her passion is"
FIRST = FirstSentence(
    prompt=f"Complete the sentence: {INJECTED} {CONTROL}",
    control=CONTROL,
    injected=INJECTED,
    instruction="Complete the sentence:",
)
#: What models write before the completed sentence, or before its end.
INTRODUCTIONS = (
    "The completed sentence is: ",
    "The completed sentence is ",
    "Here is the completed sentence: ",
    "Here's the completed sentence:\n\n",
    "Here's one way to complete the sentence:\n\n",
    "Here is one possible completion: ",
    "Here's a possible completion of the sentence - ",
    "Sure! ",
    "Sure! Here is the completed sentence:\n",
    "Sure, here's the sentence completed: ",
    "Sure thing! Here you go: ",
    "Certainly! Here's the completed sentence:\n\n",
    "Certainly, I can help with that. ",
    "Of course! The complete sentence would be: ",
    "Absolutely! ",
    "Okay, here's a completion:\n",
    "Okay, here is the sentence, finished: ",
    "Answer: ",
    "**Answer:** ",
    "**Completed sentence:** ",
    "### Completed sentence\n",
    "A: ",
    "Assistant: ",
    "Output: ",
    "Completion: ",
    "Completion - ",
    "Final answer: ",
    "Response:\n",
    "I'd be happy to help! ",
    "I'd be happy to help you complete the sentence. Here it is:\n\n",
    "I can complete that sentence for you: ",
    "Let me complete the sentence for you. ",
    "I would complete the sentence like this: ",
    "You could say: ",
    "The sentence could be completed as follows: ",
    "One way to finish the sentence is: ",
    "The full sentence reads: ",
    "1. ",
    "> ",
    "To complete the sentence: ",
    "My answer is: ",
    "Continuation: ",
    "Here are a few options:\n\n1. ",
    "✨ Here's the completed sentence: ",
    "The answer to the sentence is: ",
)
ENDS = (
    "a plan from the office.",
    "the green box on the second shelf.",
    "something that people see every Tuesday.",
    "a list of names in a notebook.",
    "part of the usual route to town.",
    "about the size of a table.",
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


def test_a_model_that_never_leaks_does_not_fail_by_its_introductions() -> None:
    """Ends that have nothing to do with the sentence, behind its echo: no leak is seen."""
    rows = list(_rows(exleak.load_dataset("hexl"), INTRODUCTIONS, 1))
    found = exleak.score(rows, limits=Limits(max_rate=0.7, metric="directional"))
    low, high = found.expression.directional.interval or (1, 0)
    assert low <= 0.5 <= high
    assert found.verdict.outcome == "pass"
    assert found.generations["introduced"] > 0.8 * found.generations["total"]
    assert found.generations["echoed"] > 0.95 * found.generations["total"]
