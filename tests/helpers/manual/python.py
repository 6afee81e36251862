"""The page of the Python names: docs/reference/python.md, from signatures and docstrings.

Sources are parsed and not imported, so that no package is needed that a module imports.
"""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path

from tests.helpers.manual import MADE, ROOT

#: Public names by topic; every name of ``exleak.__all__`` is here, and some of its modules.
GROUPS = {
    "Measure": (
        "exleak.measure", "exleak.score", "exleak.compare", "exleak.Measurement",
        "exleak.records.Expression", "exleak.records.Rate", "exleak.records.Residual",
        "exleak.records.CarryOver", "exleak.records.Verdict", "exleak.progress.Done",
    ),
    "Settings": (
        "exleak.Sampling", "exleak.Limits", "exleak.Loading", "exleak.Template",
        "exleak.MITIGATION",
    ),
    "Models and continuations": (
        "exleak.generate", "exleak.load_model", "exleak.FirstSentence", "exleak.read_generations",
        "exleak.write_generations",
    ),
    "Datasets": (
        "exleak.load_dataset", "exleak.dataset_names", "exleak.stimuli.import_stimuli",
    ),
    "Instruments": (
        "exleak.load_instrument", "exleak.scoring.Instrument",
    ),
    "Reports": (
        "exleak.reports.read_report", "exleak.reports.read_measurements",
        "exleak.reports.write_report",
    ),
    "In a training": (
        "exleak.integrations.transformers.attach",
        "exleak.integrations.transformers.LeakageCallback",
        "exleak.integrations.lightning.LeakageCallback", "exleak.integrations.trackers.trackers",
    ),
    "Other tools": (
        "exleak.logs.read_log", "exleak.rates.dose.dose_response",
    ),
    "Errors": (
        "exleak.ExleakError", "exleak.DatasetError", "exleak.ModelError",
        "exleak.InstrumentError", "exleak.ReportError", "exleak.ComparisonError",
        "exleak.SettingsError", "exleak.TrackerError",
    ),
    "The version": (
        "exleak.version",
    ),
}  # fmt: skip

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
_ITEM = re.compile(r"^(\*{0,2}\w[\w, *.]*): +(.*)$")
_ROLE = re.compile(r":(?:func|class|data|mod|meth|attr|exc):`~?([^`]+)`")

_HEAD = f"""# Python

{MADE}

`import exleak` imports neither torch nor numpy; names are loaded when they are first used. A name
with a module, such as `exleak.reports.read_report`, is imported from that module."""


def page() -> str:
    """The text of the page."""
    lines = [_HEAD]
    for title, names in GROUPS.items():
        lines += ["", f"## {title}"]
        for name in names:
            lines += ["", *_entry(name)]
    return "\n".join(lines) + "\n"


def _entry(name: str) -> list[str]:
    node = find(name)
    lines = [f"### `{name}`", ""]
    if isinstance(node, ast.Assign):
        return [*lines, f"The constant `{ast.unparse(node.value)}`."]
    lines += ["```python", *_signature(name, node), "```", ""]
    return [*lines, *_prose(ast.get_docstring(node) or "")]


def find(name: str) -> ast.ClassDef | ast.FunctionDef | ast.Assign:
    """The definition of a public name, followed through re-exports.

    Raises:
        KeyError: There is none.
    """
    module, _, short = name.rpartition(".")
    return _find(module, short)


def _find(module: str, name: str) -> ast.ClassDef | ast.FunctionDef | ast.Assign:
    for node in _body(module):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return node
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return node
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return _find(str(node.module), name)
    raise KeyError(f"{module}.{name}")


@cache
def _body(module: str) -> list[ast.stmt]:
    """A module's statements, with those for annotations alone."""
    path = ROOT / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [part for node in body for part in (node.body if isinstance(node, ast.If) else [node])]


def _signature(name: str, node: ast.ClassDef | ast.FunctionDef) -> list[str]:
    short = name.rpartition(".")[2]
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return _wrapped(short, _arguments(node.args), returns)
    if is_error(node):
        return [f"class {short}({ast.unparse(node.bases[0])})"]
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return _wrapped(short, _arguments(method.args), "")
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    return _wrapped(short, [ast.unparse(field) for field in fields], "")


def is_error(node: ast.ClassDef) -> bool:
    """Whether a class is an exception, by its name."""
    return node.name.endswith("Error")


def _arguments(arguments: ast.arguments) -> list[str]:
    shown = []
    places = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(places) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(places, defaults, strict=True):
        if argument.arg != "self":
            shown.append(_argument(argument, default))
    if arguments.vararg:
        shown.append("*" + ast.unparse(arguments.vararg))
    elif arguments.kwonlyargs:
        shown.append("*")
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        shown.append(_argument(argument, default))
    if arguments.kwarg:
        shown.append("**" + ast.unparse(arguments.kwarg))
    return shown


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _wrapped(name: str, arguments: list[str], returns: str) -> list[str]:
    line = f"{name}({', '.join(arguments)}){returns}"
    if len(line) <= 88:
        return [line]
    return [f"{name}(", *(f"    {argument}," for argument in arguments), f"){returns}"]


def _prose(docstring: str) -> list[str]:
    """Markdown of a docstring: its sections as lists, its examples as code."""
    lines: list[str] = []
    section, in_code = None, False
    for line in inspect.cleandoc(docstring).splitlines():
        is_code = line.lstrip().startswith((">>>", "...")) or (in_code and bool(line.strip()))
        if is_code != in_code:
            lines.append("```" if in_code else "```pycon")
            in_code = is_code
        if found := _SECTION.match(line):
            section = found[1]
            lines += [f"**{section}**", ""]
        elif is_code:
            lines.append(line.strip())
        elif section and line.startswith("    ") and not line.startswith("     "):
            lines.append(_item(line.strip(), section))
        else:
            lines.append(
                _marked(line.strip()) if not section else f"  {_marked(line.strip())}".rstrip()
            )
    return [*lines, "```"] if in_code else lines


def _item(line: str, section: str) -> str:
    if section in ("Returns", "Yields"):
        return _marked(line)
    found = _ITEM.match(line)
    return f"- `{found[1]}`: {_marked(found[2])}" if found else _marked(line)


def _marked(text: str) -> str:
    """Roles and literals of reStructuredText as Markdown."""
    return _ROLE.sub(lambda found: f"`{found[1]}`", text.replace("``", "`"))
