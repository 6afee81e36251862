"""Models of which a process has only a part: found, and measured from what the training saves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from exleak.errors import ModelError
from exleak.integrations import transformers
from exleak.integrations.monitor import Monitor
from exleak.integrations.sharding import check_whole, sharded_by
from exleak.integrations.transformers import LeakageCallback
from exleak.records import Expression
from exleak.store.report import read_measurements
from tests.helpers.instruments import HASHED
from tests.helpers.training import SMALL, trainer


class FullyShardedDataParallel(torch.nn.Module):
    """Has the name of torch's wrapper, by which it is known."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module


def test_spread_weights_are_found(llama: Path) -> None:
    """FSDP by its wrapper, ZeRO-3 by what DeepSpeed puts on parameters."""
    model = AutoModelForCausalLM.from_pretrained(llama)
    assert sharded_by(model) is None
    check_whole(model)
    wrapped = torch.nn.Sequential(FullyShardedDataParallel(model))
    assert sharded_by(wrapped) == "FSDP"
    next(model.parameters()).ds_id = 0
    assert sharded_by(model) == "DeepSpeed ZeRO-3"
    with pytest.raises(ModelError, match="when='save'"):
        check_whole(model)


def test_the_saved_checkpoint_is_measured_instead(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rates of the model in memory, which is whole here; the start is not saved."""
    settings = {**SMALL, "instrument": HASHED, "when": "save", "at_start": False}

    def measured(how: str) -> Expression:
        callback = LeakageCallback(**settings, on_error="raise")
        folder = tmp_path / how
        trainer(llama, folder, [callback], save_strategy="steps", save_steps=2).train()
        (found,) = read_measurements(folder / "leakage" / "step-2.json")
        return found.expression

    whole = measured("whole")
    monkeypatch.setattr(transformers, "sharded_by", lambda model: "FSDP")
    monkeypatch.delattr(Monitor, "check")
    assert measured("spread") == whole
