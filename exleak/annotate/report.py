"""The report of a human check: all results from answers, key and instrument."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exleak.annotate.agreement import Agreement, agreement
from exleak.annotate.answers import Answers
from exleak.annotate.comparison import Comparison, Labelling, clusters_of, compare, label
from exleak.annotate.corrected import Corrected, estimate, prompts_of
from exleak.annotate.intervals import Clusters
from exleak.annotate.key import Key
from exleak.annotate.task import PAIRS
from exleak.annotate.votes import LEANINGS, Majority, leanings, majority
from exleak.environment import version
from exleak.errors import DatasetError
from exleak.records import LEAKING_CONDITIONS, PromptGenerations, Rate, to_json

if TYPE_CHECKING:
    from exleak.scoring import Instrument

CLUSTERED = (
    "intervals are 95%, clustered on the control prompt (and on the injected sentence where one "
    "is reused): t for means, delete-one-cluster jackknife for the rest; they hold for these "
    "annotators, not for others"
)
NO_KEY = (
    "no key: annotators are compared with each other only, items of one control count as "
    "independent, and unknown items cannot be told"
)


@dataclass(frozen=True)
class Report:
    """The results of a human check.

    Attributes:
        export, task: Id of the export and name of the task.
        annotators: Number of answered items by annotator.
        items: Number of items in the export; without a key, of those with an answer.
        agreement: Agreement on each question, and with a key on ``leaning``.
        majority: The majority vote on each question.
        comparison: Comparison with the instrument, for pairs with a key.
        labelling: Comparison with the dataset's labels, for labels with a key.
        run: The run's rate over all generations.
        corrected: The human rate over all generations, for pairs with a key and the run.
        instrument: Name and hash of the instrument.
        notes: Caveats about the numbers.
    """

    export: str
    task: str
    annotators: dict[str, int]
    items: int
    agreement: tuple[Agreement, ...]
    majority: dict[str, Majority]
    comparison: Comparison | None = None
    labelling: Labelling | None = None
    run: Rate | None = None
    corrected: Corrected | None = None
    instrument: tuple[str, str] | None = None
    notes: tuple[str, ...] = field(default=(CLUSTERED,))

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready builtins; undefined numbers are ``None``."""
        return {"schema": 1, "exleak": version(), **to_json(self)}


def build(
    answers: Answers,
    key: Key | None = None,
    instrument: Instrument | None = None,
    run: Rate | None = None,
    notes: Sequence[str] = (),
    rows: Sequence[PromptGenerations] | None = None,
) -> Report:
    """Compute the report from the answers.

    Args:
        answers: The answers of all annotators.
        key: The key of the export.
        instrument: The instrument to compare pairs with; needs the key.
        run: The run's rate, to show beside the annotators'.
        notes: Additional notes.
        rows: The run, for the corrected rate; needs the instrument.

    Raises:
        ExleakError: The instrument fails, or an item is not of the run.
    """
    names = [question.name for question in answers.task.questions]
    comparable = key is not None and instrument is not None and answers.task is PAIRS
    corrected, missing = None, list[str]()
    if comparable and rows is not None and key is not None and instrument is not None:
        prompts = prompts_of(key, answers, rows, instrument)
        try:
            corrected = estimate(prompts)
        except DatasetError as error:
            missing = [f"no corrected human rate: {error}"]
    return Report(
        export=answers.export,
        task=answers.task.name,
        annotators={name: _given(answers, name) for name in answers.annotators},
        items=len(answers.items),
        agreement=tuple(_agreements(answers, key)),
        majority={
            name: majority({item: answers.of(name, item) for item in answers.items})
            for name in names
        },
        comparison=compare(key, answers, instrument)
        if comparable and key is not None and instrument is not None
        else None,
        labelling=label(key, answers) if key and answers.task is not PAIRS else None,
        run=run,
        corrected=corrected,
        instrument=(instrument.name, instrument.hash) if instrument and comparable else None,
        notes=(CLUSTERED, *(() if key else (NO_KEY,)), *missing, *notes),
    )


def _given(answers: Answers, annotator: str) -> int:
    """Number of items with any answer of an annotator."""
    every = {
        item for by_item in answers.values.values() for item, a in by_item.items() if annotator in a
    }
    return len(every)


def _agreements(answers: Answers, key: Key | None) -> list[Agreement]:
    if key:
        clusters = clusters_of(key.items)
        conditions = [item.condition for item in key.items]
    else:
        clusters, conditions = Clusters(answers.items, answers.items), None
    agreements = [
        agreement(
            question.name,
            question.values,
            [answers.of(question.name, item) for item in answers.items],
            clusters,
            len(answers.annotators),
            conditions,
        )
        for question in answers.task.questions
    ]
    if key and answers.task is PAIRS:
        agreements.append(_leaning_agreement(key, answers))
    return agreements


def _leaning_agreement(key: Key, answers: Answers) -> Agreement:
    """Agreement on the leanings, which are leakage labels like those of the paper's annotators."""
    votes = leanings(key, answers)
    items = [item for item in key.items if item.condition in LEAKING_CONDITIONS]
    return agreement(
        "leaning",
        LEANINGS,
        [votes[item.id] for item in items],
        clusters_of(items),
        len(answers.annotators),
        [item.condition for item in items],
    )
