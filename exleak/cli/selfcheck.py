"""``exleak selfcheck``: measure models whose leakage is known."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from exleak.cli.shared import add_instrument, add_placement, add_seed

if TYPE_CHECKING:
    from exleak.selfcheck import Check, Selfcheck

_DESCRIPTION = """Measure eight small models whose leakage is known, and compare: on a new machine,
a new GPU, or with a classifier of your own. Takes a minute or two; the exit status is 0 if the
instrument is sound, 1 if it is not."""
_LABELS = {
    "rate": "μ_EL",
    "superiority": "superiority",
    "directional": "directional",
    "residual_directional": "residual",
}


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "selfcheck", help="measure models whose leakage is known", description=_DESCRIPTION
    )
    add_instrument(parser)
    add_placement(parser)
    add_seed(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.selfcheck import selfcheck

    start = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {what} …", file=sys.stderr, flush=True)

    found = selfcheck(
        options.instrument,
        device=options.device,
        dtype=options.dtype,
        seed=options.seed,
        progress=tell,
    )
    for line in lines(found):
        print(line)
    return 1 if found.problems else 0


def lines(found: Selfcheck) -> list[str]:
    """A self-check as text: recalls, measured and true rates, problems and the verdict."""
    recalls = " / ".join(f"{value:.0%}" for value in found.recalls)
    shown = [
        f"instrument {found.instrument}: recognises {recalls} of the negative, neutral and "
        "positive sentences"
    ]
    if found.checks:
        shown.append(f"{'model':20} {'rate':12} {'measured':>8}  {'95% interval':14} {'true':>6}")
    shown += [_row(check) for check in found.checks]
    shown += [f"PROBLEM  {problem}" for problem in found.problems]
    verdict = "is not sound: believe none of its rates" if found.problems else "is sound"
    return [*shown, f"The instrument {verdict}."]


def _row(check: Check) -> str:
    from exleak.reports.formatting import interval, number

    return (
        f"{check.model:20} {_LABELS[check.name]:12} {number(check.measured.rate):>8}  "
        f"{interval(check.measured.interval):14} {check.true:6.3f}  "
        f"{'agrees' if check.agrees else 'DISAGREES'}"
    )
