"""Leakage in the training loop of Lightning.

    >>> from exleak.integrations.lightning import LeakageCallback  # doctest: +SKIP
    >>> trainer = Trainer(callbacks=[LeakageCallback(limit=12)])  # doctest: +SKIP

The metrics are logged in the validation, on every rank, so that ``EarlyStopping`` and
``ModelCheckpoint`` can watch them: ``leakage_rate``, ``leakage_directional`` and so on
(:data:`exleak.integrations.metrics.METRICS`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer

from exleak.errors import SettingsError, one_line
from exleak.integrations.monitor import START, Checked, Monitor
from exleak.integrations.reactions import OnError, OnFail, check_choices, react

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from exleak.gate.limits import Limits
    from exleak.generation.requests import Chat, Template
    from exleak.generation.sampling import Sampling
    from exleak.records import Dataset
    from exleak.scoring import Instrument

#: Maximum seconds that a rank waits for the others: a quarter of Lightning's own time-out.
_WAITING = 450.0

_log = logging.getLogger(__name__)


class LeakageCallback(Callback):
    """Measures expression leakage at the end of each validation.

    Args:
        tokenizer: The tokenizer; by default ``pl_module.tokenizer``.
        model: Name of the module's attribute that holds the language model of transformers.
        dataset, limit, limits, instrument, sampling, chat, template, batch_size, mitigation,
            adaptive, baseline: As for :class:`exleak.integrations.transformers.LeakageCallback`.
        every: Measure at every n-th validation.
        on_fail, on_error: As there.
        prefix: The keys begin with it.
        report: Folder for reports within the trainer's folder; ``None`` writes none.

    Raises:
        SettingsError: A setting is unknown or out of range.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase | None = None,
        *,
        model: str = "model",
        dataset: str | Path | Dataset = "hexl",
        limit: int | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        instrument: str | Instrument = "embedded",
        sampling: Sampling | Mapping[str, Any] | None = None,
        chat: Chat = "auto",
        template: Template | Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        mitigation: str | None = None,
        adaptive: bool = False,
        baseline: str | Path | None = START,
        every: int = 1,
        on_fail: OnFail = "warn",
        on_error: OnError = "warn",
        prefix: str = "leakage",
        report: str | None = "leakage",
    ) -> None:
        check_choices(on_fail=(on_fail, OnFail), on_error=(on_error, OnError))
        if every < 1:
            raise SettingsError(f"every must be at least 1, not {every}")
        self.tokenizer, self.model, self.every, self.report = tokenizer, model, every, report
        self.on_fail, self.on_error = on_fail, on_error
        self.monitor = Monitor(
            dataset,
            limit=limit,
            limits=limits,
            instrument=instrument,
            sampling=sampling,
            chat=chat,
            template=template,
            batch_size=batch_size,
            mitigation=mitigation,
            baseline=baseline,
            prefix=prefix,
            timeout=_WAITING,
            adaptive=adaptive,
        )
        self._validations = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that the module has a model and a tokenizer.

        Raises:
            SettingsError: It has none under these names.
        """
        self._parts(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, except in the sanity check before the training."""
        if trainer.sanity_checking:
            return
        self._validations += 1
        if self._validations % self.every:
            return
        checked = self._measured(trainer, pl_module)
        if checked is None:
            return
        pl_module.log_dict(checked.metrics, on_step=False, on_epoch=True, rank_zero_only=False)
        if react(checked, self.on_fail, self._warner(trainer)):
            trainer.should_stop = True

    def _measured(self, trainer: Trainer, pl_module: LightningModule) -> Checked | None:
        model, tokenizer = self._parts(pl_module)
        folder = Path(trainer.log_dir or trainer.default_root_dir)
        self.monitor.folder = None if self.report is None else folder / self.report
        try:
            with trainer.precision_plugin.forward_context():
                return self.monitor.check(model, tokenizer, trainer.global_step)
        except Exception as error:
            if self.on_error == "raise":
                raise
            step = trainer.global_step
            self._warner(trainer)(f"step {step} was not measured: {one_line(error)}")
            return None

    def _parts(self, pl_module: LightningModule) -> tuple[Any, PreTrainedTokenizerBase]:
        """The language model and the tokenizer of a module.

        Raises:
            SettingsError: It has none under these names.
        """
        model = getattr(pl_module, self.model, None)
        tokenizer = self.tokenizer or getattr(pl_module, "tokenizer", None)
        if model is None or tokenizer is None:
            missing = f"no attribute {self.model!r}" if model is None else "no tokenizer"
            raise SettingsError(
                f"{type(pl_module).__name__} has {missing}; name it: LeakageCallback(tokenizer, "
                "model='…')"
            )
        return model, tokenizer

    @staticmethod
    def _warner(trainer: Trainer) -> Callable[[str], None]:
        def warn(text: str) -> None:
            if trainer.is_global_zero:
                _log.warning("exleak: %s", text)

        return warn
