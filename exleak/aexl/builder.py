"""The steps of Algorithm 1: score, keep the top, sample, split, truncate, combine, label, save."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.aexl import selection
from exleak.aexl.formats import Part, Reading
from exleak.aexl.local_engine import Job, run
from exleak.aexl.progress import Meter, Progress
from exleak.aexl.recipe import Recipe
from exleak.aexl.report import LENGTH_MARGIN, Report
from exleak.aexl.sources import CORPUS, find_parts
from exleak.aexl.worker import Partial, make_pools, second_scorer
from exleak.datasets.writing import dataset_text
from exleak.errors import SettingsError
from exleak.files import check_file, write_text
from exleak.records import CLASSES, CONDITIONS, Sample

if TYPE_CHECKING:
    from exleak.aexl.pool import Pool
    from exleak.scoring import Instrument

INSTRUCTION = "Complete the sentence"
ENGINES = ("local", "ray")


def build(
    sources: Sequence[str | Path],
    output: str | Path,
    *,
    recipe: Recipe | None = None,
    reading: Reading | None = None,
    instrument: str | Instrument = "embedded",
    processes: int = 1,
    engine: str = "local",
    store: str | Path | None = ".exleak",
    name: str | None = None,
    license: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Build a leakage dataset from text.

    The file depends only on the sentences of the sources, the recipe and the instrument. It does
    not depend on their order, the number of processes, the engine, or interruptions.

    Args:
        sources: See :func:`exleak.aexl.sources.find_parts`.
        output: The dataset file (JSONL); its report is written beside it, as ``.report.json``.
        recipe: The parameters; the defaults give 200 samples.
        reading: Column, format and encoding of the sources.
        instrument: ``"embedded"``, ``"paper"``, a classifier, or a loaded instrument.
        processes: Number of worker processes; with Ray, of scoring actors.
        engine: ``"local"`` or ``"ray"``.
        store: A folder that stores scores, so that an interrupted build can resume; ``None``
            stores nothing.
        name: Name of the dataset; by default the output file's.
        license: License of the sources' text, for the header.
        progress: Callback, called after every block.

    Returns:
        The report.

    Raises:
        DatasetError: A source cannot be read, or has too few sentences of a class.
        SettingsError: The settings contradict each other, or the output would overwrite a source
            or cannot be written.
    """
    recipe, reading = recipe or Recipe(), reading or Reading()
    _check(processes, engine)
    parts, ignored = find_parts(sources, reading)
    _check_output(Path(output), parts)
    job = Job(recipe, reading, instrument, None if store is None else str(store))
    loaded = job.load()
    report = Report(
        sources=[str(source) for source in sources],
        instrument={"name": loaded.name, "hash": loaded.expression.hash},
        recipe=recipe.to_json(),
    )
    if (second := second_scorer(loaded, recipe)) is not None:
        report.instrument["second scorer"] = second.hash
    if ignored:
        report.warnings.append(f"{ignored} files of folders are of no known format and not read")
    pools = _gather(_results(job, parts, processes, engine), Meter(parts, progress), report)
    samples = selection.select(pools, recipe, loaded, report)
    if recipe.balance and report.spread() > LENGTH_MARGIN:
        report.warnings.append(
            f"the classes' mean lengths differ by {report.spread():.2f} wordpieces: more text, or "
            "a larger top and sample, would balance them"
        )
    own = [str(source) for source in sources] == [CORPUS]
    header = {
        "dataset": name or ("aexl" if own else Path(output).stem),
        "instruction": INSTRUCTION,
        "license": license or ("Apache-2.0" if own else ""),
        "provenance": _provenance(report),
    }
    _write(Path(output), header, samples, report)
    return report


def _check_output(output: Path, parts: Sequence[Part]) -> None:
    """Check that the output can be written and does not overwrite a source."""
    read = {Path(part.name).resolve() for part in parts if part.kind == "file"}
    for path in (output, report_path(output)):
        check_file(path)
        if path.resolve() in read:
            raise SettingsError(
                f"{path}: this is one of the sources and would be overwritten; write to another "
                "file, outside of the sources' folders"
            )


def report_path(output: Path) -> Path:
    """The path of a dataset file's report."""
    return output.with_suffix(".report.json")


def _check(processes: int, engine: str) -> None:
    if processes < 1:
        raise SettingsError(f"processes must be at least 1, not {processes}")
    if engine not in ENGINES:
        raise SettingsError(f"unknown engine {engine!r}: give {' or '.join(ENGINES)}")


def _results(
    job: Job, parts: Sequence[Part], processes: int, engine: str
) -> Iterator[tuple[Part, Partial]]:
    if engine == "ray":
        from exleak.aexl import ray_engine

        return ray_engine.run(job, parts, processes)
    return run(job, parts, processes)


def _gather(
    results: Iterator[tuple[Part, Partial]], meter: Meter, report: Report
) -> dict[str, Pool]:
    """Merge the results of the blocks: the best sentences of each class, and the counts."""
    pools = make_pools(Recipe(**{**report.recipe, "filters": tuple(report.recipe["filters"])}))
    counts: Counter[str] = Counter()
    for part, partial in results:
        counts.update(partial.counts)
        for label, text, confidence, copies, grade in partial.candidates:
            pools[label].offer(text, confidence, copies, grade)
        meter.add(part, partial)
    report.records = {"read": counts["records"], **_named(counts, "record: ")}
    report.sentences = {
        "found": counts["sentences"],
        "rejected": _named(counts, "filter: "),
        "passed": {label: counts[f"class: {label}"] for label in CLASSES},
    }
    if unread := sum(_named(counts, "record: ").values()) - counts["record: blank"]:
        report.warnings.append(
            f"{unread} of {unread + counts['records']} records could not be used: "
            + ", ".join(f"{value} {key}" for key, value in _named(counts, "record: ").items())
        )
    return pools


def _named(counts: Counter[str], prefix: str) -> dict[str, int]:
    names = sorted(name for name in counts if name.startswith(prefix))
    return {name.removeprefix(prefix): counts[name] for name in names}


def _provenance(report: Report) -> str:
    recipe = report.recipe
    names = ", ".join(Path(source).name or source for source in report.sources)
    text = "sentences written for this project" if report.sources == [CORPUS] else names
    return (
        f"Built by exleak aexl build (the paper's Algorithm 1) from {text}: m = {recipe['top']}, "
        f"n = {recipe['sampled']}, k = {recipe['samples']}, seed {recipe['seed']}. The mood labels "
        f"are those of the instrument {report.instrument['name']} "
        f"({report.instrument['hash'][:12]}), not of people."
    )


def _write(path: Path, header: dict[str, str], samples: Sequence[Sample], report: Report) -> None:
    fields = ("id", *CONDITIONS)
    rows = [{key: getattr(sample, key) for key in fields} for sample in samples]
    text, version = dataset_text(header, rows)
    report.dataset = {
        "name": header["dataset"],
        "version": version,
        "samples": len(samples),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    write_text(path, text)
    content = json.dumps(report.to_json(), indent=1, allow_nan=False)
    write_text(report_path(path), content + "\n")
