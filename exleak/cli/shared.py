"""Options that several commands have, and output as JSON or for people."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol


class Parser(Protocol):
    """A parser, or a group of one."""

    def add_argument(self, *names: str, **about: Any) -> argparse.Action:
        """As :meth:`argparse.ArgumentParser.add_argument`."""


def add_instrument(parser: Parser, what: str = "", *, default: str = "embedded") -> None:
    """``--instrument``; ``what`` says what it is for, if that is not plain."""
    others = {"embedded", "paper"} - {default}
    known = f"{default} (default), {others.pop()}, or a sequence-classification checkpoint"
    parser.add_argument(
        "--instrument",
        default=default,
        metavar="NAME",
        help=f"{what}: {known}" if what else known,
    )


def add_placement(parser: Parser) -> None:
    """``--device`` and ``--dtype``."""
    parser.add_argument(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1 (default: CUDA where there is one)",
    )
    parser.add_argument(
        "--dtype",
        metavar="DTYPE",
        help="float32, bfloat16, float16 (default: float32 on the CPU, else bfloat16)",
    )


def add_seed(parser: Parser, what: str = "the continuations") -> None:
    """``--seed``."""
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help=f"seed of {what} (default: 0)"
    )


def add_store(parser: Parser, what: str = "generations and scores") -> None:
    """``--store``; ``none`` keeps nothing."""
    parser.add_argument(
        "--store",
        default=".exleak",
        metavar="DIR",
        help=f"keep {what} here (default: .exleak); none keeps nothing",
    )


def add_max_rate(parser: Parser) -> None:
    """``--max-rate``."""
    parser.add_argument(
        "--max-rate", type=float, metavar="X", help="judge by this limit: the highest rate allowed"
    )


def add_json(parser: Parser, what: str = "the report") -> None:
    """``--json``; ``-`` prints it in the place of what people read."""
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help=f"write {what} here, as JSON (- prints it)"
    )


def is_printed(out: Path | None) -> bool:
    """Whether ``--json`` asks for standard output."""
    return str(out) == "-"


def check_json(out: Path | None) -> None:
    """Refuse a ``--json`` that could not be written, before anything is computed.

    Raises:
        SettingsError: It is a folder, or lies in what is none.
    """
    from exleak.files import check_file

    if out is not None and not is_printed(out):
        check_file(out)


def show(lines: Iterable[str], text: str, out: Path | None, what: str = "report") -> None:
    """Print lines for people and write the JSON beside them, or print the JSON alone.

    Args:
        lines: What people read.
        text: The JSON.
        out: The value of ``--json``.
        what: What the file is called when it is told of.
    """
    from exleak.files import write_text

    if is_printed(out):
        print(text, end="")
        return
    for line in lines:
        print(line)
    if out is not None:
        write_text(out, text)
        print(f"{what}: {out}")
