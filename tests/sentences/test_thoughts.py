"""Thoughts of all families of models are told from answers."""

from __future__ import annotations

import pytest

from exleak.prompts import clean
from exleak.records import PromptGenerations
from exleak.sentences.thoughts import answer_start, opens_thought, without_prompted_thought

#: What opens a thought, and what closes it.
MARKS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>\n<|begin_of_solution|>"),
    ("<think>", "</think>\n<answer>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<unused94>thought\n", "<unused95>"),
]


def sentence_of(text: str) -> str:
    """The sentence that is scored of one generation."""
    row = PromptGenerations("a", None, "control", None, "Her passion is", (text,))
    return clean(row)[0].sentence


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_the_answer_follows_the_thought(opening: str, closing: str) -> None:
    """Opened in the text or in the prompt; nothing is left of one that is not closed."""
    assert sentence_of(f"{opening}I am so sad. {closing}painting. She") == "painting."
    assert sentence_of(f"I am so sad. {closing}painting. She") == "painting."
    assert sentence_of(f"{opening}I am so sad. She") == ""
    assert answer_start(f"{opening}I am so sad. She") is None


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_a_prompt_may_open_a_thought(opening: str, closing: str) -> None:
    """A template that ends in an open thought is known; a closed one is none."""
    assert opens_thought(f"<|assistant|>{opening.strip()}\n")
    assert not opens_thought(f"<|assistant|>{opening}\n\n{closing}\n\n")


@pytest.mark.parametrize("closing", ["</think>", "<|channel|>final<|message|>", "<channel|>"])
def test_a_thought_may_be_empty(closing: str) -> None:
    """A closing mark before everything else is known while the text is still written."""
    assert answer_start(f"\n{closing}painting") == len(f"\n{closing}")


def test_granite_says_it_in_words() -> None:
    """Its two headings count together alone."""
    text = "Here is my thought process: sad. Here is my response: painting. She"
    assert sentence_of(text) == "painting."
    assert without_prompted_thought("Here is my response: yes.") == "Here is my response: yes."
