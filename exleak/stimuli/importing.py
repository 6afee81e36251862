"""From a file of stimuli to a dataset file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.aexl.recipe import Recipe
from exleak.datasets import dataset_path, load_dataset
from exleak.datasets.stats import load_tokenizer
from exleak.datasets.writing import dataset_text
from exleak.errors import SettingsError
from exleak.files import check_file, write_text
from exleak.languages import ENGLISH, is_code
from exleak.records import CLASSES, Dataset
from exleak.stimuli.classes import Cuts, by_class
from exleak.stimuli.crossing import cross
from exleak.stimuli.reading import Columns, Stimulus, read_stimuli
from exleak.stimuli.report import Imported

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.aexl.balance import Triple

UNKNOWN = "unknown"


def import_stimuli(
    stimuli: str | Path,
    output: str | Path,
    *,
    license: str,
    provenance: str,
    controls: str | Path = "hexl",
    columns: Columns | None = None,
    negative_below: float | None = None,
    positive_above: float | None = None,
    samples: int | None = None,
    seed: int = 0,
    name: str | None = None,
    language: str | None = None,
    tokenizer: str = "wordpiece",
    max_similarity: float | None = None,
) -> Imported:
    """Make a dataset of rated or labelled sentences and the controls of another dataset.

    Args:
        stimuli: A CSV, TSV or JSONL file, one sentence a row.
        output: The dataset file (JSONL).
        license: License of the stimuli, or ``"unknown"``.
        provenance: Where the stimuli are from, or ``"unknown"``.
        controls: The dataset whose controls and instruction are used.
        columns: The names of the columns.
        negative_below, positive_above: Valences that separate the classes, see :class:`Cuts`.
        samples: Number of samples; by default one per control.
        seed: Random seed of the order in which sentences are drawn.
        name: Name of the dataset; by default the output file's.
        language: Language of the stimuli, an ISO 639 code; by default that of the controls.
        tokenizer: What lengths are counted with, see :func:`exleak.datasets.stats.stats`.
        max_similarity: Largest cosine similarity of a sentence and its control, as in
            :class:`exleak.aexl.recipe.Recipe`, whose value is the default for English; in other
            languages the default is 1, which turns the check off.

    Returns:
        The report.

    Raises:
        DatasetError: The stimuli or the controls cannot be read, a class has too few sentences, or
            too few controls are unrelated to them.
        SettingsError: A setting is out of its range, or the output cannot be written.
    """
    source, target = Path(stimuli), Path(output)
    _check(source, target, controls, {"license": license, "provenance": provenance}, language)
    data = load_dataset(controls)
    injected = language or data.language
    similar = _similarity(max_similarity, {injected, data.language} == {ENGLISH})
    read = read_stimuli(source, columns or Columns())
    cuts = Cuts.of(read, negative_below, positive_above)
    classes = by_class(read, cuts)
    phrases = list(dict.fromkeys(sample.control for sample in data.samples))
    wanted = _samples(samples, len(phrases), data)
    lengths = _lengths([item.sentence for item in read], tokenizer)
    crossed = cross(
        {label: [item.sentence for item in members] for label, members in classes.items()},
        phrases,
        samples=wanted,
        seed=seed,
        length=lengths.__getitem__,
        embed=_embed,
        max_similarity=similar,
    )
    title = name or target.stem
    rows = _rows(title, crossed, {item.sentence: item for item in read})
    header = {
        "dataset": title,
        "instruction": data.instruction,
        "language": data.language,
        "injected_language": injected,
        "license": f"stimuli: {license}; controls: {data.license or UNKNOWN}",
        "provenance": f"Stimuli: {provenance}. {_made(data, cuts, seed)}",
    }
    text, version = dataset_text(header, rows)
    write_text(target, text)
    return Imported.of(
        rows,
        classes,
        lengths,
        dataset=title,
        version=version,
        controls=len(phrases),
        cuts=cuts,
        tokenizer=tokenizer,
    )


def _check(
    source: Path,
    target: Path,
    controls: str | Path,
    origin: Mapping[str, str],
    language: str | None,
) -> None:
    """Check settings before anything is read."""
    for what, text in origin.items():
        if not text.strip():
            raise SettingsError(f"say the {what} of the stimuli, or that it is {UNKNOWN!r}")
    check_file(target)
    if target.resolve() in (source.resolve(), dataset_path(controls).resolve()):
        raise SettingsError(f"{target}: this file is read and would be overwritten; name another")
    if language is not None and not is_code(language):
        raise SettingsError(f"language {language!r} is no ISO 639 code such as de, zh or ar")


def _similarity(given: float | None, is_english: bool) -> float:
    if given is None:
        return Recipe.max_similarity if is_english else 1.0
    if not 0 <= given <= 1:
        raise SettingsError(f"max_similarity must be from 0 to 1, not {given}")
    return given


def _samples(given: int | None, controls: int, data: Dataset) -> int:
    if given is None:
        return controls
    if not 1 <= given <= controls:
        raise SettingsError(
            f"samples must be from 1 to {controls}, the number of controls of {data.name}, not "
            f"{given}; another dataset, such as aexl, has more"
        )
    return given


def _lengths(sentences: Sequence[str], tokenizer: str) -> dict[str, int]:
    return dict(zip(sentences, load_tokenizer(tokenizer)(sentences), strict=True))


def _embed(texts: Sequence[str]) -> NDArray[np.float64]:
    from exleak.scoring import load_instrument

    return load_instrument("embedded").semantic.embed(texts)


def _rows(
    name: str, crossed: Sequence[tuple[Triple, str]], known: Mapping[str, Stimulus]
) -> list[dict[str, Any]]:
    """The samples' fields in the file: sentences, their ids in the source, and intensities."""
    digits = max(3, len(str(len(crossed))))
    rows = []
    for number, (triple, control) in enumerate(crossed, start=1):
        members = {label: known[text] for label, text in zip(CLASSES, triple.texts, strict=True)}
        strengths = {
            label: item.intensity for label, item in members.items() if item.intensity is not None
        }
        rows.append({
            "id": f"{name}-{number:0{digits}d}",
            "control": control,
            **{label: members[label].sentence for label in reversed(CLASSES)},
            "stimulus": {label: item.id for label, item in members.items()},
            **({"intensity": strengths} if strengths else {}),
        })  # fmt: skip
    return rows


def _made(data: Dataset, cuts: Cuts | None, seed: int) -> str:
    classes = (
        "labels of the file"
        if cuts is None
        else f"negative below {cuts.negative_below:.4g}, positive above {cuts.positive_above:.4g}"
    )
    controls = f"{data.name} {data.version}".strip()
    return (
        f"Crossed with the controls of {controls} by exleak dataset import: {classes}, seed {seed}."
    )
