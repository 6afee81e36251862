"""`load_instrument`: the pair of scorers, its name and its hash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from exleak import scoring
from exleak.errors import InstrumentError
from exleak.scoring import Instrument, load_instrument


class Fixed:
    """A scorer with a hash of one's choice."""

    def __init__(self, digest: str) -> None:
        self.hash = digest

    def predict(self, texts: object) -> NDArray[np.float64]:
        """Nothing."""
        return np.zeros((0, 3))

    def embed(self, texts: object) -> NDArray[np.float64]:
        """Nothing."""
        return np.zeros((0, 1))


def test_embedded_is_the_default() -> None:
    """Without a name the embedded instrument is loaded, once per process."""
    assert load_instrument().name == "embedded"
    assert load_instrument("embedded") is load_instrument()


def test_both_scorers_answer() -> None:
    """An instrument scores and embeds the same texts."""
    instrument = load_instrument("embedded")
    texts = ["a dream come true.", "a mess."]
    assert instrument.expression.predict(texts).argmax(axis=1).tolist() == [2, 0]
    assert instrument.semantic.embed(texts).shape == (2, 384)


def test_hash_names_both_scorers() -> None:
    """Another expression scorer or another semantic scorer is another instrument."""
    hashes = {
        Instrument("x", Fixed(first), Fixed(second)).hash for first in "ab" for second in "ab"
    }
    assert len(hashes) == 4


def test_hash_is_of_contents() -> None:
    """The name has no part in the hash; the short form begins it."""
    one, two = (Instrument(name, Fixed("a"), Fixed("b")) for name in ("one", "two"))
    assert one.hash == two.hash
    assert one.hash.startswith(one.short_hash)
    assert len(one.short_hash) == 12


def test_hash_is_the_same_in_another_process() -> None:
    """The shipped instrument has the same hash in every process."""
    code = "from exleak.scoring import load_instrument; print(load_instrument().hash)"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert other.strip() == load_instrument().hash


def test_import_is_light() -> None:
    """Importing the package loads neither torch nor transformers nor numpy nor scipy."""
    code = (
        "import sys, exleak.scoring; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'scipy') if m in sys.modules])"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert other.strip() == "[]"


def test_embedded_needs_no_transformers() -> None:
    """The embedded instrument answers without transformers being imported: that is slow."""
    code = (
        "import sys; from exleak.scoring import load_instrument; "
        "load_instrument().expression.predict(['a mess.']); print('transformers' in sys.modules)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert other.strip() == "False"


def test_folders_are_loaded_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A checkpoint that is overwritten in place is not answered from memory."""
    seen: list[str] = []

    def load(name: str) -> Instrument:
        seen.append(name)
        return Instrument(name, Fixed("a"), Fixed("b"))

    monkeypatch.setattr(scoring, "_load", load)
    load_instrument(str(tmp_path))
    load_instrument(str(tmp_path))
    assert seen == [str(tmp_path)] * 2


def test_unknown_name_names_the_way_out() -> None:
    """A name that is neither an instrument nor a checkpoint is an error that says what is."""
    with pytest.raises(InstrumentError, match=r"no-such-instrument.*embedded"):
        load_instrument("./no-such-instrument")


def test_paper_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's instrument, neither reachable nor cached, says what to do instead."""
    import transformers

    def unreachable(*_: object, **__: object) -> object:
        raise OSError("offline")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", unreachable)
    with pytest.raises(InstrumentError, match=r"cardiffnlp/twitter-roberta-base-sentiment.*cache"):
        load_instrument("paper")
