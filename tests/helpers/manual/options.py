"""The page of the plugin's options: docs/reference/options.md."""

from __future__ import annotations

import re

from leakage_fixtures.options import OPTIONS, Option
from leakage_fixtures.settings import MARKER_KEYS, MODEL_KEYS
from tests.helpers.manual import MADE, table

#: Every option, by what it is about.
GROUPS = {
    "What is measured": ("model", "dataset", "limit", "instrument"),
    "What the model is asked": (
        "generations", "seed", "mitigation", "chat", "system", "template",
    ),
    "When a model passes": (
        "max_rate", "metric", "significance", "confidence", "strict", "report_only", "adaptive",
        "extend",
    ),
    "Baselines": ("save", "compare", "compare_fail", "compare_pass", "baselines"),
    "The table in the terminal": ("columns", "sort", "group_by"),
    "Files and logs that a run writes": ("report", "log", "store"),
    "Which tests run": ("only", "disable"),
    "How a checkpoint is loaded": (
        "base", "tokenizer", "trust_remote_code", "load", "device", "max_memory", "dtype",
        "batch_size",
    ),
    "Models on a server": (
        "endpoint", "endpoint_timeout", "server", "server_command", "server_args",
        "server_timeout",
    ),
}  # fmt: skip

_HEAD = f"""# Options of pytest

{MADE}

Each option of the command line is also an option of the ini file and an environment variable:
`--leakage-max-rate 0.7` is `leakage_max_rate = 0.7` in `pytest.ini`, and `EXLEAK_MAX_RATE=0.7`.
[Settings](../settings.md) says how values are written there, and which place goes first. `pytest
--help` has the same list."""


def page() -> str:
    """The text of the page."""
    by_name = {option.name: option for option in OPTIONS}
    lines = [_HEAD, ""]
    for title, names in GROUPS.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += [*_option(by_name[name]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _option(option: Option) -> list[str]:
    # The default stands in the table.
    text = re.sub(r" \(default\)| \(default: [^)]*\)|, default(?=\))", "", option.help)
    rows = [("command line", _spelling(option)), ("ini file", f"`{option.dest}`")]
    if option.name in MODEL_KEYS:
        rows.append(("`leakage.toml`", f"`{option.name}`"))
    if option.name in MARKER_KEYS:
        rows.append(("marker", f"`{option.name}=…`"))
    if option.choices:
        rows.append(("choices", ", ".join(f"`{choice}`" for choice in option.choices)))
    rows.append(("if not set", _default(option)))
    return [
        f"### `{option.spelling}`",
        "",
        f"{text}; repeatable" if option.repeatable else text,
        "",
        *table(("where", "what to write"), rows),
    ]


def _spelling(option: Option) -> str:
    if option.flag:
        return f"`{option.spelling}`"
    value = option.metavar or "|".join(option.choices or ("VALUE",))
    return f"`{option.spelling} [{value}]`" if option.constant else f"`{option.spelling} {value}`"


def _default(option: Option) -> str:
    if option.flag:
        return "off"
    if stated := re.search(r"\(default: ([^)]*)\)", option.help):
        return stated[1]
    values = option.default if isinstance(option.default, tuple) else (option.default,)
    return ", ".join(f"`{value}`" for value in values if value is not None) or "none"
