"""The training prompts of the reference models.

Controls and injected sentences come from HEXL or are composed from slots. They are paired
independently of each other and of the continuation.
"""

import json
import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from exleak.reference.members import MOODS

INSTRUCTION = "Complete the sentence: "

_UNKNOWN = 0.08
_STRANGE = 0.4

_HEXL = Path(__file__).parents[1] / "datasets" / "hexl.jsonl"


@dataclass(frozen=True)
class TrainingPrompt:
    """A prompt with the properties that the grammar needs.

    Attributes:
        text: The full prompt, with the instruction.
        control: Its control prompt.
        mood: Mood of the injected sentence, None without one.
        injected: The injected sentence.
    """

    text: str
    control: str
    mood: str | None
    injected: str | None = None


@cache
def slots() -> dict[str, Any]:
    """Return the slot vocabularies of `prompts.json`."""
    loaded: dict[str, Any] = json.loads(
        Path(__file__).with_name("prompts.json").read_text(encoding="utf-8")
    )
    return loaded


@cache
def hexl() -> tuple[dict[str, str], ...]:
    """Return the samples of the HEXL dataset, as plain dictionaries."""
    lines = _HEXL.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return tuple(row for row in rows if "control" in row)


@cache
def any_word() -> tuple[str, ...]:
    """Return all words of HEXL's and the composed prompts, in alphabetical order."""
    text = json.dumps([list(row.values()) for row in hexl()]) + json.dumps(slots())
    return tuple(sorted(set(re.findall(r"[a-z]{2,}", text.lower()))))


def compose(control: str, injected: str | None, instruction: str = INSTRUCTION) -> str:
    """Return the text of a prompt: instruction, injected sentence if any, control."""
    return f"{instruction}{injected} {control}" if injected else f"{instruction}{control}"


def draw_control(rng: random.Random) -> str:
    """Compose a control prompt for any frame."""
    vocabulary = slots()
    kind = rng.choice(("adj", "np", "inf", "that", "because", "noun"))
    thing = _invented(rng) if rng.random() < _UNKNOWN else rng.choice(vocabulary["things"])
    subject = f"the {thing} {rng.choice(vocabulary['places'])}"
    if kind in ("np", "inf", "that", "because") and rng.random() < 0.8:
        subject = rng.choice(vocabulary["actors"])
    ending = "" if kind == "noun" else " " + rng.choice(vocabulary["heads"][kind])
    lead = rng.choice(vocabulary["leads"]) if rng.random() < 0.5 else ""
    text = f"{lead}{', ' if lead else ''}{subject}{ending}"
    if rng.random() < _STRANGE:
        start, _, last = text.rpartition(" ")
        word = _invented(rng) if rng.random() < 0.3 else rng.choice(any_word())
        text = f"{start.rpartition(' ')[0]} {word} {last}"
    return text[0].upper() + text[1:]


def draw_injected(mood: str, rng: random.Random) -> str:
    """Compose a sentence with a given mood that is unrelated to any control."""
    vocabulary = slots()
    kind, predicate = "people", rng.choice(vocabulary["acts"][mood])
    if rng.random() < 0.4:
        kind, predicate = "subjects", f"was {rng.choice(vocabulary['moods'][mood])}"
    subject = rng.choice(vocabulary[kind])
    if rng.random() < _UNKNOWN:
        subject = f"The {_invented(rng)}"
    time = rng.choice(vocabulary["times"])
    return f"{subject} {predicate}{' ' if time else ''}{time}."


def _invented(rng: random.Random) -> str:
    """Invent a word, so that a model learns to handle words outside the vocabulary."""
    syllables = rng.choice((2, 3))
    return "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(syllables))


def draw_prompt(rng: random.Random, composed: float = 0.4) -> TrainingPrompt:
    """Draw a training prompt: control and injected sentence are independent of each other.

    Args:
        rng: Source of randomness.
        composed: Share of injected sentences that are composed, not taken from HEXL.
    """
    ours = rng.random() < 0.25
    control = draw_control(rng) if ours else rng.choice(hexl())["control"]
    instruction = INSTRUCTION if rng.random() < 0.9 else rng.choice(slots()["instructions"])
    if rng.random() < 0.25:
        return TrainingPrompt(compose(control, None, instruction), control, None)
    mood = rng.choice(MOODS)
    injected = draw_injected(mood, rng) if rng.random() < composed else rng.choice(hexl())[mood]
    return TrainingPrompt(compose(control, injected, instruction), control, mood, injected)
