"""`exleak dataset stats`: lengths per class, and the rest, for any dataset and tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from exleak import SettingsError
from exleak.cli import main
from exleak.datasets.stats import load_tokenizer, plot, stats
from tests.aexl.fake import instrument

SAMPLES = [
    {"id": "a", "control": "The lamp was", "positive": "A glad day it was.",
     "neutral": "The mill stands here.", "negative": "An awful day."},
    {"id": "b", "control": "The lamp was", "positive": "a glad day it was.",
     "neutral": "The mill was old.", "negative": "No word of mood at all."},
]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset of two samples."""
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, SAMPLES)))
    return path


def test_the_figures_are_those_of_the_sentences(data: Path) -> None:
    """Counted by hand, in words."""
    found = stats(data, tokenizer="words", instrument=instrument())
    negative, positive = found.classes["negative"], found.classes["positive"]
    assert (negative.lengths, negative.mean, negative.shortest) == ((3, 6), 4.5, 3)
    assert (positive.mean, positive.duplicates, positive.vocabulary) == (5.0, 1, 5)
    assert (negative.agreement, positive.agreement) == (0.5, 1.0)
    assert found.spread == 1.0
    assert (found.control_mean, found.control_duplicates) == (3.0, 1)


def test_a_tokenizer_file_counts_its_own_tokens(tmp_path: Path) -> None:
    """And a missing one is told."""
    path = tmp_path / "tokenizer.json"
    made = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(path))
    assert load_tokenizer(str(path))(["a b, a", "b"]) == [4, 1]
    assert load_tokenizer("wordpiece")(["A lamp."]) == [3]
    with pytest.raises(SettingsError, match=r"none\.json"):
        load_tokenizer("none.json")
    made.enable_padding(length=8)
    made.enable_truncation(2)
    made.save(str(path))
    assert load_tokenizer(str(path))(["a b, a", "b"]) == [4, 1]


def test_long_sentences_are_counted_whole() -> None:
    """The wordpieces beyond those that the encoder reads, too; its own limit stays."""
    from exleak.scoring.encoder import load_encoder

    assert load_tokenizer("wordpiece")(["lamp " * 400, "A lamp."]) == [400, 3]
    assert len(load_encoder().tokenize(["lamp " * 400])[0]) == 256


def test_the_plot_is_drawn(data: Path, tmp_path: Path) -> None:
    """One panel a dataset; an unknown suffix is told."""
    found = stats(data, tokenizer="words", instrument=instrument())
    plot([found, found], tmp_path / "figure.svg")
    drawn = (tmp_path / "figure.svg").read_text()
    assert drawn.count('id="axes_') == 2
    with pytest.raises(SettingsError, match="png"):
        plot([found], tmp_path / "figure.bmp")


def test_the_command_prints_and_writes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table for people, JSON for programs."""
    out = tmp_path / "stats.json"
    assert main(["dataset", "stats", str(data), "--tokenizer", "words", "--json", str(out)]) == 0
    assert "class means differ by at most 1.00" in capsys.readouterr().out
    assert json.loads(out.read_text())[0]["spread"] == 1.0


@pytest.mark.parametrize(
    "option", [["--plot", "x.bmp"], ["--plot", "no/x.png"], ["--json", "no/x"]]
)
def test_what_cannot_be_written_is_told_first(
    option: list[str], data: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Before the dataset is scored."""
    monkeypatch.chdir(data.parent)
    monkeypatch.setattr("exleak.datasets.stats.stats", None)
    (data.parent / "no").write_text("a file")
    assert main(["dataset", "stats", str(data), *option]) == 2
    assert option[1].partition("/")[0] in capsys.readouterr().err
