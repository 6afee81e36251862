"""Known leakage in, known leakage out; and instruments that cannot tell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from exleak import load_instrument, reference
from exleak import selfcheck as module
from exleak.cli import main
from exleak.measurement import measure
from exleak.records import Measurement
from exleak.scoring import Instrument
from exleak.selfcheck import compare, selfcheck

Predict = Callable[[Sequence[str]], np.ndarray]


class Scorer:
    """An expression scorer from a function; remembers what it scored."""

    def __init__(self, name: str, predict: Predict) -> None:
        self.hash, self._predict = name, predict
        self.known: dict[str, np.ndarray] = {}

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Class probabilities, shape (n, 3)."""
        new = [text for text in texts if text not in self.known]
        if new:
            self.known |= dict(zip(new, self._predict(new), strict=True))
        return np.stack([self.known[text] for text in texts])


def random(texts: Sequence[str]) -> np.ndarray:
    """Probabilities that depend on the text and say nothing about it."""
    digests = [hashlib.sha256(text.encode()).digest()[:3] for text in texts]
    values = np.array([list(digest) for digest in digests], dtype=float) + 1
    return np.asarray(values / values.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def embedded() -> Instrument:
    """The embedded instrument, each sentence scored once for all of these tests."""
    tool = load_instrument("embedded")
    return replace(tool, expression=Scorer(tool.expression.hash, tool.expression.predict))


def test_the_embedded_instrument_is_sound(
    embedded: Instrument, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rate of every reference model agrees with its grammar's; the exit status is 0."""
    monkeypatch.setattr("exleak.scoring.load_instrument", lambda name: embedded)
    assert main(["selfcheck"]) == 0
    shown = capsys.readouterr().out
    assert shown.count(" agrees") == 4 * len(reference.names())
    assert shown.endswith("The instrument is sound.\n")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("swapped", "positive and negative labels are swapped"),
        ("neutral", "says neutral whatever it reads"),
        ("random", "nothing to do with the text"),
    ],
)
def test_an_instrument_that_cannot_tell_moods_is_named(
    name: str, reason: str, embedded: Instrument, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It fails with the reason, and is not used for measuring."""
    predict = {
        "swapped": lambda texts: embedded.expression.predict(texts)[:, ::-1],
        "neutral": lambda texts: np.tile([0.1, 0.8, 0.1], (len(texts), 1)),
        "random": random,
    }[name]
    tool = replace(embedded, name=name, expression=Scorer(name, predict))
    monkeypatch.setattr("exleak.scoring.load_instrument", lambda name: tool)
    assert main(["selfcheck"]) == 1
    shown = capsys.readouterr().out
    assert reason in shown
    assert "reference-clean" not in shown
    assert "not sound" in shown


@pytest.fixture(scope="module")
def leaky(embedded: Instrument) -> Measurement:
    """A measurement of the leaky model."""
    return measure("reference-leaky", instrument=embedded, store=None)


def test_a_model_that_does_not_follow_its_grammar_is_named(
    leaky: Measurement, embedded: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong weights or wrong sampling: each rate that differs is a problem, with its numbers."""
    assert all(check.agrees for check in compare(leaky, reference.true_rates("leaky")))
    others = compare(leaky, reference.true_rates("mild"))
    assert not any(check.agrees for check in others)
    monkeypatch.setattr(module, "_measure", lambda name, *rest: replace(leaky, model=name))
    problems = selfcheck(embedded).problems
    assert any("reference-mild: the rate is" in problem for problem in problems)
    assert any("reference-clean: seen as a model that leaks" in problem for problem in problems)
    assert any("reference-negative: only negative" in problem for problem in problems)
    assert any("reference-dispersed: its shift" in problem for problem in problems)
    assert not any("reference-leaky" in problem for problem in problems)


def test_an_undefined_rate_does_not_agree(leaky: Measurement) -> None:
    """Nothing measured is not agreement."""
    nothing = replace(leaky.expression, rate=None, standard_error=None)
    checks = compare(replace(leaky, expression=nothing), reference.true_rates("leaky"))
    assert [check.agrees for check in checks] == [False, True, True, True]


def test_another_instrument_is_held_to_its_own_truth(
    leaky: Measurement, embedded: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card's rates hold for one scorer; for others the grammar is scored anew."""
    asked: list[str] = []

    def computed(name: str, pools: np.ndarray, **settings: object) -> object:
        asked.append(name)
        raise StopIteration

    monkeypatch.setattr("exleak.reference.truth.true_rates", computed)
    tool = replace(embedded, expression=Scorer("other", embedded.expression.predict))
    monkeypatch.setattr(module, "_measure", lambda name, *rest: replace(leaky, model=name))
    with pytest.raises(StopIteration):
        selfcheck(tool)
    assert asked == ["reference-clean"]
