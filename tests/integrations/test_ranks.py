"""Two processes of a distributed training measure together, and none holds the other."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exleak.errors import ModelError
from exleak.generation.local import run
from exleak.integrations.ranks import Ranks, ranks
from exleak.integrations.transformers import LeakageCallback
from exleak.store.report import read_measurements
from tests.helpers.instruments import HASHED
from tests.helpers.processes import two_processes
from tests.helpers.training import SMALL, trainer

#: Time-out of the process group in seconds, of which a rank waits for a quarter at most.
TIMEOUT = 24


CASES = ("shares", "looks", "fails", "is-slow", "hangs", "stops")


def train(checkpoint: Path, folder: Path) -> None:
    """The work of one process: a training for each case."""
    for case in CASES:
        _train(case, checkpoint, folder / case)


def _train(case: str, checkpoint: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    rank = int(os.environ["RANK"])
    limits = {"significance": "require"} if case == "stops" else None
    looks = {"limit": 8, "limits": {"max_rate": 1.0}, "adaptive": True} if case == "looks" else {}
    callback = LeakageCallback(**{**SMALL, "limits": limits, **looks}, instrument=HASHED,
                               on_fail="stop", at_start=False, at_end=False)  # fmt: skip
    given = trainer(
        checkpoint, folder, [callback], ddp_backend="gloo", ddp_timeout=TIMEOUT, max_steps=4,
        per_device_train_batch_size=1,
    )  # fmt: skip
    begun = time.monotonic()
    with _going_wrong(case if rank == 1 else ""):
        given.train()
    history = [entry for entry in given.state.log_history if "eval_leakage_rate" in entry]
    told = {"step": given.state.global_step, "seconds": time.monotonic() - begun,
            "rates": [entry["eval_leakage_rate"] for entry in history]}  # fmt: skip
    (folder / f"{rank}.json").write_text(json.dumps(told), encoding="utf-8")


@contextmanager
def _going_wrong(case: str) -> Iterator[None]:
    """Continuing prompts goes wrong in this process."""
    usual, hanging = run.continue_prompts, [TIMEOUT / 2] if case == "hangs" else []

    def unusual(*given: Any, **also: Any) -> Any:
        if hanging:
            time.sleep(hanging.pop())
        for item in usual(*given, **also):
            if case == "fails":
                raise RuntimeError("no more luck")
            time.sleep(0.5 if case == "is-slow" else 0)
            yield item

    if case in ("fails", "is-slow", "hangs"):
        run.continue_prompts = unusual
    try:
        yield
    finally:
        run.continue_prompts = usual


@pytest.fixture(scope="module")
def printed(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of all cases, and what two processes printed."""
    folder = tmp_path_factory.mktemp("ranks")
    said = two_processes("tests.integrations.test_ranks:train", llama, folder)
    return folder, said


def told(folder: Path, case: str) -> list[dict[str, Any]]:
    """What the two processes had at the end of a case."""
    files = [folder / case / f"{rank}.json" for rank in range(2)]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def test_the_texts_are_those_of_one_process(
    printed: tuple[Path, str], llama: Path, tmp_path: Path
) -> None:
    """And each rank has the same rates."""
    folder, _ = printed
    first, second = told(folder, "shares")
    assert first["rates"] == second["rates"] != []
    own = LeakageCallback(**SMALL, instrument=HASHED, at_start=False, at_end=False)
    trainer(llama, tmp_path, [own], max_steps=4).train()
    files = [place / "leakage" / "step-2.jsonl" for place in (tmp_path, folder / "shares")]
    one, two = (file.read_text(encoding="utf-8") for file in files)
    assert one == two


def test_all_ranks_take_the_same_looks(printed: tuple[Path, str]) -> None:
    """They end a measurement together, at the same look."""
    folder, _ = printed
    first, second = told(folder, "looks")
    assert first["rates"] == second["rates"] != []
    (found,) = read_measurements(folder / "looks" / "leakage" / "step-2.json")
    assert found.interim is not None
    assert found.interim.looks == 4
    # A random model may have a text that cannot be scored, which makes the whole unusable.
    assert ("limit", "pass") in [(one.rule, one.outcome) for one in found.verdict.findings]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("fails", "rank 1: RuntimeError: no more luck"),
        ("is-slow", "gave up after"),
        ("hangs", "did not come within 6 s"),
    ],
)
def test_a_rank_that_fails_does_not_hold_the_other(
    printed: tuple[Path, str], case: str, said: str
) -> None:
    """The training goes on without the metrics, well before the time-out of its own group."""
    folder, text = printed
    assert said in text
    ranks = told(folder, case)
    assert [one["step"] for one in ranks] == [4, 4]
    assert ranks[0]["rates"] == ranks[1]["rates"]
    assert len(ranks[0]["rates"]) == (case == "hangs")  # at step 4: it hangs once
    assert max(one["seconds"] for one in ranks) < TIMEOUT


def test_a_stop_stops_both(printed: tuple[Path, str]) -> None:
    """The verdict is that of one measurement."""
    assert [one["step"] for one in told(printed[0], "stops")] == [2, 2]


def test_a_single_process_waits_for_nobody() -> None:
    """Without torch.distributed nothing is shared."""
    with ranks(1.0) as alone:
        assert (alone.rank, alone.size) == (0, 1)
        assert alone.by_first(lambda: "measured") == "measured"
        alone.check(10)


def test_an_error_before_anything_is_shared_is_told_to_those_who_wait() -> None:
    """Once, and the error itself is raised here."""
    heard: list[str] = []

    class Heard(Ranks):
        def gather(self, value: Any, error: BaseException | None = None) -> list[Any]:
            heard.append(str(error))
            return [value]

    def fail() -> None:
        raise ModelError("no template")

    with pytest.raises(ModelError, match="no template"):
        Heard(timeout=5.0).share(fail)
    assert heard == ["no template"]
