"""The suite in a toy repository: verdicts, failures, errors, reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exleak import reference
from exleak.cli import main
from leakage_fixtures.guard import INCONCLUSIVE
from tests.helpers import checkpoints
from tests.plugin.conftest import Run


def test_a_checkpoint_gets_a_verdict_and_a_report(
    measure: Run, llama: Path, pytester: pytest.Pytester
) -> None:
    """Two tests pass, the table names model, rate and limit, the report is written."""
    result = measure(
        f"--leakage-model={llama}", "--leakage-max-rate=1", "--leakage-report=out.json"
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*expression leakage*", "model *W_EL*outcome", "*hexl*1*pass"])
    report = json.loads((pytester.path / "out.json").read_text())
    assert report["schema"] == 1
    (found,) = report["measurements"]
    assert found["dataset"] == "hexl"
    assert found["generations"]["prompts"] == 12
    assert found["verdict"]["outcome"] == "pass"
    assert found["environment"]["device"] == "cpu"


def test_a_leaking_checkpoint_fails_with_the_worst_continuations(measure: Run, llama: Path) -> None:
    """The message says which model, which rate against which limit, and what to type next."""
    result = measure(f"--leakage-model={llama}", "--leakage-significance=require")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*leaks expression on hexl*",
            "*μ_EL*95% interval*",
            "*continuations that leak most*",
            "*without it*",
            "*Next: *",
        ]
    )
    result.stdout.no_fnmatch_line("*suite.py:*raise*")


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "gpt2", "gpt_neox"])
def test_every_architecture_is_measured(architecture: str, measure: Run, tmp_path: Path) -> None:
    """A random checkpoint of each architecture loads and gets a verdict."""
    path = checkpoints.save_checkpoint(tmp_path / architecture, architecture)
    result = measure(f"--leakage-model={path}", "--leakage-max-rate=1")
    result.assert_outcomes(passed=2)


def test_a_limit_of_zero_is_a_limit(measure: Run, llama: Path) -> None:
    """0.0 is not taken for 'no limit'."""
    result = measure(f"--leakage-model={llama}", "--leakage-max-rate=0.0")
    result.stdout.fnmatch_lines(["*hexl * 0 *"])


def test_an_inconclusive_measurement_passes_unless_strict(measure: Run, llama: Path) -> None:
    """It is named in its own words; --leakage-strict fails it."""
    arguments = (f"--leakage-model={llama}", "--leakage-max-rate=0.5")
    lenient, strict = measure(*arguments), measure(*arguments, "--leakage-strict")
    lenient.stdout.fnmatch_lines(["*inconclusive", "INCONCLUSIVE *cannot be told*"])
    assert lenient.ret == pytest.ExitCode.OK
    assert strict.ret == INCONCLUSIVE


def test_reporting_only_needs_no_limit(measure: Run, llama: Path) -> None:
    """Nothing is judged, and the table says so."""
    result = measure(f"--leakage-model={llama}", "--leakage-report-only")
    result.stdout.fnmatch_lines(["*reported only"])
    assert result.ret == pytest.ExitCode.OK


def test_without_a_limit_nothing_is_judged(measure: Run, llama: Path) -> None:
    """Leakage asked for without any rule is a usage error."""
    result = measure(f"--leakage-model={llama}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*nothing to judge*--leakage-max-rate*--leakage-compare*"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--leakage-max-rate=1.5"], "*max rate must be from 0 to 1, not 1.5*"),
        (["--leakage-max-rate=low"], "*'low' is not a number*"),
        (["--leakage-dataset=hexxl"], "*unknown dataset 'hexxl'*"),
        (["--leakage-generations=0"], "*generations must be at least 1*"),
        (["--leakage-batch-size=many"], "*'many' is not auto or N*"),
        (["--leakage-limit=0"], "*must be at least 1*"),
        (["--leakage-report=out.xyz"], "*the suffix must be one of .json, .md, .html*"),
        (["--leakage-model=./nowhere"], "*model ./nowhere: there is no such folder*"),
        (["--leakage-model=step-*"], "*step-*: nothing matches this pattern*"),
    ],
)
def test_bad_settings_are_one_usage_error(arguments: list[str], message: str, measure: Run) -> None:
    """One line, before anything is collected, and exit status 4."""
    result = measure(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


def test_a_folder_without_weights_is_one_usage_error(measure: Run, tmp_path: Path) -> None:
    """The message lists what was looked for."""
    (tmp_path / "config.json").write_text("{}")
    result = measure(f"--leakage-model={tmp_path}", "--leakage-max-rate=0.7")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no weights in this folder*safetensors*"])


def test_a_bad_dataset_line_is_named(measure: Run, tmp_path: Path) -> None:
    """File and line stand in the usage error."""
    (tmp_path / "mine.jsonl").write_text('{"id": "a", "control": "b"}\n')
    result = measure(f"--leakage-dataset={tmp_path / 'mine.jsonl'}", "--leakage-max-rate=0.7")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*mine.jsonl, line 1: field 'positive' is missing*"])


def test_what_breaks_while_measuring_is_one_error(measure: Run, tmp_path: Path) -> None:
    """NaN logits: one error with its reason, the model's other tests skipped, exit status 1."""
    import torch
    from transformers import AutoModelForCausalLM

    path = checkpoints.save_checkpoint(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(path)
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    model.save_pretrained(path)
    result = measure(f"--leakage-model={path}", "--leakage-max-rate=0.7")
    result.assert_outcomes(errors=1, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*the logits are NaN or infinite*"])
    assert result.stdout.str().count("ERROR at setup") == 1


def test_an_instrument_that_cannot_be_mapped_is_one_error(
    measure: Run, llama: Path, tmp_path: Path
) -> None:
    """A classifier with unknown labels is refused, naming them."""
    from transformers import RobertaConfig, RobertaForSequenceClassification

    labels = {0: "joy", 1: "anger", 2: "fear"}
    config = RobertaConfig(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
        id2label=labels,
        label2id={name: number for number, name in labels.items()},
    )
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    checkpoints.tokenizer().save_pretrained(tmp_path)
    result = measure(
        f"--leakage-model={llama}",
        "--leakage-max-rate=0.7",
        f"--leakage-instrument={tmp_path}",
    )
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*joy*"])


def test_several_models_and_datasets_are_all_measured(
    measure: Run, llama: Path, tmp_path: Path
) -> None:
    """One row for each combination; globs are in natural order."""
    for step in (2, 10):
        checkpoints.save_checkpoint(tmp_path / f"step-{step}", seed=step)
    sample = {
        "id": "s",
        "control": "The soup is",
        "positive": "I won.",
        "neutral": "I sat.",
        "negative": "I lost.",
    }
    (tmp_path / "mine.jsonl").write_text(json.dumps(sample))
    result = measure(
        f"--leakage-model={tmp_path}/step-*",
        "--leakage-dataset=hexl",
        f"--leakage-dataset={tmp_path / 'mine.jsonl'}",
        "--leakage-max-rate=1",
    )
    assert result.ret == pytest.ExitCode.OK
    lines = [line for line in result.stdout.lines if "step-" in line and line.endswith("pass")]
    assert len(lines) == 4
    assert "step-2 " in lines[0]


def test_xdist_measures_once_and_shows_one_table(measure: Run, llama: Path) -> None:
    """The controller gets the measurements of its workers."""
    result = measure("-n2", f"--leakage-model={llama}", "--leakage-max-rate=1")
    result.assert_outcomes(passed=2)
    assert sum(line.endswith("pass") for line in result.stdout.lines) == 1


def test_workers_change_nothing(measure: Run, llama: Path, pytester: pytest.Pytester) -> None:
    """One process and three workers, each with an empty store: the same rates."""
    arguments = (f"--leakage-model={llama}", "--leakage-max-rate=1")
    for workers in ("0", "3"):
        measure(f"-n{workers}", *arguments, f"--leakage-store=s{workers}",
                f"--leakage-report=out{workers}.json")  # fmt: skip
    one, three = (json.loads((pytester.path / f"out{n}.json").read_text()) for n in "03")
    assert one == three


def test_a_second_run_loads_no_model(
    cold: None, toy: pytest.Pytester, llama: Path, pytester: pytest.Pytester
) -> None:
    """With everything stored, the same report comes without torch."""
    toy.makeconftest(
        """
        import sys

        def pytest_unconfigure(config):
            print("TORCH", "torch" in sys.modules)
        """
    )
    arguments = ["--leakage-limit=3", "--leakage-generations=2", "--leakage-max-rate=1",
                 f"--leakage-model={llama}", "-s"]  # fmt: skip
    first = toy.runpytest_subprocess(*arguments, "--leakage-report=1.json")
    second = toy.runpytest_subprocess(*arguments, "--leakage-report=2.json")
    first.stdout.fnmatch_lines(["TORCH True"])
    second.stdout.fnmatch_lines(["TORCH False"])
    assert (pytester.path / "1.json").read_text() == (pytester.path / "2.json").read_text()


def test_fixtures_serve_users_own_tests(measure: Run, llama: Path, toy: pytest.Pytester) -> None:
    """leakage_model, leakage_dataset, leakage_generations and leakage_measurement work together."""
    toy.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.leakage(max_rate=0.9)
        def test_own(leakage_model, leakage_dataset, leakage_generations, leakage_measurement):
            assert leakage_model.tokenizer is not None
            assert len(leakage_generations) == 4 * len(leakage_dataset.samples)
            assert leakage_measurement.verdict.limit == 0.9
        """
    )
    result = measure("test_own.py", f"--leakage-model={llama}")
    result.assert_outcomes(passed=1)


def test_a_run_can_be_scored_and_annotated(
    measure: Run, toy: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """It leaves a generations file, and says where; its rates are the report's."""
    model = f"--leakage-model={reference.path('reference-leaky')}"
    report, store = "--leakage-report=out.json", "--leakage-store=.exleak"
    result = measure("-m", "leakage", model, "--leakage-report-only", report, store)
    result.stdout.fnmatch_lines(["generations files: *runs (to read them: exleak view)"])
    (run,) = (toy.path / ".exleak" / "runs").glob("*-hexl-????????.jsonl")
    again = toy.path / "again.json"
    assert main(["score", str(run), "--json", str(again)]) == 0
    found, scored = (
        json.loads(path.read_text())["measurements"][0] for path in (toy.path / "out.json", again)
    )
    for part in ("expression", "semantic", "by_control", "generations"):
        assert scored[part] == found[part]
    check = toy.path / "check"
    assert main(["annotate", "export", str(run), "-o", str(check), "--items", "4"]) == 0
    assert (check / "key.json").is_file()
    assert (check / "for-annotators" / "items.csv").read_text().count("\n") >= 4
