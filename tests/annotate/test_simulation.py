"""Simulated annotators of known accuracy: are the reported intervals worth their 95%?

Each simulation draws a new run that follows the law of ``reference-leaky``, exports it, answers
it with three simulated people and reads the answers. The truth is the same computed once on so
many items that its own error does not matter.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from exleak.annotate.agreement import count, krippendorff_alpha
from exleak.annotate.answers import read_answers
from exleak.annotate.comparison import cohen_kappa, differences, spearman
from exleak.annotate.export import export_pairs
from exleak.annotate.intervals import Estimate
from exleak.annotate.key import Item
from exleak.annotate.report import Report, build
from exleak.annotate.sample import Lots, Size, draw_pairs
from exleak.annotate.votes import LEANINGS, decision, leaning, vote_share
from exleak.store import read_generations
from tests.helpers.people import MACHINE, Person, agree, answer_sheet, reference_rows, write_run

PEOPLE = (Person(0.75, 0.1), Person(0.75, 0.1), Person(0.75, 0.1))
SIMULATIONS = 100


def simulate(folder: Path, seed: int) -> Report:
    """One human check from run to report: 24 controls, 48 positive and negative items."""
    folder.mkdir()
    run = write_run(folder / "run.jsonl", 24, f"run {seed}", generations=3)
    key = export_pairs(run, folder / "out", salt=str(seed))
    sheets = [
        answer_sheet(key, folder / f"person{number}.csv", person, seed)
        for number, person in enumerate(PEOPLE)
    ]
    return build(read_answers(sheets, key), key, MACHINE, rows=read_generations(run))


@cache
def truth() -> dict[str, float | None]:
    """What the same people and the same machine give on 2,000 positive and negative items."""
    rng = random.Random("truth")
    items = draw_pairs(list(reference_rows(1000, rng)), Size(), Lots(0, "truth"))
    items = tuple(item for item in items if item.condition != "neutral")
    votes = [_votes(item, rng) for item in items]
    d = np.array(differences(items, MACHINE))
    answered = [i for i, vote in enumerate(votes) if vote]
    shares = np.array([vote_share(votes[i]) for i in answered])
    human = [decision(votes[i]) if votes[i] else None for i in range(len(items))]
    decided = [i for i, value in enumerate(human) if value is not None]
    people, machine = np.array([bool(human[i]) for i in decided]), d[decided] > 0
    return {
        "raw": agree(PEOPLE[0].accuracy),
        "alpha": krippendorff_alpha(count(votes, LEANINGS)),
        "correlation": spearman(d[answered], shares),
        "human": float(people.mean()),
        "corrected": float(np.mean([0.5 if human[i] is None else human[i] for i in answered])),
        "automatic": float(machine.mean()),
        "accuracy": float((people == machine).mean()),
        "kappa": cohen_kappa(people, machine),
    }


def _votes(item: Item, rng: random.Random) -> list[str]:
    given = [person.direction(item, rng) for person in PEOPLE]
    return [leaning(item, direction) for direction in given if direction]


def holds(estimate: Estimate, value: float | None) -> bool:
    """Whether an interval holds the truth."""
    assert estimate.interval is not None
    assert value is not None
    return estimate.interval[0] <= value <= estimate.interval[1]


@pytest.fixture(scope="module")
def covered(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """In how many of 100 simulations each interval holds the truth."""
    folder, found = tmp_path_factory.mktemp("simulations"), Counter[str]()
    for seed in range(SIMULATIONS):
        report = simulate(folder / str(seed), seed)
        assert report.comparison is not None
        assert report.corrected is not None
        by_question = {item.question: item for item in report.agreement}
        found["raw"] += holds(by_question["direction"].raw, truth()["raw"])
        found["alpha"] += holds(by_question["leaning"].alpha, truth()["alpha"])
        found["corrected"] += holds(report.corrected.rate, truth()["corrected"])
        for name in ("correlation", "human", "automatic", "accuracy", "kappa"):
            found[name] += holds(getattr(report.comparison, name), truth()[name])
    return found


@pytest.mark.parametrize(
    "name", ["raw", "alpha", "correlation", "human", "corrected", "automatic", "accuracy", "kappa"]
)
def test_intervals_hold_the_truth(name: str, covered: Counter[str]) -> None:
    """At least 90 of 100, for agreement, the human rates, and human against machine."""
    assert covered[name] >= 90


def test_perfect_people_and_machine_agree_perfectly(tmp_path: Path) -> None:
    """Everyone right, and a machine without noise to be wrong about."""
    run = write_run(tmp_path / "run.jsonl", 20)
    run.write_text(run.read_text().replace(" noise", " silence"))
    key = export_pairs(run, tmp_path / "out")
    sheets = [answer_sheet(key, tmp_path / f"{name}.csv", Person()) for name in "abc"]
    report = build(read_answers(sheets, key), key, MACHINE)
    for found in report.agreement:
        assert found.raw.value == found.unanimous.value == 1
    # Nothing is stated that the machine could read: d is 0, and so is the correlation undefined.
    assert report.comparison is not None
    assert report.comparison.correlation.value is None
