"""Resolves settings: marker, then command line, environment, leakage.toml, ini file, default."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

import pytest

from exleak.model_names import TOML
from leakage_fixtures import environment
from leakage_fixtures.options import (
    OPTIONS,
    ModelSpec,
    Option,
    Settings,
    destination,
    number_or_aexl,
    pairs,
    sizes,
)
from leakage_fixtures.rootdir import root
from leakage_fixtures.session import session_of

#: Keys of an entry of leakage.toml; the other settings apply to the whole session.
MODEL_KEYS = (
    "path",
    "max_rate",
    "significance",
    "metric",
    "chat",
    "system",
    "template",
    "base",
    "tokenizer",
    "trust_remote_code",
    "load",
    "endpoint",
    "server",
    "server_command",
    "server_args",
    "device",
    "max_memory",
    "dtype",
    "batch_size",
    "compare",
    "compare_fail",
    "compare_pass",
    "adaptive",
    "extend",
    "strict",
    "xfail",
)
MARKER_KEYS = ("max_rate", "significance", "metric", "strict")
#: Options that say where results go, or that there are none: they do not ask for leakage.
_ASKS_NOTHING = ("report", "log", "store", "baselines", "disable")
_MODEL, _ONLY, _DISABLE = (
    next(option for option in OPTIONS if option.name == name)
    for name in ("model", "only", "disable")
)


def resolve(
    config: pytest.Config, model: ModelSpec | None = None, marker: dict[str, Any] | None = None
) -> Settings:
    """The settings of one model, or of the session; cached.

    Raises:
        pytest.UsageError: A value is malformed, out of range, or unknown.
    """
    known = session_of(config).settings
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
        where, value = _given(config, option, model, marker)
        values[option.name] = _convert(option, value, where)
    settings = Settings(**values)
    with environment.blamed(config):
        _check(settings)
    return settings


def _given(
    config: pytest.Config,
    option: Option,
    model: ModelSpec | None = None,
    marker: dict[str, Any] | None = None,
) -> tuple[str, Any]:
    """The source of an option's value, and the value as it is given there."""
    layers = (
        (f"@pytest.mark.leakage({option.name}=…)", (marker or {}).get(option.name)),
        (option.spelling, config.getoption(option.dest)),
        (option.variable, environment.value(option)),
        (f"{TOML}, model {model.name if model else ''}", _entry(model, option.name)),
        (f"ini {option.dest}", _ini(config, option)),
    )
    return next(((w, v) for w, v in layers if v is not None), ("default", option.default))


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
    """A value of the ini file; a path is resolved relative to pytest's root folder."""
    place = config.rootpath / Path(value).expanduser()
    is_path = option.name == "report" or (option.name in ("model", "dataset") and _is_there(place))
    return str(place) if is_path else value


def _is_there(place: Path) -> bool:
    """Whether a file or folder exists, or matches if ``place`` is a glob pattern."""
    return place.exists() or next(glob.iglob(str(place)), None) is not None  # noqa: PTH207


def _convert(option: Option, value: Any, where: str) -> Any:
    if value is None:
        return None
    if option.repeatable and option.kind is str:
        return tuple(str(item) for item in ([value] if isinstance(value, str) else value))
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


_KINDS: dict[Any, str] = {
    float: "number",
    int: "whole number",
    number_or_aexl: "whole number or aexl",
    pairs: "KEY=VALUE or a table",
    sizes: "DEVICE=SIZE or a table",
}


def _check(settings: Settings) -> None:
    """Check ranges before anything is measured; raise the library's errors as usage errors."""
    from exleak.errors import ExleakError, SettingsError
    from exleak.generation.local.devices import check_devices

    try:
        _ = settings.limits, settings.sampling, settings.loading, settings.launch
        check_devices(settings.device, None)
        if settings.endpoint and settings.server is not None:
            raise SettingsError("give --leakage-endpoint or --leakage-server, not both")
        if settings.endpoint:
            from exleak.sources import source_of

            source_of("", endpoint=settings.endpoint, timeout=settings.endpoint_timeout)
    except ExleakError as error:
        raise pytest.UsageError(f"leakage settings: {error}") from None
    given = [name for name in ("server_command", "server_args") if getattr(settings, name)]
    if given and settings.server is None:
        option = "--leakage-" + given[0].replace("_", "-")
        raise pytest.UsageError(f"{option} needs --leakage-server")
    if settings.batch_size != "auto" and not str(settings.batch_size).isdecimal():
        raise pytest.UsageError(f"--leakage-batch-size: {settings.batch_size!r} is not auto or N")
    if settings.batch_size == "0" or (settings.limit is not None and settings.limit < 1):
        raise pytest.UsageError("--leakage-batch-size and --leakage-limit must be at least 1")
    _check_baseline(settings)
    _check_reports(settings)
    _check_logs(settings)


def _check_logs(settings: Settings) -> None:
    if not settings.log:
        return
    from exleak.errors import ExleakError
    from exleak.integrations.trackers import check

    for value in settings.log:
        try:
            check([destination(value)[0]])
        except ExleakError as error:
            raise pytest.UsageError(f"--leakage-log {value}: {error}") from None


def _check_reports(settings: Settings) -> None:
    from exleak.errors import ReportError
    from exleak.reports import kind_of_measurements

    try:
        for report in settings.report:
            kind_of_measurements(Path(report))
    except ReportError as error:
        raise pytest.UsageError(f"--leakage-{error}") from None


def _check_baseline(settings: Settings) -> None:
    """Check baseline options: a run on part of a dataset may not use a full run's baseline name."""
    from exleak.errors import ExleakError
    from exleak.gate.baselines import check_name, is_name

    for name in ("compare_fail", "compare_pass"):
        if getattr(settings, name) is not None and settings.compare is None:
            option = "--leakage-" + name.replace("_", "-")
            raise pytest.UsageError(f"{option} needs --leakage-compare NAME_OR_FILE")
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
    """Settings from ``@pytest.mark.leakage(...)``; the marker closest to the test wins."""
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


def asked(config: pytest.Config) -> bool:
    """Whether leakage tests are requested; leakage.toml alone does not count.

    They are by an option, by ``-m``, and by the variables that name models or leave nothing else
    to run. Other variables are settings for whoever measures, and may be set for all jobs of a CI.
    """
    given = any(
        config.getoption(option.dest) not in (None, False)
        for option in OPTIONS
        if option.name not in _ASKS_NOTHING
    )
    expression = config.getoption("markexpr", "") or ""
    is_marked = "leakage" in expression and "not leakage" not in expression
    return given or is_marked or environment.value(_MODEL) is not None or is_only(config)


def in_use(config: pytest.Config) -> bool:
    """Whether leakage may be measured: requested, or models are in leakage.toml or the ini file."""
    if is_disabled(config):
        return False
    is_named = _ini(config, _MODEL) is not None
    return asked(config) or is_named or (root(config) / TOML).is_file()


def is_only(config: pytest.Config) -> bool:
    """Whether no other tests than those of leakage are to run."""
    return bool(_given(config, _ONLY)[1])


def is_disabled(config: pytest.Config) -> bool:
    """Whether no leakage test is to run.

    Raises:
        pytest.UsageError: Nor is any other.
    """
    (where, value), (other, only) = _given(config, _DISABLE), _given(config, _ONLY)
    if value and only:
        raise pytest.UsageError(f"{other} and {where} leave no test to run; give one of them")
    return bool(value)


def disabled_by(config: pytest.Config) -> str:
    """What disabled the leakage tests."""
    return _given(config, _DISABLE)[0]
