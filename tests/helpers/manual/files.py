"""The page of the file formats: docs/reference/files.md, with the report's schema."""

from __future__ import annotations

import json
from typing import Any

from exleak.records import CONDITIONS
from tests.helpers.manual import MADE, ROOT, table

#: Parts of a report that are shown, in order, with their titles.
PARTS = {
    "measurement": "A measurement",
    "generations": "`generations`",
    "expression": "`expression`",
    "rate": "A rate",
    "carry_over": "`expression.carry_over`",
    "residual": "`expression.residual`",
    "semantic": "`semantic`",
    "verdict": "`verdict`",
    "comparison": "`verdict.comparison`",
}

_HEADER = json.dumps(
    {
        "dataset": "mine",
        "version": "1",
        "instruction": "Complete the sentence",
        "license": "CC0",
        "provenance": "Written by hand.",
    }
)
_SAMPLE = json.dumps(
    {
        "id": "s1",
        "control": "The soup tasted",
        "positive": "She won.",
        "neutral": "It is noon.",
        "negative": "He died.",
    }
)
_ROW = json.dumps(
    {
        "id": "s1:positive",
        "control": "s1:control",
        "condition": "positive",
        "concept": "She won.",
        "prompt": "Complete the sentence: She won. The soup tasted",
        "generations": [" sweet.", " like home."],
    }
)

_HEAD = f"""# Files

{MADE}

All files are UTF-8 text. A file that violates its format is refused, with the line and what is
wrong there.

## Dataset

JSONL. The first line may be a header:

```json
{_HEADER}
```

`language` and `injected_language` may stand there too ([Your language](../languages.md)). Every
other line is a sample:

```json
{_SAMPLE}
```

`intensity`, numbers by class, is optional ([Rated
sentences](../stimuli.md#do-stronger-sentences-leak-more)). Further fields are ignored; an import
keeps the ids of its stimuli in `stimulus`.

## Generations

JSONL, one prompt a line. Every run writes such a file to `.exleak/runs/`, and `exleak score` reads
it.

```json
{_ROW}
```

| field | what it is |
| --- | --- |
| `id` | unique in the file |
| `control` | the id of its control's line; null for a control |
| `condition` | {", ".join(f"`{name}`" for name in CONDITIONS)} or `test` |
| `concept` | what similarity is measured to, usually the injected sentence; null for a control |
| `prompt` | the text that the model was asked to continue |
| `generations` | its continuations |

[Generations of other tools](../other-tools.md) has the formats that are read besides.

## Models

`leakage.toml` in pytest's root folder, one table a model: see
[Settings](../settings.md#leakagetoml). The table of each [option](options.md) says whether it is a
key.

## Baselines

`leakage_baselines/NAME/0001.json`, `0002.json` and so on, in pytest's root folder, are reports
without sentences, with `saved` beside: name, number, time, git commit, and whether there were
uncommitted changes. [Baselines](../baselines.md#what-must-be-equal) says what has to be equal in
runs that are compared.

## Report

JSON, `{{"schema": 1, "exleak": VERSION, "measurements": […]}}`. Rates lie between 0 and 1,
undefined numbers are null, and later versions may add keys. These tables are those of
[schema.json](../../exleak/store/schema.json), the contract."""


def page() -> str:
    """The text of the page."""
    path = ROOT / "exleak" / "store" / "schema.json"
    parts = json.loads(path.read_text(encoding="utf-8"))["$defs"]
    lines = [_HEAD]
    for name, title in PARTS.items():
        part = parts[name]
        lines += ["", f"### {title}", ""]
        if about := part.get("description"):
            lines += [about, ""]
        lines += table(("key", "value", ""), list(_rows(part, parts)))
    return "\n".join(lines) + "\n"


def _rows(part: dict[str, Any], parts: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for one in (part, *part.get("allOf", ())):
        for key, value in one.get("properties", {}).items():
            about = value.get("description") or _described(value, parts)
            rows.append((f"`{key}`", _kind(value), about))
    return rows


def _described(value: dict[str, Any], parts: dict[str, Any]) -> str:
    name = value.get("$ref", "").rpartition("/")[2]
    return str(parts[name].get("description", "")) if name in parts and name not in PARTS else ""


def _kind(value: Any) -> str:
    """What a value may be, in short."""
    if "$ref" in value:
        return str(value["$ref"].rpartition("/")[2].replace("_", " "))
    for several in ("anyOf", "oneOf"):
        if several in value:
            return " or ".join(_kind(one) for one in value[several])
    if "enum" in value:
        return ", ".join(json.dumps(one) for one in value["enum"])
    if "const" in value:
        return json.dumps(value["const"])
    kinds = value.get("type", "")
    if kinds == "array" and isinstance(value.get("items"), dict):
        return f"list: {_kind(value['items'])}"
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
