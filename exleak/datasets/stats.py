"""What a dataset looks like: lengths per class (the paper's Figure 1), confidence, similarity."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.datasets import load_dataset
from exleak.errors import DatasetError, SettingsError
from exleak.files import check_file
from exleak.hub import within_reach
from exleak.plotting import load_matplotlib
from exleak.records import CLASSES, Dataset, to_json

if TYPE_CHECKING:
    from exleak.scoring import Instrument

#: Counts the tokens of each text.
Tokenizer = Callable[[Sequence[str]], list[int]]
_KINDS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class ClassStats:
    """One class of injected sentences.

    Attributes:
        lengths: Tokens of each sentence.
        mean, deviation, median, shortest, longest: Of the lengths.
        confidence: Mean probability of the class, by the instrument.
        agreement: Share of sentences whose likeliest class it is.
        words: Running words, vocabulary: distinct ones, in lower case.
        duplicates: Sentences that came before, case aside.
        similarity: Mean cosine similarity to the control; largest_similarity: the largest.
    """

    lengths: tuple[int, ...]
    mean: float
    deviation: float
    median: float
    shortest: int
    longest: int
    confidence: float
    agreement: float
    words: int
    vocabulary: int
    duplicates: int
    similarity: float
    largest_similarity: float


@dataclass(frozen=True)
class DatasetStats:
    """A dataset's classes, and its controls.

    Attributes:
        dataset, version: Its name and version.
        samples: How many it has.
        tokenizer: What lengths are counted in.
        instrument: Name of the instrument behind confidences and similarities.
        classes: By condition.
        control_mean: Mean length of the controls.
        control_lean: Mean of P[positive] − P[negative] over the controls.
        control_duplicates: Controls that came before, case aside.
    """

    dataset: str
    version: str
    samples: int
    tokenizer: str
    instrument: str
    classes: dict[str, ClassStats]
    control_mean: float
    control_lean: float
    control_duplicates: int

    @property
    def spread(self) -> float:
        """Largest difference of the classes' mean lengths, in tokens."""
        means = [found.mean for found in self.classes.values()]
        return max(means) - min(means)

    def to_json(self) -> dict[str, Any]:
        """These figures as JSON-ready builtins."""
        value = to_json(self)
        assert isinstance(value, dict)
        return {**value, "spread": self.spread}

    def lines(self) -> Iterator[str]:
        """These figures for people."""
        yield f"{self.dataset} {self.version}: {self.samples} samples; length in {self.tokenizer}"
        yield (
            "class      length  sd     range    confidence  agreement  words  vocabulary  "
            "duplicates  similarity"
        )
        for label in reversed(CLASSES):
            found = self.classes[label]
            span = f"{found.shortest}–{found.longest}"
            yield (
                f"{label:9} {found.mean:7.2f}  {found.deviation:5.2f}  {span:>7}  "
                f"{found.confidence:10.3f}  {found.agreement:9.3f}  {found.words:5}  "
                f"{found.vocabulary:10}  {found.duplicates:10}  {found.similarity:.3f}, at most "
                f"{found.largest_similarity:.3f}"
            )
        yield f"class means differ by at most {self.spread:.2f}"
        yield (
            f"controls: mean length {self.control_mean:.2f}, mean mood {self.control_lean:+.3f} "
            f"(P[positive] − P[negative]), {self.control_duplicates} duplicates"
        )


def stats(
    dataset: str | Path | Dataset,
    *,
    tokenizer: str = "wordpiece",
    instrument: str | Instrument = "embedded",
) -> DatasetStats:
    """Describe a dataset.

    Args:
        dataset: A shipped dataset's name, a JSONL file, or a loaded dataset.
        tokenizer: ``"wordpiece"`` (SentenceBERT's), ``"words"``, a ``tokenizer.json``, or a
            checkpoint's folder or hub name.
        instrument: Gives confidences and similarities.

    Raises:
        DatasetError: The dataset cannot be read.
        SettingsError: The tokenizer cannot be loaded.
        InstrumentError: The instrument cannot be loaded.
    """
    from exleak.scoring import load_instrument

    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
    tool = load_instrument(instrument) if isinstance(instrument, str) else instrument
    count = load_tokenizer(tokenizer)
    controls = [sample.control for sample in data.samples]
    vectors, moods = tool.semantic.embed(controls), tool.expression.predict(controls)
    classes = {}
    for column, label in enumerate(CLASSES):
        texts = [str(getattr(sample, label)) for sample in data.samples]
        similar = (tool.semantic.embed(texts) * vectors).sum(axis=1)
        scores = tool.expression.predict(texts)
        words = [word for text in texts for word in text.lower().split()]
        lengths = count(texts)
        classes[label] = ClassStats(
            lengths=tuple(lengths),
            mean=statistics.fmean(lengths),
            deviation=statistics.pstdev(lengths),
            median=statistics.median(lengths),
            shortest=min(lengths),
            longest=max(lengths),
            confidence=float(scores[:, column].mean()),
            agreement=float((scores.argmax(axis=1) == column).mean()),
            words=len(words),
            vocabulary=len({word.strip(".,;:!?\"'“”‘’()") for word in words}),
            duplicates=_duplicates(texts),
            similarity=float(similar.mean()),
            largest_similarity=float(similar.max()),
        )
    return DatasetStats(
        dataset=data.name,
        version=data.version,
        samples=len(data.samples),
        tokenizer=tokenizer,
        instrument=tool.name,
        classes=classes,
        control_mean=statistics.fmean(count(controls)),
        control_lean=float((moods[:, 2] - moods[:, 0]).mean()),
        control_duplicates=_duplicates(controls),
    )


def _duplicates(texts: Sequence[str]) -> int:
    return sum(count - 1 for count in Counter(text.casefold() for text in texts).values())


def load_tokenizer(name: str) -> Tokenizer:
    """A function that counts the tokens of texts, without marks of begin and end.

    Raises:
        SettingsError: There is no such tokenizer.
    """
    if name == "words":
        return lambda texts: [len(text.split()) for text in texts]
    if name == "wordpiece":
        from exleak.scoring.encoder import weights_folder

        return _from_file(weights_folder() / "tokenizer.json")
    try:
        if Path(name).suffix == ".json":
            return _from_file(Path(name))
        from transformers import AutoTokenizer

        with within_reach(name):
            loaded = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # each library raises what it likes
        raise SettingsError(
            f"tokenizer {name!r} cannot be loaded ({type(error).__name__}: {error}); give "
            "wordpiece, words, a tokenizer.json, or a checkpoint"
        ) from None
    return lambda texts: [len(loaded(t, add_special_tokens=False)["input_ids"]) for t in texts]


def _from_file(path: Path) -> Tokenizer:
    """Counts whole texts, whatever padding and truncation the file asks for."""
    from tokenizers import Tokenizer as Fast

    file = Fast.from_file(str(path))
    file.no_padding()
    file.no_truncation()
    return lambda texts: [len(file.encode(t, add_special_tokens=False)) for t in texts]


def check_plot(path: str | Path) -> None:
    """Refuse a picture that could not be drawn, before the work for it is done.

    Raises:
        SettingsError: matplotlib is not installed, the suffix is of no picture, or the file
            cannot be written.
    """
    if Path(path).suffix.lower() not in _KINDS:
        raise SettingsError(f"{path}: a plot is one of {', '.join(_KINDS)}")
    check_file(Path(path))
    load_matplotlib()


def plot(found: Sequence[DatasetStats], path: str | Path) -> None:
    """Draw lengths per class, a panel for each dataset (the paper's Figure 1).

    Args:
        found: What :func:`stats` gave.
        path: A .png, .svg or .pdf file.

    Raises:
        SettingsError: See :func:`check_plot`.
    """
    check_plot(path)
    if not found:
        raise DatasetError("no dataset to plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(found), 3.6), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for panel, item in zip(panels, found, strict=True):
        lengths = [item.classes[label].lengths for label in CLASSES]
        panel.violinplot(lengths, showextrema=False)
        means = [item.classes[label].mean for label in CLASSES]
        panel.plot(range(1, 4), means, "o", color="black")
        for place, mean in enumerate(means, start=1):
            panel.annotate(f"{mean:.2f}", (place, mean), (8, 4), textcoords="offset points")
        panel.set_xticks(range(1, 4), CLASSES)
        panel.set_title(f"{item.dataset} ({item.samples} samples)")
        panel.set_xlabel("injected sentence")
    panels[0].set_ylabel(f"tokens ({found[0].tokenizer})")
    figure.savefig(path)
