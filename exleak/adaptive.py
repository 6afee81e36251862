"""Adaptive and extended runs: more and more samples are measured until the limit rule decides.

The samples come in a random order that the dataset and the seed fix, so that every process, and a
run that goes on where another stopped, takes the same looks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from exleak.datasets import load_dataset
from exleak.errors import SettingsError
from exleak.gate.group_sequential import design
from exleak.gate.limits import Limits
from exleak.gate.rules import judge
from exleak.gate.usable import counts_of
from exleak.generation.dataset import Generated
from exleak.records import Dataset, Interim, Measurement, Sample
from exleak.store import Store, write_run

#: The dataset that further samples come from, once those left out by a limit are used up.
FURTHER = "aexl"
#: Note on a run that stopped before its last look.
CONDITIONAL = (
    "stopped after {used} samples, as the limit rule had decided: the rates and 95% intervals are "
    "those of these samples alone, and the judged rate tends to lie farther from the limit than "
    "after all samples; only the bounds of the verdict hold for every look"
)


@dataclass(frozen=True)
class Extension:
    """The samples that an inconclusive run goes on with, and the names of their datasets."""

    samples: tuple[Sample, ...] = ()
    origin: str = ""


def extension(
    dataset: Dataset, extend: int | str, seed: int, whole: Dataset | None = None
) -> Extension:
    """The samples that an extension adds, in random order.

    Args:
        dataset: The dataset of the run.
        extend: Their number, or ``"aexl"`` for all of that dataset.
        seed: Seed of the order.
        whole: The dataset before a limit cut it; its other samples come first for a number.

    Raises:
        SettingsError: There are not that many, or their ids occur in the dataset.
    """
    is_number = isinstance(extend, int) and not isinstance(extend, bool)
    if not is_number and extend != FURTHER:
        raise SettingsError(f"extend must be a whole number or {FURTHER!r}, not {extend!r}")
    known = {sample.id for sample in dataset.samples}
    sources = [whole] if is_number and whole is not None else []
    further = load_dataset(FURTHER)
    is_other = (dataset.language, dataset.injected_language) != (
        further.language,
        further.injected_language,
    )
    sources += [] if is_other or dataset.name == FURTHER else [further]
    found: list[tuple[Sample, str]] = []
    for source in sources:
        others = [s for s in source.samples if source is not whole or s.id not in known]
        found += [(sample, source.name) for sample in shuffled(others, dataset.hash, seed)]
    if clash := sorted(known & {sample.id for sample, _ in found}):
        raise SettingsError(
            f"dataset {dataset.name}: it cannot be extended by {FURTHER}, which has a sample "
            f"{clash[0]!r}, too; give its samples other ids"
        )
    wanted = int(extend) if is_number else len(found)
    if not 1 <= wanted <= len(found):
        raise SettingsError(
            f"dataset {dataset.name} can be extended by 1 to {len(found)} samples, not {extend}"
            if found
            else f"dataset {dataset.name}: there are no further samples to extend it by"
        )
    chosen = found[:wanted]
    origin = " and ".join(dict.fromkeys(name for _, name in chosen))
    return Extension(tuple(sample for sample, _ in chosen), origin)


def shuffled(samples: Sequence[Sample], salt: str, seed: int) -> list[Sample]:
    """The samples in a random order; those of one control prompt stay together.

    Args:
        samples: The samples.
        salt: A text that gives each dataset an order of its own, such as its hash.
        seed: Seed of the order.
    """

    def place(sample: Sample) -> bytes:
        return hashlib.sha256(f"{salt}\0{seed}\0{sample.control}".encode()).digest()

    return sorted(samples, key=place)


def check(limits: Limits) -> None:
    """Refuse limits that several looks cannot keep.

    Raises:
        SettingsError: There is no limit on the rate, or another rule is set.
    """
    if limits.max_rate is None:
        raise SettingsError(
            "adaptive and extended runs need a limit on the rate (max_rate): it decides when "
            "enough was measured"
        )
    if limits.significance in ("forbid", "require") or limits.has_baseline:
        raise SettingsError(
            "adaptive and extended runs are judged by the limit on the rate alone: W_EL and "
            "baselines need every sample of the dataset"
        )


class Looks:
    """The measurements of a run of several looks, each made when it is asked for.

    Args:
        dataset: The samples of the run.
        limits: The limits, whose level all looks together keep.
        generate: Continues the prompts of some of the samples.
        score: Scores continuations; its bounds have the given one-sided confidence level.
        seed: Seed of the order of samples.
        adaptive: Whether to look several times.
        store: Where a generations file of the run is written; ``None`` writes none.
        extended_by: The samples to go on with if the run is inconclusive.

    Raises:
        SettingsError: See :func:`check`.
    """

    def __init__(
        self,
        dataset: Dataset,
        limits: Limits,
        generate: Callable[[Dataset], Generated],
        score: Callable[[Generated, float], Measurement],
        *,
        seed: int = 0,
        adaptive: bool = True,
        extended_by: Extension | None = None,
        store: Store | None = None,
    ) -> None:
        check(limits)
        own, more = dataset.samples, extended_by or Extension()
        self.design = design(len(own), limits.level, adaptive=adaptive, further=len(more.samples))
        self._own, self._origin = len(own), more.origin
        self._order = (*shuffled(own, dataset.hash, seed), *more.samples)
        self._dataset = replace(dataset, samples=(*own, *more.samples))
        self._generate, self._score, self._store = generate, score, store
        self._generated: list[Generated] = []
        self._measured: list[Measurement] = []

    def until_decided(self, limits: Limits) -> tuple[Measurement, Limits]:
        """The first look at which the limit rule decides, or the last one, and its limits.

        A look whose continuations are unusable decides nothing: so few of them may be so by chance.

        Args:
            limits: The limits to decide by.
        """
        known = len(self._measured)
        for number, look in enumerate(self.design):
            measurement, at_look = self._at(number), replace(limits, level=look.level)
            if _decides(measurement, at_look):
                break
        if self._store is not None and len(self._measured) > known:
            rows = _merged(self._generated, self._dataset).rows
            write_run(self._store, f"{measurement.model}-{measurement.dataset}", rows)
        return measurement, at_look

    def _at(self, number: int) -> Measurement:
        """The measurement of a look; those before it have been made."""
        if number == len(self._measured):
            look = self.design[number]
            begin = self.design[number - 1].samples if number else 0
            part = replace(self._dataset, samples=self._order[begin : look.samples])
            self._generated.append(self._generate(part))
            found = self._score(_merged(self._generated, self._dataset), look.level)
            self._measured.append(self._with_interim(found, number))
        return self._measured[number]

    def _with_interim(self, measurement: Measurement, number: int) -> Measurement:
        look = self.design[number]
        further = max(0, look.samples - self._own)
        interim = Interim(
            number + 1,
            len(self.design),
            look.samples,
            self.design[-1].samples,
            further,
            self._origin if further else None,
        )
        said = [CONDITIONAL.format(used=interim.used)] if interim.is_early else []
        if further:
            said.append(
                f"extended by {further} samples of {interim.extension}, as the limit rule could "
                "not decide before: the rates are those of all samples together"
            )
        return replace(measurement, interim=interim, notes=(*said, *measurement.notes))


def _decides(measurement: Measurement, limits: Limits) -> bool:
    """Whether a look passes or fails the limit, with continuations that are usable."""
    found = judge(measurement.expression, **counts_of(measurement.generations), limits=limits)
    return found.outcome in ("pass", "fail")


def _merged(parts: Sequence[Generated], dataset: Dataset) -> Generated:
    """The continuations of several looks together, in the dataset's order."""
    rows = {row.id: row for part in parts for row in part.rows}
    ordered = tuple(rows[prompt.id] for prompt in dataset.prompts if prompt.id in rows)
    environment = {name: value for part in parts for name, value in part.environment.items()}
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    return Generated(ordered, parts[-1].identity, environment, tuple(notes))
