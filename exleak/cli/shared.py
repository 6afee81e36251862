"""Options shared by several commands, and output as text or JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from exleak.logs import Log
    from exleak.measurement import About


class Parser(Protocol):
    """An argument parser or an argument group."""

    def add_argument(self, *names: str, **about: Any) -> argparse.Action:
        """Add an argument, like :meth:`argparse.ArgumentParser.add_argument`."""


def origin(log: Log, model: str, dataset: str) -> About:
    """What is said of generations that were read; of a log, also which dataset it was.

    Args:
        log: The generations.
        model: The model's name in reports.
        dataset: The dataset's name, if the prompts were not matched with one.
    """
    from exleak.measurement import About

    if (data := log.dataset) is None:
        return About(model=model, dataset=dataset, notes=log.notes)
    samples = len({row.id for row in log.rows if row.control is None})
    identity = {
        "dataset": data.hash,
        "dataset_version": data.version,
        "limit": None if samples == len(data.samples) else samples,
    }
    return About(model=model, dataset=data.name, identity=identity, notes=log.notes)


def add_instrument(parser: Parser, what: str = "", *, default: str = "embedded") -> None:
    """Add ``--instrument``; ``what`` states its purpose in the help, if needed."""
    others = {"embedded", "paper"} - {default}
    known = f"{default} (default), {others.pop()}, or a sequence-classification checkpoint"
    parser.add_argument(
        "--instrument",
        default=default,
        metavar="NAME",
        help=f"{what}: {known}" if what else known,
    )


def add_placement(parser: Parser) -> None:
    """Add ``--device`` and ``--dtype``."""
    parser.add_argument(
        "--device",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, a list of them, or auto (default: CUDA where there is one)",
    )
    parser.add_argument(
        "--dtype",
        metavar="DTYPE",
        help="float32, bfloat16, float16 (default: float32 on the CPU, else bfloat16)",
    )


def check_placement(device: str | None, dtype: str | None) -> None:
    """Refuse a device that this machine lacks, and an unknown dtype.

    Raises:
        SettingsError: One of them cannot be used; the message says what can.
    """
    from exleak.errors import SettingsError
    from exleak.generation.local.devices import AUTO, devices

    if device is None and dtype is None:
        return
    import torch

    for name in devices(device or "cpu"):
        try:
            where = torch.device("cpu" if name == AUTO else name)
        except RuntimeError:
            raise SettingsError(f"--device {name!r} is unknown; use cpu, cuda or cuda:1") from None
        if where.type == "cuda" and (where.index or 0) >= torch.cuda.device_count():
            count = torch.cuda.device_count()
            raise SettingsError(f"--device {name}: not here; there are {count} CUDA devices")
    kind = getattr(torch, dtype or "float32", None)
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise SettingsError(f"--dtype {dtype!r} is unknown; use float32, bfloat16 or float16")


def add_seed(parser: Parser, what: str = "the continuations") -> None:
    """Add ``--seed``."""
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help=f"seed of {what} (default: 0)"
    )


def add_store(parser: Parser, what: str = "generations and scores") -> None:
    """Add ``--store``, whose value ``none`` keeps nothing."""
    parser.add_argument(
        "--store",
        default=".exleak",
        metavar="DIR",
        help=f"keep {what} here (default: .exleak); none keeps nothing",
    )


def add_max_rate(parser: Parser) -> None:
    """Add ``--max-rate``."""
    parser.add_argument(
        "--max-rate", type=float, metavar="X", help="judge by this limit: the highest rate allowed"
    )


def add_json(parser: Parser, what: str = "the report") -> None:
    """Add ``--json``, whose value ``-`` prints JSON instead of text."""
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help=f"write {what} here, as JSON (- prints it)"
    )


def terminal_width() -> int | None:
    """Characters of a line on standard output; ``None`` if that is no terminal."""
    return get_terminal_size().columns if sys.stdout.isatty() else None


def is_printed(out: Path | None) -> bool:
    """Whether ``--json`` names standard output."""
    return str(out) == "-"


def check_json(out: Path | None) -> None:
    """Check, before anything is computed, that the file of ``--json`` can be written.

    Raises:
        SettingsError: It is a folder, or its folder cannot be written to or created.
    """
    from exleak.files import check_file

    if out is not None and not is_printed(out):
        check_file(out)


def show(lines: Iterable[str], text: str, out: Path | None, what: str = "report") -> None:
    """Print text and write the JSON file, if any; or print only the JSON.

    Args:
        lines: The lines of text.
        text: The JSON.
        out: The value of ``--json``.
        what: Label of the written file in the output.
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
