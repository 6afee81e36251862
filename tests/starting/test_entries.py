"""The text of leakage.toml, read back."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exleak import reference
from exleak.errors import SettingsError
from exleak.reports.published import published
from exleak.starting.entries import entry, missing, models_text, orientation, toml_text
from exleak.starting.search import Found

#: All that TOML can express: no lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXTS, TEXTS, min_size=1))
def test_any_name_and_path_is_read_back(models: dict[str, str]) -> None:
    """Quotes, backslashes, dots, line breaks, control characters and emoji among them."""
    text = "\n".join(entry({"path": path, "device": "cpu"}, name) for name, path in models.items())
    expected = {name: {"path": path, "device": "cpu"} for name, path in models.items()}
    assert tomllib.loads(text) == {"models": expected}


@given(TEXTS, TEXTS, TEXTS.filter(bool), st.booleans())
def test_the_file_is_read_back(name: str, path: str, series: str, cuda: bool) -> None:
    """Its comments, which name the pattern of a series, do not break it."""
    text = toml_text([Found(name, path, series, 3)], cuda=cuda)
    device = {} if cuda else {"device": "cpu"}
    assert tomllib.loads(text) == {"models": {name: {"path": path} | device}}


def test_a_limit_is_left_open() -> None:
    """Without its # it is no TOML until a number stands there."""
    text = toml_text([Found("a", "runs/a")], cuda=True)
    assert text.endswith("# max_rate = …\n")
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text.replace("# max_rate = …", "max_rate = …"))


def test_without_a_model_the_reference_model_is_measured() -> None:
    """On the CPU, whatever there is, so that the next command gives a table."""
    for cuda in (True, False):
        found = tomllib.loads(toml_text([], cuda=cuda))
        assert found == {"models": {"reference-clean": {"device": "cpu"}}}


def test_a_series_is_named_as_the_shell_takes_it() -> None:
    """Quoted, and only where a comment can hold it."""
    text = models_text([Found("a", "a b/step-2", "a b/step-*", 2)], cuda=True)
    assert "# The last of 2; all of them: --leakage-model='a b/step-*'\n" in text
    assert "The last" not in models_text([Found("a", "b", "b\n*", 2)], cuda=True)


def test_the_figures_are_those_of_the_repository() -> None:
    """Each reference model's true rate, and the extremes of the paper's Table 3."""
    text = "\n".join(orientation())
    for name in reference.names():
        assert f"  {reference.true_rates(name)['rate']:.2f}  {name}: " in text
    rates = [cells["hexl"].mu for cells in published(3).values()]
    assert f"The {len(rates)} models of the paper" in text
    assert f"{min(rates):.2f} (" in text
    assert f"{max(rates):.2f} (" in text


def test_what_an_existing_file_has_is_not_missing(tmp_path: Path) -> None:
    """By path, however it is spelled; of a series, any checkpoint."""
    for path in ("a", "runs/step-1", "runs/step-2", "new"):
        (tmp_path / path).mkdir(parents=True)
    toml = tmp_path / "leakage.toml"
    toml.write_text(f"[models.mine]\npath = '{tmp_path / 'a'}'\n[models.run]\npath = 'runs/step-1'")
    models = [Found("a", "a"), Found("runs/step-2", "runs/step-2", "runs/step-*", 2)]
    assert missing(toml, [*models, Found("new", "new")]) == (Found("new", "new"),)


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    """The text can be added to the file."""
    toml = tmp_path / "leakage.toml"
    toml.write_text("[models.a]\npath = 'elsewhere'\n[models.a-2]\n")
    lacking = missing(toml, [Found("a", "a")])
    assert lacking == (Found("a-3", "a"),)
    tomllib.loads(toml.read_text() + models_text(lacking, cuda=True))


@pytest.mark.parametrize("text", ["[models", "models = 3", "[models]\na = 1", "\xff"])
def test_a_file_that_is_no_leakage_toml_is_an_error(text: str, tmp_path: Path) -> None:
    """It says what to do."""
    toml = tmp_path / "leakage.toml"
    toml.write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match="repair it, or move it"):
        missing(toml, [])
