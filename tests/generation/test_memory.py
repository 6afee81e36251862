"""Memory: how many rows fit, and fewer where it runs out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from exleak import ModelError
from exleak.generation.local.loading import load_model
from exleak.generation.local.memory import row_bytes
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Counts, Request
from tests.helpers import checkpoints
from tests.helpers.runs import PROMPTS, SHORT, run


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError()])
def test_any_kind_of_no_memory_halves_the_batch(
    error: Exception, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numpy has one of its own."""
    from exleak.generation.local.engine import Engine

    model, step, errors = load_model(llama), Engine._step, [error]

    def failing(self: Engine) -> object:
        if errors:
            raise errors.pop()
        return step(self)

    expected = run(model, PROMPTS)
    monkeypatch.setattr(Engine, "_step", failing)
    with pytest.warns(UserWarning, match="out of memory; going on with 5 rows"):
        assert run(model, PROMPTS, batch_size=10) == expected


@pytest.mark.parametrize(
    ("architecture", "a_row", "a_token"),
    [case for case in [
        ("llama", 0, 2 * 2 * 2 * 8 * 4), ("gemma4", 0, 2 * 2 * 8 * 4 + 2 * 2 * 16 * 4),
        ("mamba", 2 * 64 * (4 + 4) * 4, 0), ("rwkv", 5 * 2 * 32 * 4, 0),
        ("minimax", 0, 2 * 2 * 2 * 8 * 4),
     ] if case[0] in checkpoints.CONFIGS],
)  # fmt: skip
def test_a_rows_memory_is_that_of_its_cache(
    architecture: str, a_row: int, a_token: int, tmp_path: Path
) -> None:
    """Keys and values grow, states do not; some architectures have both in several sizes."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, architecture))
    found = [row_bytes(model, tokens).total() - 24 * 300 for tokens in (1, 101)]
    assert found[1] - found[0] == pytest.approx(100 * a_token, abs=100 * 8)
    assert found[0] == pytest.approx(a_row + a_token, abs=16)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable:FutureWarning")
def test_looking_at_a_model_in_training_leaves_no_trace(tmp_path: Path) -> None:
    """No draw of dropout, and the cache that gradient checkpointing would switch off."""
    loaded = load_model(checkpoints.save_checkpoint(tmp_path))
    expected = row_bytes(loaded, 1000)
    model = loaded.model
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    model.gradient_checkpointing_enable()
    model.train()
    seen = []

    def noted(given: LocalModel, tokens: int) -> Counter[torch.device]:
        seen.append(row_bytes(given, 1000))
        return seen[-1]

    before = torch.get_rng_state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exleak.generation.local.memory.row_bytes", noted)
        run(loaded, PROMPTS[:1])
    assert seen == [expected]
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


def test_running_out_of_memory_halves_the_batch(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was finished is kept, the rest goes on with fewer rows, and the texts are the same."""
    from exleak.generation.local.engine import Engine

    model = load_model(llama)
    expected = run(model, PROMPTS)
    step, steps = Engine._step, iter(range(10_000))

    def failing(self: Engine) -> object:
        if self.size > 3 and next(steps) == 10:
            raise torch.OutOfMemoryError
        return step(self)

    monkeypatch.setattr(Engine, "_step", failing)
    counts = Counts()
    requests = [Request(prompt, (0, 1, 2)) for prompt in PROMPTS]
    with pytest.warns(UserWarning, match="out of memory; going on with 5 rows"):
        found = list(continue_prompts(model, requests, SHORT, batch_size=10, counts=counts))
    assert {(PROMPTS[item.request], item.index): item.text for item in found} == expected
    assert len(found) == len(expected)
    assert counts.batch_sizes == [10, 5]


def test_not_enough_memory_for_one_row_is_told(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halving ends; the message names the model."""
    from exleak.generation.local.engine import Engine

    def failing(self: Engine) -> object:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(Engine, "_step", failing)
    model = load_model(llama)
    with (
        pytest.warns(UserWarning, match="rows"),
        pytest.raises(ModelError, match="not enough memory"),
    ):
        run(model, PROMPTS, batch_size=4)
