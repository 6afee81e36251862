"""How often the intervals of the corrected human rate hold the true rate, by simulation.

    python benchmarks/corrected_rate.py [--runs 2000]

Moods of continuations are drawn for 60 samples (as HEXL has) and 200 (AEXL), ten continuations a
prompt. Controls and injected sentences differ in how much they leak. A machine sees the moods with
an error of its own for each continuation, people with one for each item. Items are drawn by the
rule of exleak.annotate.sample; the estimates come from exleak. The items' mean alone (λ = 0) is
shown beside the corrected rate. HEXL has no more than 120 positive and negative items.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exleak.annotate.corrected import MINIMUM, Corrected, Prompts, estimate
from exleak.annotate.intervals import Clusters, Estimate

Array = NDArray[np.float64]

GENERATIONS = 10
SIZES = {"HEXL": (60, (20, 40, 60, 120)), "AEXL": (200, (20, 40, 60, 120, 200))}
#: Standard deviations of leakage between controls and between sentences, and of moods between
#: continuations of one prompt.
_CONTROLS, _SENTENCES, _WITHIN = 0.5, 0.4, 0.5
#: Mean shift of the mood: true rates of about .6 and .85.
_SHIFTS = (0.35, 1.1)
#: Leakage raises moods after positive sentences and lowers them after negative ones.
_SIGNS = np.array([[1.0], [-1.0]])


@dataclass(frozen=True)
class Case:
    """A machine and people.

    Attributes:
        noise: Standard deviation of the machine's error for each continuation.
        people: Standard deviation of the people's error for each item.
        sees: Factor of the mood that the machine sees; 0 for nothing.
        bias: What the machine adds to the d of positive and of negative prompts.
        reuse: Number of controls that share an injected sentence.
        missing: Share of items without an answer.
    """

    noise: float
    people: float = 0.5
    sees: float = 1.0
    bias: tuple[float, float] = (0.0, 0.0)
    reuse: int = 1
    missing: float = 0.0


CASES = {
    "same decisions": Case(0.0, people=0.0),
    "close": Case(0.1, people=0.2),
    "fair": Case(0.4),
    "poor": Case(1.5),
    "useless": Case(1.0, sees=0.0),
    "contrary": Case(0.4, sees=-1.0),
    "biased": Case(0.4, bias=(0.8, 0.8)),
    "biased one way": Case(0.4, bias=(0.8, -0.8)),
    "a fifth missing": Case(0.4, missing=0.2),
    "sentences used 3 times": Case(0.4, reuse=3),
}


@dataclass(frozen=True)
class Run:
    """A run of C controls.

    Attributes:
        true: The people's view of test and control generations, shapes (C, 2, K) and (C, 1, K).
        leaks: The machine's decision on all pairs, shape (C, 2, K, K).
    """

    true: tuple[Array, Array]
    leaks: NDArray[np.bool_]


def draw(generator: np.random.Generator, controls: int, shift: float, case: Case) -> Run:
    """A run with the machine's decisions."""
    leakage = generator.normal(shift, _CONTROLS, (controls, 1, 1))
    sentences = generator.normal(0, _SENTENCES, (math.ceil(controls / case.reuse), 2, 1))
    leakage = leakage + np.repeat(sentences, case.reuse, axis=0)[:controls]
    test = _SIGNS * leakage + generator.normal(0, _WITHIN, (controls, 2, GENERATIONS))
    control = generator.normal(0, _WITHIN, (controls, 1, GENERATIONS))
    left, right = (
        _SIGNS * (case.sees * moods + generator.normal(0, case.noise, moods.shape))
        for moods in (test, control)
    )
    limit = right - np.array(case.bias)[:, None]
    return Run((test, control), left[..., :, None] > limit[..., None, :])


def sample(generator: np.random.Generator, controls: int, items: int) -> tuple[Array, ...]:
    """Control, condition, test and control generation of each item, shape (items,).

    In rounds with one test prompt for each control, conditions rotating, no control generation
    twice; the neutral items are left out here.
    """
    number = np.arange(controls)
    names = np.tile(generator.permutation(controls), 3)
    classes = (np.repeat(np.arange(3), controls) - np.tile(number, 3)) % 3
    counted = np.flatnonzero(classes != 1)[:items]
    names, conditions = names[counted], (classes[counted] == 0).astype(int)
    order = generator.random((controls, GENERATIONS)).argsort(axis=1)
    tests = generator.integers(GENERATIONS, size=len(counted))
    return names, conditions, tests, order[names, conditions]


def annotated(generator: np.random.Generator, run: Run, items: int, case: Case) -> Prompts:
    """The run with answers to so many items."""
    controls = len(run.leaks)
    at = sample(generator, controls, items)
    names, conditions, tests, others = at
    test, control = run.true
    d = _SIGNS[conditions, 0] * (test[names, conditions, tests] - control[names, 0, others])
    votes = d + generator.normal(0, case.people, items) > 0
    answered = generator.random(items) >= case.missing
    human, machine = np.full((2, controls, 2), np.nan)
    human[at[:2]] = np.where(answered, votes, np.nan)
    machine[at[:2]] = np.where(answered, run.leaks[at], np.nan)
    clusters = np.repeat(np.arange(controls), 2)
    sentences = 2 * (clusters // case.reuse) + np.tile([0, 1], controls)
    return Prompts(
        conditions=("positive", "negative") * controls,
        near=Clusters(tuple(clusters.tolist()), tuple(sentences.tolist())),
        automatic=run.leaks.mean(axis=(2, 3)).ravel(),
        human=human.ravel(),
        machine=machine.ravel(),
    )


def true_rate(shift: float, case: Case) -> float:
    """The human rate of all runs: a normal probability."""
    parts = (_CONTROLS, _SENTENCES, _WITHIN, _WITHIN, case.people)
    spread = math.sqrt(sum(part**2 for part in parts))
    return 0.5 * (1 + math.erf(shift / spread / math.sqrt(2)))


def holds(found: Estimate, truth: float) -> bool:
    """Whether an interval holds the true rate."""
    assert found.interval is not None
    return found.interval[0] <= truth <= found.interval[1]


@dataclass
class Cell:
    """The simulated estimates from so many items of a run."""

    items: int
    agreed: list[float] = field(default_factory=list)
    found: list[Corrected] = field(default_factory=list)

    def add(self, prompts: Prompts) -> None:
        """Estimate once more."""
        answered = ~np.isnan(prompts.human)
        self.agreed.append(float(np.mean((prompts.human == prompts.machine)[answered])))
        self.found.append(estimate(prompts))

    def line(self, truth: float) -> str:
        """Agreement, true rate, mean rates, shares of intervals that hold it, mean λ and width."""
        alone, inside = (np.mean([holds(getattr(one, name), truth) for one in self.found])
                         for name in ("human", "rate"))  # fmt: skip
        automatic, rate = (np.mean([getattr(one, name).value for one in self.found])
                           for name in ("automatic", "rate"))  # fmt: skip
        weight, narrower = (np.mean([getattr(one, name) for one in self.found])
                            for name in ("weight", "narrower"))  # fmt: skip
        return (f"{self.items:5} {np.mean(self.agreed):6.1%} {truth:6.3f} {automatic:6.3f} "
                f"{rate - truth:+7.4f} {alone:7.1%} {inside:9.1%} {weight:6.2f} {narrower:9.1%}"
               )  # fmt: skip


def cells(runs: int, dataset: str, shift: float, case: Case) -> list[Cell]:
    """Estimates from each number of items, on the same runs."""
    controls, sizes = SIZES[dataset]
    generator = np.random.default_rng([controls, int(100 * shift), *map(ord, repr(case))])
    found = [Cell(items) for items in sizes if items * (1 - case.missing) >= MINIMUM]
    for _ in range(runs):
        run = draw(generator, controls, shift, case)
        for cell in found:
            cell.add(annotated(generator, run, cell.items, case))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=2000)
    options = parser.parse_args()
    print(f"{options.runs} simulated runs a row")
    print(f"{'machine':24} {'set':5} {'items':>5} {'agree':>6} {'true':>6} {'autom.':>6} "
          f"{'bias':>7} {'alone':>7} {'corrected':>9} {'λ':>6} {'narrower':>9}")  # fmt: skip
    for shift in _SHIFTS:
        for name, case in CASES.items():
            for dataset in SIZES:
                for cell in cells(options.runs, dataset, shift, case):
                    line = cell.line(true_rate(shift, case))
                    print(f"{name:24} {dataset:5} {line}", flush=True)


if __name__ == "__main__":
    main()
