"""Which module imports which, read from the source; and the figure in docs/architecture.md.

``python -m tests.helpers.imports`` writes the figure anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("exleak", "leakage_fixtures")
BEGIN, END = "<!-- imports: begin -->", "<!-- imports: end -->"

Graph = dict[str, set[str]]


@cache
def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> Graph:
    """What each module imports: on top, within functions, and for annotations alone."""
    known = modules()
    return {
        name: {other for other in _imported(path, known) if other != name}
        for name, path in known.items()
    }


def _imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in known or node.module in known:
                    yield whole if whole in known else node.module


def folder(module: str) -> str:
    """The folder that a module lies in, ``exleak/generation/local`` for example."""
    path = modules()[module]
    return path.parent.relative_to(ROOT).as_posix()


def by_folder(graph: Graph) -> Graph:
    """What each folder imports of others; a module in exleak/ itself stands for itself.

    A package's own ``__init__`` of public names, which are loaded when they are first used, is left
    out.
    """
    place = {
        name: f"{folder(name)}/{name.rpartition('.')[2]}.py"
        if folder(name) in PACKAGES
        else folder(name)
        for name in graph
        if name not in PACKAGES
    }
    found: Graph = {room: set() for room in place.values()}
    for name, others in graph.items():
        if name in place:
            found[place[name]] |= {place[other] for other in others if other in place}
    return {room: others - {room} for room, others in found.items()}


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The groups of nodes that reach each other (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == number[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in number:
            visit(node)
    return found


def figure() -> str:
    """The folders' imports as a Mermaid diagram: only those that no longer way implies."""
    graph = {
        room: {other for other in others if "." not in other}
        for room, others in by_folder(imports()).items()
        if "." not in room
    }
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {_id(room)}[{room.removeprefix('exleak/')}]" for room in sorted(graph)]
    for room, others in sorted(graph.items()):
        implied = set().union(*(_reached(other, graph) for other in others))
        lines += [f"    {_id(room)} --> {_id(other)}" for other in sorted(others - implied)]
    return "\n".join([*lines, "```"])


def _reached(node: str, graph: Graph) -> set[str]:
    return set().union(graph[node], *(_reached(other, graph) for other in graph[node]))


def _id(room: str) -> str:
    return room.replace("/", "_")


def page(text: str) -> str:
    """A page with the figure of today between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{figure()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
