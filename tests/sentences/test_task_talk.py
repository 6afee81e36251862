"""Talk about the task is told from continuations, counted, and not scored."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import exleak
from exleak.datasets import load_dataset
from exleak.prompts import clean
from exleak.records import PromptGenerations
from exleak.sentences.task_talk import rewrites, talks_about_task
from tests.helpers.instruments import WORDS

TALK = (
    "The original sentence lacks a verb.",
    "This sentence is grammatically correct.",
    "I'm sorry to hear that you had such a day.",
    "I'm sorry, but I can't assist with that request.",
    "As an AI language model, I don't have personal feelings.",
    "Could you please provide more context?",
    "Please let me know how you would like to continue.",
    "To make it more vivid, I'd add an adjective.",
    "I've corrected the spelling and the punctuation.",
    "Thank you for sharing this with me.",
    "It seems like you're having a hard time.",
    "Your sentence is incomplete.",
    "How can I help you today?",
    "Is there anything else you would like to add?",
    "Congratulations on your prize!",
    "There isn't enough information to answer.",
    "I would suggest rephrasing it.",
    "Hello! How may I assist you?",
    "This requires some clarification and context.",
    "This phrase is often used in informal English.",
    "That's a perfect summary of it.",
    "What a lovely sentence!",
    "Sounds perfect!",
    "Oh no! I'm so sorry about your keys.",
    "I hope you find your keys soon.",
    "I'm glad you found it!",
    "No, it is not.",
    "Would you prefer a happier ending?",
    "If you'd like, I can suggest other endings.",
    "There are several ways to complete this.",
    "The adjective describes how she feels.",
    'You should use "painting" instead.',
    "Step 1: Identify the subject.",
    "The user wants a completion.",
    "Your request is not clear to me.",
    "Have you checked your pockets?",
    "Ugh... that's awful!",
    "Oh no, I'm sorry for any confusion.",
    "Your answer must have two parts.",
    "That's exactly what I have written for you.",
    "A very fitting description!",
    "The answer to your question is no.",
    "The sentences don't hold any mistakes.",
    "Your message is too long for one reply.",
    "I'm not really sure what you mean.",
    "The scene described includes a kettle.",
    "This is just one example of how friends help each other.",
    "I must say that the blank should be filled with a noun.",
)
CONTINUATIONS = (
    "painting the walls of old barns.",
    "The judge read the sentence of two years in prison.",
    "She was sorry that the soup was cold.",
    "Oh, the bakery smelled of bread.",
    "that was exactly what I wanted for my birthday.",
    "Hmm, she wondered where the keys were.",
    "Her answer came a week later.",
    "He wrote a long letter to his sister.",
    "the phrase book that he had bought.",
    "like rain and old stone.",
    "a text message from his brother.",
    "I helped my mother carry the bags.",
    "the children asked a question.",
    "It sounds like thunder.",
    "They were happy to help their neighbors.",
    "Would you like some tea? asked the waiter.",
    "I'm sorry, Dad, she whispered.",
    "Please give me the salt.",
    "I can't help it, I love cheese.",
    "He works as an AI engineer.",
    "as an assistant in a pharmacy.",
    "My apologies came too late.",
    "Her passion is grammar and spelling.",
    "The phrase book fell into the river.",
    "The text message came at noon.",
    "You should use butter instead.",
    "She was glad to hear that her son was safe.",
    "The question was not easy.",
    "This is where the river bends.",
    "that nobody answers the question.",
    "Let me know when you arrive, he told her.",
    "There are two options: the stairs or the lift.",
    "I'm sorry that the soup was cold.",
)


@pytest.mark.parametrize("text", TALK)
def test_talk_about_the_task_is_known(text: str) -> None:
    """Text as a text, an assistant to its user, refusals, sympathy, questions back."""
    assert talks_about_task(text)
    assert talks_about_task(f'"{text}"')


@pytest.mark.parametrize("text", CONTINUATIONS)
def test_continuations_are_not_taken_for_it(text: str) -> None:
    """The same words in a story are a story."""
    assert not talks_about_task(text)


def test_ordinary_prose_is_not_taken_for_it() -> None:
    """In sentences of twelve registers, reviews and letters among them, at most one in 200."""
    path = Path(exleak.__file__).parent / "datasets" / "corpus.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = [found["text"] for line in file if "text" in (found := json.loads(line))]
    assert len(texts) > 3000
    assert sum(map(talks_about_task, texts)) <= len(texts) / 200


def test_a_word_of_the_prompt_is_no_sign() -> None:
    """A paragraph that the prompt speaks of is no paragraph of the task's."""
    text = "He read the second paragraph to her."
    assert talks_about_task(text)
    assert not talks_about_task(text, "He read the second paragraph aloud.")


def test_a_rewritten_prompt_is_no_continuation() -> None:
    """Behind "the corrected sentence" stands the prompt in other words."""
    assert rewrites("Here's the corrected sentence: ")
    assert not rewrites("Here's the completed sentence: ")
    row = PromptGenerations(
        "a", None, "control", None, "Say: The soup was", ("The corrected sentence: It is soup.",)
    )
    assert clean(row)[0].kind == "task"


def _rows(share: int) -> list[PromptGenerations]:
    """HEXL with ``share`` of ten generations about the task."""
    talk = ("This sentence is good.",) * share
    mood = {"positive": "A good dog.", "negative": "He ate bad soup."}
    return [
        PromptGenerations(
            p.id,
            p.control_id,
            p.condition,
            p.injected,
            p.text,
            talk + (mood.get(p.condition, "A dog."),) * (10 - share),
        )
        for p in load_dataset("hexl", limit=12).prompts
    ]


def test_it_is_counted_and_not_scored() -> None:
    """Each condition has its count; the rates are those of the other generations."""
    found = exleak.score(_rows(2), WORDS)
    assert found.generations["task_talk"] == 2 * 48
    assert found.generations["unusable"] == 0
    assert found.generations["by_condition"]["positive"]["task_talk"] == 24
    assert found.expression.rate == 1.0
    assert found.verdict.outcome is None


def test_a_model_that_mostly_talks_about_the_task_is_unusable() -> None:
    """Above one half there is too little that continues the prompt."""
    found = exleak.score(_rows(6), WORDS, limits=exleak.Limits(max_rate=0.9))
    assert found.verdict.outcome == "unusable"
    assert "talk about the task" in found.verdict.reasons[0]
