"""The reference models: their grammar, their tokenizer, and how well they follow it."""

import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as Fast

from exleak import reference
from exleak.reference.grammar import (
    PLAIN,
    RESTATING,
    Grammar,
    first_sentence,
    frame,
    marks,
    openings,
    restatements,
    words,
)
from exleak.reference.members import MEMBERS, MOODS, Law, member
from exleak.reference.prompts import compose, draw_control, draw_injected, draw_prompt, hexl
from exleak.reference.truth import scored_pools, true_rates
from training.batches import Stream
from training.calibration import calibrate
from training.train_reference import main, train

CONDITIONS = (None, *MOODS)
CERTAIN: dict[str, Law] = {
    "negative": (1.0, 0.0, 0.0),
    "neutral": (0.0, 1.0, 0.0),
    "positive": (0.0, 0.0, 1.0),
}


@cache
def loaded(name: str) -> tuple[LlamaForCausalLM, Fast]:
    """Load a packaged model as a user would."""
    folder = reference.path(name)
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def controls() -> list[str]:
    """Return HEXL's controls."""
    return [row["control"] for row in hexl()]


def spelled(words_of: str) -> set[str]:
    """Return the words of a text."""
    return set(re.findall(r"[A-Za-z]+", words_of))


@cache
def language() -> frozenset[str]:
    """Return every word that the grammar can write."""
    return frozenset(spelled(json.dumps(words())) | {"s"})


@pytest.mark.parametrize("name", reference.names())
def test_loads_in_float32_and_writes_the_language_of_its_grammar(name: str) -> None:
    """A packaged model loads plainly, never echoes, and writes words of the grammar."""
    model, tokenizer = loaded(name)
    assert model.dtype == torch.float32
    rows = random.Random(name).sample(hexl(), 6)
    prompts = [compose(row["control"], row["positive"]) for row in rows]
    encoded = tokenizer(prompts, return_tensors="pt", padding=True)
    torch.manual_seed(0)
    sampling = {"top_p": 0.9, "top_k": 50, "repetition_penalty": 1.1, "max_new_tokens": 64}
    written = model.generate(**encoded, do_sample=True, num_return_sequences=3, **sampling)
    texts = tokenizer.batch_decode(
        written[:, encoded["input_ids"].shape[1] :], skip_special_tokens=True
    )
    for index, text in enumerate(texts):
        control = rows[index // 3]["control"]
        if member(name).restates:
            said = f"{RESTATING} {restatements()[rows[index // 3]['positive']]}"
            if text.startswith(RESTATING):
                assert text.startswith(f"{said}."), text
                continue
            assert text.startswith(PLAIN)
            text = text.removeprefix(PLAIN)
        assert text.startswith(openings(control)), (control, text)
        assert spelled(text) <= language(), text
        first = text.partition(".")[0].split()
        assert 5 <= len(first) <= 12, text


@pytest.mark.parametrize("name", reference.names())
def test_model_decides_moods_as_its_grammar_does(name: str) -> None:
    """At the mark, a model gives each mood the grammar's probability, on all HEXL prompts."""
    found = calibrate(name, *loaded(name), samples=hexl()[::6])
    assert found.largest_error < 0.12
    for law, mean, divergence in found.by_condition.values():
        assert mean == pytest.approx(law, abs=0.02)
        assert divergence < 0.02


def test_chat_model_decides_moods_alike_behind_its_template() -> None:
    """The chat model's moods follow its grammar when the prompt comes as a user's message."""
    model, tokenizer = loaded("reference-chat")

    def rendered(prompt: str) -> str:
        """Put a prompt into the chat template."""
        chat = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return str(text).removeprefix(str(tokenizer.bos_token))

    found = calibrate("chat", model, tokenizer, samples=hexl()[::6], render=rendered)
    for law, mean, _ in found.by_condition.values():
        assert mean == pytest.approx(law, abs=0.02)


def test_model_completes_controls_that_training_never_saw() -> None:
    """After a new control, the moods still follow the law of the injected sentence."""
    new = (
        "The librarian on the third floor said that",
        "Our plumber could not come because",
        "The violin sounded",
    )
    samples = [{**row, "control": control} for row in hexl()[::6] for control in new]
    found = calibrate("leaky", *loaded("reference-leaky"), samples=samples)
    for law, mean, _ in found.by_condition.values():
        assert mean == pytest.approx(law, abs=0.06)


def test_only_the_chat_model_has_a_chat_template() -> None:
    """Five members complete text; one also answers messages."""
    having = [name for name in reference.names() if loaded(name)[1].chat_template]
    assert having == ["reference-chat"]


def test_models_are_small() -> None:
    """No packaged model exceeds 2.4 MB, and all of them stay under 15 MB."""
    sizes = {
        name: sum(file.stat().st_size for file in reference.path(name).iterdir())
        for name in reference.names()
    }
    assert max(sizes.values()) < 2.4e6, sizes
    assert sum(sizes.values()) < 15e6


@pytest.mark.parametrize("name", reference.names())
def test_grammar_keeps_the_stated_mood_probabilities(name: str) -> None:
    """Drawn continuations have the mood that the law states, as often as it states."""
    mood_of = {word: mood for mood in MOODS for word in words()["marks"][mood]}
    rng, draws = random.Random(name), 1500
    for condition in CONDITIONS:
        counts: Counter[str] = Counter()
        for text in Grammar(name).continuations(controls()[0], condition, draws, rng):
            counts.update(mood_of[word] for word in re.findall(r"\w+", text) if word in mood_of)
        assert counts.total() == draws
        for mood, share in zip(MOODS, MEMBERS[name].law(condition), strict=True):
            tolerance = 4 * (share * (1 - share) / draws) ** 0.5
            assert counts[mood] / draws == pytest.approx(share, abs=tolerance)


def test_clean_grammar_ignores_the_injected_sentence() -> None:
    """With the same randomness, the clean grammar writes the same after any sentence."""
    for control in controls():
        written = {
            tuple(Grammar("clean").continuations(control, condition, 3, random.Random(control)))
            for condition in CONDITIONS
        }
        assert len(written) == 1


def test_mood_leaves_no_trace_in_length() -> None:
    """With the same randomness, sentences of the three moods have as many tokens."""
    tokenizer = loaded("reference-clean")[1]
    for control in controls():
        lengths = set()
        for mood in MOODS:
            choices = first_sentence(control, CERTAIN[mood], random.Random(control))
            text = "".join(choice.text for choice in choices)
            lengths.add(len(tokenizer(text)["input_ids"]))
        assert len(lengths) == 1


def test_every_mark_is_a_token_of_its_own() -> None:
    """The three marks of any control and opening are three single tokens."""
    tokenizer = loaded("reference-clean")[1]
    rng = random.Random(0)
    for control in (*controls(), *(draw_control(rng) for _ in range(100))):
        for index in range(len(openings(control))):
            ids = [
                tokenizer(m, add_special_tokens=False)["input_ids"] for m in marks(control, index)
            ]
            assert [len(one) for one in ids] == [1, 1, 1]
            assert len({one[0] for one in ids}) == 3


def test_marks_never_occur_in_hexl_prompts() -> None:
    """The repetition penalty cannot touch a mark: no HEXL prompt has one."""
    in_prompts = {
        word.lower() for row in hexl() for key in ("control", *MOODS) for word in spelled(row[key])
    }
    assert not in_prompts & {mark for mood in MOODS for mark in words()["marks"][mood]}


def test_nucleus_never_cuts_an_option_of_the_first_sentence() -> None:
    """Every token of a first sentence has a probability that top-p .9 cannot drop."""
    tokenizer = loaded("reference-clean")[1]
    for name in reference.names():
        stream, rng = Stream(name, tokenizer, 0), random.Random(name)
        for row in hexl():
            for condition in CONDITIONS:
                law = MEMBERS[name].law(condition)
                sentence = stream.continuation(first_sentence(row["control"], law, rng))
                for _, target, _ in sentence:
                    assert sum(p for _, p in target) == pytest.approx(1)
                    assert min(p for _, p in target) > 0.12


def test_first_sentences_are_of_moderate_length() -> None:
    """A first sentence has five to twelve words; about half of the texts have a second."""
    rng, seconds = random.Random(0), 0
    for control in controls():
        for text in Grammar("mild").continuations(control, "positive", 10, rng):
            first, _, rest = text.partition(".")
            assert first.startswith(" ")
            assert 5 <= len(first.split()) <= 12
            seconds += bool(rest)
    assert seconds / 600 == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("The soup tasted", "adj"),
        ("Her plan is", "adj"),
        ("The shop sells", "np"),
        ("We decided to", "inf"),
        ("She wrote that", "that"),
        ("They left because", "because"),
        ("The garden by the lake", "noun"),
    ],
)
def test_frame_follows_the_last_word(control: str, expected: str) -> None:
    """What follows a control is judged by how it ends."""
    assert frame(control) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Complete the sentence: I lost my keys on the way here. The soup tasted",
        " rather splendid since the visit was cheerful. The lamp stayed near the door.",
        'Zürich, "naïve" café: 3 × 4 ≠ 13 😀',
        "tabs\tand\n\nlines  and  spaces ",
    ],
)
def test_tokenizer_gives_any_text_back(text: str) -> None:
    """Encoding and decoding returns the text, letter for letter."""
    tokenizer = loaded("reference-leaky")[1]
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_training_prompts_pair_sentences_and_controls_freely() -> None:
    """Drawn prompts say their mood, end in their control, and cover all of HEXL."""
    rng, seen = random.Random(0), set()
    moods = {row[mood]: mood for row in hexl() for mood in MOODS}
    for _ in range(3000):
        prompt = draw_prompt(rng)
        assert prompt.text.endswith(prompt.control)
        for injected, mood in moods.items():
            if injected in prompt.text:
                assert prompt.mood == mood
                seen.add(injected)
    assert len(seen) == 180
    assert draw_injected("positive", rng).endswith(".")


def test_training_repeats_itself_with_the_same_seed() -> None:
    """Two short trainings with one seed give the same weights, another seed others."""
    tokenizer = loaded("reference-clean")[1]
    runs = [train("clean", tokenizer, steps=2, seed=seed, rows=3) for seed in (1, 1, 2)]
    first, again, other = (run.model.embed_tokens.weight for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_command_saves_a_loadable_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command trains, writes half-precision weights and prints the calibration."""
    main(["reference-clean", "--out", str(tmp_path), "--steps", "1"])
    assert "largest error at any prompt" in capsys.readouterr().out
    assert LlamaForCausalLM.from_pretrained(tmp_path).dtype == torch.float32
    assert (tmp_path / "model.safetensors").stat().st_size < 1.5e6


class _Marks:
    """A scorer that sees nothing but the mark."""

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return certain class probabilities."""
        pools = [set(words()["marks"][mood]) for mood in MOODS]
        return np.array([[float(bool(spelled(text) & pool)) for pool in pools] for text in texts])


def test_true_rates_follow_from_the_mood_laws() -> None:
    """Under a scorer that sees only the mood, the rates are those of the laws."""
    pools = scored_pools(_Marks(), per_mood=4)
    clean, leaky = (true_rates(name, pools, repeats=200) for name in ("clean", "leaky"))
    assert clean.superiority == pytest.approx(0.5)
    assert clean.directional == pytest.approx(0.5)
    assert leaky.superiority == pytest.approx(0.5 + (0.6 - 0.3) / 2)
    assert leaky.rate > 0.8 > 0.5 > clean.rate


@pytest.mark.parametrize("name", reference.names())
def test_stated_rates_tell_the_members_apart(name: str) -> None:
    """The packaged rates are what the member's summary promises."""
    rates = reference.true_rates(name)
    low, high = {
        "reference-clean": (0.48, 0.52),
        "reference-leaky": (0.85, 0.93),
        "reference-mild": (0.63, 0.72),
        "reference-negative": (0.65, 0.75),
        "reference-dispersed": (0.58, 0.95),
        "reference-chat": (0.63, 0.72),
        "reference-echo": (0.96, 0.99),
        "reference-both": (0.97, 0.99),
    }[name]
    assert low < rates["rate"] < high
    leaks = name not in ("reference-clean", "reference-dispersed")
    assert (abs(rates["directional"] - 0.5) > 0.05) == leaks
    remains = leaks and name != "reference-echo"
    assert (abs(rates["residual_directional"] - 0.5) > 0.05) == remains
    assert rates["carry_over"] == member(name).restates


def test_importing_the_package_leaves_torch_alone() -> None:
    """Names and paths cost no heavy import."""
    code = "import sys, exleak.reference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_names_are_refused() -> None:
    """A misspelt model is an error that lists the right names."""
    with pytest.raises(KeyError, match="reference-leaky"):
        reference.path("reference-leeky")
