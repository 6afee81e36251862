"""The adapter of the embedded expression scorer."""

from __future__ import annotations

import numpy as np
import pytest

from exleak import load_instrument
from exleak.scoring.adapter import changes, tensors_of
from exleak.scoring.encoder import Encoder, weights_folder
from exleak.scoring.expression import EmbeddedHead
from exleak.scoring.head import HEADS, Head

LAYER = "encoder.layer.2.intermediate.dense"


def test_a_change_survives_its_file() -> None:
    """Eight bits keep each entry within a hundredth of the largest."""
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(32, 384)), generator.normal(size=(1536, 32))
    found = changes(tensors_of(LAYER, a, b))
    assert list(found) == [f"{LAYER}.weight"]
    assert found[f"{LAYER}.weight"].dtype == np.float32
    expected = b @ a
    assert np.abs(found[f"{LAYER}.weight"] - expected).max() < 0.02 * np.abs(expected).max()
    nothing = changes(tensors_of(LAYER, a, np.zeros_like(b)))[f"{LAYER}.weight"]
    assert not nothing.any()


def test_the_second_version_changes_every_linear_layer() -> None:
    """The first reads the encoder as published."""
    assert Head(HEADS[1]).changes == {}
    assert len(Head(HEADS[2]).changes) == 36


def test_a_changed_encoder_leaves_the_published_one_alone() -> None:
    """Both give their own states, whichever was asked first; no change, no difference."""
    text = ["She lost her keys, and she was furious."]
    published = Encoder(weights_folder())
    before = published.pooled(text)
    changed = published.changed(Head().changes)
    assert np.abs(changed.pooled(text) - before).max() > 0.1
    fresh = Encoder(weights_folder())
    assert np.array_equal(fresh.pooled(text), before)
    nothing = {name: np.zeros_like(change) for name, change in Head().changes.items()}
    assert np.array_equal(published.changed(nothing).pooled(text), before)


def test_similarities_are_those_of_the_published_encoder() -> None:
    """The adapter serves expression alone: both versions measure the same semantic leakage."""
    new, old = load_instrument("embedded"), load_instrument("embedded-1")
    texts = ["a lovely day.", "it never stopped raining."]
    assert np.array_equal(new.semantic.embed(texts), old.semantic.embed(texts))
    assert new.semantic.hash == old.semantic.hash


def test_versions_have_hashes_of_their_own() -> None:
    """Results of the two are never compared; the first one is that of earlier reports."""
    new, old = load_instrument("embedded"), load_instrument("embedded-1")
    assert new.hash != old.hash
    assert old.short_hash == "b1a2faa444f3"


@pytest.mark.parametrize("version", HEADS)
def test_both_versions_tell_moods_apart(version: int) -> None:
    """By name, through the whole path."""
    scorer = EmbeddedHead(Head(HEADS[version]))
    called = scorer.predict(["i hate this.", "the shop opens at nine.", "i love it so much!"])
    assert called.argmax(axis=1).tolist() == [0, 1, 2]
