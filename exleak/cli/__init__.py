"""The command line: ``exleak COMMAND``, one module a command.

Here are arguments, printing and exit statuses, and nothing else. A new command is a module with
``add_parser``, and its name in :data:`COMMANDS`.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from exleak.cli import (
    aexl,
    annotate,
    compare,
    dataset,
    gate,
    paper,
    report,
    score,
    selfcheck,
    store,
)
from exleak.environment import version
from exleak.errors import ExleakError

#: The commands, in the order of ``--help``; each module has ``add_parser``.
COMMANDS = (score, gate, compare, report, dataset, aexl, annotate, paper, selfcheck, store)
#: Exit statuses of what a signal ended, as shells have them.
_CLOSED_PIPE, _INTERRUPTED = 141, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done or pass, 1 fail, 2 usage, 10 unusable.

    130 is an interrupt, 141 an output that nobody reads on.
    """
    _never_fail_to_print()
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Nobody reads on; what is still in the buffer must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except KeyboardInterrupt:
        print(f"exleak {options.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (ExleakError, OSError) as error:
        print(f"exleak {options.command}: {error}", file=sys.stderr)
        return 2


def _never_fail_to_print() -> None:
    """Print what a terminal's or a pipe's encoding lacks, such as μ, as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exleak", description="Expression leakage, measured.")
    parser.add_argument("--version", action="version", version=f"exleak {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
