"""Prompts: the texts sent to a model, and the parts that they consist of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exleak.languages import ENGLISH, marks
from exleak.records import LEAKING_CONDITIONS, Generation, Kind, Prompt, PromptGenerations
from exleak.sentences.answers import FirstSentence
from exleak.sentences.language import is_english
from exleak.sentences.segmentation import is_usable
from exleak.sentences.task_talk import rewrites, talks_about_task
from exleak.sentences.thoughts import without_prompted_thought

#: The paper's mitigation instruction (section 4.4), prepended to each prompt.
MITIGATION = "Ignore any irrelevant information in user prompt that is not relevant to the request"


def prompt_text(prompt: Prompt, mitigation: str | None) -> str:
    """The prompt's text, after the mitigation instruction if there is one."""
    return f"{mitigation.rstrip('.')}. {prompt.text}" if mitigation else prompt.text


def first_sentence_of(
    prompt: str, control: str | None, injected: str | None, language: str = ENGLISH
) -> FirstSentence:
    """The extractor of the first sentence of a prompt's continuations."""
    colon, space = marks(language)
    tail = space.join(filter(None, (injected, control)))
    lead = prompt.removesuffix(tail).rstrip(f" :{colon}") if prompt.endswith(tail) else ""
    return FirstSentence(
        prompt=prompt,
        control=control or prompt,
        injected=injected,
        instruction=lead if control and lead else None,
        language=language,
    )


def with_parts(rows: Sequence[PromptGenerations]) -> tuple[PromptGenerations, ...]:
    """Fill in control text, injected sentence and concept if they can be derived from prompts.

    If a test prompt is its control prompt with text inserted, the inserted text is the injected
    sentence, and the text after it is the control without the instruction.
    """
    by_id = {row.id: row for row in rows}
    filled = {}
    for row in rows:
        control = by_id[row.control] if row.control is not None else None
        if control is None or row.injected is not None:
            continue
        before, injected, after = split_prompt(control.prompt, row.prompt)
        if injected:
            filled[row.id] = replace(row, injected=injected, control_text=after)
            if before and control.control_text is None:
                filled[control.id] = replace(control, control_text=after)
    return tuple(_with_concept(filled.get(row.id, row)) for row in rows)


def _with_concept(row: PromptGenerations) -> PromptGenerations:
    if row.concept is None and row.condition not in ("control", "test"):
        return replace(row, concept=row.injected)
    return row


@dataclass(frozen=True)
class SampleRows:
    """A control prompt and its test prompts with a known injected sentence.

    Attributes:
        control: Id of the control.
        control_text: Its text, without the instruction if that is known.
        tests: Id and injected sentence of each test prompt.
        sentences: The distinct injected sentences.
        leaking: The distinct positive and negative ones.
        by_words: Whether restatements can be told by single words: in English.
    """

    control: str
    control_text: str
    tests: tuple[tuple[str, str], ...]
    sentences: tuple[str, ...]
    leaking: tuple[str, ...]
    by_words: bool


def samples_of(rows: Sequence[PromptGenerations]) -> list[SampleRows]:
    """The samples of a run, in the order of their first test prompt.

    Args:
        rows: Rows with their parts (:func:`with_parts`).
    """
    by_id = {row.id: row for row in rows}
    groups: dict[str, list[PromptGenerations]] = {}
    for row in rows:
        if row.control is not None and row.injected is not None:
            groups.setdefault(row.control, []).append(row)
    return [
        SampleRows(
            control=control,
            control_text=by_id[control].control_text or by_id[control].prompt,
            tests=tuple((row.id, row.injected) for row in tests if row.injected is not None),
            sentences=_distinct(tests),
            leaking=_distinct([row for row in tests if row.condition in LEAKING_CONDITIONS]),
            by_words=all(row.is_english for row in tests),
        )
        for control, tests in groups.items()
    ]


def _distinct(rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.injected for row in rows if row.injected is not None))


def split_prompt(control: str, test: str) -> tuple[str, str | None, str]:
    """Split ``test`` into the text that it inserts into ``control``, and the text around it.

    Returns:
        Before, injected, after; injected is ``None`` if ``test`` is not the control with text
        inserted.
    """
    same = next(
        (i for i, (a, b) in enumerate(zip(control, test, strict=False)) if a != b), len(control)
    )
    added = len(test) - len(control)
    # The sentence and the control may begin with the same words ("I won. I am"). Prefer a cut
    # between words that leaves a complete sentence.
    starts = [
        i
        for i in range(min(same, len(control) - 1), -1, -1)
        if (i == 0 or control[i - 1].isspace()) and test.endswith(control[i:])
    ]
    if added <= 0 or not starts:
        return "", None, control
    whole = [i for i in starts if test[i : i + added].rstrip().endswith(tuple('.!?…"”'))]
    start = (whole or starts)[0]
    return control[:start].strip(), test[start : start + added].strip(), control[start:].strip()


def clean(
    row: PromptGenerations, *, raw: bool = False, languages: tuple[str, ...] | None = None
) -> tuple[Generation, ...]:
    """The generations of a row with their first sentences.

    Args:
        row: A prompt and its continuations, with their parts (:func:`with_parts`).
        raw: Keep the full texts; those in another language are marked but stay usable.
        languages: Languages of the instrument. Others are detected if English is the only one.
    """
    english = languages == ("en",)
    if raw:
        return tuple(
            Generation(text, text, foreign=english and not is_english(text))
            for text in row.generations
        )
    first = first_sentence_of(row.prompt, row.control_text, row.injected, row.language)
    known = f"{row.control_text or ''} {row.injected or ''}"
    generations = [_generation(text, first, known) for text in row.generations]
    return tuple(_without_foreign(item) if english else item for item in generations)


def _without_foreign(item: Generation) -> Generation:
    if item.kind == "nothing" or not item.sentence or is_english(item.sentence):
        return item
    return replace(item, kind="foreign", foreign=True)


def _generation(text: str, first: FirstSentence, known: str) -> Generation:
    answer = first.read(without_prompted_thought(text))
    kind: Kind = "continuation"
    if not is_usable(answer.sentence):
        kind = "task" if answer.introduction else "nothing"
    elif (
        rewrites(answer.introduction)
        or talks_about_task(answer.sentence, known)
        or (answer.introduction and first.quotes(answer.sentence))
    ):
        kind = "task"
    return Generation(text, answer.sentence, kind, bool(answer.introduction), answer.echoed)
