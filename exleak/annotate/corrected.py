"""The human leakage rate of a whole run, from a few answers and the instrument's decisions.

Prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, Science 382, 2023)
with a tuned weight λ (PPI++: Angelopoulos, Duchi and Zrnic, arXiv 2311.01453, 2023). The
instrument decides on all pairs of the run, people on the items; where they differ on the items
corrects the rate that the instrument gives the run:

    rate = λ · mean of automatic over the run + mean of (human − λ · automatic) over the items

The expectation is the human rate for any fixed λ, however wrong the instrument is; λ decides how
wide the interval is. PPI++ takes items and unlabelled data as independent samples. Here the items
are part of the run and share its controls, so one delete-one-cluster jackknife goes over both.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exleak import rates
from exleak.annotate.answers import Answers
from exleak.annotate.comparison import class_scores
from exleak.annotate.intervals import Clusters, Estimate, mean
from exleak.annotate.key import Key
from exleak.annotate.sample import sentences
from exleak.annotate.votes import decision, leanings
from exleak.errors import DatasetError
from exleak.prompts import with_parts
from exleak.records import CLASSES, LEAKING_CONDITIONS, PromptGenerations

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.scoring import Instrument

    Array = NDArray[np.float64]

#: Fewest answered items; intervals of fewer were not tried (benchmarks/corrected_rate.py).
MINIMUM = 20
#: Errors below this are rounding.
_NOTHING = 1e-9


@dataclass(frozen=True)
class Prompts:
    """The positive and negative test prompts of a run, with at most one item each.

    Attributes:
        conditions: The injected class of each of the N prompts.
        near: Their control prompts and injected sentences.
        automatic: Share of the pairs of a test and a control generation on which the instrument
            decides for leakage, shape (N,).
        human: The annotators' decision on the prompt's item, shape (N,): 0, 1, or ½ where exactly
            half say ``toward``; NaN without an answered item.
        machine: The instrument's decision on the same item, shape (N,): 0 or 1; NaN likewise.
    """

    conditions: tuple[str, ...]
    near: Clusters
    automatic: Array
    human: Array
    machine: Array


@dataclass(frozen=True)
class Corrected:
    """The human rate of a run: how often people see leakage in one generation beside another.

    Attributes:
        items: Number of answered items.
        undecided: Number of these on which exactly half say ``toward``; each counts one half.
        prompts: Number of positive and negative test prompts.
        automatic: The instrument's rate over all pairs of generations of the run.
        human: The human rate from the items alone (λ = 0).
        rate: The corrected human rate.
        weight: λ, from 0 (the instrument does not help) to 1.
        narrower: Share by which its interval is narrower than that of the items alone.
    """

    items: int
    undecided: int
    prompts: int
    automatic: Estimate
    human: Estimate
    rate: Estimate
    weight: float
    narrower: float


def prompts_of(
    key: Key, answers: Answers, run: Sequence[PromptGenerations], instrument: Instrument
) -> Prompts:
    """Decisions of the instrument and of the annotators on an exported run.

    Args:
        key: The key of the export.
        answers: The answers of all annotators.
        run: The exported run. Its pairs are those that the export could show.
        instrument: The instrument that decides, on the run's sentences and on the items.

    Raises:
        DatasetError: An answered item is not of this run.
        InstrumentError: The instrument's scores are not valid probabilities.
    """
    import numpy as np

    rows = {row.id: row for row in with_parts(run)}
    texts = {name: [text for _, text in sentences(row)] for name, row in rows.items()}
    tests = {
        row.id: (row, rows[row.control])
        for row in rows.values()
        if row.control and row.condition in LEAKING_CONDITIONS
        if texts[row.id] and texts[row.control]
    }
    votes = leanings(key, answers)
    items = {item.prompt: item for item in key.items if votes.get(item.id)}
    if unknown := [item.id for name, item in items.items() if name not in tests]:
        raise DatasetError(f"item {unknown[0]} is not of this run: give the run that was exported")
    shown = [text for item in items.values() for text in (item.test, item.reference)]
    paired = [text for pair in tests.values() for row in pair for text in texts[row.id]]
    scores = class_scores([*shown, *paired], instrument)
    human, machine = np.full((2, len(tests)), np.nan)
    for number, name in enumerate(tests):
        if item := items.get(name):
            vote = decision(votes[item.id])
            human[number] = 0.5 if vote is None else vote
            machine[number] = _share([item.test], [item.reference], item.condition, scores)
    return Prompts(
        conditions=tuple(test.condition for test, _ in tests.values()),
        near=Clusters(
            tuple(control.prompt for _, control in tests.values()),
            tuple(test.injected or test.id for test, _ in tests.values()),
        ),
        automatic=np.array(
            [
                _share(texts[test.id], texts[control.id], test.condition, scores)
                for test, control in tests.values()
            ]
        ),
        human=human,
        machine=machine,
    )


def _share(
    test: Sequence[str], control: Sequence[str], condition: str, scores: dict[str, Array]
) -> float:
    """Share of all pairs of a test and a control sentence on which d is above 0."""
    import numpy as np

    column = CLASSES.index(condition)
    left, right = ([scores[text][column] for text in side] for side in (test, control))
    return float(np.mean(np.subtract.outer(left, right).round(rates.DECIMALS) > 0))


def estimate(prompts: Prompts) -> Corrected:
    """The corrected human rate of a run.

    Conditions have the weights that they have in the run, whatever their share of the items. λ
    minimises the jackknife's estimate of the variance over controls: PPI++'s choice, which is
    Cov(human, machine) / ((1 + n/N) Var(machine)) for independent samples of n and N, with this
    design's variance. If injected sentences are reused, the larger error of the two clusterings
    counts. Intervals are those of all rates, with a degree of freedom less than there are clusters
    with an item.

    Raises:
        DatasetError: There are too few answered items, or controls with one.
    """
    import numpy as np

    answered = ~np.isnan(prompts.human)
    _check(prompts, answered)
    clusterings = [prompts.near.controls]
    if len(set(prompts.near.injected)) < len(answered):
        clusterings.append(prompts.near.injected)
    found = [_jackknife(prompts, answered, labels) for labels in clusterings]
    whole, without, _ = found[0]
    weight = _weight(without)

    def result(weight: float) -> Estimate:
        rate = min(1.0, max(0.0, round(float(whole @ (1.0, weight)), rates.DECIMALS)))
        errors = [(_error(parts @ (1.0, weight)), clusters) for _, parts, clusters in found]
        interval = rates.interval(rate, *max(errors))
        return Estimate(rate, int(answered.sum()), interval)

    alone, rate = result(0.0), result(weight)
    return Corrected(
        items=int(answered.sum()),
        undecided=int((prompts.human == 0.5).sum()),
        prompts=len(answered),
        automatic=mean(prompts.automatic.tolist(), prompts.near),
        human=alone,
        rate=rate,
        weight=weight,
        narrower=1 - _width(rate) / _width(alone),
    )


def _check(prompts: Prompts, answered: NDArray[np.bool_]) -> None:
    import numpy as np

    if answered.sum() < MINIMUM:
        raise DatasetError(
            f"{answered.sum()} positive and negative items have an answer to direction, "
            f"{MINIMUM} are needed"
        )
    for name in sorted(set(prompts.conditions)):
        rows = np.flatnonzero(answered & (np.array(prompts.conditions) == name))
        count = len({prompts.near.controls[row] for row in rows})
        if count < 2:
            raise DatasetError(
                f"{count} controls have an answered {name} item, 2 are needed for an interval"
            )


def _jackknife(
    prompts: Prompts, answered: NDArray[np.bool_], labels: Sequence[Hashable]
) -> tuple[Array, Array, int]:
    """Items' mean and its correction for λ = 1: of all prompts, and without each cluster.

    Returns:
        Shape (2,), shape (clusters, 2), and the number of clusters with an answered item.
    """
    import numpy as np

    kinds, clusters = (
        np.unique(list(map(str, values)), return_inverse=True)[1]
        for values in (prompts.conditions, labels)
    )
    ones = np.ones(len(answered))
    columns = (ones, prompts.automatic, answered, prompts.human, prompts.machine)
    sums = np.zeros((clusters.max() + 1, kinds.max() + 1, len(columns)))
    np.add.at(sums, (clusters, kinds), np.nan_to_num(np.stack(columns, axis=-1)))
    total = sums.sum(axis=0)
    return _parts(total), _parts(total - sums), int((sums[:, :, 2].sum(axis=1) > 0).sum())


def _parts(sums: Array) -> Array:
    """Items' mean and correction, shape (..., 2), from sums of shape (..., conditions, 5)."""
    import numpy as np

    count, automatic, items, human, machine = np.moveaxis(sums, -1, 0)
    share = count / count.sum(axis=-1, keepdims=True)
    parts = human / items, automatic / count - machine / items
    return np.stack([(share * part).sum(axis=-1) for part in parts], axis=-1)


def _weight(without: Array) -> float:
    """λ that minimises the variance of the items' mean plus λ times the correction."""
    import numpy as np

    covariance = np.cov(without.T)
    if math.sqrt(covariance[1, 1]) < _NOTHING:
        return 0.0
    return float(np.clip(-covariance[0, 1] / covariance[1, 1], 0, 1))


def _error(without: Array) -> float:
    """Standard error from the values without each cluster; 0 where they differ by rounding."""
    import numpy as np

    error = math.sqrt((len(without) - 1) * float(np.var(without)))
    return error if error > _NOTHING else 0.0


def _width(found: Estimate) -> float:
    assert found.interval is not None
    return found.interval[1] - found.interval[0]
