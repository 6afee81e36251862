"""The paper's instrument: loaded by name from the hub's cache, read as its model card says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import RobertaConfig, RobertaForSequenceClassification

import exleak
from exleak import scoring
from exleak.records import PromptGenerations
from exleak.scoring import PAPER_CHECKPOINT, Instrument
from exleak.scoring.classifier import Classifier
from tests.helpers import checkpoints
from tests.helpers.progress import tells_texts

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
#: What the model reads: its 66 positions, less the two that RoBERTa keeps back.
_READS = 64


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instrument:
    """A tiny random RoBERTa in the files and with the labels that the paper's classifier has."""
    folder = checkpoints.snapshot(tmp_path, PAPER_CHECKPOINT)
    pieces = [*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=_READS + 2, type_vocab_size=1, num_labels=3,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, initializer_range=1.0,
    )  # fmt: skip
    model = RobertaForSequenceClassification(config)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    config.architectures = ["RobertaForSequenceClassification"]
    config.save_pretrained(folder)
    checkpoints.use_cache(tmp_path, monkeypatch)
    return scoring._load("paper")


def expression(instrument: Instrument) -> Classifier:
    """Its classifier."""
    assert isinstance(instrument.expression, Classifier)
    return instrument.expression


def rows(*texts: str) -> tuple[PromptGenerations, ...]:
    """A control and a positive test prompt with these continuations."""
    control = PromptGenerations("c", None, "control", None, "It is", texts)
    test = PromptGenerations("p", "c", "positive", "I won.", "I won. It is", texts)
    return control, test


def test_labels_without_names_are_negative_neutral_positive(paper: Instrument) -> None:
    """LABEL_0 to LABEL_2 in the order of the model card; probabilities are its softmax."""
    scorer = expression(paper)
    assert scorer._model.config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    inputs = scorer._tokenizer("fine, thank you", return_tensors="pt")
    with torch.inference_mode():
        expected = scorer._model(**inputs).logits.double().softmax(dim=1).numpy()
    np.testing.assert_allclose(scorer.predict(["fine, thank you"]), expected, atol=1e-6)


def test_user_names_and_links_are_one(paper: Instrument) -> None:
    """The model reads @user and http, whoever and wherever it is."""
    first, second, other = expression(paper).predict(
        ["@ann saw http://a.b", "@bob saw https://c.d/e", "@user saw it"]
    )
    assert first.tolist() == second.tolist() != other.tolist()


def test_batches_do_not_matter(paper: Instrument) -> None:
    """More texts than a batch holds, of all lengths, come back in their order, told one by one."""
    texts = [f"{'so ' * (number % 20)}{number}" for number in range(150)]
    together = expression(paper).predict(texts)
    tells_texts(expression(paper).predict, texts)
    alone = np.concatenate([expression(paper).predict([text]) for text in texts[::30]])
    np.testing.assert_allclose(together[::30], alone, atol=1e-6)


@pytest.mark.parametrize(("length", "cut"), [(_READS - 2, 0), (_READS - 1, 4)])
def test_texts_that_were_cut_are_a_note(length: int, cut: int, paper: Instrument) -> None:
    """Every generation longer than the model reads counts, and the measurement says so."""
    found = exleak.score(rows("a" * length, "b" * length, "short."), paper)
    notes = [note for note in found.notes if "longer than the instrument reads" in note]
    assert notes == [f"{cut} of 6 texts are longer than the instrument reads and were cut"] * (
        cut > 0
    )


def test_truncation_is_said_again_from_the_store(paper: Instrument, tmp_path: Path) -> None:
    """Stored scores of cut texts are still scores of cut texts."""
    from exleak.store import Store

    store = Store(tmp_path / "store")
    first = exleak.score(rows("a" * 99), paper, store=store)
    again = exleak.score(rows("a" * 99), paper, store=store)
    assert first == again
    assert any("were cut" in note for note in again.notes)
