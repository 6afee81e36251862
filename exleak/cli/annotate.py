"""``exleak annotate export`` and ``exleak annotate agreement``: check rates with annotators."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.cli.shared import add_instrument, add_json, add_seed, check_json, show
from exleak.errors import DatasetError, SettingsError
from exleak.surrogates import replace_surrogates

if TYPE_CHECKING:
    from exleak.annotate.key import Key
    from exleak.records import PromptGenerations, Rate
    from exleak.scoring import Instrument

_EXPORT = """Write a blind sample of a run's control and test sentences for annotators: one HTML
page, CSV and JSON lines under FOLDER/for-annotators, and FOLDER/key.json, which they must not
see. With --dataset, the injected sentences of a dataset for labelling."""
_AGREEMENT = """Read what annotators sent back. Without --key, agreement among them only; with
it, also the comparison with the automatic decision, or with the dataset's labels."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``annotate`` with its two subcommands."""
    annotate = commands.add_parser("annotate", help="check the rates against human judgment")
    actions = annotate.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_export(actions.add_parser("export", help="hand out blind items", description=_EXPORT))
    _add_agreement(actions.add_parser("agreement", help="read the answers", description=_AGREEMENT))


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", type=Path, nargs="?", metavar="RUN", help="a generations file (JSONL)"
    )
    parser.add_argument("--dataset", metavar="NAME", help="label a dataset's sentences instead")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--items", type=int, metavar="N", help="how many items (default: all)")
    size.add_argument(
        "--precision",
        type=float,
        metavar="H",
        help="as many items as a 95%% interval of plus or minus H needs",
    )
    add_seed(parser, "the draw")
    parser.add_argument(
        "--salt", metavar="TEXT", help="draw an export again: the salt from its key.json"
    )
    parser.set_defaults(run=_export)


def _add_agreement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="answers: .json, .jsonl or .csv"
    )
    parser.add_argument("--key", type=Path, metavar="KEY", help="the key.json of the export")
    parser.add_argument(
        "--run", dest="source", type=Path, metavar="RUN", help="the run, where it has moved"
    )
    add_instrument(parser, "the machine to compare with")
    add_json(parser)
    parser.set_defaults(run=_agreement)


def _export(options: argparse.Namespace) -> int:
    from exleak.annotate.export import HANDOUT, KEY, export_labels, export_pairs
    from exleak.annotate.sample import Size

    if (options.source is None) == (options.dataset is None):
        raise SettingsError("give a RUN, or --dataset NAME")
    size = Size(options.items, options.precision)
    folder, draw = options.output, {"seed": options.seed, "salt": options.salt}
    if options.dataset:
        key = export_labels(options.dataset, folder, size, **draw)
    else:
        key = export_pairs(options.source, folder, size, **draw)
    print(f"export {key.export}: {_contents(key)}")
    print(f"give annotators {folder / HANDOUT}, or one file of it")
    print(f"keep {folder / KEY} to yourself until all answers are back")
    return 0


def _contents(key: Key) -> str:
    from exleak.annotate.sample import half_width
    from exleak.annotate.task import PAIRS
    from exleak.records import CLASSES, LEAKING_CONDITIONS

    counts = {name: sum(item.condition == name for item in key.items) for name in CLASSES}
    counted = LEAKING_CONDITIONS if key.task is PAIRS else CLASSES
    deciding = sum(counts[name] for name in counted)
    each = ", ".join(f"{counts[name]} {name}" for name in reversed(CLASSES))
    precision = f"; a rate within about ±{half_width(deciding):.2f}" if deciding else ""
    return f"{len(key.items)} items ({each}){precision}"


def _agreement(options: argparse.Namespace) -> int:
    from exleak.annotate.answers import read_answers
    from exleak.annotate.key import read_key
    from exleak.annotate.report import build
    from exleak.annotate.task import PAIRS
    from exleak.annotate.terminal import lines

    check_json(options.json)
    key = read_key(options.key) if options.key else None
    answers = read_answers(options.files, key)
    instrument, rows, rate, notes = None, None, None, list[str]()
    if key and key.task is PAIRS:
        from exleak.scoring import load_instrument

        instrument = load_instrument(options.instrument)
        rows, notes = _run(key, options.source)
        if rows is not None:
            rate, notes = _headline(rows, instrument)
    report = build(answers, key, instrument, rate, notes, rows)
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    show(lines(report), replace_surrogates(text), options.json)
    return 0


def _run(key: Key, given: Path | None) -> tuple[tuple[PromptGenerations, ...] | None, list[str]]:
    """The exported run; ``None`` and a note if it is gone or changed.

    Raises:
        DatasetError: The run given by ``--run`` cannot be read or is not the exported one.
    """
    from exleak.store import read_generations

    path = given or Path(key.source)
    missing = "the run's μ_EL and the corrected human rate are missing"
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        if given:
            raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
        return None, [f"{missing}: {path} is gone; name its new place by --run"]
    if digest != key.sha256:
        problem = f"{path}: not the run that was exported (its content differs)"
        if given:
            raise DatasetError(problem)
        return None, [f"{missing}: {problem}"]
    return read_generations(path), []


def _headline(
    rows: tuple[PromptGenerations, ...], instrument: Instrument
) -> tuple[Rate, list[str]]:
    """The run's rate, with a note on what it can be compared with."""
    from exleak.measurement import score

    measurement = score(rows, instrument)
    rate: Rate = measurement.expression
    drawn = measurement.generations["per_prompt"]
    if drawn == 1:
        return rate, []
    note = (
        f"μ_EL compares means over {drawn} generations, annotators judged one of each: μ_EL grows "
        "with that number, so compare human rates with automatic rates of one generation each"
    )
    return rate, [note]
