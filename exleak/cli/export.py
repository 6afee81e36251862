"""``exleak export``: the datasets as tasks of other evaluation tools."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

_DESCRIPTION = """Write a folder of tasks for lm-evaluation-harness, with the paper's sampling
settings: lm_eval run --include_path DIR. Its table of results shows μ_EL and the directional rate
where exleak is installed; exleak score computes all rates of its samples."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    export = commands.add_parser("export", help="make tasks for other evaluation tools")
    tools = export.add_subparsers(dest="tool", required=True, metavar="TOOL")
    parser = tools.add_parser(
        "lm-eval", help="tasks for lm-evaluation-harness", description=_DESCRIPTION
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--dataset",
        action="append",
        metavar="NAME",
        help="hexl, aexl or a file; may be given several times (default: hexl and aexl)",
    )
    parser.add_argument(
        "--generations", type=int, default=10, metavar="K", help="a prompt (default: 10)"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only the first N samples, four prompts each"
    )
    parser.add_argument(
        "--mitigation",
        nargs="?",
        const="",
        metavar="TEXT",
        help="prepend an instruction to each prompt; by default the paper's",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.generation.sampling import Sampling
    from exleak.prompts import MITIGATION
    from exleak.tasks.lm_eval import export

    datasets = options.dataset or ["hexl", "aexl"]
    tasks = export(
        options.out,
        datasets,
        sampling=Sampling(generations=options.generations),
        limit=options.limit,
        mitigation=MITIGATION if options.mitigation == "" else options.mitigation,
    )
    for line in _lines(options.out, datasets, tasks):
        print(line)
    return 0


def _lines(folder: Path, datasets: Sequence[str], tasks: Sequence[str]) -> Iterator[str]:
    """What was written, and the commands that come next."""
    yield f"tasks: {', '.join(tasks)}, in {folder}"
    yield "next, with a MODEL of yours:"
    yield (
        f"  lm_eval run --include_path {quote(str(folder))} --tasks {','.join(tasks)} "
        "--model hf --model_args pretrained=MODEL --batch_size 16 --log_samples --output_path OUT"
    )
    for dataset, task in zip(datasets, tasks, strict=True):
        samples = f"OUT/*/samples_{task}_*.jsonl"
        yield f"  exleak score {samples} --dataset {quote(dataset)} --model MODEL"
