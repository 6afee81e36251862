"""Parquet has every continuation with its scores: the report's rates follow from it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

import exleak
from exleak.cli import main
from exleak.errors import DatasetError, ReportError
from exleak.measurement import scored_continuations
from exleak.records import Measurement, PromptGenerations
from exleak.reports import parquet, write_report
from exleak.store import write_generations
from tests.helpers.instruments import WORDS
from tests.helpers.measurements import hostile_rows, measurement, random_rows
from tests.helpers.runs import topical_rows


def written(rows: tuple[PromptGenerations, ...], path: Path) -> Measurement:
    """Write the continuations of a run; its measurement."""
    found = tuple(scored_continuations(rows, WORDS))
    path.write_bytes(parquet.render([parquet.Run("m", "hexl", WORDS.name, WORDS.hash, found)]))
    return exleak.score(rows, WORDS)


def test_rates_follow_from_the_rows(tmp_path: Path) -> None:
    """Read by pandas, means and the share of pairs with EL equal the report."""
    pandas = pytest.importorskip("pandas")
    rows = random_rows(12, seed=1)
    found = written(rows, tmp_path / "out.parquet")
    table = pandas.read_parquet(tmp_path / "out.parquet")
    assert len(table) == sum(len(row.generations) for row in rows) == 480
    means = table.groupby("id")[["negative", "neutral", "positive"]].mean().round(9)
    tests = table[table.condition.isin(["positive", "negative"])].drop_duplicates("id")
    leaks = [
        means.loc[row.id, row.condition] > means.loc[row.control, row.condition]
        for row in tests.itertuples()
    ]
    assert sum(leaks) / len(leaks) == pytest.approx(found.expression.rate, abs=1e-9)
    restating = table[table.condition.isin(["positive", "negative"])].restates.dropna()
    assert found.expression.carry_over is not None
    assert restating.astype(float).mean() == pytest.approx(
        found.expression.carry_over.share.rate, abs=1e-9
    )


def test_every_field_is_read_back(tmp_path: Path) -> None:
    """By pyarrow, as what was scored; a control has neither similarity nor restatement."""
    rows = tuple(topical_rows(4, 3))
    written(rows, tmp_path / "out.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.schema.names == [name for name, _ in parquet.COLUMNS]
    scored = list(scored_continuations(rows, WORDS))
    for found, item in zip(table.to_pylist(), scored, strict=True):
        assert (found["id"], found["index"]) == (item.row.id, item.index)
        assert found["generation"] == item.row.generations[item.index]
        assert found["sentence"] == item.generation.sentence
        assert item.scores is not None
        assert [found[name] for name in ("negative", "neutral", "positive", "similarity")] == [
            item.scores.negative, item.scores.neutral, item.scores.positive,
            item.scores.similarity,
        ]  # fmt: skip
        is_control = found["condition"] == "control"
        assert (found["similarity"] is None) is is_control
        assert (found["restates"] is None) is is_control
    assert any(found["restates"] for found in table.to_pylist())


def test_unusable_ones_are_there_without_scores(tmp_path: Path) -> None:
    """Null, not NaN; and hostile texts are as they were, but for halves of characters."""
    rows = hostile_rows()
    found = written(rows, tmp_path / "out.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    unusable = [row for row in table if not row["usable"]]
    assert len(unusable) == found.generations["unusable"] + found.generations["task_talk"] > 0
    assert all(row["positive"] is None and row["restates"] is None for row in unusable)
    texts = {row["generation"] for row in table}
    assert "\x1b[31mred\x1b[0m and \x1b]0;a title\x07 good" in texts
    assert "half � of a � character, good" in texts


def test_the_command_scores_generations_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of several runs, with the instrument that is asked for."""
    for name in ("one", "two"):
        write_generations(tmp_path / f"{name}.jsonl", random_rows(2, seed=2))
    files, out = (
        [str(tmp_path / f"{name}.jsonl") for name in ("one", "two")],
        tmp_path / "o.parquet",
    )
    assert main(["report", *files, "-o", str(out), "--dataset=hexl"]) == 0
    assert "(160 continuations)" in capsys.readouterr().out
    rows = pyarrow.parquet.read_table(out).to_pylist()
    assert {(row["model"], row["dataset"], row["instrument"]) for row in rows} == {
        ("one", "hexl", "embedded"), ("two", "hexl", "embedded"),
    }  # fmt: skip
    assert main(["report", files[0], "-o", str(out), "--model=mine"]) == 0
    assert {row["model"] for row in pyarrow.parquet.read_table(out).to_pylist()} == {"mine"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.json", "-o", "o.parquet"], "a report has not every continuation"),
        (["run.jsonl", "--to", "parquet"], "parquet is no text to print"),
        (["run.jsonl", "run.jsonl", "-oo.parquet", "--model=m"], "--model names one model"),
        (["run.jsonl", "--to", "md"], "run.jsonl: not"),
        (["run.jsonl", "-oo.parquet", "--notes=x"], "parquet has no place for it"),
    ],
    ids=("report", "print", "names", "not a report", "notes"),
)
def test_what_lacks_the_input_is_told(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    write_report(tmp_path / "out.json", [measurement()])
    write_generations(tmp_path / "run.jsonl", random_rows(2, seed=2))
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o.parquet").exists()


def test_a_session_has_not_every_continuation(tmp_path: Path) -> None:
    """A measurement as Parquet is refused, with the command that can."""
    with pytest.raises(ReportError, match=r"exleak report RUN.jsonl -o OUT.parquet"):
        write_report(tmp_path / "out.parquet", [measurement()])


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is optional."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetError, match=r"Parquet needs pyarrow: pip install 'exleak\[aexl\]'"):
        parquet.render([])


def test_no_runs_are_an_empty_table(tmp_path: Path) -> None:
    """With all columns."""
    (tmp_path / "out.parquet").write_bytes(parquet.render([]))
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.num_rows == 0
    assert json.dumps(table.schema.names) == json.dumps([name for name, _ in parquet.COLUMNS])
