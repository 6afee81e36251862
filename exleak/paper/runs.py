"""Measuring the paper's models in turn; one that cannot be measured does not stop the rest."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exleak.errors import ExleakError
from exleak.generation.endpoint import EndpointSource
from exleak.generation.source import ModelSource
from exleak.measurement import MITIGATION, measure

if TYPE_CHECKING:
    from exleak.generation.checkpoint import Chat
    from exleak.generation.sampling import Sampling
    from exleak.paper.presets import Preset
    from exleak.records import Dataset
    from exleak.scoring import Instrument
    from exleak.store import Store


@dataclass(frozen=True)
class Plan:
    """What is measured, and how.

    Attributes:
        presets: Models, in the order of the tables.
        datasets: Datasets, in the order of the tables.
        instrument: The scorers.
        sampling: Sampling settings.
        mitigation: Whether chat models are measured a second time, with the paper's mitigation
            instruction (Table 4).
        chat: Overrides what each preset says; ``None`` does not.
        device, dtype, batch_size: See :func:`exleak.measure`.
        endpoint: A server that has the models by their hub names.
        store: Keeps generations and scores.
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
        found: The measurement, as :meth:`exleak.Measurement.to_json` gives it.
    """

    preset: Preset
    dataset: str
    mitigated: bool
    found: dict[str, Any]


@dataclass
class Results:
    """What was measured, and why the rest was not: (model, message)."""

    runs: list[Run] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def run_all(plan: Plan, say: Callable[[str], None]) -> Results:
    """Measure every model of a plan.

    Args:
        plan: What to measure.
        say: Told of every run and failure, a line each.
    """
    results = Results()
    for preset in plan.presets:
        try:
            _run_model(plan, preset, results, say)
        except ExleakError as error:
            message = f"{error}{_gate_hint(preset, plan)}"
            results.failures.append((preset.name, message))
            say(f"{preset.name}: {message}")
    return results


def _run_model(plan: Plan, preset: Preset, results: Results, say: Callable[[str], None]) -> None:
    source = _source(plan, preset)
    try:
        for mitigated in (False, True):
            for dataset in plan.datasets:
                if mitigated and not (plan.mitigation and _is_chat(preset, results.runs)):
                    continue
                found = _measure(plan, source, dataset, mitigated)
                run = Run(preset, dataset.name, mitigated, found)
                results.runs.append(run)
                say(_line(run))
    finally:
        vars(source).pop("model", None)
        _free_memory()


def _source(plan: Plan, preset: Preset) -> ModelSource | EndpointSource:
    chat = plan.chat or preset.chat
    if plan.endpoint is not None:
        return EndpointSource(preset.name, plan.endpoint, preset.hub, chat)
    return ModelSource(preset.name, preset.hub, plan.device, plan.dtype, chat)


def _measure(
    plan: Plan, source: ModelSource | EndpointSource, dataset: Dataset, mitigated: bool
) -> dict[str, Any]:
    return measure(
        source,
        dataset,
        instrument=plan.instrument,
        sampling=plan.sampling,
        batch_size=plan.batch_size,
        mitigation=MITIGATION if mitigated else None,
        store=plan.store,
    ).to_json()


def _is_chat(preset: Preset, runs: Sequence[Run]) -> bool:
    """Whether Table 4 has this model: the paper's instruct models, and others with a template."""
    if preset.instruct is not None:
        return preset.instruct
    return any(run.preset == preset and run.found["identity"].get("chat") for run in runs)


def _line(run: Run) -> str:
    from exleak.reports.tables import name_of
    from exleak.reports.text import interval, number

    rate = run.found["expression"]
    return f"{name_of(run.found)}: μ_EL {number(rate['rate'])} ({interval(rate['interval'])})"


def _gate_hint(preset: Preset, plan: Plan) -> str:
    if not preset.gated or plan.endpoint is not None:
        return ""
    return (
        f"; {preset.hub} is gated: accept its licence on the hub and log in (hf auth login, or "
        "HF_TOKEN in the environment)"
    )


def _free_memory() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
