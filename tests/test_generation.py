"""Continuations of prompts: the same however they are made, on any architecture."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

import exleak
from exleak import ModelError, Sampling, SettingsError
from exleak.generation.local.engine import _Note, _Notes
from exleak.generation.local.loading import load_model, locate
from exleak.generation.local.memory import row_bytes
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Counts, Request
from tests import tiny

PROMPTS = ["Complete the sentence: The soup", "A", "The long way home was", "She said that 1, 2"]
SHORT = Sampling(generations=3, max_new_tokens=24)
#: Grouped heads, learned and rotary positions, sliding and local windows, softcaps, ALiBi.
ARCHITECTURES = [
    "llama", "qwen2", "gpt2", "gpt_neox", "gptj", "gpt_neo", "mistral", "gemma2", "falcon",
    "falcon_rotary",
]  # fmt: skip


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama checkpoint."""
    return tiny.save_checkpoint(tmp_path_factory.mktemp("llama"))


def run(
    model: LocalModel,
    prompts: list[str],
    sampling: Sampling = SHORT,
    is_complete: Callable[[str], bool] | None = None,
    batch_size: int | None = None,
) -> dict[tuple[str, int], str]:
    """Continuations by prompt and index."""
    requests = [Request(p, tuple(range(sampling.generations)), is_complete) for p in prompts]
    found = continue_prompts(model, requests, sampling, batch_size=batch_size)
    return {(prompts[item.request], item.index): item.text for item in found}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_are_independent_of_their_batch(architecture: str, tmp_path: Path) -> None:
    """Batch size and order of prompts change nothing."""
    model = load_model(tiny.save_checkpoint(tmp_path, architecture))
    expected = run(model, PROMPTS)
    assert len(expected) == len(PROMPTS) * SHORT.generations
    for size in (1, 5, 640):
        assert run(model, PROMPTS[::-1], batch_size=size) == expected


def answer(tokenizer: Any, tokens: list[int]) -> str:
    """What tokens say up to the first special one behind content."""
    special = set(tokenizer.all_special_ids)
    for place, token in enumerate(tokens):
        text = str(tokenizer.decode(tokens[:place], skip_special_tokens=True))
        if token in special and text.strip():
            return text
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_sampling_equals_generate(architecture: str, tmp_path: Path) -> None:
    """With one candidate left, the engine's tokens are those of transformers' generate."""
    path = tiny.save_checkpoint(tmp_path, architecture)
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(path),
        AutoTokenizer.from_pretrained(path),
    )
    greedy = Sampling(generations=1, top_k=1, max_new_tokens=24)
    found = exleak.generate(path, PROMPTS, greedy)
    for prompt, (text,) in zip(PROMPTS, found, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        output = model.generate(
            ids["input_ids"],
            attention_mask=ids["attention_mask"],
            do_sample=False,
            repetition_penalty=1.1,
            max_new_tokens=24,
            pad_token_id=258,
        )
        new = output[0, ids["input_ids"].shape[1] :]
        assert text == answer(tokenizer, new.tolist())


def test_early_retirement_keeps_the_first_sentence(llama: Path) -> None:
    """Retired continuations begin full ones, and waste no tokens."""
    model = load_model(llama)
    full = run(model, PROMPTS)

    def stops(text: str) -> bool:
        return "e" in text

    short = run(model, PROMPTS, is_complete=lambda text: "." in text and stops(text))
    assert all(full[key].startswith(text) for key, text in short.items())


def test_generations_grow_without_changing(llama: Path) -> None:
    """More generations per prompt keep the first ones."""
    model = load_model(llama)
    few = run(model, PROMPTS[:2])
    many = run(model, PROMPTS[:2], Sampling(generations=6, max_new_tokens=24))
    assert {key: many[key] for key in few} == few


def test_the_seed_changes_the_continuations(llama: Path) -> None:
    """Two seeds give different texts, one seed the same."""
    first = exleak.generate(llama, PROMPTS, SHORT)
    assert exleak.generate(llama, PROMPTS, SHORT) == first
    assert exleak.generate(llama, PROMPTS, Sampling(3, seed=1, max_new_tokens=24)) != first


def test_refilled_slots_see_only_their_own_prompt(llama: Path) -> None:
    """With two slots for twelve rows, every slot is reused; nothing leaks from row to row."""
    model = load_model(llama)
    counts = Counts()
    requests = [Request(prompt, (0, 1, 2)) for prompt in PROMPTS]
    list(continue_prompts(model, requests, SHORT, batch_size=2, counts=counts))
    assert counts.prefilled == sum(len(model.encode(prompt)) for prompt in PROMPTS)
    assert run(model, PROMPTS, batch_size=2) == run(model, PROMPTS, batch_size=640)


class Adapted(tiny.Wrapper):
    """An adapter after the manner of PEFT, which hides the parameters of the model in it."""

    def get_base_model(self) -> PreTrainedModel:
        """The model without the adapter."""
        return self.inner

    def forward(self, **arguments: Any) -> Any:
        """What the inner model says."""
        return self.inner(**arguments)


def test_a_wrapped_model_continues_at_the_right_positions(llama: Path) -> None:
    """An adapter that does nothing changes nothing, however few rows are made at once."""
    plain = load_model(llama)
    expected = run(plain, PROMPTS)
    for wrapped in (Adapted(plain.model), torch.compile(plain.model, backend="eager")):
        model = load_model(wrapped, plain.tokenizer, chat="never")
        for size in (1, 3, 640):
            assert run(model, PROMPTS, batch_size=size) == expected


def test_a_model_in_training_stays_in_training(llama: Path) -> None:
    """Dropout is off while continuations are made, and each module is left as it was."""
    loaded = load_model(llama)
    model = loaded.model.train()
    frozen = model.get_input_embeddings().eval()
    given = load_model(model, loaded.tokenizer)
    assert run(given, PROMPTS[:1]) == run(load_model(llama), PROMPTS[:1])
    assert model.training
    assert not frozen.training


def test_generation_is_silent(llama: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Loading and generating print nothing and warn of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exleak.generate(llama, PROMPTS[:1], SHORT)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "make", [tiny.tokenizer, lambda: tiny.family_tokenizer("Llama", instruct=True)]
)
def test_texts_are_those_of_the_tokenizer(make: Callable[[], Any], llama: Path) -> None:
    """Decoding passes by the tokenizer's own checks, which cost more than the decoding."""
    tokenizer = make()
    model = load_model(load_model(llama).model, tokenizer, chat="never")
    torch.manual_seed(0)
    for tokens in torch.randint(0, 300, (50, 12)).tolist():
        assert model.decode(tokens) == answer(tokenizer, tokens)


def test_a_tokenizer_of_its_own_way_is_asked(llama: Path) -> None:
    """One that decodes differently has the last word."""

    class Loud(type(tiny.tokenizer())):  # type: ignore[misc]
        def _decode(self, *arguments: Any, **named: Any) -> str:
            return str(super()._decode(*arguments, **named)).upper()

    tokenizer = Loud(tokenizer_object=tiny.tokenizer().backend_tokenizer)
    model = load_model(load_model(llama).model, tokenizer, chat="never")
    assert model.decode(model.encode("so it goes")) == "SO IT GOES"


def test_most_tokens_need_no_look_at_the_text(tmp_path: Path) -> None:
    """A sentence is looked at behind what may have ended it, and not at each token."""
    model = load_model(tiny.save_stand_in(tmp_path, "Llama", instruct=False, seed=0))
    asked: list[str] = []

    def note(text: str) -> bool:
        asked.append(text)
        return True

    found = run(model, PROMPTS, is_complete=note)
    assert sum(text.count(" ") for text in found.values()) > 2 * len(asked)
    assert asked
    assert not any(text.endswith(".") for text in asked)


def test_a_space_is_nothing_to_note() -> None:
    """Decoders that put a space before each word drop the first one, and with it this token."""
    base = Tokenizer(models.BPE(vocab={"▁": 0, "a": 1, ".": 2, "▁a.": 3}, merges=[]))
    base.decoder = decoders.Metaspace()
    model = LocalModel("m", None, PreTrainedTokenizerFast(tokenizer_object=base), False)
    assert model.decode([0]) == ""
    notes = _Notes(model, frozenset())
    assert [notes[token] for token in range(4)] == [None, None, _Note.NEXT, _Note.NEXT]


def test_bos_stands_once(llama: Path) -> None:
    """A prompt that begins with BOS does not get a second one."""
    model = load_model(llama)
    assert model.encode("<s>Hi").count(256) == 1


@pytest.mark.parametrize("chat", ["auto", "always"])
def test_chat_gives_the_templates_own_tokens(chat: str, tmp_path: Path) -> None:
    """The ids are those of apply_chat_template."""
    model = load_model(tiny.save_checkpoint(tmp_path, chat=True), chat=chat)  # type: ignore[arg-type]
    expected = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, return_dict=False
    )
    assert model.encode(model.render("Hello")) == expected


def test_chat_never_sends_the_bare_text(tmp_path: Path) -> None:
    """The template is there but not used."""
    model = load_model(tiny.save_checkpoint(tmp_path, chat=True), chat="never")
    assert model.render("Hello") == "Hello"


def test_chat_always_needs_a_template(llama: Path) -> None:
    """Asking for a template that is not there is an error."""
    with pytest.raises(ModelError, match="no chat template"):
        load_model(llama, chat="always")


def test_nan_logits_are_refused(tmp_path: Path) -> None:
    """Broken weights give one error that names the model."""
    path = tiny.save_checkpoint(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(path)
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    model.save_pretrained(path)
    with pytest.raises(ModelError, match="logits are NaN or infinite"):
        exleak.generate(path, PROMPTS, SHORT)


def test_a_prompt_longer_than_the_context_is_refused(llama: Path) -> None:
    """The message gives both lengths."""
    model = load_model(llama)
    model.model.config.max_position_embeddings = 20
    with pytest.raises(ModelError, match="context of 20"):
        run(model, PROMPTS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere", "there is no such folder"),
        (lambda folder: folder, "no config.json"),
        (lambda folder: _file(folder / "weights.bin"), "this is a file"),
        (lambda folder: _file(folder / "config.json", "{}").parent, "no weights"),
        (lambda folder: _file(folder / "config.json", "{").parent, "not JSON"),
    ],
)
def test_what_is_no_checkpoint_is_told(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    """Each kind of wrong path has its own words."""
    with pytest.raises(ModelError, match=message):
        locate(make(tmp_path))


def _file(path: Path, text: str = "x") -> Path:
    path.write_text(text)
    return path


def test_a_model_object_needs_a_tokenizer(llama: Path) -> None:
    """The message says how to give one."""
    with pytest.raises(ModelError, match="tokenizer=") as error:
        load_model(AutoModelForCausalLM.from_pretrained(llama))
    assert "measure(model" in str(error.value)


def test_an_unreachable_hub_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a folder nor in the cache: the message names both."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="the hub or its cache"):
        load_model("nobody/no-such-model")


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
     ] if case[0] in tiny.CONFIGS],
)  # fmt: skip
def test_a_rows_memory_is_that_of_its_cache(
    architecture: str, a_row: int, a_token: int, tmp_path: Path
) -> None:
    """Keys and values grow, states do not; some architectures have both in several sizes."""
    model = load_model(tiny.save_checkpoint(tmp_path, architecture))
    found = [row_bytes(model, tokens) - 24 * 300 for tokens in (1, 101)]
    assert found[1] - found[0] == pytest.approx(100 * a_token, abs=100 * 8)
    assert found[0] == pytest.approx(a_row + a_token, abs=16)


@pytest.mark.parametrize("size", [0, -1, 2.5, "7"])
def test_a_batch_has_at_least_one_row(size: Any, llama: Path) -> None:
    """Nothing is taken for automatic but ``None``."""
    with pytest.raises(SettingsError, match=f"from 1 on, or None, not {size!r}"):
        exleak.generate(llama, PROMPTS, SHORT, batch_size=size)
    with pytest.raises(SettingsError, match="batch_size must be a whole number"):
        exleak.measure(str(llama), batch_size=size, store=None)


def test_one_text_is_no_list_of_prompts(llama: Path) -> None:
    """It would be continued letter by letter."""
    with pytest.raises(SettingsError, match=r"not one text: \['The soup'\]"):
        exleak.generate(llama, "The soup", SHORT)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing_enable:FutureWarning")
def test_looking_at_a_model_in_training_leaves_no_trace(tmp_path: Path) -> None:
    """No draw of dropout, and the cache that gradient checkpointing would switch off."""
    loaded = load_model(tiny.save_checkpoint(tmp_path))
    expected = row_bytes(loaded, 1000)
    model = loaded.model
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    model.gradient_checkpointing_enable()
    model.train()
    seen = []

    def noted(given: LocalModel, tokens: int) -> int:
        seen.append(row_bytes(given, 1000))
        return seen[-1]

    before = torch.get_rng_state()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exleak.generation.local.memory.row_bytes", noted)
        run(loaded, PROMPTS[:1])
    assert seen == [expected]
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training


def test_an_encoder_decoder_model_is_refused() -> None:
    """It would answer with anything."""
    config = T5Config(vocab_size=300, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    model = load_model(T5ForConditionalGeneration(config), tiny.tokenizer(), name="t5")
    with pytest.raises(ModelError, match="model t5: T5ForConditionalGeneration is an encoder-dec"):
        run(model, PROMPTS)


def test_a_context_of_a_few_tokens_is_refused(llama: Path) -> None:
    """There is nothing to try the model on."""
    model = load_model(llama)
    model.model.config.max_position_embeddings = 15
    with pytest.raises(ModelError, match="a context of 15 tokens is too short"):
        run(model, ["A"])


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("architecture", ["llama", "bloom"])
@pytest.mark.filterwarnings("ignore:.*cannot be refilled")
def test_a_model_that_does_not_run_is_one_error(
    architecture: str, size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says is in the message, with what it is."""
    model = load_model(tiny.save_checkpoint(tmp_path, architecture))

    def forward(*arguments: Any, **named: Any) -> Any:
        raise TypeError("missing 'pixel_values'")

    forward.__signature__ = inspect.signature(model.model.forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(model.model, "forward", forward)
    with pytest.raises(ModelError, match=r"a few tokens .*\(TypeError: missing 'pixel_"):
        run(model, PROMPTS, batch_size=size)


def test_a_token_without_an_embedding_is_told(llama: Path) -> None:
    """Somebody added tokens and did not resize the model."""
    loaded = load_model(llama)
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(["<new>"])
    model = load_model(loaded.model, tokenizer, name="m", chat="never")
    with pytest.raises(ModelError, match="gives token 300, but the model has 300 embeddings"):
        run(model, ["a <new> road"])


@pytest.mark.parametrize("architecture", ["llama", "bloom"])
@pytest.mark.parametrize("ids", [None, -1, 50256, (257, 12), [257, None]])
@pytest.mark.filterwarnings("ignore:.*cannot be refilled")
def test_stop_tokens_come_in_all_forms(ids: Any, architecture: str, tmp_path: Path) -> None:
    """Some are none of the vocabulary's; a configuration may be missing altogether."""
    model = load_model(tiny.save_checkpoint(tmp_path, architecture))
    model.model.generation_config.eos_token_id = ids
    found = run(model, PROMPTS, is_complete=lambda text: "e" in text)
    assert found == run(model, PROMPTS, is_complete=lambda text: "e" in text, batch_size=1)
    if ids is None:
        model.model.generation_config = None
        assert run(model, PROMPTS, is_complete=lambda text: "e" in text) == found


def test_stop_tokens_that_are_no_ids_are_told(llama: Path) -> None:
    """With what stands there."""
    model = load_model(llama)
    model.model.generation_config.eos_token_id = "x"
    with pytest.raises(ModelError, match="eos_token_id of its generation config is 'x'"):
        run(model, PROMPTS)


def test_a_model_that_gives_tuples_is_refused(llama: Path) -> None:
    """Its configuration is for other uses."""
    model = load_model(llama)
    model.model.config.return_dict = False
    with pytest.raises(ModelError, match="return_dict is off in its configuration"):
        run(model, PROMPTS)


def test_nothing_asked_is_nothing_done(llama: Path) -> None:
    """No prompts, or none of whose continuations anything is wanted."""
    assert exleak.generate(llama, [], SHORT) == []
    assert list(continue_prompts(load_model(llama), [Request("a", ())], SHORT)) == []


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


def test_a_checkpoint_cut_short_cannot_be_loaded(tmp_path: Path) -> None:
    """A copy that broke off: safetensors raises a type of its own."""
    path = tiny.save_checkpoint(tmp_path / "torn")
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="model torn: cannot be loaded from its folder: "):
        load_model(path)


@pytest.mark.parametrize("dtype", ["float33", "int8", "Tensor"])
def test_an_unknown_dtype_is_named(dtype: str, llama: Path) -> None:
    """It is no fault of the checkpoint."""
    with pytest.raises(SettingsError, match=f"dtype '{dtype}' is unknown"):
        load_model(llama, dtype=dtype)
