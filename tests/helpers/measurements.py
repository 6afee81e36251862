"""Measurements made for these tests: scored by words, with texts that have broken some page."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

import exleak
from exleak import Limits
from exleak.gate.comparison import compare
from exleak.gate.series import series
from exleak.measurement import About
from exleak.records import Condition, Example, Measurement, PromptGenerations, from_json
from tests.helpers.instruments import WORDS
from tests.helpers.pages import HOSTILE as MARKUP

#: What a model might write, one line each.
HOSTILE = (
    *MARKUP,
    "\x1b[31mred\x1b[0m and \x1b]0;a title\x07 good",
    "\u202eright to left\u202c, \u2066isolated\u2069 bad",
    "=1+1 good", "+cmd|' /C calc'!A0 bad", "@SUM(A1:A2)", "-2+3", "＝1+1",
    "a long line " + "x" * 10_000,
    "half \ud83d of a \udcff character, good",
    "| pipe | `tick` ``` **bold** [link](javascript:alert(1)) ![i](https://evil.example/x.png)",
    "@team #12 https://evil.example www.evil.example </details></summary>",
    r"\input{x} $x_1^2$ 100% & more ~ {",
)  # fmt: skip
_CONDITIONS: tuple[tuple[Condition, str], ...] = (
    ("positive", "I won <b>gold</b>."),
    ("neutral", "I sat down."),
    ("negative", "I lost half \ud800 of it."),
)


def hostile_rows(samples: int = 14) -> tuple[PromptGenerations, ...]:
    """Prompts whose continuations are all hostile; every text occurs."""
    rows = []
    for number in range(samples):
        control = f"s{number}:control"
        ask = f"Say: Thing <i>{number}</i> is"
        rows.append(PromptGenerations(control, None, "control", None, ask, _texts(number)))
        for shift, (condition, sentence) in enumerate(_CONDITIONS):
            prompt = f"Say: {sentence} Thing <i>{number}</i> is"
            texts = _texts(number + 5 * shift + 1)
            rows.append(
                PromptGenerations(f"s{number}:{condition}", control, condition, None, prompt, texts)
            )
    return tuple(rows)


def _texts(start: int) -> tuple[str, ...]:
    return tuple(HOSTILE[(start + i) % len(HOSTILE)] for i in range(8))


def random_rows(samples: int, seed: int, words: int = 6) -> tuple[PromptGenerations, ...]:
    """Prompts whose continuations follow the mood more often than not."""
    rng = random.Random(seed)
    rows = []
    for number in range(samples):
        control = f"s{number}:control"
        ask = f"Say: Thing {number} is"
        texts = tuple(_sentence(rng, words, "") for _ in range(10))
        rows.append(PromptGenerations(control, None, "control", None, ask, texts))
        for condition, word in (("positive", "good"), ("neutral", ""), ("negative", "bad")):
            rows.append(
                PromptGenerations(
                    f"s{number}:{condition}",
                    control,
                    condition,  # type: ignore[arg-type]
                    None,
                    f"Say: I saw {word or 'it'} {number}. Thing {number} is",
                    tuple(_sentence(rng, words, word) for _ in range(10)),
                )
            )
    return tuple(rows)


def _sentence(rng: random.Random, words: int, mood: str) -> str:
    found = [f"{rng.choice('bcdfglmnprst')}{rng.choice('aeiou')}{rng.choice('lnrst')}ing"
             for _ in range(words)]  # fmt: skip
    if rng.random() < 0.3:
        found.append(mood or rng.choice(("good", "bad")))
    return " ".join(found) + "."


@cache
def measurement(
    model: str = "runs/step-100",
    dataset: str = "hexl",
    *,
    samples: int = 15,
    seed: int = 0,
    limit: float | None = 0.6,
    hostile: bool = False,
    words: int = 6,
) -> Measurement:
    """A measurement."""
    rows = hostile_rows() if hostile else random_rows(samples, seed, words)
    about = About(
        model=model,
        dataset=dataset,
        sampling={"generations": 10, "seed": seed, "top_p": 0.9, "mitigation": None},
        identity={"checkpoint": "ab" * 32},
    )
    return exleak.score(rows, WORDS, limits=Limits(max_rate=limit), about=about)


def mitigated(model: str = "runs/step-100", dataset: str = "hexl") -> Measurement:
    """A measurement with the mitigation instruction before every prompt."""
    found = measurement(model, dataset, seed=6)
    return replace(found, sampling={**found.sampling, "mitigation": "Stay calm."})


def six_models() -> list[Measurement]:
    """Six models on 60 and 200 samples, with sentences of 20 words, no two of them alike."""
    return [
        _turned(measurement(name, name, samples=samples, words=20), shift)
        for shift in range(6)
        for name, samples in (("hexl", 60), ("aexl", 200))
    ]


def _turned(found: Measurement, shift: int) -> Measurement:
    """The measurement of another model: each sentence begins some letters later."""

    def turned(example: Example) -> Example:
        return replace(example, sentence=f"{example.sentence[shift:]}{example.sentence[:shift]}")

    prompts = tuple(
        replace(
            prompt,
            typical=turned(prompt.typical),
            strongest=turned(prompt.strongest) if prompt.strongest else None,
        )
        for prompt in found.prompts
    )
    return replace(found, model=f"model-{shift}", prompts=prompts)


def compared() -> Measurement:
    """A checkpoint of a series, judged by a baseline; the second of three."""
    first, found, last = (measurement(f"step-{seed}", seed=seed) for seed in (3, 4, 5))
    verdict = replace(
        found.verdict, adjusted_p_value=0.0123, comparison=compare(found, [first, last], "main")
    )
    return replace(found, verdict=verdict, series=series([first, found, last])[1])


def measured(values: Sequence[float], model: str = "m", **changes: Any) -> Measurement:
    """A measurement with these directional values, one per control."""
    found: dict[str, Any] = {
        "model": model,
        "dataset": "hexl",
        "instrument": "embedded",
        "sampling": {"generations": 10, "seed": 0, "top_p": 0.9, "mitigation": None},
        "generations": {"prompts": 240, "per_prompt": 10, "unusable": 0},
        "identity": {"instrument": "abc", "dataset": "d", "dataset_version": "1", "chat": False},
        "by_control": {f"c{number}": float(value) for number, value in enumerate(values)},
        "pairs": [
            {"id": f"c{number}:positive", "condition": "positive", "difference": float(value) - 0.5}
            for number, value in enumerate(values)
        ],
    }
    for key, value in changes.items():
        part, _, name = key.partition("__")
        if name:
            found[part] = {**found[part], name: value}
        else:
            found[part] = value
    return from_json(Measurement, found)  # type: ignore[no-any-return]


def spread(seed: int, shift: float = 0.0, count: int = 60) -> list[float]:
    """Directional values around one half."""
    values = np.random.default_rng(seed).normal(0.5 + shift, 0.1, count)
    return [float(value) for value in values.clip(0, 1)]
