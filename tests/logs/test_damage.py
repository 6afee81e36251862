"""Damaged, truncated and foreign files: one error, with file, place and what to do."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exleak.cli import main
from exleak.errors import DatasetError, SettingsError
from exleak.logs import Columns, read_log
from tests.helpers.logs import (
    WRITERS,
    deepeval_run,
    helm_state,
    hexl_rows,
    inspect_log,
    instances,
    lm_eval_samples,
    promptfoo_results,
    write_archive,
)

DATA = Path(__file__).parent / "data"
Values = list[dict[str, Any]]


def _error(path: Path, columns: Columns | None = None) -> str:
    """The error, which begins with the file's name."""
    with pytest.raises(DatasetError) as caught:
        read_log(path, None, columns)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


def _refusal(path: Path) -> str | None:
    try:
        read_log(path)
    except DatasetError as error:
        return str(error)
    return None


@pytest.mark.parametrize("tool", WRITERS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_a_truncated_file_is_one_error(tool: str, share: float, tmp_path: Path) -> None:
    """Wherever it is cut; of CSV, only a cut within a row can be told."""
    path = tmp_path / "log"
    WRITERS[tool](path, hexl_rows(1))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    is_text = tool in ("csv", "semicolons", "tsv")
    assert (is_text and _refusal(path) is None) or _error(path)


@pytest.mark.parametrize("tool", WRITERS)
def test_a_damaged_file_is_one_error_or_none(tool: str, tmp_path: Path) -> None:
    """Any byte may have changed."""
    path = tmp_path / "log"
    WRITERS[tool](path, hexl_rows(1))
    data = path.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        assert (_refusal(path) or str(path)).startswith(str(path))


def _sample(change: Callable[[dict[str, Any]], object]) -> Values:
    samples = lm_eval_samples(hexl_rows(1))
    change(samples[1])
    return samples


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (_sample(lambda s: s.pop("resps")), ", line 2: field 'resps' is missing"),
        (_sample(lambda s: s.update(resps="a")), ", line 2: field 'resps' must be a list, not 'a'"),
        (_sample(lambda s: s.update(resps=[])), ", line 2: field 'resps' must be one list"),
        (_sample(lambda s: s.update(resps=[[1]])), "field 'resps[0][0]' must be a text, not 1"),
        (_sample(lambda s: s.update(doc_id=0)), ", line 2: sample 0 is there again, as in"),
        (_sample(lambda s: s.update(doc_id=0, filter="b")), ", line 2: sample 0 differs from"),
        (
            _sample(lambda s: s["arguments"].update(gen_args_1={"arg_0": "a", "arg_1": "b"})),
            ", line 2: 2 requests for one document: this task scores given answers",
        ),
        (
            _sample(lambda s: s.update(arguments=[["a", "b"]])),
            ", line 2: a request without settings of generation: this task scores given answers",
        ),
        (_sample(lambda s: s.update(arguments=[["a"]])), "'arguments[0]' must be a prompt and its"),
        ([*instances(hexl_rows(1)), {**instances(hexl_rows(1))[0], "model_id": "b"}],
         ": it holds 2 models ('a/model', 'b'), which are not to be mixed: keep one model a file"),
        ([{**instances(hexl_rows(1))[0], "interaction_type": "agentic"}],
         ", line 1: an interaction of type 'agentic'; only single_turn has generations"),
        ([{"a": 1, "b": 2}], ": no column 'prompt' or 'input'; it has a, b: name one with --"),
        ([{"prompt": "a", "input": "b"}], ": columns prompt, input: name one with --prompt-column"),
        ([{"prompt": 1, "output": "b"}], ", line 1: field 'prompt' must be a text, not 1"),
        ([{"prompt": "a", "output": 1}], ", line 1: field 'output' must be a text, not 1"),
        ([{"prompt": "a", "output": "b"}, {"output": "c"}], ", line 2: field 'prompt' is missing"),
        ([{**promptfoo_results(hexl_rows(1))[0], "provider": name} for name in "ab"],
         ": it holds 2 providers ('a', 'b')"),
        ([{**promptfoo_results(hexl_rows(1))[0], "response": {"output": {"a": 1}}}],
         ", line 1: field 'response.output' must be a text, not {'a': 1}"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(values: Values, message: str, tmp_path: Path) -> None:
    """With the field."""
    path = tmp_path / "log"
    path.write_text("\n".join(map(json.dumps, values)))
    assert message in _error(path)


def _without(value: dict[str, Any], *place: str | int) -> dict[str, Any]:
    inner: Any = value
    for part in place[:-1]:
        inner = inner[part]
    del inner[place[-1]]
    return value


ROWS = hexl_rows(1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (_without(helm_state(ROWS), "request_states", 2, "request"),
         ": field 'request_states[2].request' is missing"),
        (_without(helm_state(ROWS), "request_states", 0, "result", "completions", 1, "text"),
         ": field 'request_states[0].result.completions[1].text' is missing"),
        (_without(deepeval_run(ROWS), "testRunData", "testCases", 3, "input"),
         ": field 'testRunData.testCases[3].input' is missing"),
        (_without(inspect_log(ROWS), "samples", 0, "epoch"),
         ": field 'samples[0].epoch' is missing"),
        (_without(inspect_log(ROWS), "samples"), ": the log has no samples"),
        ({"results": {"results": {}}}, ": field 'results.results' must be a list, not {}"),
        ({"results": {"results": []}}, ": no prompts in it"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(value: dict[str, Any], message: str, tmp_path: Path) -> None:
    """With its place in the file."""
    path = tmp_path / "log"
    path.write_text(json.dumps(value, indent=2))
    assert message in _error(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    """By what they are."""
    path = tmp_path / "log"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    assert "a zip archive without header.json, so not a log of Inspect" in _error(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    assert "not UTF-8 text" in _error(path)
    path.write_text("")
    assert "no rows in it" in _error(path)
    path.write_text("A poem.\nOf two lines.")
    assert "no column 'prompt' or 'input'; it has A poem." in _error(path)
    path.write_text("[1]")
    assert "a JSON list; write its objects one a line" in _error(path)
    path.write_text(json.dumps({"runs": [], "tool": "x"}, indent=1))
    message = _error(path)
    assert "JSON of an unknown tool, with the fields runs, tool; these are read: lm-eval" in message
    assert "tables (CSV, TSV, JSON lines, Parquet)" in message
    path.write_text("prompt,output,output\na,b,c")
    assert "two columns are called 'output'" in _error(path)
    path.write_text("prompt,output\na,b,c")
    assert ", line 2: 3 cells under 2 headings" in _error(path)
    assert "cannot be read" in _error(tmp_path)


def test_an_archive_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python reads Zstandard from 3.14 on; the error gives both ways out."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    if sys.version_info >= (3, 14):
        assert read_log(DATA / "inspect.eval").rows
        return
    message = _error(DATA / "inspect.eval")
    assert ", header.json, compressed with Zstandard, needs pyarrow" in message
    assert "inspect log convert LOG --to json" in message


def test_another_compression_is_told(tmp_path: Path) -> None:
    """With the way to convert the log."""
    path = tmp_path / "log"
    write_archive(path, inspect_log(ROWS))
    path.write_bytes(
        path.read_bytes().replace(b"\x14\x00\x00\x00\x08\x00", b"\x14\x00\x00\x00\x61\x00")
    )
    assert "compressed by method 97, which is unknown here; write the log as JSON" in _error(path)


def test_a_damaged_member_compressed_with_zstandard(tmp_path: Path) -> None:
    """Its checksum is compared."""
    path, data = tmp_path / "log", bytearray((DATA / "inspect.eval").read_bytes())
    with zipfile.ZipFile(DATA / "inspect.eval") as archive:
        place = archive.getinfo("samples/hexl-001:control_epoch_1.json").header_offset
    for shift in range(200, 1200, 50):
        changed = data[:]
        changed[place + shift] ^= 0x10
        path.write_bytes(changed)
        assert ", samples/hexl-001:control_epoch_1.json: damaged" in _error(path)


def test_columns_are_for_tables(tmp_path: Path) -> None:
    """Elsewhere they would be ignored."""
    WRITERS["lm-eval"](tmp_path / "log", ROWS)
    with pytest.raises(SettingsError, match="columns are for tables, and this is one of lm-eval"):
        read_log(tmp_path / "log", None, Columns("prompt"))
    WRITERS["csv"](tmp_path / "t", ROWS)
    assert "no column 'q'; it has prompt, generation" in _error(tmp_path / "t", Columns("q"))
    assert "no column 'n'" in _error(tmp_path / "t", Columns(id="n"))


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 2."""
    path = tmp_path / "log"
    WRITERS["inspect eval"](path, ROWS)
    path.write_bytes(path.read_bytes()[:-30])
    assert main(["score", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a zip archive that is damaged or cut short" in error
