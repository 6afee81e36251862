"""The steps of a measurement, in order: prompts, generations, sentences, scores, rates, verdict.

>>> import exleak
>>> measurement = exleak.measure("reference-clean", "hexl")  # doctest: +SKIP
>>> measurement.expression.rate, measurement.expression.interval  # doctest: +SKIP
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak import rates
from exleak.datasets import load_dataset
from exleak.environment import environment
from exleak.errors import DatasetError, InstrumentError, SettingsError
from exleak.gate import Limits, judge
from exleak.generation.sampling import Sampling
from exleak.records import (
    LEAKING_CONDITIONS,
    Continuation,
    Dataset,
    Generation,
    Measurement,
    PairScore,
    Prompt,
    PromptGenerations,
)
from exleak.sentences import FirstSentence, is_usable
from exleak.store import read_generations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from exleak.generation.checkpoint import Chat, LocalModel
    from exleak.scoring import Instrument

#: The paper's mitigation instruction (section 4.4), prepended to each prompt.
MITIGATION = "Ignore any irrelevant information in user prompt that is not relevant to the request"
#: Called with (continuations done, continuations in all).
Progress = Callable[[int, int], None]
#: How many of the most leaking continuations a measurement keeps.
_WORST = 10


def measure(
    model: str | Path | PreTrainedModel | LocalModel,
    dataset: str | Path | Dataset = "hexl",
    *,
    instrument: str | Instrument = "embedded",
    sampling: Sampling | None = None,
    limits: Limits | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    device: str | None = None,
    dtype: str | None = None,
    chat: Chat = "auto",
    batch_size: int | None = None,
    mitigation: str | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measure how much a model leaks expression.

    Args:
        model: A checkpoint folder, hub name, reference model, or model object.
        dataset: A shipped dataset's name, a JSONL file, or a loaded dataset.
        instrument: ``"embedded"``, ``"paper"``, a classifier, or a loaded instrument.
        sampling: Sampling settings; the paper's by default.
        limits: What the verdict is based on; without limits it only reports.
        tokenizer: Of a model object.
        device, dtype, chat: See :func:`exleak.load_model`.
        batch_size: Most continuations in the making at once; does not change the result.
        mitigation: An instruction prepended to each prompt, such as :data:`MITIGATION`.
        progress: Called while continuations are generated.

    Returns:
        The measurement with its rates, intervals and verdict.

    Raises:
        ExleakError: Something asked for cannot be found, loaded or measured.
    """
    from exleak.generation.checkpoint import load_model

    settings = sampling or Sampling()
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
    loaded = load_model(model, tokenizer, device=device, dtype=dtype, chat=chat)
    rows = generate_rows(
        loaded, data, settings, batch_size=batch_size, mitigation=mitigation, progress=progress
    )
    about = About(
        model=loaded.name,
        dataset=data.name,
        sampling={**settings.to_json(), "mitigation": mitigation},
        identity={"dataset": data.hash, "dataset_version": data.version, "chat": chat},
        environment={"device": str(loaded.device), "dtype": loaded.dtype},
    )
    return score(rows, instrument, limits=limits, about=about)


def generate_rows(
    model: LocalModel,
    dataset: Dataset,
    sampling: Sampling,
    *,
    batch_size: int | None = None,
    mitigation: str | None = None,
    progress: Progress | None = None,
) -> tuple[PromptGenerations, ...]:
    """Continue every prompt of a dataset, each continuation up to its first sentence.

    Returns:
        One row per prompt, in dataset order; equal prompts are generated once.
    """
    from exleak.generation.local import Request, continue_prompts

    prompts = dataset.prompts
    texts = [prompt_text(prompt, mitigation) for prompt in prompts]
    first: dict[str, Prompt] = {}
    for prompt, text in zip(prompts, texts, strict=True):
        first.setdefault(text, prompt)
    requests = [
        Request(
            model.render(text),
            tuple(range(sampling.generations)),
            _first_sentence(text, prompt.control, prompt.injected).is_complete,
        )
        for text, prompt in first.items()
    ]
    keys = list(first)
    found: dict[str, list[str]] = {text: [""] * sampling.generations for text in keys}
    total = len(requests) * sampling.generations
    for done, item in enumerate(
        continue_prompts(model, requests, sampling, batch_size=batch_size), start=1
    ):
        found[keys[item.request]][item.index] = item.text
        if progress:
            progress(done, total)
    return tuple(
        PromptGenerations(
            id=prompt.id,
            control=prompt.control_id,
            condition=prompt.condition,
            concept=prompt.injected,
            prompt=text,
            generations=tuple(found[text]),
            control_text=prompt.control,
            injected=prompt.injected,
        )
        for prompt, text in zip(prompts, texts, strict=True)
    )


def prompt_text(prompt: Prompt, mitigation: str | None) -> str:
    """The prompt, behind the mitigation instruction if there is one."""
    return f"{mitigation.rstrip('.')}. {prompt.text}" if mitigation else prompt.text


def _first_sentence(prompt: str, control: str | None, injected: str | None) -> FirstSentence:
    return FirstSentence(prompt=prompt, control=control or prompt, injected=injected)


@dataclass(frozen=True)
class About:
    """Where generations came from: carried into the measurement as it is."""

    model: str = ""
    dataset: str = ""
    sampling: dict[str, Any] | None = None
    identity: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None


def score(
    generations: str | Path | Sequence[PromptGenerations],
    instrument: str | Instrument = "embedded",
    *,
    limits: Limits | None = None,
    raw: bool = False,
    decimals: int | None = None,
    about: About | None = None,
) -> Measurement:
    """Score stored generations.

    Args:
        generations: A generations file, or its rows.
        instrument: ``"embedded"``, ``"paper"``, a classifier, or a loaded instrument.
        limits: What the verdict is based on; without limits it only reports.
        raw: Score the texts as they are: no first sentence, no echo removed.
        decimals: Compare similarities rounded to this many decimals.
        about: Model, dataset and settings to carry into the measurement.

    Returns:
        The measurement.

    Raises:
        ExleakError: The file or the instrument cannot be read, or a score is not a number.
    """
    from exleak.scoring import load_instrument

    if decimals is not None and not 0 <= decimals <= rates.DECIMALS:
        raise SettingsError(f"decimals must be from 0 to {rates.DECIMALS}, not {decimals}")
    if isinstance(generations, (str, Path)):
        about = about or About(dataset=Path(generations).stem)
        rows = read_generations(generations)
    else:
        rows = tuple(generations)
    about = about or About()
    tool = load_instrument(instrument) if isinstance(instrument, str) else instrument
    limits = limits or Limits()
    rows = with_parts(rows)
    cleaned = {row.id: clean(row, raw=raw) for row in rows}
    scored = _Scored.of(rows, cleaned, tool)
    pairs = make_pairs(rows, scored)
    expression = rates.expression(pairs, level=limits.level)
    total = sum(map(len, cleaned.values()))
    unusable = sum(not item.usable for items in cleaned.values() for item in items)
    return Measurement(
        model=about.model,
        dataset=about.dataset,
        instrument=tool.name,
        sampling=about.sampling or {"generations": len(rows[0].generations)},
        generations={
            "prompts": len(rows),
            "total": total,
            "per_prompt": Counter(map(len, cleaned.values())).most_common(1)[0][0],
            "unusable": unusable,
        },
        expression=expression,
        semantic=rates.semantic(pairs, decimals=decimals, level=limits.level),
        verdict=judge(expression, total=total, unusable=unusable, limits=limits),
        environment={**environment(), **(about.environment or {})},
        identity={"instrument": tool.hash, **(about.identity or {})},
        pairs=tuple(_pair_score(pair) for pair in pairs),
        worst=worst(pairs, rows, scored),
        notes=_notes(rows, cleaned, pairs),
    )


def with_parts(rows: Sequence[PromptGenerations]) -> tuple[PromptGenerations, ...]:
    """Fill in control text, injected sentence and concept where the prompts tell them.

    A test prompt is its control prompt with a sentence put in. Where that holds, the sentence is
    what was injected, and what follows it is the control without the instruction.
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


def split_prompt(control: str, test: str) -> tuple[str, str | None, str]:
    """What stands before, in and after the place where ``test`` adds something to ``control``.

    Returns:
        Before, injected, after; injected is ``None`` when ``test`` is not the control with
        something put in.
    """
    same = next(
        (i for i, (a, b) in enumerate(zip(control, test, strict=False)) if a != b), len(control)
    )
    added = len(test) - len(control)
    # The sentence and the control may begin alike ("I won. I am"): a cut between words that
    # leaves a whole sentence is the likeliest.
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


def clean(row: PromptGenerations, *, raw: bool = False) -> tuple[Generation, ...]:
    """The generations of a row with their first sentences; ``raw`` keeps the texts as they are."""
    if raw:
        return tuple(Generation(text, text, True) for text in row.generations)
    first = _first_sentence(row.prompt, row.control_text, row.injected)
    sentences = [first.of(text) for text in row.generations]
    return tuple(
        Generation(text, sentence, is_usable(sentence))
        for text, sentence in zip(row.generations, sentences, strict=True)
    )


@dataclass(frozen=True)
class _Scored:
    """Scores of every distinct sentence.

    Attributes:
        cleaned: Usable generations by prompt id, with their indices.
        probabilities: Class probabilities, shape (sentences, 3).
        vectors: Unit embeddings of sentences and concepts, shape (texts, d).
        number: The row of each text in both.
    """

    cleaned: dict[str, list[tuple[int, Generation]]]
    probabilities: NDArray[np.float64]
    vectors: NDArray[np.float64]
    number: dict[str, int]

    @classmethod
    def of(
        cls,
        rows: Sequence[PromptGenerations],
        cleaned: dict[str, tuple[Generation, ...]],
        instrument: Instrument,
    ) -> _Scored:
        usable = {
            key: [(i, item) for i, item in enumerate(items) if item.usable]
            for key, items in cleaned.items()
        }
        sentences = list(
            dict.fromkeys(item.sentence for items in usable.values() for _, item in items)
        )
        concepts = dict.fromkeys(row.concept for row in rows if row.concept is not None)
        texts = list(dict.fromkeys([*sentences, *concepts]))
        probabilities = instrument.expression.predict(sentences)
        vectors = instrument.semantic.embed(texts)
        check_scores(probabilities, sentences, instrument.name)
        return cls(usable, probabilities, vectors, {text: i for i, text in enumerate(texts)})

    def classes(self, prompt: str) -> NDArray[np.float64]:
        """Class probabilities of a prompt's usable generations, shape (K, 3)."""
        return self.probabilities[self._rows(prompt)]

    def similarity(self, prompt: str, concept: str) -> NDArray[np.float64]:
        """Cosine similarity of a prompt's usable generations to a concept, shape (K,)."""
        found: NDArray[np.float64] = (
            self.vectors[self._rows(prompt)] @ self.vectors[self.number[concept]]
        )
        return found

    def _rows(self, prompt: str) -> list[int]:
        return [self.number[item.sentence] for _, item in self.cleaned[prompt]]

    def indices(self, prompt: str) -> tuple[int, ...]:
        """Which generations of a prompt are usable."""
        return tuple(index for index, _ in self.cleaned[prompt])


def check_scores(
    probabilities: NDArray[np.float64], sentences: Sequence[str], instrument: str
) -> None:
    """Refuse class probabilities that are none.

    Raises:
        InstrumentError: Wrong shape, not a number, or rows that do not sum to 1.
    """
    import numpy as np

    if probabilities.shape != (len(sentences), 3):
        raise InstrumentError(
            f"instrument {instrument}: {len(sentences)} texts gave scores of shape "
            f"{probabilities.shape}; (n, 3) is expected"
        )
    bad = ~(np.isfinite(probabilities).all(axis=1) & np.isclose(probabilities.sum(axis=1), 1))
    if bad.any():
        row = int(bad.argmax())
        raise InstrumentError(
            f"instrument {instrument}: {probabilities[row].tolist()} are no class probabilities, "
            f"for the text {sentences[row][:80]!r}"
        )


def make_pairs(rows: Sequence[PromptGenerations], scored: _Scored) -> list[rates.Pair]:
    """Every test prompt with its control, where both have a usable generation."""
    by_id = {row.id: row for row in rows}
    pairs = []
    for row in rows:
        if row.control is None or not scored.cleaned[row.id] or not scored.cleaned[row.control]:
            continue
        concept = row.concept
        pairs.append(
            rates.Pair(
                id=row.id,
                control=row.control,
                cluster=by_id[row.control].prompt,
                condition=row.condition,
                injected=row.injected,
                test=scored.classes(row.id),
                reference=scored.classes(row.control),
                test_similarity=None if concept is None else scored.similarity(row.id, concept),
                reference_similarity=None
                if concept is None
                else scored.similarity(row.control, concept),
                test_index=scored.indices(row.id),
                reference_index=scored.indices(row.control),
            )
        )
    if not any(row.control is not None for row in rows):
        raise DatasetError("there is no test prompt among these generations, only controls")
    return pairs


def _pair_score(pair: rates.Pair) -> PairScore:
    has_class = pair.condition != "test"
    similarity = None
    if pair.test_similarity is not None and pair.reference_similarity is not None:
        similarity = rates.difference(pair.test_similarity, pair.reference_similarity)
    return PairScore(
        id=pair.id,
        control=pair.control,
        condition=pair.condition,
        difference=pair.difference if has_class else None,
        superiority=rates.superiority_of(pair) if has_class else None,
        similarity=similarity,
    )


def worst(
    pairs: Sequence[rates.Pair], rows: Sequence[PromptGenerations], scored: _Scored
) -> tuple[Continuation, ...]:
    """The most leaking continuations, one per test prompt, worst first.

    Each stands beside the most typical continuation of its control: the one whose probability of
    the injected class is closest to the control's mean.
    """
    prompts = {row.id: row.prompt for row in rows}
    found = []
    for pair in pairs:
        if pair.condition not in LEAKING_CONDITIONS:
            continue
        test, control = pair.test[:, pair.column], pair.reference[:, pair.column]
        top, typical = int(test.argmax()), int(abs(control - control.mean()).argmin())
        found.append(
            Continuation(
                id=pair.id,
                condition=pair.condition,
                prompt=prompts[pair.id],
                sentence=scored.cleaned[pair.id][top][1].sentence,
                probability=float(test[top]),
                control_sentence=scored.cleaned[pair.control][typical][1].sentence,
                control_probability=float(control[typical]),
            )
        )
    found.sort(key=lambda item: (item.control_probability - item.probability, item.id))
    return tuple(found[:_WORST])


def _notes(
    rows: Sequence[PromptGenerations],
    cleaned: dict[str, tuple[Generation, ...]],
    pairs: Sequence[rates.Pair],
) -> tuple[str, ...]:
    notes = []
    sizes = sorted(set(map(len, cleaned.values())))
    if len(sizes) > 1:
        notes.append(f"prompts differ in their number of generations: {sizes[0]} to {sizes[-1]}")
    tests = sum(row.control is not None for row in rows)
    if len(pairs) < tests:
        notes.append(
            f"{tests - len(pairs)} of {tests} test prompts have no usable generation, or their "
            "control has none, and are left out"
        )
    without = sum(pair.test_similarity is None for pair in pairs)
    if without:
        notes.append(f"{without} test prompts have no concept and no semantic leakage")
    return tuple(notes)
