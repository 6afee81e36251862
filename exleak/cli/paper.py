"""``exleak paper``: run the paper's experiments and write its tables and figures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.cli.progress import measuring
from exleak.cli.shared import (
    add_instrument,
    add_placement,
    add_seed,
    add_store,
    check_placement,
)

if TYPE_CHECKING:
    from exleak.paper.runs import Plan, Results
    from exleak.paper.tables import Table
    from exleak.records import Dataset

_PAPER = """Run the paper's experiments: measure its models (or any others) on HEXL and AEXL with
its settings, and write Tables 2 to 4 and Figures 1 and 2, each number beside the published one. A
model that cannot be measured is told and left out; the exit status is then 1."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``paper``."""
    parser = commands.add_parser("paper", help="the paper's tables and figures", description=_PAPER)
    add = parser.add_argument
    add(
        "--models",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help="names as in the paper, hub names or checkpoint folders; all (default) is its twelve",
    )
    add(
        "--datasets",
        nargs="+",
        default=["hexl", "aexl"],
        metavar="NAME",
        help="hexl and aexl (default), or JSONL files",
    )
    add(
        "--out",
        type=Path,
        default=Path("paper"),
        metavar="DIR",
        help="write everything here (default: paper)",
    )
    add_instrument(parser, default="paper")
    add("--no-mitigation", action="store_true", help="leave out Table 4 and its runs")
    add("--no-figures", action="store_true", help="write no pictures (they need matplotlib)")
    add("--sample", metavar="ID", help="the sample of Table 2 (default: the first complete one)")
    add(
        "--chat",
        choices=("auto", "always", "never"),
        help="use chat templates (default: for instruct models, not for base models)",
    )
    add_placement(parser)
    add("--batch-size", type=int, metavar="N", help="most continuations in the making at once")
    add("--endpoint", metavar="URL", help="a server that has the models by their hub names")
    add("--generations", type=int, default=10, metavar="K", help="per prompt (default: 10)")
    add_seed(parser)
    add("--limit", type=int, metavar="N", help="only the first N samples of each dataset")
    add_store(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.paper.runs import run_all

    plan = _plan(options)
    results = run_all(plan, lambda line: print(line, flush=True), measuring)
    if results.runs:
        for path in write_all(plan, results, options.out, options.sample, not options.no_figures):
            print(f"written: {path}")
    for model, _ in results.failures:
        print(f"not measured: {model} (see above)")
    return 1 if results.failures else 0


def _plan(options: argparse.Namespace) -> Plan:
    """Check all options before the first model is loaded, and return the plan."""
    from exleak.errors import SettingsError
    from exleak.files import check_folder
    from exleak.generation.endpoint.transport import base_url
    from exleak.generation.sampling import Sampling
    from exleak.paper.presets import find
    from exleak.paper.runs import Plan
    from exleak.plotting import load_matplotlib
    from exleak.scoring import load_instrument
    from exleak.store import Store

    for name in ("limit", "batch_size"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise SettingsError(f"--{name.replace('_', '-')} must be at least 1")
    check_folder(options.out)
    if options.endpoint is None:
        check_placement(options.device, options.dtype)
    else:
        base_url(options.endpoint)
    if not options.no_figures:
        load_matplotlib()
    datasets = _datasets(options.datasets, options.limit)
    _check_sample(options.sample, datasets[0])
    return Plan(
        presets=find(options.models),
        datasets=datasets,
        instrument=load_instrument(options.instrument),
        sampling=Sampling(generations=options.generations, seed=options.seed),
        mitigation=not options.no_mitigation,
        chat=options.chat,
        device=options.device,
        dtype=options.dtype,
        batch_size=options.batch_size,
        endpoint=options.endpoint,
        store=None if options.store == "none" else Store(options.store),
    )


def _datasets(names: Sequence[str], limit: int | None) -> tuple[Dataset, ...]:
    """Load the datasets; duplicates are dropped, since names label the columns of tables."""
    from exleak.datasets import load_dataset
    from exleak.errors import SettingsError

    found: dict[str, Dataset] = {}
    for name in names:
        dataset = load_dataset(name, limit=limit)
        if found.setdefault(dataset.name, dataset).hash != dataset.hash:
            raise SettingsError(f"--datasets: two of them are called {dataset.name!r}; rename one")
    return tuple(found.values())


def _check_sample(sample: str | None, dataset: Dataset) -> None:
    """Refuse a sample for Table 2 that the first dataset does not contain."""
    from exleak.errors import SettingsError

    ids = [found.id for found in dataset.samples]
    if sample is not None and sample not in ids:
        raise SettingsError(
            f"--sample {sample!r}: {dataset.name} has no such sample among the {len(ids)} that are "
            f"measured; its ids are like {ids[0]!r}"
        )


def write_all(
    plan: Plan, results: Results, out: Path, sample: str | None = None, figures: bool = True
) -> Iterator[Path]:
    """Write tables, figures, the report and a page that shows all tables and figures.

    Args:
        plan: The plan of the experiments.
        results: Their results, with at least one run.
        out: The output folder.
        sample: Id of Table 2's sample.
        figures: Whether to draw figures.

    Yields:
        The path of each file once it is written.
    """
    from exleak.files import write_text
    from exleak.paper import figures as drawn
    from exleak.paper.tables import rates_table, samples_table
    from exleak.reports import write_report

    datasets = [dataset.name for dataset in plan.datasets]
    lengths = drawn.lengths_table(plan.datasets)
    conditions = drawn.conditions_table(results.runs)
    tables = [rates_table(3, results.runs, datasets)]
    if any(run.mitigated for run in results.runs):
        tables.append(rates_table(4, results.runs, datasets))
    tables += [samples_table(results.runs, sample), lengths, conditions]
    for table in tables:
        for suffix, content in (("md", table.markdown()), ("tex", table.latex()),
                                ("csv", table.csv())):  # fmt: skip
            write_text(out / f"{table.name}.{suffix}", content)
            yield out / f"{table.name}.{suffix}"
    if figures:
        yield from drawn.save(drawn.draw_lengths(lengths), out, lengths.name)
        yield from drawn.save(drawn.draw_conditions(conditions), out, conditions.name)
    write_report(out / "report.json", [run.measurement for run in results.runs])
    yield out / "report.json"
    write_text(out / "README.md", page(plan, results, tables, figures))
    yield out / "README.md"


def page(plan: Plan, results: Results, tables: list[Table], figures: bool) -> str:
    """A Markdown page with every table and figure, and the settings behind them."""
    from exleak.reports.markdown import code, plain

    settings = ", ".join(f"{name} {value}" for name, value in plan.sampling.to_json().items())
    datasets = [f"{d.name} {d.version} ({len(d.samples)} samples)" for d in plan.datasets]
    lines = [
        "# The paper's experiments",
        "",
        f"Instrument {code(plan.instrument.name)} ({plan.instrument.hash[:12]}); {settings}.",
        f"Datasets: {', '.join(datasets)}. HEXL and AEXL are built after the paper; they are not "
        "its authors' files.",
        "",
    ]
    if results.failures:
        lines += ["## Not measured", ""]
        lines += [f"- {plain(model)}: {plain(message)}" for model, message in results.failures]
        lines.append("")
    for table in tables:
        lines.append(table.markdown())
        if figures and table.name.startswith("figure"):
            lines += [f"![{plain(table.title)}]({table.name}.png)", ""]
    return "\n".join(lines)
