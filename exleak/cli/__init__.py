"""The command line ``exleak COMMAND``, with one module per command.

This package contains only arguments, printing and exit statuses. To add a command, write a module
with ``add_parser`` and add it to :data:`COMMANDS`.
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
    comment,
    compare,
    dataset,
    export,
    gate,
    init,
    paper,
    plan,
    report,
    score,
    selfcheck,
    store,
    view,
    watch,
)
from exleak.environment import version
from exleak.errors import ExleakError

#: The commands, in the order of ``--help``; each module has ``add_parser``.
COMMANDS = (
    init, score, export, gate, watch, view, compare, report, comment, plan, dataset, aexl, annotate,
    paper, selfcheck, store,
)  # fmt: skip
#: Exit statuses after SIGPIPE and SIGINT, as shells report them.
_CLOSED_PIPE, _INTERRUPTED = 141, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0 done or pass, 1 fail, 2 usage, 10 unusable, 130 interrupted, 141 output
        pipe closed.
    """
    _never_fail_to_print()
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader is gone; flushing the rest of the buffer at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except KeyboardInterrupt:
        print(f"exleak {options.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (ExleakError, OSError) as error:
        print(f"exleak {options.command}: {error}", file=sys.stderr)
        return 2


def _never_fail_to_print() -> None:
    """Print characters that the output encoding lacks, such as μ, as question marks."""
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
