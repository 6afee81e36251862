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
from exleak.aexl.judging import Grade
from exleak.aexl.moods import Wording
from exleak.aexl.pairing import Unrelated, match
from exleak.aexl.sampling import weighted_sample
from exleak.aexl.truncation import CLOSED, closeness, control_phrase
from exleak.errors import DatasetError
from exleak.records import CLASSES, Sample

if TYPE_CHECKING:
    from exleak.aexl.pool import Candidate, Pool
    from exleak.aexl.recipe import Recipe
    from exleak.aexl.report import Report
    from exleak.scoring import Instrument

#: Minimum confidence of the word list that a control phrase has no mood.
_PLAIN = 0.75
#: What is said of samples with a sentence of a lower grade.
_FAULTS = {
    Grade.DEPENDENT: "with one that goes on with an earlier sentence",
    Grade.WORDLESS: "with one whose mood no listed word shows",
    Grade.UNSURE: "with one of which a scorer or the word list is less sure",
    Grade.VAGUE: "with a neutral one that names nothing new, or wishes or advises",
    Grade.DOUBTED: "with one whose mood a scorer doubts",
}


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
    sampled = {label: _injected(label, some, recipe) for label, some in drawn.items()}
    controls = _controls(for_controls, recipe, instrument, report)
    triples = _triples(sampled, recipe, report)
    unrelated = Unrelated(triples, controls, instrument.semantic.embed, recipe.max_similarity)
    pairs = match(len(triples), len(controls), unrelated, recipe.samples)
    if len(pairs) < recipe.samples:
        raise DatasetError(
            f"only {len(pairs)} of {recipe.samples} samples can be made: {len(triples)} sets of "
            f"three sentences and {len(controls)} controls, of which no more are unrelated; give "
            "more text, fewer --samples, or a larger --max-similarity"
        )
    if UNSURE in recipe.filters:
        pairs = unrelated.best(pairs, [closeness(control) for control in controls])
    chosen = [(triples[triple], controls[control]) for triple, control in pairs]
    grades = {candidate.text: candidate.grade for some in sampled.values() for candidate in some}
    if warning := _unsure(chosen, grades):
        report.warnings.append(warning)
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
        "lowest confidence": round(min(candidate.confidence for candidate in top), 4),
        "sampled": min(len(drawn), recipe.sampled),
    }
    return drawn


def _injected(label: str, drawn: Sequence[Candidate], recipe: Recipe) -> list[Candidate]:
    """The sentences to inject: the sure ones in the order drawn, then the others, best first.

    All neutral ones best first: the less a scorer is sure of those, the more of them have a mood.
    """
    size = recipe.sampled // 2 if label == "neutral" else recipe.sampled
    in_order = label != "neutral" or UNSURE not in recipe.filters
    first = Grade.SURE if in_order else Grade.SURE + 1
    others = sorted((one for one in drawn if one.grade < first), reverse=True)
    return [*(one for one in drawn if one.grade >= first), *others][:size]


def _divided(drawn: Sequence[Candidate], recipe: Recipe) -> tuple[list[str], Sequence[Candidate]]:
    """Line 7: half of n neutral sentences for controls, and half to inject.

    Few sentences give a good natural control, so these come first, from all neutral ones drawn;
    of those that stop alike, the unsure ones, as only the phrase is used, and last those that go
    on with an earlier sentence.
    """
    if recipe.truncation == "half":
        return [candidate.text for candidate in drawn[::2]], drawn[1::2]
    # As many as there are samples are left to inject.
    half = min(recipe.sampled // 2, len(drawn) - recipe.samples)
    phrases = {candidate: control_phrase(candidate.text, recipe) for candidate in drawn}
    closed = {one: closeness(phrase) for one, phrase in phrases.items() if phrase is not None}
    if UNSURE not in recipe.filters:
        closed = {one: value // CLOSED for one, value in closed.items()}
    giving = sorted(closed, key=lambda one: (closed[one], one.grade == Grade.DEPENDENT, one.grade))
    giving = giving[:half]
    taken = {candidate.text for candidate in giving}
    left = [candidate for candidate in drawn if candidate.text not in taken]
    return [candidate.text for candidate in giving], left


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
    sampled: Mapping[str, Sequence[Candidate]], recipe: Recipe, report: Report
) -> list[Triple]:
    """Sets of three sentences: those of sure ones first, then by the worst of the three."""
    texts = {label: [candidate.text for candidate in some] for label, some in sampled.items()}
    lengths = _lengths(itertools.chain.from_iterable(texts[label] for label in CLASSES))
    for label in CLASSES:
        mean = fmean(lengths[text] for text in texts[label])
        report.lengths[label] = {"sampled": round(mean, 2)}
    if not recipe.balance:
        return in_order(texts)
    known = {candidate.text: candidate for some in sampled.values() for candidate in some}
    triples: list[Triple] = []
    for lowest in reversed(Grade):
        used = {text for triple in triples for text in triple.texts}
        left = {
            label: [text for text in some if known[text].grade >= lowest and text not in used]
            for label, some in texts.items()
        }
        exact, near = balanced(left, lengths.__getitem__)
        found = exact + near
        if lowest < Grade.SURE:
            found.sort(key=lambda triple: min(known[text] for text in triple.texts), reverse=True)
        triples += found
    return triples


def _unsure(chosen: Sequence[tuple[Triple, str]], grades: Mapping[str, Grade]) -> str:
    """A warning that counts the samples with a sentence of a lower grade; empty without any."""
    lowest = Counter(min(grades[text] for text in triple.texts) for triple, _ in chosen)
    faults = ", ".join(f"{lowest[grade]} {_FAULTS[grade]}" for grade in _FAULTS if lowest[grade])
    return faults and (
        f"{sum(lowest.values()) - lowest[Grade.SURE]} of the {len(chosen)} samples hold a sentence "
        f"that is used last ({faults}): more text, or fewer samples, would leave them out"
    )


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
