"""``exleak plan``: what a run would cost and what it could tell, before it is run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from exleak.cli.shared import (
    add_instrument,
    add_json,
    add_max_rate,
    add_placement,
    add_seed,
    add_store,
    check_json,
    check_placement,
    show,
)
from exleak.errors import ReportError, SettingsError
from exleak.gate.limits import METRICS, Limits
from exleak.generation.requests import Chat

if TYPE_CHECKING:
    from exleak.gate.limits import Metric
    from exleak.planning.cost import Cost
    from exleak.planning.scatter import Scatter
    from exleak.records import Dataset, Measurement

_DESCRIPTION = """What a run with these settings can tell: which rates it fails and passes in 90% of
runs, and the smallest increase over a baseline that it detects. With MODEL, the seconds and the
memory that it takes, from a trial of a few samples; nothing is stored. With the report or the
generations file of a finished run, which part of its uncertainty lies between controls, and which
between continuations."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "plan", help="what a run would cost and could tell", description=_DESCRIPTION
    )
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="a checkpoint on this machine, to be tried"
    )
    _add_run(parser.add_argument_group("the run"))
    _add_question(parser.add_argument_group("what it is to tell"))
    add_json(parser, "the plan")
    parser.set_defaults(run=_run)


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dataset", metavar="NAME", help="hexl (default), aexl or a JSONL file")
    group.add_argument("--limit", type=int, metavar="N", help="only its first N samples")
    group.add_argument(
        "--generations", type=int, metavar="K", help="per prompt (default: 10, or the report's)"
    )
    add_seed(group)
    add_placement(group)
    group.add_argument(
        "--batch-size", type=int, metavar="N", help="most continuations at once (default: auto)"
    )
    group.add_argument(
        "--chat", choices=get_args(Chat), default="auto", help="use of the chat template"
    )
    add_instrument(group)
    add_store(group, "what was generated before, which costs nothing,")


def _add_question(group: argparse._ArgumentGroup) -> None:
    add_max_rate(group)
    group.add_argument(
        "--expected", type=float, metavar="X", help="the true rate that you expect of the model"
    )
    group.add_argument("--metric", choices=tuple(METRICS), default="rate")
    group.add_argument(
        "--margin", type=float, default=0.0, metavar="X", help="increase tolerated (baseline)"
    )
    group.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="a finished run: its JSON report, or its generations file (JSONL), which tells more",
    )


def _run(options: argparse.Namespace) -> int:
    from exleak.datasets import load_dataset
    from exleak.generation.sampling import Sampling, check_batch_size
    from exleak.planning.plan import make_plan
    from exleak.planning.words import lines

    check_json(options.json)
    check_batch_size(options.batch_size)
    check_placement(options.device, options.dtype)
    Limits(max_rate=options.max_rate, margin=options.margin, metric=options.metric)
    _check_expected(options)
    scatter, compared = _typical(options) if options.report is None else _measured(options)
    dataset = load_dataset(options.dataset or "hexl", limit=options.limit)
    generations = options.generations
    if generations is None:
        generations = 10 if options.report is None else scatter.generations
    sampling = Sampling(generations=generations, seed=options.seed)
    plan = make_plan(
        scatter,
        compared,
        dataset=dataset.name,
        controls=len({sample.control for sample in dataset.samples}),
        prompts=len(dataset.prompts),
        generations=generations,
        metric=options.metric,
        max_rate=options.max_rate,
        expected=options.expected,
        margin=options.margin,
        is_measured=options.report is not None,
        cost=None if options.model is None else _cost(options, dataset, sampling),
    )
    text = json.dumps(plan.to_json(), indent=1, allow_nan=False) + "\n"
    show(lines(plan), text, options.json, "plan")
    return 0


def _check_expected(options: argparse.Namespace) -> None:
    if options.expected is None:
        return
    if not 0 < options.expected < 1:
        raise SettingsError(f"--expected must be above 0 and below 1, not {options.expected:g}")
    if options.max_rate is None:
        raise SettingsError("--expected: give --max-rate, too: what is it to be told from?")


def _typical(options: argparse.Namespace) -> tuple[Scatter, Scatter]:
    """The scatter of the metric, and of the rate that baselines compare, where no run is known."""
    from exleak.gate.comparison import compared_metric
    from exleak.planning.power import typical

    return typical(options.metric), typical(compared_metric(options.metric))


def _measured(options: argparse.Namespace) -> tuple[Scatter, Scatter | None]:
    """The same of the finished run."""
    from exleak.gate.comparison import compared_metric

    path, of = options.report, _reader(options)
    try:
        scatter = of(options.metric)
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from None
    with suppress(ReportError):
        return scatter, of(compared_metric(options.metric))
    return scatter, None


def _reader(options: argparse.Namespace) -> Callable[[Metric], Scatter]:
    """What gives the scatter of each rate of the finished run."""
    from exleak.planning.scatter import of_pairs, of_report
    from exleak.store import read_generations
    from exleak.store.report import read_measurements

    if options.report.suffix != ".jsonl":
        return partial(of_report, _only(options.report, read_measurements(options.report)))
    rows = read_generations(options.report)
    return partial(of_pairs, _pairs(options, rows), generations=len(rows[0].generations))


def _only(path: Path, found: tuple[Measurement, ...]) -> Measurement:
    if len(found) == 1:
        return found[0]
    titles = ", ".join(one.title for one in found) or "none"
    raise ReportError(
        f"{path}: it holds {len(found)} measurements ({titles}); give the report, or the "
        "generations file, of one"
    )


def _pairs(options: argparse.Namespace, rows: Any) -> Any:
    from exleak.measurement import scored_pairs
    from exleak.scoring import load_instrument

    return scored_pairs(rows, load_instrument(options.instrument), store=_store(options))


def _store(options: argparse.Namespace) -> Any:
    from exleak.store import Store

    found = None if options.store == "none" else Store(options.store)
    return found if found is not None and found.root.is_dir() else None


def _cost(options: argparse.Namespace, dataset: Dataset, sampling: Any) -> Cost:
    from exleak.planning.cost import cost
    from exleak.sources import source_of

    source = source_of(options.model, device=options.device, dtype=options.dtype, chat=options.chat)
    return cost(
        source,
        dataset,
        sampling,
        instrument=options.instrument,
        batch_size=options.batch_size,
        store=_store(options),
    )
