"""``exleak watch``: measure the checkpoints of a running training as they are completed."""

from __future__ import annotations

import argparse
import shlex
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from exleak.cli.gate import EXIT, exit_status
from exleak.cli.shared import (
    add_instrument,
    add_max_rate,
    add_placement,
    add_seed,
    add_store,
    check_placement,
)
from exleak.gate.limits import METRICS
from exleak.generation.requests import Chat

if TYPE_CHECKING:
    from exleak.watching.plan import Plan
    from exleak.watching.watch import Checked, Watch

_WATCH = """Measure the checkpoints in a training's output folder as they are completed, each one
once, and compare each with the first by a rule whose error rate holds for all of them together.
Ends when a checkpoint leaks more than the first, or when the training is over. Exit status: 0
nothing wrong; 1 a checkpoint leaks more than the first, or fails --max-rate; 2 usage; 10 a
checkpoint could not be measured, or none was there."""
_TRACKERS = ("tensorboard", "mlflow", "wandb", "trackio")
_NAME, _WIDTH = 24, 96
_HEAD = ("checkpoint", "μ_EL", "95% interval", "directional", "residual", "carry-over", "increase",
         "outcome")  # fmt: skip
_WIDTHS = (_NAME, 5, 12, 11, 8, 10, 8, 13)


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "watch", help="measure checkpoints while a model trains", description=_WATCH
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the training's output folder")
    _add_measuring(parser.add_argument_group("measuring"))
    _add_judging(parser.add_argument_group("judging"))
    _add_ending(parser.add_argument_group("waiting and ending"))
    _add_keeping(parser.add_argument_group("keeping"))
    parser.set_defaults(run=_run)


def _add_measuring(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dataset", default="hexl", metavar="NAME", help="hexl (default), aexl or a JSONL file"
    )
    group.add_argument("--limit", type=int, metavar="N", help="only its first N samples")
    add_instrument(group)
    group.add_argument(
        "--generations", type=int, default=10, metavar="K", help="per prompt (default: 10)"
    )
    add_seed(group)
    add_placement(group)
    group.add_argument(
        "--chat", choices=get_args(Chat), default="auto", help="use of the chat template"
    )


def _add_judging(group: argparse._ArgumentGroup) -> None:
    add_max_rate(group)
    group.add_argument(
        "--metric",
        choices=tuple(METRICS),
        default="rate",
        help="the rate of the limit (default: rate); checkpoints are compared by the residual "
        "directional rate for residual, otherwise by the directional rate",
    )
    group.add_argument(
        "--alpha",
        type=float,
        default=0.01,
        metavar="X",
        help="chance that any checkpoint is marked if nothing changes (default: 0.01)",
    )
    group.add_argument(
        "--keep-going", action="store_true", help="go on after a checkpoint was marked"
    )


def _add_ending(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--interval", type=float, metavar="SECONDS", help="between two looks (default: 20)"
    )
    group.add_argument(
        "--settle",
        type=float,
        metavar="SECONDS",
        help="without trainer_state.json, a checkpoint is complete when no file has changed for "
        "this long (default: 30)",
    )
    group.add_argument("--once", action="store_true", help="measure what is there, and end")
    group.add_argument(
        "--until-step", type=int, metavar="N", help="end after a checkpoint of step N or later"
    )
    group.add_argument(
        "--idle", type=float, metavar="SECONDS", help="end after so long without a new checkpoint"
    )


def _add_keeping(group: argparse._ArgumentGroup) -> None:
    add_store(group)
    group.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="the JSON report of all measurements so far (default: one in the store)",
    )
    group.add_argument(
        "--log",
        action="append",
        default=[],
        choices=_TRACKERS,
        help="log each measurement to this tracker, too (repeatable)",
    )


def _run(options: argparse.Namespace) -> int:
    from exleak.remarks import heard

    with heard(_tell):
        watch = _watch(options)
        try:
            return _follow(watch, keep_going=options.keep_going)
        finally:
            _close(watch)


def _close(watch: Watch) -> None:
    """End the trackers; one that fails does not change what was found."""
    from exleak.errors import one_line

    for tracker in watch.trackers:
        try:
            tracker.close()
        except Exception as error:
            _tell(f"a tracker failed at the end: {one_line(error)}")


def _tell(text: str) -> None:
    print(f"exleak watch: {text}", file=sys.stderr, flush=True)


def _watch(options: argparse.Namespace) -> Watch:
    """Check all options before the first checkpoint is loaded, and prepare the watch."""
    from exleak.cli.progress import measuring
    from exleak.gate.sequential import check_alpha
    from exleak.watching.memory import Memory, place_of
    from exleak.watching.watch import INTERVAL, SETTLE, Ending, Watch

    check_alpha(options.alpha)
    plan = _plan(options)
    report = options.report or place_of(options.folder, plan)
    return Watch(
        options.folder,
        plan,
        Memory(report, plan),
        Ending(options.once, options.until_step, options.idle),
        trackers=_trackers(options),
        interval=INTERVAL if options.interval is None else options.interval,
        settle=SETTLE if options.settle is None else options.settle,
        progress=measuring,
    )


def _trackers(options: argparse.Namespace) -> list[Any]:
    if not options.log:
        return []
    from exleak.integrations.trackers import trackers

    return list(trackers(options.log, options.folder))


def _plan(options: argparse.Namespace) -> Plan:
    from exleak.datasets import load_dataset
    from exleak.gate.limits import Limits
    from exleak.generation.sampling import Sampling
    from exleak.scoring import load_instrument
    from exleak.store import Store
    from exleak.watching.plan import Plan

    limits = Limits(max_rate=options.max_rate, metric=options.metric)
    sampling = Sampling(generations=options.generations, seed=options.seed)
    check_placement(options.device, options.dtype)
    return Plan(
        dataset=load_dataset(options.dataset, limit=options.limit),
        instrument=load_instrument(options.instrument),
        sampling=sampling,
        limits=limits,
        limit=options.limit,
        device=options.device,
        dtype=options.dtype,
        chat=options.chat,
        store=None if options.store == "none" else Store(options.store),
        alpha=options.alpha,
    )


def _follow(watch: Watch, *, keep_going: bool) -> int:
    """Print a line for each checkpoint, and the rest at the end; the exit status."""
    outcomes: list[str | None] = []
    is_blind = False
    for checked in watch.run():
        if not outcomes:
            print(_row(_HEAD), flush=True)
        print(line(checked), flush=True)
        outcomes.append(checked.outcome)
        if checked.look is not None and not checked.look.can_mark and not is_blind:
            is_blind = True
            _tell(_why_blind(watch, checked))
        if checked.is_marked and not keep_going:
            print("\n".join(explanation(watch, checked)), flush=True)
            return EXIT["fail"]
    return _end(watch, outcomes)


def _end(watch: Watch, outcomes: list[str | None]) -> int:
    for name, reason in watch.waiting.items():
        _tell(f"{name} is not measured: {reason}")
    _tell(f"ended: {watch.why_ended}")
    if not outcomes:
        _tell(f"no checkpoint was measured in {watch.folder}")
        return EXIT["unusable"]
    if watch.memory.path is not None and watch.memory.path.is_file():
        print(f"report: {watch.memory.path}")
    return exit_status(outcomes, strict=False)


def line(checked: Checked) -> str:
    """The line of a checkpoint in the table."""
    from exleak.reports.columns import lookup
    from exleak.reports.formatting import interval, number, printable, tail

    name = tail(printable(checked.name, 500), _NAME)
    found, look = checked.measurement, checked.look
    if found is None:
        return f"{name:{_NAME}}  NOT MEASURED: {printable(checked.problem, 700)}"
    increase = "-" if look is None or look.step.p_value is None else f"{look.step.delta:+.3f}"
    cells = (
        name,
        number(found.expression.rate),
        interval(found.expression.interval),
        number(found.expression.directional.rate),
        number(lookup(found, "expression.residual.directional.rate")),
        number(lookup(found, "expression.carry_over.share.rate")),
        increase,
        found.verdict.outcome or "reported only",
    )
    return "  ".join(filter(None, (_row(cells), printable(_remark(checked), 500))))


def _remark(checked: Checked) -> str:
    """What a line says besides its numbers."""
    from exleak.reports.formatting import p_value

    if checked.problem:
        return checked.problem
    found, look = checked.measurement, checked.look
    if look is None:
        return "; ".join(found.verdict.reasons) if found else ""
    if look.step.p_value is None:
        return "the others are compared with it"
    if look.is_marked:
        return f"← MARKED: leaks more than {look.step.start}, p {p_value(look.step.p_value)}"
    return f"p {p_value(look.step.p_value)}" if look.can_mark else "could not be marked"


def _row(cells: tuple[str, ...]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _why_blind(watch: Watch, checked: Checked) -> str:
    return (
        f"{checked.name} could not have been marked: of {watch.controls} controls too few differ "
        f"for alpha {watch.plan.alpha:g} at this look, whatever their signs; more samples "
        "(--limit, --dataset aexl), more --generations or a larger --alpha would change that"
    )


def explanation(watch: Watch, checked: Checked) -> Iterator[str]:
    """Why a checkpoint was marked, its worst continuations, mood or echo, and what to do next."""
    from exleak.reports.terminal import failure
    from exleak.watching.rise import how_far, mood_or_echo

    assert checked.measurement is not None
    assert checked.look is not None
    assert watch.first is not None
    yield ""
    meaning = mood_or_echo(watch.first, checked.measurement)
    yield from textwrap.wrap(f"{checked.name}: {meaning}.", _WIDTH)
    yield ""
    yield failure(
        checked.measurement,
        "fail",
        how_far(checked.look, watch.plan.alpha),
        what_next="one of these commands, or stop the training.",
    )
    yield from (f"    {command}" for command in _what_next(watch))


def _what_next(watch: Watch) -> Iterator[str]:
    """Commands to type, which no line break may cut."""
    if watch.memory.path is not None:
        report = shlex.quote(str(watch.memory.path))
        yield f"exleak report {report} -o leakage.html"
        yield f"exleak compare {report} --metric residual"
    yield f"exleak watch {shlex.quote(str(watch.folder))} --keep-going  # and your other options"
