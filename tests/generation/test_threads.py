"""Several engines on threads of their own: the same texts, and errors that come through."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from exleak import ModelError, Sampling
from exleak.generation.local import threads
from exleak.generation.local.engine import Engine
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.local.threads import shares, threads_for
from exleak.generation.requests import Continued, Counts, Request

PROMPTS = [f"{'So ' * number}the road" for number in range(9)]
SHORT = Sampling(generations=4, max_new_tokens=16)


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four threads, and lanes worth it from two rows on, to the last one."""
    monkeypatch.setattr(threads, "_ROWS", 2)
    monkeypatch.setattr(threads, "_FEW", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def requests() -> list[Request]:
    """Four continuations of each prompt."""
    return [Request(prompt, tuple(range(4))) for prompt in PROMPTS]


def run(model: LocalModel, size: int, counts: Counts | None = None) -> set[Continued]:
    """Every continuation."""
    found = list(continue_prompts(model, requests(), SHORT, batch_size=size, counts=counts))
    assert len(found) == 4 * len(PROMPTS)
    return set(found)


def test_lanes_change_nothing(
    llama_model: LocalModel, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One, two or four lanes: the same texts, as many tokens, the same number of threads after."""
    threads = set()
    step = Engine._step

    def noted(self: Engine) -> list[Continued]:
        threads.add((threading.current_thread().name, torch.get_num_threads()))
        return step(self)

    monkeypatch.setattr(Engine, "_step", noted)
    counted = [Counts(), Counts(), Counts()]
    texts = [
        run(llama_model, size, counts) for size, counts in zip((3, 5, 32), counted, strict=True)
    ]
    assert texts[0] == texts[1] == texts[2]
    assert len({counts.useful for counts in counted}) == 1
    assert len(threads) == 1 + 2 + 4
    assert {own for _, own in threads} == {1}
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("rest", [4, 9, 1000])
def test_the_last_rows_go_on_together(
    rest: int, llama_model: LocalModel, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one thread, with the texts that they have apart."""
    monkeypatch.setattr("exleak.generation.local.engine.may_end", lambda piece: True)
    monkeypatch.setattr("exleak.generation.local.engine.is_settled", lambda piece: True)
    monkeypatch.setattr("exleak.generation.local.engine._SHRINK", 0.5)  # some slots stay, dead
    wanted = [replace(r, is_complete=lambda text: len(text) % 7 == 4) for r in requests()]
    expected = set(continue_prompts(llama_model, wanted, SHORT, batch_size=3))
    join, left = Engine.join, []

    def noted(self: Engine, others: Sequence[Engine]) -> None:
        left.append([len(engine.live) for engine in (self, *others)])
        join(self, others)
        assert len(self.live) == sum(left[-1])
        assert sorted([*self.live, *self.free]) == list(range(self.size))

    size = sum(parameter.numel() for parameter in llama_model.model.parameters())
    monkeypatch.setattr(threads, "_FEW", rest * size)
    monkeypatch.setattr(Engine, "join", noted)
    found = list(continue_prompts(llama_model, wanted, SHORT, batch_size=20))
    assert len(found) == len(expected)
    assert set(found) == expected
    assert len(left) == 1
    assert 0 < sum(left[0]) <= rest
    assert max(left[0]) <= rest / 4


@pytest.mark.parametrize("lengths", [(300, 3), (3, 300), (20, 3, 200, 4, 4, 10)])
def test_lanes_of_very_different_lengths_join(
    lengths: tuple[int, ...],
    llama_model: LocalModel,
    four_threads: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that never had a long prompt has no memory for one either."""
    wanted = [Request("x" * length, tuple(range(8))) for length in lengths]
    expected = set(continue_prompts(llama_model, wanted, SHORT, batch_size=1))
    monkeypatch.setattr(threads, "_FEW", 2**25)
    assert set(continue_prompts(llama_model, wanted, SHORT, batch_size=600)) == expected


def test_a_large_model_has_no_lanes(
    llama_model: LocalModel, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch shares out its operations; one engine runs where it was called."""
    assert threads_for(llama_model, 100) == 4
    monkeypatch.setattr(threads, "_SMALL", 1000)
    assert threads_for(llama_model, 100) == 0
    monkeypatch.setattr(threads, "run_threads", None)
    run(llama_model, 32)


def test_every_request_is_in_one_share() -> None:
    """Numbers stay, lengths are dealt out evenly."""
    dealt = shares(requests(), 4)
    wanted = [[bool(request.indices) for request in share] for share in dealt]
    assert [sum(column) for column in zip(*wanted, strict=True)] == [1] * len(PROMPTS)
    assert {sum(row) for row in wanted} == {2, 3}
    assert all([r.text for r in share] == PROMPTS for share in dealt)


def test_an_error_in_one_lane_ends_the_run(
    llama_model: LocalModel, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes out as it is; no thread goes on."""
    step = Engine._step

    def failing(self: Engine) -> list[Continued]:
        if any(request.indices and request.text == PROMPTS[4] for request in self.requests):
            raise ModelError("model x: the logits are nan")
        return step(self)

    monkeypatch.setattr(Engine, "_step", failing)
    before = threading.active_count()
    with pytest.raises(ModelError, match="logits are nan"):
        run(llama_model, 32)
    assert threading.active_count() == before
    assert torch.get_num_threads() == 4


def test_a_run_that_is_left_stops(
    llama_model: LocalModel, four_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing the generator ends every lane, long before it is done."""
    before, step, steps = set(threading.enumerate()), Engine._step, []

    def slow(self: Engine) -> list[Continued]:
        time.sleep(0.02)
        steps.append(self)
        return step(self)

    monkeypatch.setattr(Engine, "_step", slow)
    long = Sampling(generations=4, max_new_tokens=400)
    found = continue_prompts(llama_model, requests(), long, batch_size=32)
    next(found)
    found.close()
    # A thread that an earlier test left may have ended meanwhile.
    assert set(threading.enumerate()) <= before
    assert len(steps) < 600
