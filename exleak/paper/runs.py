"""Measures the paper's models one after the other; a failed model does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exleak.errors import ExleakError
from exleak.generation.requests import Source
from exleak.measurement import MITIGATION, measure
from exleak.resources import drop_unused_models
from exleak.sources import source_of

if TYPE_CHECKING:
    from exleak.generation.requests import Chat
    from exleak.generation.sampling import Sampling
    from exleak.paper.presets import Preset
    from exleak.progress import Progress
    from exleak.records import Dataset, Measurement
    from exleak.scoring import Instrument
    from exleak.store import Store


@dataclass(frozen=True)
class Plan:
    """The models, datasets and settings to measure.

    Attributes:
        presets: Models, in the order of the tables.
        datasets: Datasets, in the order of the tables.
        instrument: The instrument.
        sampling: Sampling settings.
        mitigation: Whether to measure chat models a second time, with the paper's mitigation
            instruction (Table 4).
        chat: Overrides each preset's ``chat``; ``None`` does not.
        device, dtype, batch_size: See :func:`exleak.measure`.
        endpoint: A server that serves the models by their hub names.
        store: The store for generations and scores.
    """

    presets: tuple[Preset, ...]
    datasets: tuple[Dataset, ...]
    instrument: Instrument
    sampling: Sampling
    mitigation: bool = True
    chat: Chat | None = None
    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    endpoint: str | None = None
    store: Store | None = None


@dataclass(frozen=True)
class Run:
    """One model on one dataset, with or without the mitigation instruction.

    Attributes:
        measurement: The result.
    """

    preset: Preset
    dataset: str
    mitigated: bool
    measurement: Measurement


@dataclass
class Results:
    """The finished runs, and the failures as (model, message)."""

    runs: list[Run] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def run_all(
    plan: Plan,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Progress]] | None = None,
) -> Results:
    """Measure every model of a plan.

    Args:
        plan: The models, datasets and settings.
        say: Callback for messages, one line for every run and failure.
        progress: Factory of a progress display for a run's generations, given a label.
    """
    results = Results()
    for preset in plan.presets:
        try:
            _run_model(plan, preset, results, say, progress)
        except ExleakError as error:
            message = f"{error}{_gate_hint(preset, plan)}"
            results.failures.append((preset.name, message))
            say(f"{preset.name}: {message}")
    return results


def _run_model(
    plan: Plan,
    preset: Preset,
    results: Results,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Progress]] | None,
) -> None:
    source = _source(plan, preset)
    try:
        for mitigated in (False, True):
            for dataset in plan.datasets:
                if mitigated and not (plan.mitigation and _is_chat(preset, results.runs)):
                    continue
                label = f"{preset.name} on {dataset.name}"
                with progress(label) if progress else nullcontext() as shown:
                    measurement = _measure(plan, source, dataset, mitigated, shown)
                run = Run(preset, dataset.name, mitigated, measurement)
                results.runs.append(run)
                say(_line(run))
    finally:
        vars(source).pop("backend", None)
        drop_unused_models()


def _source(plan: Plan, preset: Preset) -> Source:
    return source_of(
        preset.hub,
        name=preset.name,
        endpoint=plan.endpoint,
        device=plan.device,
        dtype=plan.dtype,
        chat=plan.chat or preset.chat,
    )


def _measure(
    plan: Plan, source: Source, dataset: Dataset, mitigated: bool, progress: Progress | None
) -> Measurement:
    return measure(
        source,
        dataset,
        instrument=plan.instrument,
        sampling=plan.sampling,
        batch_size=plan.batch_size,
        mitigation=MITIGATION if mitigated else None,
        store=plan.store,
        progress=progress,
    )


def _is_chat(preset: Preset, runs: Sequence[Run]) -> bool:
    """Whether a model belongs in Table 4: an instruct model, or another with a chat template."""
    if preset.instruct is not None:
        return preset.instruct
    return any(run.preset == preset and run.measurement.identity.get("chat") for run in runs)


def _line(run: Run) -> str:
    from exleak.reports.formatting import interval, number

    rate = run.measurement.expression
    return f"{run.measurement.title}: μ_EL {number(rate.rate)} ({interval(rate.interval)})"


def _gate_hint(preset: Preset, plan: Plan) -> str:
    if not preset.gated or plan.endpoint is not None:
        return ""
    return (
        f"; {preset.hub} is gated: accept its licence on the hub and log in (hf auth login, or "
        "HF_TOKEN in the environment)"
    )
