"""Which continuations of a run restate an injected sentence (:mod:`exleak.scoring.carry_over`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exleak.prompts import SampleRows, samples_of
from exleak.records import LEAKING_CONDITIONS, Likeness, PromptGenerations
from exleak.scoring.carry_over import thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.scoring.scores import Scored

    Flags = NDArray[np.bool_]


class Restatements:
    """The restatements among a run's continuations.

    Args:
        rows: Prompts with their continuations and parts.
        scored: Scores of the continuations.

    Attributes:
        thresholds: Restatement thresholds from the control continuations of the run; ``None`` if
            there are none.
    """

    def __init__(self, rows: Sequence[PromptGenerations], scored: Scored) -> None:
        self._scored = scored
        self._samples: dict[str, SampleRows] = {item.control: item for item in samples_of(rows)}
        self.thresholds = thresholds(
            [
                likeness
                for sample in self._samples.values()
                for injected in sample.sentences
                for likeness in self._likeness(sample.control, injected, sample)
            ]
        )

    def of(self, prompt: str, row: PromptGenerations) -> Flags | None:
        """Whether each usable continuation of a prompt restates the sentence of a test prompt.

        Args:
            prompt: Id of the continued prompt: the test prompt itself, or its control.
            row: The test prompt.

        Returns:
            Shape (K,); ``None`` if the sentence is unknown.
        """
        if row.injected is None or row.control is None or self.thresholds is None:
            return None
        return self._restate(prompt, row.injected, self._samples[row.control])

    def of_either(self, row: PromptGenerations) -> Flags | None:
        """Whether each continuation restates the positive or negative sentence of its sample.

        Both arms' sentences count in both arms: see :mod:`exleak.rates.residual`.
        """
        if row.control is None or row.injected is None or self.thresholds is None:
            return None
        if row.condition not in LEAKING_CONDITIONS:
            return None
        import numpy as np

        sample = self._samples[row.control]
        flags = [self._restate(row.id, text, sample) for text in sample.leaking]
        either: Flags = np.any(flags, axis=0)
        return either

    def _restate(self, prompt: str, injected: str, sample: SampleRows) -> Flags:
        import numpy as np

        assert self.thresholds is not None
        likenesses = self._likeness(prompt, injected, sample)
        return np.array([self.thresholds.restates(likeness) for likeness in likenesses], dtype=bool)

    def _likeness(self, prompt: str, injected: str, sample: SampleRows) -> list[Likeness]:
        return [
            self._scored.likeness[item.sentence, injected, sample.control_text, sample.by_words]
            for _, item in self._scored.cleaned[prompt]
        ]
