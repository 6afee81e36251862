"""The same generations as each tool would log them."""

from __future__ import annotations

import csv
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from exleak.datasets import load_dataset
from exleak.records import PromptGenerations

Rows = Sequence[PromptGenerations]

_MOODS = (
    "a good day.",
    "a bad day.",
    "a day.",
    "good, all of it.",
    "bad luck;\nand rain.",
    "“so”.",
)


def hexl_rows(
    samples: int = 4, generations: int = 3, seed: int = 0
) -> tuple[PromptGenerations, ...]:
    """The first prompts of HEXL with random continuations."""
    draw = random.Random(seed)
    return tuple(
        PromptGenerations.of(prompt, prompt.text, tuple(draw.choices(_MOODS, k=generations)))
        for prompt in load_dataset("hexl", limit=samples).prompts
    )


def _each(rows: Rows) -> list[tuple[int, PromptGenerations, str]]:
    """Generation by generation, all prompts before the next: as epochs and repeats go."""
    return [(i, row, row.generations[i]) for i in range(len(rows[0].generations)) for row in rows]


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def _lines(path: Path, values: Sequence[Any]) -> None:
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")


def lm_eval_samples(rows: Rows) -> list[dict[str, Any]]:
    """One sample a prompt."""
    return [
        {
            "doc_id": i,
            "doc": {"text": row.prompt},
            "target": "",
            "arguments": {"gen_args_0": {"arg_0": row.prompt, "arg_1": {"until": ["\n"]}}},
            "resps": [list(row.generations)],
            "filtered_resps": [row.generations[0]],
            "filter": "none",
        }
        for i, row in enumerate(rows)
    ]


def inspect_log(rows: Rows) -> dict[str, Any]:
    """A log with an epoch for each generation, in no order."""
    samples = [
        {
            "id": number,
            "epoch": epoch + 1,
            "input": row.prompt,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": row.prompt}]},
                {"role": "assistant", "content": text},
            ],
            "output": {
                "choices": [
                    {
                        "message": {
                            "role": "assistant",
                            "content": [
                                {"type": "reasoning", "reasoning": "good, bad"},
                                {"type": "text", "text": text},
                            ],
                        }
                    }
                ]
            },
        }
        for number, (epoch, row, text) in enumerate(_each(rows))
    ]
    head = {"version": 2, "status": "success", "eval": {"model": "a/model"}}
    return {**head, "samples": samples[::-1]}


def write_archive(path: Path, log: dict[str, Any], header: str = "header.json") -> None:
    """An Inspect log as a zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for sample in log["samples"]:
            name = f"samples/{sample['id']}_epoch_{sample['epoch']}.json"
            archive.writestr(name, json.dumps(sample))
        archive.writestr(header, json.dumps({**log, "samples": None}))


def promptfoo_results(rows: Rows) -> list[dict[str, Any]]:
    """A result for each generation; the prompts are chats."""
    return [
        {
            "promptIdx": 0,
            "testIdx": number,
            "provider": {"id": "a:model", "label": ""},
            "prompt": {"raw": json.dumps([{"role": "user", "content": row.prompt}]), "label": "p"},
            "response": {"output": text},
        }
        for number, (_, row, text) in enumerate(_each(rows))
    ]


def helm_state(rows: Rows) -> dict[str, Any]:
    """A scenario's state with several completions a request."""
    return {
        "adapter_spec": {"model": "a/model"},
        "request_states": [
            {
                "instance": {"input": {"text": row.prompt}, "id": f"id{i}"},
                "request": {"prompt": f"{row.prompt}\n", "messages": None},
                "result": {"success": True, "completions": [{"text": t} for t in row.generations]},
            }
            for i, row in enumerate(rows)
        ],
    }


def deepeval_run(rows: Rows) -> dict[str, Any]:
    """A test run with a case for each generation."""
    cases = [
        {"name": f"case {i}", "input": row.prompt, "actualOutput": text}
        for i, (_, row, text) in enumerate(_each(rows))
    ]
    return {"testRunData": {"testCases": cases}}


def instances(rows: Rows) -> list[dict[str, Any]]:
    """The lines of an instance file of Every Eval Ever."""
    return [
        {
            "schema_version": "instance_level_eval_0.2.1",
            "evaluation_id": "e",
            "model_id": "a/model",
            "evaluation_name": "leakage",
            "sample_id": str(i),
            "interaction_type": "single_turn",
            "input": {"raw": row.prompt, "reference": []},
            "output": {"raw": list(row.generations)},
        }
        for i, row in enumerate(rows)
    ]


def _table(path: Path, rows: Rows, delimiter: str) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["prompt", "generation"])
        writer.writerows((row.prompt, text) for _, row, text in _each(rows))


def _parquet(path: Path, rows: Rows) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = {
        "prompt": [row.prompt for row in rows],
        "generations": [list(row.generations) for row in rows],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def _pairs(rows: Rows) -> list[dict[str, Any]]:
    return [{"input": row.prompt, "response": text} for _, row, text in _each(rows)]


#: How each tool writes rows to a file; the suffix is never looked at.
WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    "lm-eval": lambda path, rows: _lines(path, lm_eval_samples(rows)),
    "inspect json": lambda path, rows: _json(path, inspect_log(rows)),
    "inspect eval": lambda path, rows: write_archive(path, inspect_log(rows)),
    "promptfoo": lambda path, rows: _json(
        path, {"evalId": "e", "results": {"version": 3, "results": promptfoo_results(rows)}}
    ),
    "promptfoo jsonl": lambda path, rows: _lines(path, promptfoo_results(rows)),
    "helm": lambda path, rows: _json(path, helm_state(rows)),
    "deepeval": lambda path, rows: _json(path, deepeval_run(rows)),
    "every eval ever": lambda path, rows: _lines(path, instances(rows)),
    "csv": lambda path, rows: _table(path, rows, ","),
    "semicolons": lambda path, rows: _table(path, rows, ";"),
    "tsv": lambda path, rows: _table(path, rows, "\t"),
    "jsonl": lambda path, rows: _lines(path, _pairs(rows)),
    "parquet": _parquet,
}
