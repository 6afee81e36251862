"""Dataset statistics: lengths per class (the paper's Figure 1), confidence, similarity."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.datasets import load_dataset
from exleak.errors import DatasetError, SettingsError
from exleak.hub import within_reach
from exleak.plotting import check_plot
from exleak.records import CLASSES, Dataset, to_json

if TYPE_CHECKING:
    from exleak.scoring import Instrument

#: A function that counts the tokens of each text.
Tokenizer = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class ClassStats:
    """Statistics of one class of injected sentences.

    Attributes:
        lengths: Number of tokens of each sentence.
        mean, deviation, median, shortest, longest: Summary of the lengths.
        confidence: Mean probability of the class, by the instrument.
        agreement: Share of sentences whose most probable class it is.
        words, vocabulary: Number of words, and of distinct lower-case words.
        duplicates: Number of repeated sentences, ignoring case.
        similarity, largest_similarity: Mean and largest cosine similarity to the control.
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
    """Statistics of a dataset's classes and controls.

    Attributes:
        dataset, version: Name and version of the dataset.
        samples: Number of samples.
        tokenizer: Name of the tokenizer that lengths are counted with.
        instrument: Name of the instrument for confidences and similarities.
        classes: Statistics by condition.
        control_mean: Mean length of the controls.
        control_lean: Mean of P[positive] − P[negative] over the controls.
        control_duplicates: Number of repeated controls, ignoring case.
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
        """Largest difference between the classes' mean lengths, in tokens."""
        means = [item.mean for item in self.classes.values()]
        return max(means) - min(means)

    def to_json(self) -> dict[str, Any]:
        """The statistics as JSON-ready builtins."""
        value = to_json(self)
        assert isinstance(value, dict)
        return {**value, "spread": self.spread}

    def lines(self) -> Iterator[str]:
        """The statistics as lines of text."""
        yield f"{self.dataset} {self.version}: {self.samples} samples; length in {self.tokenizer}"
        yield (
            "class      length  sd     range    confidence  agreement  words  vocabulary  "
            "duplicates  similarity"
        )
        for label in reversed(CLASSES):
            item = self.classes[label]
            span = f"{item.shortest}–{item.longest}"
            yield (
                f"{label:9} {item.mean:7.2f}  {item.deviation:5.2f}  {span:>7}  "
                f"{item.confidence:10.3f}  {item.agreement:9.3f}  {item.words:5}  "
                f"{item.vocabulary:10}  {item.duplicates:10}  {item.similarity:.3f}, at most "
                f"{item.largest_similarity:.3f}"
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
    """Compute the statistics of a dataset.

    Args:
        dataset: A built-in dataset's name, a JSONL file, or a loaded dataset.
        tokenizer: ``"wordpiece"`` (SentenceBERT's), ``"words"``, a ``tokenizer.json``, or a
            checkpoint's folder or hub name.
        instrument: The instrument for confidences and similarities.

    Raises:
        DatasetError: The dataset cannot be read.
        SettingsError: The tokenizer cannot be loaded.
        InstrumentError: The instrument cannot be loaded, or does not know the language.
    """
    from exleak.scoring import load_instrument

    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
    tool = load_instrument(instrument) if isinstance(instrument, str) else instrument
    tool.check_languages(data.language, data.injected_language)
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
    """Load a function that counts the tokens of texts, without special tokens.

    Raises:
        SettingsError: The tokenizer cannot be loaded.
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
    except Exception as error:  # each library raises different exceptions
        raise SettingsError(
            f"tokenizer {name!r} cannot be loaded ({type(error).__name__}: {error}); give "
            "wordpiece, words, a tokenizer.json, or a checkpoint"
        ) from None
    return lambda texts: [len(loaded(t, add_special_tokens=False)["input_ids"]) for t in texts]


def _from_file(path: Path) -> Tokenizer:
    """Load a tokenizer file, without its padding and truncation."""
    from tokenizers import Tokenizer as Fast

    file = Fast.from_file(str(path))
    file.no_padding()
    file.no_truncation()
    return lambda texts: [len(file.encode(t, add_special_tokens=False)) for t in texts]


def plot(found: Sequence[DatasetStats], path: str | Path) -> None:
    """Plot lengths per class, with a panel for each dataset (the paper's Figure 1).

    Args:
        found: Results of :func:`stats`.
        path: A .png, .svg or .pdf file.

    Raises:
        SettingsError: See :func:`exleak.plotting.check_plot`.
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
