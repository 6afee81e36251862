"""The steps of a measurement, in order: prompts, generations, sentences, scores, rates, verdict.

>>> import exleak
>>> measurement = exleak.measure("reference-clean", "hexl")  # doctest: +SKIP
>>> measurement.expression.rate, measurement.expression.interval  # doctest: +SKIP
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from exleak import rates
from exleak.adaptive import Looks, extension
from exleak.continuations import ScoredContinuation, continuations
from exleak.datasets import load_dataset
from exleak.environment import environment
from exleak.errors import SettingsError
from exleak.examples import prompt_scores, worst
from exleak.gate.limits import Limits
from exleak.gate.rules import judge
from exleak.gate.usable import MAX_UNUSABLE, counts_of
from exleak.generation.dataset import Generated, generate_rows
from exleak.generation.local.model import LocalModel
from exleak.generation.sampling import Sampling
from exleak.languages import ENGLISH
from exleak.notes import cut, left_out, notes, other_languages
from exleak.progress import Progress, told
from exleak.prompts import MITIGATION, clean, with_parts
from exleak.rates.pairing import make_pairs, pair_score
from exleak.records import (
    CLASSES,
    Dataset,
    Expression,
    Generation,
    Measurement,
    PromptGenerations,
    Verdict,
)
from exleak.scoring.restatements import Restatements
from exleak.scoring.scores import Scored, score_rows
from exleak.sources import source_of
from exleak.store import Store, read_generations

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from exleak.generation.endpoint.launch import Launch
    from exleak.generation.local.checkpoint import Loading
    from exleak.generation.requests import Chat, Source, Template
    from exleak.scoring import Instrument

__all__ = ["MITIGATION", "About", "clean", "measure", "score", "with_parts"]


def measure(
    model: str | Path | PreTrainedModel | LocalModel | Source,
    dataset: str | Path | Dataset = "hexl",
    *,
    instrument: str | Instrument = "embedded",
    sampling: Sampling | None = None,
    limits: Limits | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    device: str | None = None,
    dtype: str | None = None,
    chat: Chat = "auto",
    loading: Loading | None = None,
    template: Template | None = None,
    batch_size: int | None = None,
    mitigation: str | None = None,
    endpoint: str | Sequence[str] | None = None,
    server: str | Launch | None = None,
    store: str | Path | Store | None = ".exleak",
    adaptive: bool = False,
    extend: int | str | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measure how much a model leaks expression.

    Args:
        model: A checkpoint folder, adapter folder (PEFT), GGUF file, hub name (``NAME@REVISION``),
            ``BASE:ADAPTER``, reference model, or model object; with ``endpoint``, the model's name
            on the server.
        dataset: A built-in dataset's name, a JSONL file, or a loaded dataset.
        instrument: ``"embedded"``, ``"paper"``, a classifier, or a loaded instrument.
        sampling: Sampling settings; the paper's by default.
        limits: The limits for the verdict; without limits it only reports.
        tokenizer: Tokenizer of a model object.
        device, dtype, chat, loading, template: See :func:`exleak.load_model`.
        batch_size: Maximum number of continuations generated at once; changes only the rounding of
            logits.
        mitigation: An instruction prepended to each prompt, such as :data:`MITIGATION`.
        endpoint: Address of an OpenAI-compatible server that serves the model, or several; a key
            is read from the environment (docs/endpoint.md).
        server: A server to start on the checkpoint: ``"vllm"``, ``"sglang"``, ``"llama.cpp"`` or
            ``"transformers"``.
        store: A folder that stores generations and scores by content, and a generations file of
            each run; ``None`` stores nothing. Continuations of a model object are never reused.
        adaptive: Measure a quarter of the samples after another until the limit on the rate is
            decided (:mod:`exleak.gate.group_sequential`).
        extend: Number of samples to go on with if the limit cannot be decided, from the dataset
            AEXL, or ``"aexl"`` for all of it.
        progress: Callback, called with a :class:`exleak.progress.Done` while the model is loaded,
            continuations are generated, and texts are scored.

    Returns:
        The measurement with its rates, intervals and verdict.

    Raises:
        ExleakError: An input cannot be found, loaded or measured.
    """
    settings = sampling or Sampling()
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
    check_instrument(instrument, data)
    source = source_of(
        model,
        tokenizer=tokenizer,
        endpoint=endpoint,
        server=server,
        device=device,
        dtype=dtype,
        chat=chat,
        loading=loading,
        template=template,
    )
    kept = Store(store) if isinstance(store, (str, Path)) else store
    several = adaptive or extend is not None

    def generate(part: Dataset) -> Generated:
        return generate_rows(
            source,
            part,
            settings,
            batch_size=batch_size,
            mitigation=mitigation,
            store=kept,
            is_part=several,
        )

    def scored(generated: Generated, limits: Limits | None) -> Measurement:
        about = About.of(source.name, data, settings, generated, mitigation=mitigation)
        return score(generated.rows, instrument, limits=limits, about=about, store=kept)

    if not several:
        with told(progress):
            return scored(generate(data), limits)
    given = limits or Limits()
    looks = Looks(
        data,
        given,
        generate,
        lambda generated, level: scored(generated, replace(given, level=level)),
        seed=settings.seed,
        adaptive=adaptive,
        extended_by=None if extend is None else extension(data, extend, settings.seed),
        store=kept,
    )
    with told(progress):
        return looks.until_decided(given)[0]


def check_instrument(instrument: str | Instrument, dataset: Dataset) -> None:
    """Refuse an instrument that does not know a dataset's language, before anything is generated.

    For English nothing is loaded.

    Raises:
        InstrumentError: It does not know it, or cannot be loaded.
    """
    from exleak.scoring import load_instrument

    if dataset.language == dataset.injected_language == ENGLISH:
        return
    tool = load_instrument(instrument) if isinstance(instrument, str) else instrument
    tool.check_languages(dataset.language, dataset.injected_language)


@dataclass(frozen=True)
class About:
    """The origin of generations, copied into the measurement."""

    model: str = ""
    dataset: str = ""
    sampling: dict[str, Any] | None = None
    identity: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        model: str,
        dataset: Dataset,
        sampling: Sampling,
        generated: Generated,
        *,
        mitigation: str | None = None,
        limit: int | None = None,
    ) -> About:
        """The origin of generated continuations.

        Args:
            model: The model's name in reports.
            dataset: The dataset that was continued.
            sampling: The settings.
            generated: The continuations.
            mitigation: The instruction that was prepended to each prompt.
            limit: Number of samples that the dataset was cut to.
        """
        return cls(
            model=model,
            dataset=dataset.name,
            sampling={**sampling.to_json(), "mitigation": mitigation},
            identity={
                **generated.identity,
                "dataset": dataset.hash,
                "dataset_version": dataset.version,
                "limit": limit,
            },
            environment=generated.environment,
            notes=generated.notes,
        )


def score(
    generations: str | Path | Sequence[PromptGenerations],
    instrument: str | Instrument = "embedded",
    *,
    limits: Limits | None = None,
    raw: bool = False,
    decimals: int | None = None,
    about: About | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Score stored generations.

    Args:
        generations: A generations file, or its rows.
        instrument: ``"embedded"``, ``"paper"``, a classifier, or a loaded instrument.
        limits: The limits for the verdict; without limits it only reports.
        raw: Score the full texts, without extracting first sentences or removing echoes.
        decimals: Number of decimals to round similarities to before comparing them.
        about: Model, dataset and settings to copy into the measurement.
        store: The store for scores of sentences, under the instrument's hash.
        progress: Callback, called with a :class:`exleak.progress.Done` while texts are scored.

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
    _check_languages(rows, tool)
    limits = limits or Limits()
    with told(progress):
        rows, cleaned, scored, restatements, pairs = _scores(rows, tool, raw=raw, store=store)
    expression = replace(
        rates.expression(pairs, level=limits.level),
        carry_over=rates.carry_over(pairs, restatements.thresholds, level=limits.level),
        residual=rates.residual(pairs, level=limits.level),
    )
    counts = count(rows, cleaned)
    leaking = worst(pairs, rows, scored)
    return Measurement(
        model=about.model,
        dataset=about.dataset,
        instrument=tool.name,
        sampling=about.sampling or {"generations": len(rows[0].generations)},
        generations=counts,
        expression=expression,
        semantic=rates.semantic(pairs, decimals=decimals, level=limits.level),
        verdict=_verdict(rows, expression, counts, limits),
        environment={**environment(), **(about.environment or {})},
        identity={"instrument": tool.hash, **(about.identity or {})},
        pairs=tuple(pair_score(pair) for pair in pairs),
        worst=leaking,
        by_control=rates.directional_by_control(pairs),
        residual_by_control=rates.residual_by_control(pairs),
        prompts=prompt_scores(rows, scored, restatements),
        notes=(
            *notes(rows, cleaned, pairs, expression, leaking),
            *left_out(cleaned),
            *cut(tool, cleaned),
            *other_languages(rows, tool),
            *about.notes,
        ),
    )


class _Scores(NamedTuple):
    rows: tuple[PromptGenerations, ...]
    cleaned: dict[str, tuple[Generation, ...]]
    scored: Scored
    restatements: Restatements
    pairs: list[rates.Pair]


def _check_languages(rows: Sequence[PromptGenerations], tool: Instrument) -> None:
    for languages in sorted({(row.language, row.injected_language) for row in rows}):
        tool.check_languages(*languages)


def _scores(
    rows: Sequence[PromptGenerations], tool: Instrument, *, raw: bool, store: Store | None
) -> _Scores:
    rows = with_parts(rows)
    cleaned = {row.id: clean(row, raw=raw, languages=tool.languages) for row in rows}
    scored = score_rows(rows, cleaned, tool, store)
    restatements = Restatements(rows, scored)
    return _Scores(rows, cleaned, scored, restatements, make_pairs(rows, scored, restatements))


def scored_pairs(
    rows: Sequence[PromptGenerations], instrument: Instrument, *, store: Store | None = None
) -> list[rates.Pair]:
    """The pairs that :func:`score` computes its rates from, with the scores of every continuation.

    Args:
        rows: Prompts with their continuations.
        instrument: The instrument.
        store: The store for scores of sentences.
    """
    return _scores(rows, instrument, raw=False, store=store).pairs


def scored_continuations(
    rows: Sequence[PromptGenerations], instrument: Instrument, *, store: Store | None = None
) -> Iterator[ScoredContinuation]:
    """Every continuation that :func:`score` computes its rates from, with its scores.

    Args:
        rows: Prompts with their continuations.
        instrument: The instrument.
        store: The store for scores of sentences.

    Raises:
        InstrumentError: The instrument does not know a language of the rows.
    """
    _check_languages(rows, instrument)
    found = _scores(rows, instrument, raw=False, store=store)
    return continuations(found.rows, found.cleaned, found.scored, found.restatements)


def _verdict(
    rows: Sequence[PromptGenerations],
    expression: Expression,
    counts: dict[str, Any],
    limits: Limits,
) -> Verdict:
    """The gate's verdict; generations without expression classes are not unusable as such."""
    semantic_only = not any(row.condition in CLASSES for row in rows)
    few = counts["unusable"] <= MAX_UNUSABLE * counts["total"]
    if semantic_only and not limits.judge_anything and few:
        return Verdict(None, ("no prompt has an expression class: semantic leakage only",))
    return judge(expression, **counts_of(counts), limits=limits)


def count(
    rows: Sequence[PromptGenerations], cleaned: dict[str, tuple[Generation, ...]]
) -> dict[str, Any]:
    """Number of generations by kind, in total and by condition."""
    conditions: dict[str, list[Generation]] = {}
    for row in rows:
        conditions.setdefault(row.condition, []).extend(cleaned[row.id])
    items = [item for generations in conditions.values() for item in generations]
    return {
        "prompts": len(rows),
        "total": len(items),
        "per_prompt": Counter(map(len, cleaned.values())).most_common(1)[0][0],
        "unusable": _kinds(items)["nothing"],
        "task_talk": _kinds(items)["task"],
        "foreign": sum(item.foreign for item in items),
        "introduced": sum(item.introduced for item in items),
        "echoed": sum(item.echoed for item in items),
        "by_condition": {
            name: {
                "total": len(generations),
                "unusable": _kinds(generations)["nothing"],
                "task_talk": _kinds(generations)["task"],
                "foreign": sum(item.foreign for item in generations),
            }
            for name, generations in conditions.items()
        },
    }


def _kinds(items: Sequence[Generation]) -> Counter[str]:
    return Counter(item.kind for item in items)
