"""A/A: one model under different seeds, as control against control, through the whole pipeline.

Where nothing differs, rates are one half and p-values uniform. Enough repetitions to see a bias
of .02 in the rates.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy import stats

import exleak
from exleak.generation.dataset import generate_rows
from exleak.generation.local.source import LoadedSource
from exleak.measurement import score
from exleak.records import Dataset, Measurement, PromptGenerations
from exleak.scoring import load_instrument
from exleak.store import Store

REPETITIONS, GENERATIONS = 40, 1
CONDITIONS = ("control", "positive", "negative")


def controls() -> Dataset:
    """HEXL's control prompts, each standing in every condition's place."""
    full = exleak.load_dataset("hexl")
    prompts = tuple(prompt for prompt in full.prompts if prompt.condition == "control")
    controls: Any = SimpleNamespace(prompts=prompts, samples=full.samples)
    return cast(Dataset, controls)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Measurement]:
    """Repeated measurements under three seeds: control, positive and negative.

    All generations of a seed are made at once; each repetition takes its own.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, instrument = exleak.load_model("reference-clean"), load_instrument("embedded")
    store = Store(tmp_path_factory.mktemp("scores"))
    made = {
        condition: generate_rows(
            LoadedSource(model),
            controls(),
            exleak.Sampling(generations=REPETITIONS * GENERATIONS, seed=seed),
        ).rows
        for seed, condition in enumerate(CONDITIONS)
    }
    score(_rows(made, slice(None)), instrument, store=store)
    found = [
        score(_rows(made, slice(first, first + GENERATIONS)), instrument, store=store)
        for first in range(0, REPETITIONS * GENERATIONS, GENERATIONS)
    ]
    torch.set_num_threads(threads)
    return found


def _rows(made: dict[str, tuple[PromptGenerations, ...]], taken: slice) -> list[PromptGenerations]:
    return [
        replace(
            row,
            id=f"{row.id}:{condition}",
            control=None if condition == "control" else f"{row.id}:control",
            condition=cast(Any, condition),
            concept=None,
            generations=row.generations[taken],
        )
        for condition, rows in made.items()
        for row in rows
    ]


@pytest.mark.parametrize("name", ["rate", "superiority", "directional"])
def test_rates_are_one_half(name: str, runs: list[Measurement]) -> None:
    """Within three standard errors, which are small enough to see a bias of .02."""
    values = np.array(
        [
            run.expression.rate if name == "rate" else getattr(run.expression, name).rate
            for run in runs
        ]
    )
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    assert 2 * error < 0.02
    assert abs(float(values.mean()) - 0.5) < 3 * error


def test_p_values_are_uniform(runs: list[Measurement]) -> None:
    """W_EL and the directional test reject as often as they say."""
    for p_values in (
        [run.expression.p_value for run in runs],
        [run.expression.directional.p_value for run in runs],
    ):
        assert all(value is not None for value in p_values)
        assert stats.kstest(p_values, "uniform").pvalue > 0.001
