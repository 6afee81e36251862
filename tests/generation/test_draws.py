"""The warped distribution, the draws and their keys."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from exleak import SettingsError
from exleak.generation import draws
from exleak.generation.draws import BROKEN, draw, next_tokens, penalise, uniforms, warp
from exleak.generation.sampling import Sampling

LOGITS = st.one_of(st.floats(-20, 20, width=32), st.sampled_from([-math.inf, 0.0, 1.0, 1.0, -3.0]))


def theirs(logits: torch.Tensor, seen: list[int], settings_: Sampling) -> torch.Tensor:
    """The distribution that transformers' own processors give."""
    processors = LogitsProcessorList()
    if settings_.repetition_penalty != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(settings_.repetition_penalty))
    if settings_.temperature != 1:
        processors.append(TemperatureLogitsWarper(settings_.temperature))
    if settings_.top_k:
        processors.append(TopKLogitsWarper(settings_.top_k))
    if settings_.top_p < 1:
        processors.append(TopPLogitsWarper(settings_.top_p))
    ids = torch.tensor([seen])
    warped: torch.Tensor = processors(ids, logits.clone().unsqueeze(0))
    return warped.softmax(dim=-1)[0]


def ours(logits: torch.Tensor, seen: list[int], settings_: Sampling) -> torch.Tensor:
    """The distribution that `penalise` and `warp` give, over the whole vocabulary."""
    ids, mass = warp(penalised(logits, seen, settings_), settings_)
    return torch.zeros(len(logits)).scatter_(0, ids[0], mass[0])


def penalised(logits: torch.Tensor, seen: list[int], settings_: Sampling) -> torch.Tensor:
    """The penalised logits as a row."""
    tokens = torch.tensor([seen])
    return penalise(logits.clone().unsqueeze(0), tokens, settings_.repetition_penalty)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_warping_equals_transformers(data: st.DataObject) -> None:
    """Penalty, temperature, top-k and top-p give transformers' distribution, ties included."""
    values = data.draw(
        st.lists(LOGITS, min_size=1, max_size=40).filter(
            lambda found: any(math.isfinite(value) for value in found)
        )
    )
    logits = torch.tensor(values, dtype=torch.float32)
    seen = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=5))
    chosen = Sampling(
        top_p=data.draw(st.sampled_from([0.05, 0.5, 0.9, 1.0])),
        top_k=data.draw(st.sampled_from([0, 1, 3, 50])),
        temperature=data.draw(st.sampled_from([0.3, 1.0, 2.0])),
        repetition_penalty=data.draw(st.sampled_from([0.8, 1.0, 1.1, 1.5])),
    )
    torch.testing.assert_close(
        by_logit(logits, seen, chosen, ours(logits, seen, chosen)),
        by_logit(logits, seen, chosen, theirs(logits, seen, chosen)),
        atol=1e-6,
        rtol=1e-5,
    )


def by_logit(
    logits: torch.Tensor, seen: list[int], settings_: Sampling, mass: torch.Tensor
) -> torch.Tensor:
    """Probabilities in order of logit; which of several equal logits is kept is left open.

    Where the nucleus ends among equal logits, transformers' sort picks any of them; ours is stable.
    """
    values = penalised(logits, seen, settings_)[0].tolist()
    order = sorted(range(len(logits)), key=lambda i: (values[i], float(mass[i])))
    return mass[order]


def test_candidates_are_in_order_of_their_ids() -> None:
    """Two nearly equal probabilities must not swap places under rounding: ids set the order."""
    ids, _ = warp(torch.randn(5, 400), Sampling())
    assert ids.shape == (5, 50)
    assert bool((ids[:, 1:] > ids[:, :-1]).all())


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(-6, 6), min_size=80, max_size=80), min_size=1, max_size=5),
    top_k=st.sampled_from([1, 3, 10, 50]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    data=st.data(),
)
def test_a_row_draws_the_same_alone_and_among_others(
    rows: list[list[int]], top_k: int, dtype: torch.dtype, data: st.DataObject
) -> None:
    """Few ties or many, seen in time or too late: the token is that of the whole distribution."""
    chosen, count = Sampling(top_k=top_k), len(rows)
    logits = torch.tensor(rows, dtype=torch.float32)
    tokens = torch.tensor([[row % 80, 3, 3] for row in range(count)])
    uniform = torch.tensor(
        data.draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=count, max_size=count)),
        dtype=torch.float64,
    )
    drawn, listed = next_tokens(logits.clone().to(dtype), tokens, chosen, uniform)
    assert drawn.tolist() == listed
    for row in range(count):
        here = slice(row, row + 1)
        values = penalise(logits[here].to(dtype).float(), tokens[here], chosen.repetition_penalty)
        ids, mass = warp(values, chosen)
        assert listed[row] == int(draw(ids, mass, uniform[here]))


def test_a_row_is_drawn_twice_only_for_its_ties(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second draw has to wait for the device; without ties there is none."""
    spares: list[int | None] = []
    once = draws._draw_once

    def noted(*arguments: Any) -> torch.Tensor:
        spares.append(arguments[-1])
        return once(*arguments)

    monkeypatch.setattr(draws, "_draw_once", noted)
    torch.manual_seed(0)
    logits, tokens = torch.randn(4, 300), torch.zeros(4, 1, dtype=torch.long)
    for dtype in (torch.float32, torch.bfloat16):
        next_tokens(logits.clone().to(dtype), tokens, Sampling(), torch.full((4,), 0.5))
    assert None not in spares
    logits[2] = 1.0
    next_tokens(logits, tokens, Sampling(), torch.full((4,), 0.5))
    assert spares.count(None) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_broken_logits_are_told_row_by_row(value: float) -> None:
    """The other rows draw as they would without that one."""
    torch.manual_seed(0)
    logits = torch.randn(3, 90)
    tokens, uniform = torch.zeros(3, 1, dtype=torch.long), torch.full((3,), 0.5)
    sound = next_tokens(logits.clone(), tokens, Sampling(), uniform)[1]
    logits[1] = value
    for top_k in (0, 50):
        found = next_tokens(logits.clone(), tokens, Sampling(top_k=top_k), uniform)[1]
        assert found[1] == BROKEN
    assert [found[0], found[2]] != [BROKEN, BROKEN]
    found = next_tokens(logits.clone(), tokens, Sampling(), uniform)[1]
    assert [found[0], found[2]] == [sound[0], sound[2]]


def numbers(count: int, prompt: str = "a prompt") -> torch.Tensor:
    """One uniform number for each of `count` generation indices, at positions 0 to 9."""
    keys = torch.tensor([draws.stream(0, prompt, index) for index in range(count // 10)])
    return torch.cat([uniforms(keys, torch.full_like(keys, at)) for at in range(10)])


def chi_square(uniform: torch.Tensor, probabilities: torch.Tensor) -> float:
    """p-value of the drawn frequencies against the distribution."""
    count = len(uniform)
    ids = torch.arange(len(probabilities)).expand(count, -1)
    tokens = draw(ids, probabilities.expand(count, -1), uniform)
    seen = torch.bincount(tokens, minlength=len(probabilities))
    kept = probabilities > 0
    assert int(seen[~kept].sum()) == 0
    expected = probabilities[kept].double() / probabilities[kept].double().sum() * count
    return float(stats.chisquare(seen[kept].numpy(), expected.numpy()).pvalue)


def test_draws_follow_the_distribution() -> None:
    """A million draws fit the warped distribution."""
    torch.manual_seed(1)
    _, mass = warp(torch.randn(1, 400) * 2, Sampling())
    assert chi_square(numbers(1_000_000), mass[0]) > 1e-4


def test_a_weak_hash_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key and a mixer that hardly mix no longer fit: the test above can fail."""
    torch.manual_seed(1)
    _, mass = warp(torch.randn(1, 400) * 2, Sampling())
    monkeypatch.setattr(draws, "stream", lambda seed, prompt, index: seed + index)
    monkeypatch.setattr(draws, "_MULTIPLIERS", (1, 1))
    assert chi_square(numbers(1_000_000), mass[0]) < 1e-6


def test_streams_are_uncorrelated() -> None:
    """Neighbouring indices, positions and seeds share nothing."""
    keys = torch.tensor([draws.stream(0, "p", index) for index in range(20_000)])
    zeros = torch.zeros_like(keys)
    first, second = uniforms(keys, zeros), uniforms(keys, zeros + 1)
    other = uniforms(torch.tensor([draws.stream(1, "p", i) for i in range(20_000)]), zeros)
    for left, right in ((first, second), (first[1:], first[:-1]), (first, other)):
        correlation = float(torch.corrcoef(torch.stack([left, right]))[0, 1])
        assert abs(correlation) < 0.03


def test_uniform_numbers_do_not_depend_on_their_neighbours() -> None:
    """A row's number is the same alone as in a batch."""
    keys = torch.tensor([draws.stream(3, "x", index) for index in range(100)])
    positions = torch.arange(100)
    alone = [uniforms(keys[i : i + 1], positions[i : i + 1]) for i in range(100)]
    assert torch.equal(torch.cat(alone), uniforms(keys, positions))


def test_the_largest_uniform_never_draws_a_removed_token() -> None:
    """The last candidate may have probability 0; it is not drawn even at the very end."""
    ids = torch.arange(3).unsqueeze(0)
    token = draw(ids, torch.tensor([[0.3, 0.7, 0.0]]), torch.tensor([1 - 2**-53]))
    assert token.tolist() == [1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generations", 0),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("temperature", 0.0),
        ("repetition_penalty", 0.0),
        ("max_new_tokens", 0),
        ("seed", -1),
        ("seed", 1.0),
        ("generations", 2.5),
        ("generations", "10"),
        ("top_p", "0.9"),
        ("top_k", True),
        ("temperature", None),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: object) -> None:
    """The message names the setting."""
    with pytest.raises(SettingsError, match=name):
        Sampling(**{name: value})  # type: ignore[arg-type]


def test_equal_numbers_are_equal_settings() -> None:
    """Of whatever kind: the store knows continuations by the text of their settings."""
    found = Sampling(generations=np.int64(10), temperature=1, top_p=np.float64(0.9))  # type: ignore[arg-type]
    assert json.dumps(found.to_json()) == json.dumps(Sampling().to_json())
