"""What the user asked for: marker over command line over leakage.toml over ini over default.

Only builtins and the standard library are imported here: these lines run in every pytest session of
everyone who has the plugin installed.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from exleak.gate import Limits
    from exleak.generation.sampling import Sampling

#: Values of ``--leakage-mitigation`` without a text: the paper's instruction.
PAPER_MITIGATION = "paper"
TOML = "leakage.toml"
#: Files that pytest reads its settings from, and what makes them one.
_INI_FILES = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}
#: What a report may end in.
REPORTS = (".json", ".md", ".html")


@dataclass(frozen=True)
class Option:
    """One option with its ini twin.

    Attributes:
        name: Without the ``leakage`` prefix, words joined by ``_``.
        help: What it does, for ``--help``.
        kind: Turns the text into a value; raises ValueError for a bad one.
        default: Used when neither command line nor ini file say anything.
        metavar: Placeholder in ``--help``.
        repeatable: May be given more than once; its value is a tuple.
        choices: The only values allowed.
        flag: Takes no value.
        constant: Its value when given without one.
    """

    name: str
    help: str
    kind: type = str
    default: Any = None
    metavar: str | None = None
    repeatable: bool = False
    choices: tuple[str, ...] | None = None
    flag: bool = False
    constant: str | None = None

    @property
    def dest(self) -> str:
        """Its name in ``config.option`` and in the ini file."""
        return f"leakage_{self.name}"

    @property
    def spelling(self) -> str:
        """Its name on the command line."""
        return "--" + self.dest.replace("_", "-")


OPTIONS = (
    Option(
        "model",
        "a checkpoint folder, hub name, reference model, leakage.toml entry or glob",
        metavar="NAME_OR_PATH",
        repeatable=True,
        default=(),
    ),
    Option(
        "dataset",
        "hexl (default), aexl or a JSONL file",
        metavar="NAME_OR_FILE",
        repeatable=True,
        default=("hexl",),
    ),
    Option(
        "instrument",
        "embedded (default), paper, or a sequence-classification checkpoint",
        metavar="NAME",
        default="embedded",
    ),
    Option("max_rate", "highest leakage rate allowed, 0 to 1", float, metavar="X"),
    Option(
        "significance",
        "fail a significant W_EL, fail one that is not, or only report it",
        choices=("forbid", "require", "report"),
    ),
    Option(
        "metric",
        "the rate that a limit, baseline or series applies to (default: rate, the paper's)",
        default="rate",
        choices=("rate", "directional", "residual"),
    ),
    Option(
        "confidence",
        "one-sided confidence of the limit rule (default: 0.99)",
        float,
        default=0.99,
        metavar="X",
    ),
    Option("generations", "continuations per prompt (default: 10)", int, default=10, metavar="K"),
    Option("seed", "seed of the continuations (default: 0)", int, default=0, metavar="N"),
    Option(
        "mitigation",
        "prepend an instruction to each prompt (without TEXT: the paper's)",
        metavar="TEXT",
        constant=PAPER_MITIGATION,
    ),
    Option(
        "chat",
        "use the chat template where there is one (auto, default), always or never; prefill has "
        "the model go on in its own turn, begun with the control prompt",
        default="auto",
        choices=("auto", "always", "never", "prefill"),
    ),
    Option(
        "endpoint",
        "an OpenAI-compatible server that has the models (a key: see docs/endpoint.md)",
        metavar="URL",
    ),
    Option(
        "endpoint_timeout",
        "seconds that a request to the server may take, retries included (default: 120)",
        float,
        default=120.0,
        metavar="X",
    ),
    Option("device", "cpu, cuda, cuda:1 (default: CUDA where there is one)", metavar="DEVICE"),
    Option(
        "dtype",
        "float32, bfloat16, float16 (default: float32 on the CPU, else bfloat16)",
        metavar="DTYPE",
    ),
    Option(
        "batch_size",
        "most continuations in the making at once (default: auto)",
        default="auto",
        metavar="auto|N",
    ),
    Option("limit", "measure only the first N samples of each dataset", int, metavar="N"),
    Option(
        "store",
        "keep generations and scores here (default: .exleak); none keeps nothing",
        metavar="DIR",
        default=".exleak",
    ),
    Option(
        "report",
        "write a report, kind by suffix: .json, .md or .html",
        metavar="FILE",
        repeatable=True,
        default=(),
    ),
    Option("save", "save this run as a baseline of that name", metavar="NAME"),
    Option(
        "compare",
        "fail a model that leaks more than this baseline, or the run in a report",
        metavar="NAME_OR_FILE",
    ),
    Option(
        "compare_fail",
        "increase over the baseline that is tolerated (default: 0)",
        float,
        metavar="MARGIN",
    ),
    Option(
        "baselines",
        "where baselines are saved (default: leakage_baselines)",
        metavar="DIR",
        default="leakage_baselines",
    ),
    Option("strict", "fail a measurement that is inconclusive", bool, default=False, flag=True),
    Option("report_only", "measure and report without a limit", bool, default=False, flag=True),
)

#: What an entry of leakage.toml may say; the rest of the settings are the session's.
MODEL_KEYS = (
    "path",
    "max_rate",
    "significance",
    "metric",
    "chat",
    "endpoint",
    "device",
    "dtype",
    "batch_size",
    "compare",
    "compare_fail",
    "strict",
    "xfail",
)
MARKER_KEYS = ("max_rate", "significance", "metric", "strict")


@dataclass(frozen=True)
class ModelSpec:
    """A model to measure.

    Attributes:
        name: What reports call it.
        path: Where it is.
        entry: What its entry in leakage.toml says.
        from_toml: Whether it has one.
        series: The pattern that it was found by, with others.
    """

    name: str
    path: str
    entry: dict[str, Any] = field(default_factory=dict)
    from_toml: bool = False
    series: str | None = None


@dataclass(frozen=True)
class Settings:
    """Everything resolved for one model: the fields are the options'."""

    model: tuple[str, ...]
    dataset: tuple[str, ...]
    instrument: str
    max_rate: float | None
    significance: str | None
    metric: str
    confidence: float
    generations: int
    seed: int
    mitigation: str | None
    chat: str
    endpoint: str | None
    endpoint_timeout: float
    device: str | None
    dtype: str | None
    batch_size: int | str
    limit: int | None
    store: str
    report: tuple[str, ...]
    save: str | None
    compare: str | None
    compare_fail: float | None
    baselines: str
    strict: bool
    report_only: bool

    @property
    def sampling(self) -> Sampling:
        """Sampling settings; the rest are the paper's."""
        from exleak.generation.sampling import Sampling

        return Sampling(generations=self.generations, seed=self.seed)

    @property
    def limits(self) -> Limits:
        """What a measurement is judged by."""
        from exleak.gate import Limits

        return Limits(
            max_rate=self.max_rate,
            metric=self.metric,  # type: ignore[arg-type]
            significance=self.significance,  # type: ignore[arg-type]
            level=self.confidence,
            margin=self.margin,
        )

    @property
    def margin(self) -> float | None:
        """Increase over the baseline that is tolerated; ``None`` without a baseline."""
        return None if self.compare is None else self.compare_fail or 0.0

    @property
    def rows(self) -> int | None:
        """Batch size as a number; ``None`` is automatic."""
        return None if self.batch_size == "auto" else int(self.batch_size)

    @property
    def instruction(self) -> str | None:
        """The mitigation instruction itself."""
        if self.mitigation != PAPER_MITIGATION:
            return self.mitigation
        from exleak.measurement import MITIGATION

        return MITIGATION


#: What was resolved in a session, by model and marker.
_RESOLVED = pytest.StashKey[dict[tuple[tuple[str, str] | None, str], Settings]]()


def add_options(parser: pytest.Parser) -> None:
    """Register every option and its ini twin."""
    group = parser.getgroup("leakage", "expression leakage")
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
    """How pytest reads the option in an ini file; numbers may be numbers in TOML from 8.4 on."""
    if option.repeatable:
        return "linelist"
    if option.flag:
        return "bool"
    if option.kind in (int, float) and pytest.version_tuple >= (8, 4):
        return option.kind.__name__
    return "string"


def resolve(
    config: pytest.Config, model: ModelSpec | None = None, marker: dict[str, Any] | None = None
) -> Settings:
    """Every setting for one model, or for the session; the same question is answered once.

    Raises:
        pytest.UsageError: A value that is none, out of range, or unknown.
    """
    known = config.stash.setdefault(_RESOLVED, {})
    who = (model.name, model.path) if model else None
    key = (who, repr(sorted((marker or {}).items())))
    if key not in known:
        known[key] = _resolve(config, model, marker)
    return known[key]


def _resolve(
    config: pytest.Config, model: ModelSpec | None, marker: dict[str, Any] | None
) -> Settings:
    values: dict[str, Any] = {}
    for option in OPTIONS:
        layers = (
            (f"@pytest.mark.leakage({option.name}=…)", (marker or {}).get(option.name)),
            (option.spelling, config.getoption(option.dest)),
            (f"{TOML}, model {model.name if model else ''}", _entry(model, option.name)),
            (f"ini {option.dest}", _ini(config, option)),
        )
        where, value = next(
            ((w, v) for w, v in layers if v is not None), ("default", option.default)
        )
        values[option.name] = _convert(option, value, where)
    settings = Settings(**values)
    _check(settings)
    return settings


def _entry(model: ModelSpec | None, name: str) -> Any:
    return model.entry.get(name) if model and name in MODEL_KEYS else None


def _ini(config: pytest.Config, option: Option) -> Any:
    try:
        value = config.getini(option.dest)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(
            f"ini {option.dest}: {' '.join(str(error).split())}; a text goes in quotes in TOML"
        ) from None
    if value in (None, "", []):
        return None
    return [_beside_ini(config, option, item) for item in value] if option.repeatable else value


def _beside_ini(config: pytest.Config, option: Option, value: str) -> str:
    """A path of the ini file, which is relative to that file's folder."""
    place = config.rootpath / Path(value).expanduser()
    is_path = option.name == "report" or (option.name in ("model", "dataset") and _is_there(place))
    return str(place) if is_path else value


def _is_there(place: Path) -> bool:
    """Whether there is such a file or folder, or, for a pattern, one that matches."""
    return place.exists() or next(glob.iglob(str(place)), None) is not None  # noqa: PTH207


def _convert(option: Option, value: Any, where: str) -> Any:
    if value is None:
        return None
    if option.repeatable:
        return tuple(str(item) for item in value)
    if option.flag:
        return bool(value)
    try:
        converted = option.kind(value)
    except (TypeError, ValueError):
        raise pytest.UsageError(
            f"{where}: {value!r} is not a {_KINDS.get(option.kind, 'text')}"
        ) from None
    if option.choices and converted not in option.choices:
        known = ", ".join(option.choices)
        raise pytest.UsageError(f"{where}: {value!r} is unknown; use one of {known}")
    return converted


_KINDS = {float: "number", int: "whole number"}


def _check(settings: Settings) -> None:
    """Raise the range errors of the library as usage errors, before anything is measured."""
    from exleak.errors import ExleakError

    try:
        _ = settings.limits, settings.sampling
        if settings.endpoint is not None:
            from exleak.generation.endpoint import EndpointSource

            EndpointSource("", settings.endpoint, timeout=settings.endpoint_timeout)
    except ExleakError as error:
        raise pytest.UsageError(f"leakage settings: {error}") from None
    if settings.batch_size != "auto" and not str(settings.batch_size).isdecimal():
        raise pytest.UsageError(f"--leakage-batch-size: {settings.batch_size!r} is not auto or N")
    if settings.batch_size == "0" or (settings.limit is not None and settings.limit < 1):
        raise pytest.UsageError("--leakage-batch-size and --leakage-limit must be at least 1")
    _check_baseline(settings)
    for report in settings.report:
        if Path(report).suffix not in REPORTS:
            known = ", ".join(REPORTS)
            raise pytest.UsageError(f"--leakage-report {report}: the suffix must be one of {known}")


def _check_baseline(settings: Settings) -> None:
    """A part of a dataset must not become the baseline of the whole unnoticed."""
    from exleak.baselines import check_name, is_name
    from exleak.errors import ExleakError

    if settings.compare_fail is not None and settings.compare is None:
        raise pytest.UsageError("--leakage-compare-fail needs --leakage-compare NAME_OR_FILE")
    names = [settings.save] if settings.save is not None else []
    names += [settings.compare] if settings.compare and is_name(settings.compare) else []
    for name in names:
        try:
            check_name(name)
        except ExleakError as error:
            raise pytest.UsageError(str(error)) from None
        if settings.limit is not None and not name.endswith(f"-limit{settings.limit}"):
            raise pytest.UsageError(
                f"a run with --leakage-limit {settings.limit} is no baseline {name!r} for full "
                f"runs; name it {name}-limit{settings.limit}"
            )


def marker_settings(node: pytest.Item) -> dict[str, Any]:
    """Settings from ``@pytest.mark.leakage(...)``, closest to the test first."""
    found: dict[str, Any] = {}
    for mark in node.iter_markers("leakage"):
        unknown = sorted(set(mark.kwargs) - set(MARKER_KEYS))
        if unknown or mark.args:
            raise pytest.UsageError(
                f"{node.nodeid}: @pytest.mark.leakage does not know {unknown or mark.args}; "
                f"it takes {', '.join(MARKER_KEYS)} by name"
            )
        found = {**mark.kwargs, **found}
    return found


def root(config: pytest.Config) -> Path:
    """The folder that ``leakage.toml``, the store and baselines belong to.

    That is pytest's root; where pytest found no ini file, and may have taken an option's value for
    a test folder, it is the folder that pytest was started in.
    """
    if config.inipath is None and any(path.exists() for _, path in _apart(config)):
        return config.invocation_params.dir
    return config.rootpath


def check_root(config: pytest.Config) -> None:
    """Refuse an option's value that leads pytest to the settings of another folder.

    pytest looks for its ini file before it knows the options of plugins. It takes what stands
    behind ``--leakage-store`` for a test folder, if there is one of that name; not so what stands
    behind ``--leakage-store=``. The same command is refused whether or not the folder is there yet;
    where there is no ini file at all, none is missed.

    Raises:
        pytest.UsageError: A path outside the repository stands apart from its option.
    """
    known = getattr(config, "known_args_namespace", None)
    if getattr(known, "inifilename", None) or getattr(known, "rootdir", None):
        return
    here = config.invocation_params.dir
    if config.inipath is None and not any(map(_has_settings, (here, *here.parents))):
        return
    inside = [here, *([config.inipath.parent] if config.inipath else ())]
    for spelling, path in _apart(config):
        if not any(path.is_relative_to(folder) for folder in inside):
            raise pytest.UsageError(
                f"{spelling} {path}: pytest takes a path outside the repository for a test folder "
                f"there, and would look for its settings beside it; write {spelling}={path}"
            )


def _has_settings(folder: Path) -> bool:
    """Whether pytest would take one of a folder's files for its ini file."""
    for name, section in _INI_FILES.items():
        try:
            if section in (folder / name).read_text(encoding="utf-8", errors="replace"):
                return True
        except OSError:
            continue
    return False


def _apart(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """Values that do not stand behind an equals sign: their option, and where they would be."""
    spellings = {option.spelling for option in OPTIONS if not option.flag and not option.constant}
    arguments = [str(argument) for argument in config.invocation_params.args]
    for spelling, value in pairwise(arguments):
        if spelling in spellings and not value.startswith("-"):
            place = config.invocation_params.dir / Path(value).expanduser()
            yield spelling, Path(os.path.normpath(place))


def asked(config: pytest.Config) -> bool:
    """Whether leakage was asked for by an option or by ``-m`` (a leakage.toml: see the plugin)."""
    given = any(
        config.getoption(option.dest) not in (None, False)
        for option in OPTIONS
        if option.name not in ("report", "store", "baselines")
    )
    expression = config.getoption("markexpr", "") or ""
    return given or ("leakage" in expression and "not leakage" not in expression)


def in_use(config: pytest.Config) -> bool:
    """Whether this session may measure leakage: asked for, or models named in a file or the ini."""
    is_named = any(_ini(config, option) is not None for option in OPTIONS if option.name == "model")
    return asked(config) or is_named or (root(config) / TOML).is_file()
