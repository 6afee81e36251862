"""Plain batches: the same draws through transformers' own loop, whatever a checkpoint wishes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

import exleak
from exleak import ModelError, Sampling, load_dataset
from exleak.generation.dataset import generate_rows
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.plain import _Batch, _Draw, own_settings_ignored
from exleak.generation.local.run import continue_prompts
from exleak.generation.local.source import CheckpointSource
from exleak.generation.requests import Counts, Request
from exleak.store import Store
from tests.helpers import checkpoints

PROMPTS = ["The soup", "A long way to the road, and", "abcdefgh", "She"]
SHORT = Sampling(generations=3, max_new_tokens=24)
pytestmark = pytest.mark.filterwarnings("ignore:.*cannot be refilled")


def loaded(folder: Path, architecture: str) -> LocalModel:
    """A random checkpoint."""
    return load_model(checkpoints.save_checkpoint(folder, architecture))


def run(
    model: LocalModel,
    batch_size: int | None = None,
    is_complete: Callable[[str], bool] | None = None,
    prompts: list[str] = PROMPTS,
) -> dict[tuple[int, int], str]:
    """Continuations by number of the prompt and index."""
    requests = [Request(prompt, (0, 1, 2), is_complete) for prompt in prompts]
    found = continue_prompts(model, requests, SHORT, batch_size=batch_size)
    return {(item.request, item.index): item.text for item in found}


def test_a_recurrent_cache_falls_back_with_the_same_draws(tmp_path: Path) -> None:
    """An architecture without independent rows is generated plainly, and says so."""
    path = checkpoints.save_checkpoint(tmp_path, "mamba")
    with pytest.warns(UserWarning, match="cannot be refilled one by one; .* with plain batches"):
        first = exleak.generate(path, PROMPTS[:2], SHORT)
    with pytest.warns(UserWarning, match="cannot be refilled"):
        second = exleak.generate(path, PROMPTS[:2], SHORT, batch_size=1)
    assert first == second


def test_a_model_without_positions_is_generated_plainly(tmp_path: Path) -> None:
    """Rows of a model that counts tokens by its cache cannot be refilled."""
    model = loaded(tmp_path, "bloom")
    with pytest.warns(UserWarning, match="cannot be refilled"):
        one, all_ = (run(model, size) for size in (1, 640))
    assert one == all_


def test_rows_that_change_each_other_are_generated_one_by_one(tmp_path: Path) -> None:
    """Transformers' RWKV takes the same row twice for something else."""
    model = loaded(tmp_path, "rwkv")
    with pytest.warns(UserWarning, match="one after the other"):
        found = run(model)
    assert found == run(model, 1)


def test_plain_batches_are_not_padded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recurrent model may take padding for a part of the text."""
    model = loaded(tmp_path, "mamba")
    generate, sizes = model.model.generate, []

    def noted(**arguments: Any) -> Any:
        assert bool(arguments["attention_mask"].all())
        if "stopping_criteria" in arguments:
            sizes.append(len(arguments["input_ids"]))
        return generate(**arguments)

    monkeypatch.setattr(model.model, "generate", noted)
    run(model, 4, prompts=["abc", "a", "xyz", "ab", "yz"])
    assert sorted(sizes) == [2, 2, 3, 4, 4]


@pytest.mark.parametrize(
    "wish",
    [
        {"num_beams": 3},
        {"no_repeat_ngram_size": 1},
        {"return_dict_in_generate": True},
        {"bad_words_ids": [[number] for number in range(100)]},
        {"min_new_tokens": 23, "eos_token_id": 257},
        {"max_length": 3, "num_return_sequences": 2},
        {"stop_strings": ["e"]},
    ],
)
def test_a_checkpoints_own_settings_are_not_obeyed(wish: dict[str, Any], tmp_path: Path) -> None:
    """Only exleak's are, and afterwards the checkpoint has its own again."""
    model = loaded(tmp_path, "bloom")
    expected = run(model)
    own = model.model.generation_config
    for name, value in wish.items():
        setattr(own, name, value)
    assert run(model) == expected
    assert model.model.generation_config is own


def test_first_tokens_stay_the_checkpoints(tmp_path: Path) -> None:
    """Some models cannot do without them; all else is not asked for."""
    model = loaded(tmp_path, "bloom").model
    model.generation_config.update(top_k=7, decoder_start_token_id=5)
    with own_settings_ignored(model):
        assert model.generation_config.decoder_start_token_id == 5
        assert model.generation_config.bos_token_id == 256
        assert model.generation_config.eos_token_id is None
        assert model.generation_config.top_k == GenerationConfig().top_k
    assert model.generation_config.top_k == 7


class Refused:
    """No generation configuration at all."""

    @property
    def bos_token_id(self) -> int:
        """It cannot be had."""
        raise TypeError


def test_settings_of_all_parts_come_back(tmp_path: Path) -> None:
    """Also when one of them cannot be put aside."""
    model = loaded(tmp_path / "one", "bloom").model
    model.draft = loaded(tmp_path / "two", "gpt2").model
    own, part = model.generation_config, model.draft.generation_config
    with own_settings_ignored(model):
        assert model.generation_config is not own
        assert model.draft.generation_config is not part
    assert model.generation_config is own
    assert model.draft.generation_config is part
    model.draft.generation_config = Refused()
    with pytest.raises(TypeError), own_settings_ignored(model):
        pass
    assert model.generation_config is own


def test_a_prompt_that_is_too_long_is_refused_at_once(tmp_path: Path) -> None:
    """Before others are continued."""
    requests = [Request("x" * length, (0,)) for length in (3, 50)]
    found = continue_prompts(loaded(tmp_path, "bart"), requests, SHORT)
    with pytest.raises(ModelError, match="a prompt of 50 tokens leaves no room"):
        next(found)


def test_texts_end_with_the_context(tmp_path: Path) -> None:
    """A model of 40 positions is not asked for a 41st."""
    model = loaded(tmp_path, "bart")
    counts = Counts()
    assert len(list(continue_prompts(model, [Request("x" * 30, (0,))], SHORT, counts=counts))) == 1
    assert (counts.steps, counts.computed) == (10, 10)
    with pytest.raises(ModelError, match="a prompt of 40 tokens leaves no room in its context"):
        run(model, prompts=["x" * 40])


def test_texts_without_a_stop_token_end_with_their_sentence(tmp_path: Path) -> None:
    """What a row goes on to say while its batch is not done is no part of it."""
    model = loaded(tmp_path, "bloom")
    model.model.generation_config.eos_token_id = model.tokenizer.eos_token = None
    vars(model.turns)["ends"] = frozenset()
    assert not model.stop_tokens

    def complete(text: str) -> bool:
        return len(text) % 5 == 4

    one, all_ = (run(model, size, complete) for size in (1, 640))
    assert one == all_
    assert all(map(complete, one.values()))


def test_only_rows_in_the_making_need_numbers(tmp_path: Path) -> None:
    """What is done goes on in its batch, to logits that may be anything."""
    model = loaded(tmp_path, "bloom")
    batch = _Batch(model, SHORT, [(Request("a", (0, 1)), 0), (Request("a", (0, 1)), 1)], 1)
    logits = torch.zeros(2, 300)
    logits[1] = float("nan")
    ids = torch.tensor([[5, 6], [5, 7]])
    with pytest.raises(ModelError, match="logits are NaN"):
        _Draw(batch)(ids, logits)
    batch.ends[1] = 1
    assert _Draw(batch)(ids, logits)[0].isfinite().sum() == 1


def test_what_was_computed_is_counted(tmp_path: Path) -> None:
    """Useful are the tokens up to each row's end."""
    model, together, alone = loaded(tmp_path, "bloom"), Counts(), Counts()
    requests = [Request(prompt, (0, 1), lambda text: len(text) > 3) for prompt in PROMPTS]
    for size, counts in ((640, together), (1, alone)):
        list(continue_prompts(model, requests, SHORT, batch_size=size, counts=counts))
        assert counts.prefilled == 2 * sum(len(model.encode(prompt)) for prompt in PROMPTS)
    assert together.computed > together.useful == alone.useful == alone.computed


def test_texts_end_before_their_stop_token(tmp_path: Path) -> None:
    """Several tokens may end a text, and may be words elsewhere; what fills up the batch goes."""
    model = loaded(tmp_path, "bloom")
    free = run(model)
    model.model.generation_config.eos_token_id = [model.encode(letter)[0] for letter in "abcxyzAB"]
    found = run(model)
    assert any(len(found[key]) < len(text) for key, text in free.items())
    assert all(text.startswith(found[key]) for key, text in free.items())
    assert not any(letter in text for letter in "abcxyzAB" for text in found.values())
    assert found == run(model, 1)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_fast_path_that_was_given_up_is_noted_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever another transformers makes fail in it; also where the texts come from the store."""

    def incompatible(*args: Any, **kwargs: Any) -> None:
        raise TypeError("Can't instantiate abstract class SlotLayer")

    path = checkpoints.save_checkpoint(tmp_path / "llama")
    source, store = CheckpointSource("m", str(path), device="cpu"), Store(tmp_path / "store")
    settings, data = Sampling(generations=2, max_new_tokens=8), load_dataset("hexl", limit=2)
    with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG, logger="exleak"):
        patch.setattr("exleak.generation.local.forward.SlotCache", incompatible)
        slow = generate_rows(source, data, settings, store=store)
    assert "whole, ready mask, batched: TypeError: Can't instantiate" in caplog.text
    (note,) = slow.notes
    assert "cannot be refilled" in note
    assert "TypeError: Can't instantiate abstract class SlotLayer" in note
    assert generate_rows(source, data, settings, store=store).notes == slow.notes
    assert generate_rows(source, data, settings).notes == ()
