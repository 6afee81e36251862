"""The callback within Lightning's Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, AutoTokenizer

from exleak.errors import ModelError, SettingsError
from exleak.integrations import monitor
from exleak.integrations.lightning import LeakageCallback
from exleak.integrations.reactions import LeakageError
from tests.helpers.instruments import HASHED
from tests.helpers.training import SMALL, TEXTS, padded

ALL = {**SMALL, "instrument": HASHED}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


class Module(LightningModule):
    """A language model that is trained by its own loss."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        self.model = AutoModelForCausalLM.from_pretrained(checkpoint)
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of a batch."""
        loss: torch.Tensor = self.model(**batch).loss
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Its loss, as a metric."""
        self.log("val_loss", self.model(**batch).loss)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """A plain one."""
        return torch.optim.AdamW(self.parameters(), 1e-3)


def fit(checkpoint: Path, folder: Path, *callbacks: Any, module: Any = None) -> Trainer:
    """A training of two epochs of two steps, with the sanity check before it."""
    module = module or Module(checkpoint)
    rows = [AutoTokenizer.from_pretrained(checkpoint)(text)["input_ids"] for text in TEXTS[:4]]
    data: DataLoader[Any] = DataLoader(rows, 2, collate_fn=padded)  # type: ignore[arg-type]
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", callbacks=list(callbacks), default_root_dir=folder,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, data, data)
    return trainer


def test_metrics_are_seen_by_other_callbacks(llama: Path, tmp_path: Path) -> None:
    """Once an epoch, not in the sanity check; the best checkpoint is chosen by them."""
    best = ModelCheckpoint(tmp_path, monitor="leakage_directional", mode="min")
    stopping = EarlyStopping("leakage_rate", patience=5)
    trainer = fit(llama, tmp_path, LeakageCallback(**ALL), best, stopping)
    reports = sorted(path.name for path in (tmp_path / "leakage").glob("*.json"))
    assert reports == ["step-2.json", "step-4.json"]
    assert best.best_model_score is not None
    assert {"leakage_rate", "leakage_directional", "val_loss"} <= set(trainer.callback_metrics)


def test_a_failing_model_stops_or_raises(llama: Path, tmp_path: Path) -> None:
    """After the validation in which it failed."""
    settings = {**ALL, "limits": {"significance": "require"}}
    stopped = fit(llama, tmp_path, LeakageCallback(**settings, on_fail="stop"))
    assert stopped.global_step == 2
    with pytest.raises(LeakageError, match="significance is set to require"):
        fit(llama, tmp_path, LeakageCallback(**settings, on_fail="raise"))


def test_an_error_of_ours_does_not_end_the_training(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless asked to."""

    def fail(*_: Any, **__: Any) -> None:
        raise ModelError("the disk is full")

    monkeypatch.setattr(monitor, "generate_rows", fail)
    assert fit(llama, tmp_path, LeakageCallback(**ALL)).global_step == 4
    assert "step 2 was not measured: ModelError: the disk is full" in caplog.text
    with pytest.raises(ModelError, match="disk is full"):
        fit(llama, tmp_path, LeakageCallback(**ALL, on_error="raise"))


def test_a_module_without_the_model_is_refused(llama: Path, tmp_path: Path) -> None:
    """Before the training, with what to give."""
    with pytest.raises(SettingsError, match="Module has no attribute 'lm'"):
        fit(llama, tmp_path, LeakageCallback(**ALL, model="lm"))
    bare = Module(llama)
    bare.tokenizer = None
    with pytest.raises(SettingsError, match="no tokenizer"):
        fit(llama, tmp_path, LeakageCallback(**ALL), module=bare)
