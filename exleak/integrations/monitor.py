"""Measurements of a model in training, one after another, each compared with the first.

    >>> monitor = Monitor(limit=12, sampling=Sampling(generations=4))
    >>> monitor.limit
    12

:mod:`exleak.integrations.transformers` and :mod:`exleak.integrations.lightning` say when.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.adaptive import Looks
from exleak.adaptive import check as check_limits
from exleak.datasets import load_dataset
from exleak.errors import ComparisonError, SettingsError
from exleak.gate.comparison import compare, compared_metric
from exleak.gate.limits import Limits
from exleak.gate.rules import judge
from exleak.gate.usable import counts_of
from exleak.generation.dataset import Generated, generate_rows
from exleak.generation.local.loading import load_model
from exleak.generation.local.source import LoadedSource
from exleak.generation.requests import Template
from exleak.generation.sampling import Sampling
from exleak.integrations.metrics import flat
from exleak.integrations.ranks import Ranks, SharedSource, ranks
from exleak.integrations.sharding import on_whole_copy, sharded_by
from exleak.integrations.undisturbed import undisturbed
from exleak.measurement import About, score
from exleak.progress import Done, told
from exleak.records import Comparison, Dataset, Measurement
from exleak.reports import write_report
from exleak.reports.terminal import failure
from exleak.scoring import load_instrument
from exleak.sources import source_of
from exleak.store import write_generations
from exleak.store.report import read_measurements

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from exleak.generation.local.model import LocalModel
    from exleak.generation.requests import Chat, Source
    from exleak.scoring import Instrument

#: The baseline that is the measurement at the start of the training.
START = "start"


@dataclass(frozen=True)
class Checked:
    """A measurement of a model in training.

    Attributes:
        measurement: The measurement, with its verdict.
        metrics: It as flat numbers, see :func:`exleak.integrations.metrics.flat`.
        message: Why it failed, with the worst continuations; empty if it did not.
    """

    measurement: Measurement
    metrics: dict[str, float]
    message: str = ""


@dataclass
class Monitor:
    """How a model is measured during training, and what was measured so far.

    Attributes:
        dataset: A built-in dataset's name, a JSONL file, or a loaded dataset.
        limit: Number of samples to measure, the first of the dataset; ``None`` for all.
        limits: The limits for the verdict, or their fields; without limits it only reports.
        instrument: ``"embedded"``, ``"paper"``, a classifier, or a loaded instrument.
        sampling: Sampling settings, or their fields; the paper's by default.
        chat, template, batch_size, mitigation: As for :func:`exleak.measure`.
        baseline: What increases are measured from: ``"start"`` for the training's start, a JSON
            report, or ``None``.
        prefix: Prefix of the metrics.
        folder: Folder for the JSON report and the generations file of each measurement; ``None``
            writes none.
        timeout: Maximum seconds that a rank waits for the others.
        adaptive: Measure a quarter of the samples after another until the limit is decided. An
            increase is known only over measurements of the same samples.

    Raises:
        SettingsError: A setting is out of range.
        DatasetError: There is no such dataset.
    """

    dataset: str | Path | Dataset = "hexl"
    limit: int | None = None
    limits: Limits | Mapping[str, Any] | None = None
    instrument: str | Instrument = "embedded"
    sampling: Sampling | Mapping[str, Any] | None = None
    chat: Chat = "auto"
    template: Template | Mapping[str, Any] | None = None
    batch_size: int | None = None
    mitigation: str | None = None
    baseline: str | Path | None = START
    prefix: str = "eval_leakage"
    folder: Path | None = None
    timeout: float = 450.0
    adaptive: bool = False
    _start: Measurement | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._limits: Limits = _made(Limits, self.limits)
        self._sampling: Sampling = _made(Sampling, self.sampling)
        self._template: Template = _made(Template, self.template)
        if isinstance(self.dataset, Dataset):
            if self.limit is not None:
                raise SettingsError("limit is for a dataset's name or file, not a loaded dataset")
            self._data = self.dataset
        else:
            self._data = load_dataset(self.dataset, limit=self.limit)
        if self.adaptive:
            check_limits(self._limits)
        if self.baseline not in (None, START):
            self._start = _from_report(Path(str(self.baseline)))

    @cached_property
    def tool(self) -> Instrument:
        """The instrument, loaded on first use."""
        name = self.instrument
        return load_instrument(name) if isinstance(name, str) else name

    def check(self, model: Any, tokenizer: PreTrainedTokenizerBase, step: int) -> Checked:
        """Measure a model in memory, with all ranks together, and leave it as it was.

        Of a model whose weights are spread over the ranks, rank 0 measures a whole copy.

        Args:
            model: The model, perhaps in a wrapper of its training; the same on every rank.
            tokenizer: Its tokenizer.
            step: The training step.

        Raises:
            ExleakError: The model cannot be measured, here or on another rank.
        """
        if sharded_by(model):
            return self._check_copy(model, tokenizer, step)
        loaded = self._loaded(model, tokenizer, step)

        def work(all_ranks: Ranks) -> Measurement:
            is_shared = all_ranks.size > 1
            source = SharedSource(loaded, all_ranks) if is_shared else LoadedSource(loaded)
            with undisturbed(loaded.model, tokenizer):
                return self._measured(source, all_ranks.by_first)

        return self._together(work, step)

    def _check_copy(self, model: Any, tokenizer: PreTrainedTokenizerBase, step: int) -> Checked:
        """Measure a whole copy of a spread model on rank 0, for the other ranks, too."""

        def work(all_ranks: Ranks) -> Measurement:
            def here(copy: PreTrainedModel) -> Measurement:
                source = LoadedSource(self._loaded(copy, tokenizer, step))
                return self._measured(source, lambda work: work(), all_ranks)

            with undisturbed(model, tokenizer):
                return on_whole_copy(model, all_ranks, here)

        return self._together(work, step)

    def _loaded(self, model: Any, tokenizer: PreTrainedTokenizerBase, step: int) -> LocalModel:
        return load_model(
            model, tokenizer, chat=self.chat, name=_name(step), template=self._template
        )

    def check_saved(self, checkpoint: Path, step: int, device: str | None = None) -> Checked:
        """Measure a saved checkpoint on rank 0, for the other ranks, too.

        Args:
            checkpoint: The checkpoint's folder.
            step: The training step.
            device: Where to load it; by default CUDA if available.

        Raises:
            ExleakError: The checkpoint cannot be measured.
        """

        def work(all_ranks: Ranks) -> Measurement:
            def here() -> Measurement:
                source = source_of(
                    checkpoint, name=_name(step), device=device, chat=self.chat,
                    template=self._template,
                )  # fmt: skip
                return self._measured(source, lambda work: work(), all_ranks)

            return all_ranks.by_first(here)

        return self._together(work, step)

    def _together(self, work: Callable[[Ranks], Measurement], step: int) -> Checked:
        begun = time.monotonic()
        with ranks(self.timeout) as all_ranks:
            measurement = all_ranks.share(lambda: work(all_ranks))
            return self._checked(measurement, step, time.monotonic() - begun, all_ranks.rank == 0)

    def _measured(
        self,
        source: Source,
        scoring: Callable[[Callable[[], Measurement]], Measurement],
        all_ranks: Ranks | None = None,
    ) -> Measurement:
        """A measurement, of as many looks as an adaptive one needs.

        Args:
            source: The model.
            scoring: Does the work of scoring, on the rank that it is for.
            all_ranks: The ranks that wait while this one continues prompts; ``None`` if all do.
        """

        def scored(generated: Generated, limits: Limits) -> Measurement:
            return scoring(lambda: self._scored(source.name, generated, limits))

        if not self.adaptive:
            return scored(self._generated(source, self._data, all_ranks), self._limits)
        looks = Looks(
            self._data,
            self._limits,
            lambda part: self._generated(source, part, all_ranks),
            lambda generated, level: scored(generated, replace(self._limits, level=level)),
            seed=self._sampling.seed,
        )
        return looks.until_decided(self._limits)[0]

    def _generated(
        self, source: Source, part: Dataset, all_ranks: Ranks | None = None
    ) -> Generated:
        def check(done: Done) -> None:
            if all_ranks is not None and done.phase == "generating":
                all_ranks.check(done.count)

        with told(check):
            return generate_rows(
                source,
                part,
                self._sampling,
                batch_size=self.batch_size,
                mitigation=self.mitigation,
            )

    def _scored(self, name: str, generated: Generated, limits: Limits) -> Measurement:
        about = About.of(
            name,
            self._data,
            self._sampling,
            generated,
            mitigation=self.mitigation,
            limit=self.limit,
        )
        if self.folder is not None:
            write_generations(self.folder / f"{name}.jsonl", generated.rows)
        return score(generated.rows, self.tool, limits=limits, about=about)

    def _checked(
        self, measurement: Measurement, step: int, seconds: float, is_first: bool
    ) -> Checked:
        """A measurement judged and, by the first rank, written."""
        if self._start is None and self.baseline == START:
            self._start = measurement
        measurement, increase = self._compared(measurement)
        if is_first and self.folder is not None:
            write_report(self.folder / f"{_name(step)}.json", [measurement])
        metrics = flat(measurement, self.prefix, increase=increase, seconds=seconds)
        return Checked(measurement, metrics, self._message(measurement))

    def _compared(self, measurement: Measurement) -> tuple[Measurement, float | None]:
        """The measurement judged by limits and baseline, and its increase over the baseline."""
        # A look has a level of its own.
        limits = replace(self._limits, level=measurement.verdict.level)
        comparison: Comparison | ComparisonError | None = None
        if self._start is not None:
            metric = compared_metric(limits.metric)
            try:
                comparison = compare(
                    measurement, [self._start], self._start.model, metric, limits.non_inferior
                )
            except ComparisonError as error:
                comparison = error
        verdict = judge(
            measurement.expression,
            **counts_of(measurement.generations),
            limits=limits,
            comparison=comparison,
        )
        increase = comparison.delta if isinstance(comparison, Comparison) else None
        return replace(measurement, verdict=verdict), increase

    def _message(self, measurement: Measurement) -> str:
        verdict = measurement.verdict
        if verdict.outcome not in ("fail", "unusable"):
            return ""
        what_next = "measure it with more samples (limit=None) or generations"
        if self.folder is not None:
            report = self.folder / f"{measurement.model}.json"
            what_next = f"exleak report {report} -o leakage.html for every pair; {what_next}"
        return failure(
            measurement, verdict.outcome, "; ".join(verdict.reasons), what_next=what_next
        )

    def resume(self, step: int) -> str:
        """Begin a training: forget another one's start, or read that of the run now continued.

        Args:
            step: The step that the training begins at.

        Returns:
            A warning if there is none; then the first measurement is the start.
        """
        if self.baseline != START:
            return ""
        self._start = None
        if not step:
            return ""
        if self.folder is not None and (file := self.folder / f"{_name(0)}.json").is_file():
            self._start = _from_report(file)
            return ""
        return f"increases are measured from step {step}: no measurement of the start was found"


def _made(kind: Any, given: Any) -> Any:
    """Settings that are given as a record, as a mapping of its fields, or not at all.

    Raises:
        SettingsError: A field is unknown, or it is something else.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping | None):
        raise SettingsError(f"{kind.__name__} or a mapping of its fields is needed, not {given!r}")
    given = dict(given or {})
    if unknown := sorted(set(given) - {item.name for item in fields(kind)}):
        known = ", ".join(item.name for item in fields(kind))
        raise SettingsError(f"{', '.join(unknown)}: no field of {kind.__name__}; it has {known}")
    return kind(**given)


def _name(step: int) -> str:
    return f"step-{step}"


def _from_report(file: Path) -> Measurement:
    found = read_measurements(file)
    if len(found) != 1:
        raise SettingsError(
            f"baseline {file}: a report of one model on one dataset is needed, not of {len(found)}"
        )
    return found[0]
