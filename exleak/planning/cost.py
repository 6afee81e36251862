"""What a run takes: seconds and memory of a checkpoint on this machine, from a trial.

The lengths of the trial's sentences say how many steps and tokens the run needs, and its times what
they take. The same sentences are scored, for the time that the instrument takes. Memory is what the
process holds once the model has run, and what the rows of the run hold at their most, by
:func:`exleak.generation.local.memory.row_bytes`; or what loading, trial and scoring held, if that
was more. It is that of a process that does nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from exleak import resources
from exleak.errors import SettingsError
from exleak.generation.dataset import missing
from exleak.generation.local.source import LocalBackend
from exleak.measurement import score
from exleak.planning.trial import Sample, Trial, spread_out, timed, tried, warm_up
from exleak.records import PromptGenerations
from exleak.scoring import load_instrument

if TYPE_CHECKING:
    from exleak.generation.local.model import LocalModel
    from exleak.generation.requests import Source
    from exleak.generation.sampling import Sampling
    from exleak.records import Dataset
    from exleak.scoring import Instrument
    from exleak.store import Store

#: Seconds that the longest part of a trial may be expected to take.
TRIAL_SECONDS = 20.0
#: Samples whose sentences are scored.
_SCORED = 8
#: Power of the number of sentences that their scoring takes.
_GROWTH = 0.85


@dataclass(frozen=True)
class Cost:
    """What a run is expected to take.

    Attributes:
        model: The model's name.
        continuations: Number of continuations to generate.
        stored: Number of continuations that are stored and cost nothing.
        device, dtype: Where the model runs, and in what.
        rows: Continuations at once.
        loading: Seconds until the model can be asked, measured.
        generating: Seconds of generation.
        scoring: Seconds of scoring, with the loading of the instrument.
        memory: Bytes that the process takes at most; on CUDA those of the device. ``None`` if
            unknown.
        tokens: Mean number of tokens of a continuation.
        tried: Number of continuations of the trial.
    """

    model: str
    continuations: int
    stored: int
    device: str = ""
    dtype: str = ""
    rows: int = 0
    loading: float = 0.0
    generating: float = 0.0
    scoring: float = 0.0
    memory: int | None = None
    tokens: float = 0.0
    tried: int = 0

    @property
    def seconds(self) -> float:
        """Seconds of the whole run."""
        return self.loading + self.generating + self.scoring

    def to_json(self) -> dict[str, Any]:
        """The fields and the sum of the seconds, as builtins."""
        return {**dataclasses.asdict(self), "seconds": self.seconds}


def cost(
    source: Source,
    dataset: Dataset,
    sampling: Sampling,
    *,
    instrument: str = "embedded",
    batch_size: int | None = None,
    store: Store | None = None,
    seconds: float = TRIAL_SECONDS,
) -> Cost:
    """Estimate what a run takes. The model is loaded and tried; nothing is stored.

    Args:
        source: A checkpoint on this machine.
        dataset, sampling, instrument, batch_size: Those of the run.
        store: What is in it is not generated again.
        seconds: Seconds that the longest part of the trial may be expected to take.

    Raises:
        SettingsError: The model is on a server.
        ExleakError: The model or the instrument cannot be loaded or run.
    """
    loading, wanted = timed(lambda: missing(source, dataset, sampling, store=store))
    count = sum(len(request.indices) for _, request in wanted)
    stored = len(dataset.prompts) * sampling.generations - count
    if not count:
        return Cost(source.name, 0, stored)
    backend = source.backend
    if not isinstance(backend, LocalBackend):
        raise SettingsError(f"model {source.name} is on a server: its time cannot be told")
    found = _tried(backend.model, spread_out(wanted), sampling, batch_size, seconds, instrument)
    return replace(found, stored=stored, loading=loading)


def _tried(
    model: LocalModel,
    samples: list[Sample],
    sampling: Sampling,
    batch_size: int | None,
    seconds: float,
    instrument: str,
) -> Cost:
    from exleak.generation.local.run import size_of_batch
    from exleak.generation.local.threads import threads_for

    requests = [request for sample in samples for _, request in sample]
    count = sum(len(request.indices) for request in requests)
    size = batch_size or size_of_batch(model, requests, sampling)
    threads = threads_for(model, min(size, count))
    warm = warm_up(model, samples[0], sampling, size)
    held = _held(model)
    trial = tried(model, samples, sampling, size, warm=warm, threads=threads, seconds=seconds)
    prompts = [len(model.encode(request.text)) for request in requests]
    copies = 1 + len(model.replicas)
    steps = _steps(count, trial, size * copies, copies * max(1, threads))
    scoring = _scored(samples, trial, count, instrument)
    peak = None
    if held is not None:
        peak = held + _rows_bytes(model, max(prompts), trial, min(size, count), count > size)
    return Cost(
        model=model.name,
        continuations=count,
        stored=0,
        device=str(model.device),
        dtype=model.dtype,
        rows=min(size, count),
        generating=trial.step * steps + trial.token * (count * trial.mean + sum(prompts)),
        scoring=scoring,
        memory=max(filter(None, (peak, _highest(model))), default=None),
        tokens=trial.mean,
        tried=len(trial.lengths),
    )


def _steps(count: int, trial: Trial, size: int, engines: int) -> float:
    """Number of forward passes of a run, summed over its engines.

    An engine refills its rows until no prompt is left, and then waits for the longest.
    """
    refilled = ceil(max(0, count - size) * trial.mean / size)
    return engines * (refilled + trial.longest(ceil(count / engines)))


def _held(model: LocalModel) -> int | None:
    """Bytes that the model's device, or this process, holds now."""
    if model.device.type == "cuda":
        import torch

        return int(torch.cuda.memory_allocated(model.device))
    return resources.held_memory()


def _highest(model: LocalModel) -> int | None:
    """Bytes that it has held at most: while loading, in the trial or while scoring."""
    if model.device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(model.device))
    return resources.highest_memory()


def _rows_bytes(model: LocalModel, prompt: int, trial: Trial, rows: int, is_refilled: bool) -> int:
    """Bytes of all rows at their most, on the device that the model runs on.

    Rows are as wide as the longest of them. While they are refilled one of them is always old;
    otherwise their number falls while the width grows.
    """
    from exleak.generation.local.memory import row_bytes
    from exleak.generation.local.model import evaluating

    width, alive = prompt + trial.longest(rows), 1.0
    if not is_refilled:
        lengths = trial.lengths
        shares = [(len(lengths) - place) / len(lengths) for place in range(len(lengths))]
        alive, width = max(
            ((share, prompt + length) for share, length in zip(shares, lengths, strict=True)),
            key=lambda each: each[0] * each[1],
        )
    with evaluating(model.model):
        needed = row_bytes(model, width)
    return int(needed[model.device] * rows * alive)


def _scored(samples: Sequence[Sample], trial: Trial, count: int, instrument: str) -> float:
    """Seconds of scoring so many continuations.

    Sentences share words, and some are equal, so twice as many take less than twice as long.
    """
    loading, tool = timed(lambda: load_instrument(instrument))
    own = {prompt.id: (prompt.injected or prompt.control,) for prompt, _ in samples[-1]}
    first = _seconds([_rows(samples[-1], own)], tool)[0]  # mostly what is loaded on first use
    seconds, made = _seconds([_rows(sample, trial.texts) for sample in samples][:_SCORED], tool)
    return loading + first + (seconds * (count / made) ** _GROWTH if made else 0.0)


def _seconds(rows: Sequence[list[PromptGenerations]], tool: Instrument) -> tuple[float, int]:
    """Seconds of scoring samples, and the number of their continuations.

    Samples without a control or without a test prompt are left out: they cannot be scored.
    """
    whole = [found for found in rows if {None} < {row.control for row in found}]
    some = [row for found in whole for row in found]
    seconds = timed(partial(score, some, tool))[0] if some else 0.0
    return seconds, sum(len(row.generations) for row in some)


def _rows(sample: Sample, texts: Mapping[str, tuple[str, ...]]) -> list[PromptGenerations]:
    """The continuations of a sample, given those of each prompt; without prompts that have none."""
    return [
        PromptGenerations.of(prompt, prompt.text, texts[prompt.id])
        for prompt, _ in sample
        if prompt.id in texts
    ]
