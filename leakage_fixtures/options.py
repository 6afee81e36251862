"""The plugin's options: the fields of :class:`Settings`, each also an ini option and a variable.

Every pytest session with the plugin installed imports this module, so it imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import pytest

from exleak.gate.limits import METRICS, Significance, tolerated
from exleak.generation.requests import Chat

if TYPE_CHECKING:
    from exleak.gate.limits import Limits
    from exleak.generation.endpoint.launch import Launch
    from exleak.generation.local.checkpoint import Loading
    from exleak.generation.requests import Template
    from exleak.generation.sampling import Sampling

#: Kinds of servers that exleak can start.
SERVERS = ("vllm", "sglang", "llama.cpp", "transformers")
#: First part of the names of exleak's environment variables.
PREFIX = "EXLEAK_"
#: Value of ``--leakage-mitigation`` without a text: use the paper's instruction.
PAPER_MITIGATION = "paper"


@dataclass(frozen=True)
class Option:
    """A command-line option, with its ini option and environment variable.

    Attributes:
        name: Name without the ``leakage`` prefix, words joined by ``_``.
        help: Text for ``--help``.
        kind: Converts text to a value; raises ValueError for invalid text.
        default: Value if no other source sets the option.
        metavar: Placeholder in ``--help``.
        repeatable: Whether it may be given more than once; its value is then a tuple.
        choices: Allowed values; ``None`` allows all.
        flag: Whether it takes no value.
        constant: Value if the option is given without one.
    """

    name: str
    help: str
    kind: Callable[[Any], Any] = str
    default: Any = None
    metavar: str | None = None
    repeatable: bool = False
    choices: tuple[str, ...] | None = None
    flag: bool = False
    constant: str | None = None

    @property
    def dest(self) -> str:
        """The name in ``config.option`` and in the ini file."""
        return f"leakage_{self.name}"

    @property
    def spelling(self) -> str:
        """The name on the command line."""
        return "--" + self.dest.replace("_", "-")

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return PREFIX + self.name.upper()


def pairs(value: Any) -> dict[str, Any]:
    """A table of leakage.toml, or ``KEY=VALUE`` of the command line, whose values may be JSON.

    >>> pairs(["enable_thinking=false", "tone=plain"])
    {'enable_thinking': False, 'tone': 'plain'}

    Raises:
        ValueError: A text is no ``KEY=VALUE``.
    """
    if isinstance(value, dict):
        return value
    value = [value] if isinstance(value, str) else value
    found: dict[str, Any] = {}
    for item in value:
        key, sign, text = str(item).partition("=")
        if not (key.strip() and sign):
            raise ValueError(item)
        try:
            found[key.strip()] = json.loads(text)
        except ValueError:
            found[key.strip()] = text
    return found


def sizes(value: Any) -> dict[str, Any]:
    """A table of leakage.toml, or ``DEVICE=SIZE`` texts, also several in one, with commas.

    >>> sizes("0=20GiB,cpu=60GiB")
    {'0': '20GiB', 'cpu': '60GiB'}

    Raises:
        ValueError: A text is no ``DEVICE=SIZE``.
    """
    if isinstance(value, dict):
        return value
    texts = [value] if isinstance(value, str) else value
    return pairs([part for text in texts for part in str(text).split(",")])


def number_or_aexl(value: Any) -> int | str:
    """A number of samples, or the name of the dataset that all are taken of.

    Raises:
        ValueError: It is neither.
    """
    return "aexl" if value == "aexl" else int(value)


def destination(value: str) -> tuple[str, str | None]:
    """A tracker and where it writes, which may have colons.

    >>> destination("mlflow:http://localhost:5000"), destination("wandb")
    (('mlflow', 'http://localhost:5000'), ('wandb', None))
    """
    name, _, target = value.partition(":")
    return name.strip(), target.strip() or None


def option(help: str, kind: Callable[[Any], Any] = str, **about: Any) -> Any:
    """Define a field of :class:`Settings` as an option.

    Args:
        help: Text for ``--help``.
        kind: Converts text to a value.
        about: Other attributes of :class:`Option`.
    """
    return dataclasses.field(metadata={"help": help, "kind": kind, **about})


@dataclass(frozen=True)
class Settings:
    """The resolved settings of one model, or of the session.

    Each field is an option: to add an option, add a field.
    """

    model: tuple[str, ...] = option(
        "a checkpoint or adapter folder, GGUF file, hub name, BASE:ADAPTER, reference model, "
        "leakage.toml entry or glob; on the hub also NAME@REVISION and NAME@GLOB",
        metavar="NAME_OR_PATH",
        repeatable=True,
        default=(),
    )
    dataset: tuple[str, ...] = option(
        "hexl (default), aexl or a JSONL file",
        metavar="NAME_OR_FILE",
        repeatable=True,
        default=("hexl",),
    )
    instrument: str = option(
        "embedded (default), paper, multilingual, a sequence-classification checkpoint, or "
        "CLASSIFIER+ENCODER",
        metavar="NAME",
        default="embedded",
    )
    max_rate: float | None = option(
        "highest leakage rate allowed, 0 to 1",
        float,
        metavar="X",
    )
    significance: str | None = option(
        "fail a significant W_EL, fail one that is not, or only report it",
        choices=get_args(Significance),
    )
    metric: str = option(
        "the rate that a limit, baseline or series applies to (default: rate, the paper's)",
        default="rate",
        choices=tuple(METRICS),
    )
    confidence: float = option(
        "one-sided confidence of the limit rule (default: 0.99)",
        float,
        default=0.99,
        metavar="X",
    )
    generations: int = option(
        "continuations per prompt (default: 10)",
        int,
        default=10,
        metavar="K",
    )
    seed: int = option(
        "seed of the continuations (default: 0)",
        int,
        default=0,
        metavar="N",
    )
    mitigation: str | None = option(
        "prepend an instruction to each prompt (without TEXT: the paper's)",
        metavar="TEXT",
        constant=PAPER_MITIGATION,
    )
    chat: str = option(
        "use the chat template where there is one (auto, default), always or never; prefill has "
        "the model go on in its own turn, begun with the control prompt",
        default="auto",
        choices=get_args(Chat),
    )
    system: str | None = option(
        "a system prompt for the chat template",
        metavar="TEXT",
    )
    template: Mapping[str, Any] = option(
        "a variable of the chat template, for example enable_thinking=false",
        pairs,
        default=(),
        metavar="KEY=VALUE",
        repeatable=True,
    )
    base: str | None = option(
        "the base model of an adapter (default: the one that its configuration names)",
        metavar="NAME_OR_PATH",
    )
    tokenizer: str | None = option(
        "another tokenizer than the checkpoint's",
        metavar="NAME_OR_PATH",
    )
    trust_remote_code: bool = option(
        "run Python code of the checkpoint",
        bool,
        default=False,
        flag=True,
    )
    load: Mapping[str, Any] = option(
        "a further argument of from_pretrained, for example subfolder=merged",
        pairs,
        default=(),
        metavar="KEY=VALUE",
        repeatable=True,
    )
    endpoint: tuple[str, ...] = option(
        "an OpenAI-compatible server that has the models (a key: see docs/endpoint.md)",
        metavar="URL",
        repeatable=True,
        default=(),
    )
    endpoint_timeout: float = option(
        "seconds that a request to the server may take, retries included (default: 120)",
        float,
        default=120.0,
        metavar="X",
    )
    server: str | None = option(
        "serve each checkpoint with this program, which is started and ended with the session",
        choices=SERVERS,
    )
    server_command: str | None = option(
        "the server's command, of any environment (default: looked for)",
        metavar="COMMAND",
    )
    server_args: str | None = option(
        "further arguments of the server, in quotes",
        metavar="ARGUMENTS",
    )
    server_timeout: float = option(
        "seconds that the server may take to start (default: 600)",
        float,
        default=600.0,
        metavar="X",
    )
    device: str | None = option(
        "cpu, cuda, cuda:1 (default: CUDA where there is one); auto spreads a model over all, "
        "cuda:0,cuda:1 has a copy of it on each",
        metavar="DEVICE",
    )
    max_memory: Mapping[str | int, str | int] = option(
        "with --leakage-device auto: what weights may take on a device, as in 0=20GiB,cpu=60GiB",
        sizes,
        metavar="DEVICE=SIZE",
        repeatable=True,
        default=(),
    )
    dtype: str | None = option(
        "float32, bfloat16, float16 (default: float32 on the CPU, else bfloat16)",
        metavar="DTYPE",
    )
    batch_size: int | str = option(
        "most continuations in the making at once (default: auto)",
        default="auto",
        metavar="auto|N",
    )
    limit: int | None = option(
        "measure only the first N samples of each dataset",
        int,
        metavar="N",
    )
    store: str = option(
        "keep generations and scores here (default: .exleak); none keeps nothing",
        metavar="DIR",
        default=".exleak",
    )
    report: tuple[str, ...] = option(
        "write a report, kind by suffix: .json, .md, .html, .csv, .tex or .codequality.json",
        metavar="FILE",
        repeatable=True,
        default=(),
    )
    columns: tuple[str, ...] = option(
        "columns of the table: names as in a CSV report, with commas",
        metavar="NAMES",
        repeatable=True,
        default=(),
    )
    sort: str | None = option(
        "sort the table by this column; =-NAME has the highest first",
        metavar="NAME",
    )
    group_by: str | None = option(
        "group the table's rows",
        choices=("model", "dataset", "outcome"),
    )
    log: tuple[str, ...] = option(
        "log rates and worst pairs to tensorboard[:FOLDER], mlflow[:URI], wandb[:PROJECT] or "
        "trackio[:PROJECT]",
        metavar="NAME[:TARGET]",
        repeatable=True,
        default=(),
    )
    save: str | None = option(
        "save this run as a baseline of that name",
        metavar="NAME",
    )
    compare: str | None = option(
        "fail a model that leaks more than this baseline, or the run in a report",
        metavar="NAME_OR_FILE",
    )
    compare_fail: float | None = option(
        "increase over the baseline that is tolerated (default: 0)",
        float,
        metavar="MARGIN",
    )
    compare_pass: float | None = option(
        "pass only a model that is shown, with 95% confidence, to leak less than this more than "
        "the baseline; then also the default of --leakage-compare-fail",
        float,
        metavar="MARGIN",
    )
    baselines: str = option(
        "where baselines are saved (default: leakage_baselines)",
        metavar="DIR",
        default="leakage_baselines",
    )
    adaptive: bool = option(
        "measure a quarter of the samples after another, until the limit on the rate is decided",
        bool,
        default=False,
        flag=True,
    )
    extend: int | str | None = option(
        "if the limit cannot be decided, go on with N further samples, or with all of AEXL",
        number_or_aexl,
        metavar="N|aexl",
    )
    strict: bool = option(
        "fail a measurement that is inconclusive",
        bool,
        default=False,
        flag=True,
    )
    report_only: bool = option(
        "measure and report where there is no rule, too; a rule that is set still applies",
        bool,
        default=False,
        flag=True,
    )
    only: bool = option(
        "run no other tests than those of leakage",
        bool,
        default=False,
        flag=True,
    )
    disable: bool = option(
        "run no test of leakage",
        bool,
        default=False,
        flag=True,
    )

    @property
    def sampling(self) -> Sampling:
        """The sampling settings; those without an option are the paper's."""
        from exleak.generation.sampling import Sampling

        return Sampling(generations=self.generations, seed=self.seed)

    @property
    def loading(self) -> Loading:
        """How a checkpoint is loaded, beyond device and dtype.

        Raises:
            SettingsError: An argument has a setting of its own.
        """
        from exleak.generation.local.checkpoint import Loading

        return Loading(
            self.base, self.tokenizer, self.trust_remote_code, self.max_memory or None, self.load
        )

    @property
    def chat_template(self) -> Template:
        """System prompt and variables of the chat template."""
        from exleak.generation.requests import Template

        return Template(self.system, self.template)

    @property
    def limits(self) -> Limits:
        """The limits that a measurement is judged by."""
        from exleak.gate.limits import Limits

        return Limits(
            max_rate=self.max_rate,
            metric=self.metric,  # type: ignore[arg-type]
            significance=self.significance,  # type: ignore[arg-type]
            level=self.confidence,
            margin=self.margin,
            non_inferior=self.compare_pass,
        )

    @property
    def launch(self) -> Launch | None:
        """The server to start; ``None`` without one."""
        if self.server is None:
            return None
        from exleak.generation.endpoint.launch import Launch

        return Launch(self.server, self.server_command, self.server_args, self.server_timeout)

    @property
    def has_looks(self) -> bool:
        """Whether the limit rule is applied to more and more samples."""
        return self.adaptive or self.extend is not None

    @property
    def margin(self) -> float | None:
        """The tolerated increase over the baseline; ``None`` without a baseline."""
        return None if self.compare is None else tolerated(self.compare_fail, self.compare_pass)

    @property
    def rows(self) -> int | None:
        """The batch size; ``None`` means automatic."""
        return None if self.batch_size == "auto" else int(self.batch_size)

    @property
    def instruction(self) -> str | None:
        """The text of the mitigation instruction; ``None`` without mitigation."""
        if self.mitigation != PAPER_MITIGATION:
            return self.mitigation
        from exleak.measurement import MITIGATION

        return MITIGATION


@dataclass(frozen=True)
class ModelSpec:
    """A model to measure.

    Attributes:
        name: The model's name in reports.
        path: Checkpoint folder, hub name, or the model's name on its server.
        entry: Its table in leakage.toml.
        from_toml: Whether leakage.toml has such a table.
        series: The glob pattern that matched it; ``None`` if it was named directly.
    """

    name: str
    path: str
    entry: dict[str, Any] = field(default_factory=dict)
    from_toml: bool = False
    series: str | None = None


OPTIONS: tuple[Option, ...] = tuple(
    Option(field.name, **field.metadata) for field in dataclasses.fields(Settings)
)


def add_options(parser: pytest.Parser) -> None:
    """Register every option on the command line and in the ini file."""
    group = parser.getgroup(
        "leakage",
        "expression leakage (--leakage-NAME is also leakage_NAME in the ini file, and EXLEAK_NAME "
        "in the environment)",
    )
    for option in OPTIONS:
        arguments: dict[str, Any] = {"dest": option.dest, "default": None, "help": option.help}
        if option.flag:
            arguments["action"] = "store_true"
        else:
            arguments |= {"metavar": option.metavar, "choices": option.choices}
            arguments |= {"action": "append"} if option.repeatable else {}
            arguments |= {"nargs": "?", "const": option.constant} if option.constant else {}
        group.addoption(option.spelling, **arguments)
        parser.addini(option.dest, option.help, type=_ini_type(option), default=None)


def _ini_type(option: Option) -> Any:
    """The option's ini type; only pytest 8.4 and later has types for numbers."""
    if option.repeatable:
        return "linelist"
    if option.flag:
        return "bool"
    if option.kind in (int, float) and pytest.version_tuple >= (8, 4):
        return option.kind.__name__
    return "string"
