"""Which models a session measures, and how they are loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exleak import read_generations
from exleak.model_names import TOML
from leakage_fixtures import models
from leakage_fixtures.options import pairs
from tests.helpers import checkpoints
from tests.plugin.conftest import Run


@pytest.fixture
def lora(llama: Path, tmp_path: Path) -> Path:
    """A folder with two checkpoints of an adapter that does nothing."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(llama), config)
    for step in (9, 10):
        model.save_pretrained(str(tmp_path / "runs" / f"step-{step}"))
    return tmp_path / "runs"


def test_adapters_are_a_series_like_other_checkpoints(
    measure: Run, lora: Path, toy: pytest.Pytester
) -> None:
    """Each with its base model; that they do nothing is said of each."""
    (lora / "step-11").mkdir()
    result = measure(f"--leakage-model={lora}/step-*", "--leakage-max-rate=1")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["step-9 * pass", "step-10 * pass", "*it has no effect*"])
    result.stdout.fnmatch_lines(["NOT MEASURED *step-11: no config.json"])


def test_an_entry_says_how_its_model_is_loaded(
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    lora: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Paths are beside leakage.toml; the load table goes to transformers."""
    shutil.copytree(llama, toy.path / "base" / "final")
    shutil.copytree(lora / "step-9", toy.path / "lora")
    chat = checkpoints.tokenizer(True)
    chat.save_pretrained(toy.path / "words")
    (toy.path / "leakage.toml").write_text(
        '[models.plain]\npath = "base"\ndevice = "cpu"\nmax_rate = 1.0\ntokenizer = "words"\n'
        'system = "Be calm."\nenable_thinking = false\n'
        '[models.plain.load]\nsubfolder = "final"\nattn_implementation = "eager"\n'
        '[models.adapted]\npath = "lora"\nbase = "base/final"\ndevice = "cpu"\nmax_rate = 1.0\n'
        '[models.both]\npath = "base/final:lora"\ndevice = "cpu"\nmax_rate = 1.0\n'
    )
    monkeypatch.chdir(toy.mkdir("elsewhere"))
    result = measure(f"--rootdir={toy.path}", toy.path / "test_leakage.py")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(
        ["*plain on hexl: system prompt: Be calm.", "*template variable enable_thinking = False"]
    )


def test_a_system_prompt_is_sent_and_is_another_run(
    measure: Run, tmp_path: Path, store: Path
) -> None:
    """What was stored without it is not used."""
    model = checkpoints.save_checkpoint(tmp_path / "chat", chat=True)
    asked = [f"--leakage-model={model}", "--leakage-device=cpu", "--leakage-max-rate=1"]
    measure(*asked).assert_outcomes(passed=2)
    measure(*asked, "--leakage-system=Be calm.").assert_outcomes(passed=2)
    runs = sorted((store / "runs").glob("chat-hexl-*.jsonl"))
    texts = {tuple(row.generations for row in read_generations(run)) for run in runs}
    assert len(texts) == len(runs) == 2


def test_a_system_prompt_without_a_template_is_an_error(measure: Run, llama: Path) -> None:
    """It would not reach the model."""
    result = measure(
        f"--leakage-model={llama}", "--leakage-device=cpu", "--leakage-max-rate=1",
        "--leakage-system=Be calm.",
    )  # fmt: skip
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*a system prompt * no chat template is used*"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--leakage-template=no", "*--leakage-template: *'no'* is not a KEY=VALUE or a table*"),
        ("--leakage-load=dtype=float16", "*load: dtype is not set there, but with dtype*"),
    ],
)
def test_a_malformed_setting_is_a_usage_error(
    measure: Run, llama: Path, option: str, message: str
) -> None:
    """Before anything is loaded."""
    result = measure(f"--leakage-model={llama}", "--leakage-max-rate=1", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_paths_are_beside_leakage_toml(tmp_path: Path) -> None:
    """Also one that is missing, if its first folder is there; other names are left as they are."""
    (tmp_path / "out" / "lora").mkdir(parents=True)
    (tmp_path / "org").mkdir()
    toml = tmp_path / TOML
    assert models._beside(toml, "out/lora") == str(tmp_path / "out/lora")
    assert models._beside(toml, "out/latest") == str(tmp_path / "out/latest")
    assert models._beside(toml, "a/base:out/lora") == f"a/base:{tmp_path / 'out/lora'}"
    for name in ("other/model", "org/model@main", "~/latest", "/nowhere/latest", "reference-leaky"):
        assert models._beside(toml, name) == name


def test_values_are_json_or_text() -> None:
    """As a shell gives them."""
    assert pairs(["a=false", "b=yes", "c=[1, 2]", "d=x=y"]) == {
        "a": False, "b": "yes", "c": [1, 2], "d": "x=y",
    }  # fmt: skip


def test_revisions_are_a_series(
    measure: Run, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the hub's cache, in natural order; a pattern that matches none names some."""
    checkpoints.use_cache(tmp_path, monkeypatch)
    for revision in ("main", "step-10", "step-9"):
        folder = checkpoints.snapshot(tmp_path, "org/name", revision)
        shutil.copytree(llama, folder, dirs_exist_ok=True)
    result = measure(
        "--leakage-model=org/name@step-*", "--leakage-device=cpu", "--leakage-max-rate=1"
    )
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["org/name@step-9 *", "org/name@step-10 *"])
    result = measure("--leakage-model=org/name@v*", "--leakage-max-rate=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no revision of org/name in the hub's cache * (there: main, *"])
