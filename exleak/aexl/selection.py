"""The steps of Algorithm 1 after scoring: from the best sentences of each class to samples."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from exleak.aexl.balance import Triple, balanced, in_order
from exleak.aexl.duplicates import distinct
from exleak.aexl.filters import UNSURE, WEAK
from exleak.aexl.moods import Wording, is_plain
from exleak.aexl.pairing import Unrelated, match
from exleak.aexl.sampling import weighted_sample
from exleak.aexl.truncation import control_phrase, is_closed
from exleak.errors import DatasetError
from exleak.records import CLASSES, Sample

if TYPE_CHECKING:
    from exleak.aexl.pool import Candidate, Pool
    from exleak.aexl.recipe import Recipe
    from exleak.aexl.report import Report
    from exleak.scoring import Instrument

#: Minimum confidence of the word list that a control phrase has no mood.
_PLAIN = 0.75
#: Confidence below which a sentence is used last, with the filter "unsure".
_SURE = 0.75


def select(
    pools: Mapping[str, Pool], recipe: Recipe, instrument: Instrument, report: Report
) -> list[Sample]:
    """Sample, split, truncate, combine and label.

    Args:
        pools: The best sentences of each class.
        recipe: The parameters.
        instrument: The instrument, which scores control phrases and embeds sentences.
        report: The report to fill in.

    Returns:
        The samples.

    Raises:
        DatasetError: There are too few sentences for the requested samples.
    """
    drawn: dict[str, Sequence[Candidate]] = {
        label: _sample(label, pool, recipe, instrument, report) for label, pool in pools.items()
    }
    for_controls, drawn["neutral"] = _divided(drawn["neutral"], recipe)
    sure = {label: _sure(label, some, recipe) for label, some in drawn.items()}
    sampled = {label: _injected(label, some, sure[label], recipe) for label, some in drawn.items()}
    controls = _controls(for_controls, recipe, instrument, report)
    triples = _triples(sampled, sure, recipe, report)
    unrelated = Unrelated(triples, controls, instrument.semantic.embed, recipe.max_similarity)
    pairs = match(len(triples), len(controls), unrelated, recipe.samples)
    if len(pairs) < recipe.samples:
        raise DatasetError(
            f"only {len(pairs)} of {recipe.samples} samples can be made: {len(triples)} sets of "
            f"three sentences and {len(controls)} controls, of which no more are unrelated; give "
            "more text, fewer --samples, or a larger --max-similarity"
        )
    chosen = [(triples[triple], controls[control]) for triple, control in pairs]
    known = set().union(*sure.values())
    if unsure := sum(not known.issuperset(triple.texts) for triple, _ in chosen):
        report.warnings.append(
            f"{unsure} of the {len(chosen)} samples hold a sentence of which the scorer or the "
            "word list is unsure, or a neutral one that names nothing new: more text, or fewer "
            "samples, would leave them out"
        )
    _describe(chosen, instrument, report)
    digits = max(3, len(str(len(chosen))))
    return [
        Sample(f"aexl-{number:0{digits}d}", control, triple.positive, triple.neutral,
               triple.negative)
        for number, (triple, control) in enumerate(chosen, start=1)
    ]  # fmt: skip


def _sample(
    label: str, pool: Pool, recipe: Recipe, instrument: Instrument, report: Report
) -> list[Candidate]:
    """Lines 5 and 6: the top m of a class, and a sample of n of them."""
    top, dropped = distinct(pool.best(), recipe, instrument.semantic.embed)
    needed = recipe.samples * (2 if label == "neutral" else 1)
    if len(top) < needed:
        passed = report.sentences["passed"]
        raise DatasetError(
            f"{len(top) or 'no'} {label} sentence{'' if len(top) == 1 else 's'} for "
            f"{recipe.samples} samples, {needed} are needed; of {report.sentences['found']} "
            f"sentences {sum(report.sentences['rejected'].values())} were rejected, and "
            + ", ".join(f"{count} are {name}" for name, count in passed.items())
            + ": give more text or fewer --samples"
        )
    chosen_later = label == "neutral" and recipe.truncation != "half"
    size = recipe.top if chosen_later else recipe.sampled
    drawn = weighted_sample(top, size, recipe.seed, label)
    for wanted, actual, what in ((recipe.top, len(top), "top"),
                                (recipe.sampled, len(drawn), "sample")):  # fmt: skip
        if actual < wanted:
            report.warnings.append(
                f"the {what} of the {label} class has {actual} sentences, not {wanted}"
            )
    report.classes[label] = {
        "duplicates": pool.duplicates,
        "near duplicates": dropped["near duplicate"],
        "paraphrases": dropped["paraphrase"],
        "top": len(top),
        "lowest confidence": round(top[-1].confidence, 4),
        "sampled": min(len(drawn), recipe.sampled),
    }
    return drawn


def _sure(label: str, drawn: Sequence[Candidate], recipe: Recipe) -> set[str]:
    """The sentences that both views are sure of; all without the filter "unsure"."""
    return {
        candidate.text
        for candidate in drawn
        if UNSURE not in recipe.filters
        or (candidate.confidence >= _SURE and (label != "neutral" or is_plain(candidate.text)))
    }


def _injected(label: str, drawn: Sequence[Candidate], sure: set[str], recipe: Recipe) -> list[str]:
    """The sentences to inject in the order drawn, but the unsure ones last."""
    size = recipe.sampled // 2 if label == "neutral" else recipe.sampled
    return sorted((candidate.text for candidate in drawn), key=lambda text: text not in sure)[:size]


def _divided(drawn: Sequence[Candidate], recipe: Recipe) -> tuple[list[str], Sequence[Candidate]]:
    """Line 7: half of n neutral sentences for controls, and half to inject.

    Few sentences give a good natural control, so these come first, from all neutral ones drawn.
    """
    sentences = [candidate.text for candidate in drawn]
    if recipe.truncation == "half":
        return sentences[::2], drawn[1::2]
    # As many as there are samples are left to inject.
    half = min(recipe.sampled // 2, len(sentences) - recipe.samples)
    phrases = {text: control_phrase(text, recipe) for text in sentences}
    giving = [text for text, phrase in phrases.items() if phrase is not None]
    giving = sorted(giving, key=lambda text: is_closed(phrases[text] or ""))[:half]
    taken = set(giving)
    return giving, [candidate for candidate in drawn if candidate.text not in taken]


def _controls(
    sentences: Sequence[str], recipe: Recipe, instrument: Instrument, report: Report
) -> list[str]:
    """Line 9: control phrases that have no mood and begin with different words."""
    cut = [phrase for text in sentences if (phrase := control_phrase(text, recipe)) is not None]
    key = _beginning if recipe.max_overlap < 1 else str
    distinct_ones = list({key(phrase): phrase for phrase in reversed(cut)}.values())[::-1]
    scores = instrument.expression.predict(distinct_ones).tolist() if distinct_ones else []
    usable = [
        phrase
        for phrase, (negative, _, positive) in zip(distinct_ones, scores, strict=True)
        if abs(positive - negative) <= recipe.max_lean
        and (WEAK not in recipe.filters or Wording(phrase).confidence("neutral") > _PLAIN)
    ]
    report.controls = {
        "neutral sentences": len(sentences),
        "no place to stop": len(sentences) - len(cut),
        "begin alike": len(cut) - len(distinct_ones),
        "with a mood": len(distinct_ones) - len(usable),
        "usable": len(usable),
    }
    if len(usable) < recipe.samples:
        counts = ", ".join(f"{key} {value}" for key, value in report.controls.items())
        raise DatasetError(
            f"fewer controls than the {recipe.samples} samples need: {counts}; give more text, a "
            "larger --top and --sampled, fewer --samples, or a larger --max-lean"
        )
    return usable


def _beginning(phrase: str) -> str:
    return " ".join(phrase.casefold().split()[:3])


def _triples(
    sampled: Mapping[str, Sequence[str]],
    sure: Mapping[str, set[str]],
    recipe: Recipe,
    report: Report,
) -> list[Triple]:
    lengths = _lengths(itertools.chain.from_iterable(sampled[label] for label in CLASSES))
    for label in CLASSES:
        mean = fmean(lengths[text] for text in sampled[label])
        report.lengths[label] = {"sampled": round(mean, 2)}
    if not recipe.balance:
        return in_order(sampled)
    triples: list[Triple] = []
    for wanted in (sure, {label: {*some} for label, some in sampled.items()}):
        used = {text for triple in triples for text in triple.texts}
        left = {
            label: [text for text in some if text in wanted[label] and text not in used]
            for label, some in sampled.items()
        }
        exact, near = balanced(left, lengths.__getitem__)
        triples += exact + near
    return triples


def _lengths(texts: itertools.chain[str]) -> dict[str, int]:
    """Number of wordpieces of each text, without special tokens."""
    from exleak.scoring.encoder import load_encoder

    every = list(texts)
    return {
        text: len(ids) - 2 for text, ids in zip(every, load_encoder().tokenize(every), strict=True)
    }


def _describe(chosen: Sequence[tuple[Triple, str]], instrument: Instrument, report: Report) -> None:
    """Report lengths, similarities and moods of the chosen triples and controls."""
    controls = [control for _, control in chosen]
    vectors = instrument.semantic.embed(controls)
    for column, label in enumerate(CLASSES):
        texts = [triple.texts[column] for triple, _ in chosen]
        lengths = _lengths(itertools.chain(texts))
        report.lengths[label]["dataset"] = round(fmean(lengths[text] for text in texts), 4)
        similar = (instrument.semantic.embed(texts) * vectors).sum(axis=1)
        report.similarity[label] = {
            "mean": round(float(similar.mean()), 4),
            "largest": round(float(similar.max()), 4),
        }
    scores = instrument.expression.predict(controls)
    report.lean = round(float((scores[:, 2] - scores[:, 0]).mean()), 4)
    endings = Counter(control.split()[-1] for control in controls)
    report.controls["distinct endings"] = len(endings)
