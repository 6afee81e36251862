"""How the checkpoints of a watch are measured and judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.gate.comparison import BASELINE_ALPHA
from exleak.gate.limits import Limits
from exleak.gate.rules import judge
from exleak.gate.usable import counts_of
from exleak.generation.local.checkpoint import CONTENT
from exleak.generation.sampling import Sampling
from exleak.measurement import measure
from exleak.records import Dataset, Measurement
from exleak.sources import source_of

if TYPE_CHECKING:
    from exleak.generation.requests import Chat, Source
    from exleak.progress import Progress
    from exleak.scoring import Instrument
    from exleak.store import Store


@dataclass(frozen=True)
class Plan:
    """How each checkpoint is measured and judged.

    Attributes:
        dataset: The dataset.
        instrument: The instrument.
        sampling: Sampling settings.
        limits: Limits for the verdict; its metric is also the one that checkpoints are compared by.
        limit: Number of samples that the dataset was cut to; ``None`` for all.
        device, dtype, chat: See :func:`exleak.measure`.
        store: The store for generations and scores.
        alpha: Probability that any checkpoint is marked if nothing changes.
    """

    dataset: Dataset
    instrument: Instrument
    sampling: Sampling = field(default_factory=Sampling)
    limits: Limits = field(default_factory=Limits)
    limit: int | None = None
    device: str | None = None
    dtype: str | None = None
    chat: Chat = "auto"
    store: Store | None = None
    alpha: float = BASELINE_ALPHA

    def measure(self, checkpoint: Path, progress: Progress | None = None) -> Measurement:
        """Measure a checkpoint, or read what the store has of it.

        Raises:
            ExleakError: It cannot be measured.
        """
        found = measure(
            self._source(checkpoint),
            self.dataset,
            instrument=self.instrument,
            sampling=self.sampling,
            limits=self.limits,
            store=self.store,
            progress=progress,
        )
        return replace(found, identity={**found.identity, "limit": self.limit})

    def _source(self, checkpoint: Path) -> Source:
        return source_of(
            checkpoint, name=checkpoint.name, device=self.device, dtype=self.dtype, chat=self.chat
        )

    def judge(self, measurement: Measurement) -> Measurement:
        """An earlier measurement, judged by the limits of this plan."""
        verdict = judge(
            measurement.expression, **counts_of(measurement.generations), limits=self.limits
        )
        return replace(measurement, verdict=verdict, series=None)

    def difference(self, measurement: Measurement) -> str | None:
        """What was set otherwise for an earlier measurement; ``None`` if nothing was."""
        aspects = {
            "dataset": (measurement.identity.get("dataset"), self.dataset.hash),
            "instrument": (measurement.identity.get("instrument"), self.instrument.hash),
            "sampling": (
                measurement.sampling,
                {**self.sampling.to_json(), "mitigation": None},
            ),
            "confidence level": (measurement.verdict.level, self.limits.level),
        }
        return next((name for name, (then, now) in aspects.items() if then != now), None)

    def is_that_of(self, checkpoint: Path, measurement: Measurement) -> bool:
        """Whether a folder holds the checkpoint that was measured.

        Without hashes, for want of a store, its name is all there is to go by.

        Raises:
            ExleakError: The folder holds no checkpoint.
        """
        if self.store is None or "checkpoint" not in measurement.identity:
            return True
        about: dict[str, Any] = self._source(checkpoint).about(self.sampling, self.store) or {}
        return all(about.get(key) == measurement.identity.get(key) for key in CONTENT)
