"""Seconds and memory: with known prices, a run takes what was foretold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import exleak
from exleak.errors import SettingsError
from exleak.generation.dataset import generate_rows, missing
from exleak.generation.local.memory import row_bytes
from exleak.generation.local.model import LocalModel
from exleak.generation.requests import Counts
from exleak.generation.sampling import Sampling
from exleak.planning import cost as planning
from exleak.planning import trial
from exleak.planning.cost import cost
from exleak.planning.trial import Part, Trial
from exleak.sources import source_of
from exleak.store import Store

A_STEP, A_TOKEN = 0.5, 0.01
SETTINGS = Sampling(generations=4, max_new_tokens=24)
DATA = exleak.load_dataset("hexl", limit=24)


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part of a trial takes what its steps and tokens are said to cost."""
    run = trial._run

    def slow(*arguments: object) -> Part:
        part = run(*arguments)  # type: ignore[arg-type]
        return replace(part, seconds=price(part.counts))

    monkeypatch.setattr(trial, "_run", slow)


def price(counts: Counts) -> float:
    """The seconds of some work."""
    return A_STEP * counts.steps + A_TOKEN * (counts.computed + counts.prefilled)


def price_of_run(model: LocalModel, size: int | None) -> float:
    """The seconds of the whole run."""
    source, counts = source_of(model), Counts()
    requests = [request for _, request in missing(source, DATA, SETTINGS)]
    list(source.backend.continue_prompts(requests, SETTINGS, batch_size=size, counts=counts))
    return price(counts)


@pytest.mark.parametrize("size", [None, 16])
def test_a_run_takes_what_was_foretold(
    size: int | None, priced: None, llama_model: LocalModel
) -> None:
    """From a trial of a part of it, all rows at once or refilled."""
    source = source_of(llama_model)
    found = cost(source, DATA, SETTINGS, batch_size=size, seconds=70)
    assert found.continuations == 384
    assert found.tried < 384
    assert found.generating == pytest.approx(price_of_run(llama_model, size), rel=0.2)
    assert found.rows == (size or 384)
    assert found.seconds == found.loading + found.generating + found.scoring
    assert found.scoring > 0
    assert found.to_json()["seconds"] == found.seconds


def test_a_slow_model_is_tried_on_one_sample(priced: None, llama_model: LocalModel) -> None:
    """The steps before it stand in for the missing part."""
    found = cost(source_of(llama_model), DATA, SETTINGS, batch_size=16, seconds=0.001)
    assert found.tried <= 64 + 16
    assert found.generating == pytest.approx(price_of_run(llama_model, 16), rel=0.2)


def test_what_is_stored_costs_nothing(llama: Path, tmp_path: Path) -> None:
    """A model of which nothing is missing is not even loaded."""
    few, store = exleak.load_dataset("hexl", limit=2), Store(tmp_path / "store")
    generate_rows(source_of(str(llama)), few, SETTINGS, store=store)
    source = source_of(str(llama))
    found = cost(source, few, SETTINGS, store=store)
    assert (found.continuations, found.stored, found.seconds) == (0, 32, 0)
    assert "backend" not in vars(source)
    more = cost(source, few, replace(SETTINGS, generations=6), store=store)
    assert (more.continuations, more.stored) == (16, 32)
    assert more.loading > 0


def test_nothing_is_written(llama: Path, tmp_path: Path) -> None:
    """Neither into a store nor a store itself."""
    few = exleak.load_dataset("hexl", limit=1)
    cost(source_of(str(llama)), few, SETTINGS, store=Store(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_a_server_cannot_be_tried() -> None:
    """Its time depends on who else asks it."""

    class Server:
        name, backend, chat = "m", object(), False

    with pytest.MonkeyPatch.context() as patch:
        wanted = [(DATA.prompts[0], exleak.generation.requests.Request("a", (0,)))]
        patch.setattr(planning, "missing", lambda *given, **named: wanted)
        with pytest.raises(SettingsError, match="model m is on a server"):
            cost(Server(), DATA, SETTINGS)  # type: ignore[arg-type]


def rows_bytes(model: LocalModel, lengths: Sequence[int], *, is_refilled: bool) -> int:
    """Bytes of a hundred rows with prompts of ten tokens."""
    found = Trial({}, list(lengths), 90, 0, 0, 0)
    return planning._rows_bytes(model, 10, found, 100, is_refilled)


def test_memory_is_that_of_the_widest_moment(llama_model: LocalModel) -> None:
    """Refilled rows are as wide as the longest; others become fewer as they become longer."""

    def one(tokens: int) -> int:
        return row_bytes(llama_model, tokens)[llama_model.device]

    lengths = [10] * 9 + [90]
    assert rows_bytes(llama_model, lengths, is_refilled=True) == 100 * one(100)
    assert rows_bytes(llama_model, lengths, is_refilled=False) == 100 * one(20)
    assert rows_bytes(llama_model, [90] * 9 + [10], is_refilled=False) == pytest.approx(
        100 * one(100), rel=0.11
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [((10.0, 29.0), (6100 / 7000, 90 / 7000)), ((10.0, 10.0), (0.5, 0)), ((1.0, 99.0), (0, 0.11))],
)
def test_prices_are_solved_for_and_never_below_zero(
    seconds: tuple[float, float], expected: tuple[float, float]
) -> None:
    """Where noise makes one negative, the other pays for all of the later part."""
    first = Part(seconds[0], Counts(steps=10, computed=60, prefilled=40), {})
    last = Part(seconds[1], Counts(steps=20, computed=800, prefilled=100), {})
    assert trial._prices(first, last) == pytest.approx(expected)
