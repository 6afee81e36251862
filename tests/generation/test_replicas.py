"""Several devices with a copy of the model each: the texts of one process, and none left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import exleak
from exleak import ModelError
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.replicas import continue_prompts, with_replicas
from exleak.generation.requests import Continued, Counts, Request
from tests.helpers import checkpoints
from tests.helpers.runs import PROMPTS, SHORT

LONG = "so " * 1000
pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def two(warm: None, llama: Path) -> LocalModel:
    """The tiny Llama in this process and in another one, which is started again if it has ended."""
    return load_model(llama, device="cpu,cpu")


def requests(prompts: list[str] = PROMPTS) -> list[Request]:
    """Three continuations of each prompt."""
    return [Request(prompt, (0, 1, 2)) for prompt in prompts]


def is_there(pid: int | None) -> bool:
    """Whether a process runs; one that ended and that nobody has waited for does not."""
    try:
        return pid is not None and ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def pids(model: LocalModel) -> list[int | None]:
    """The processes of a model's copies."""
    return [one.pid for one in model.replicas]


@pytest.mark.parametrize("size", [None, 1, 5])
def test_the_texts_are_those_of_one_process(
    size: int | None, two: LocalModel, llama_model: LocalModel
) -> None:
    """Each prompt is continued once, some of them elsewhere, and what is done is counted."""
    counts, alone = Counts(), Counts()
    found = list(continue_prompts(two, requests(), SHORT, batch_size=size, counts=counts))
    expected = list(continue_prompts(llama_model, requests(), SHORT, counts=alone))
    assert len(found) == 3 * len(PROMPTS)
    assert set(found) == set(expected)
    assert (counts.useful, counts.prefilled) == (alone.useful, alone.prefilled)
    assert len(counts.batch_sizes) == 1


def test_the_other_process_has_its_share(two: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the prompts are not seen here; the other half is waited for."""
    from exleak.generation.local import run

    here: list[str] = []

    def noted(model: LocalModel, wanted: list[Request], *_: object, **__: object) -> Iterator[None]:
        here.extend(request.text for request in wanted if request.indices)
        yield from ()

    monkeypatch.setattr(run, "continue_prompts", noted)
    found = [PROMPTS[item.request] for item in continue_prompts(two, requests(), SHORT)]
    assert len(here) == len(PROMPTS) // 2
    assert sorted(found) == sorted(3 * [prompt for prompt in PROMPTS if prompt not in here])


def test_first_sentences_are_those_of_one_process(two: LocalModel, llama: Path) -> None:
    """What tells that a sentence is complete travels; three copies are no different from two."""
    expected = exleak.generate(llama, PROMPTS, SHORT, first_sentence_only=True)
    assert exleak.generate(two, PROMPTS, SHORT, first_sentence_only=True) == expected
    three = load_model(llama, device="cpu, cpu, cpu")
    assert exleak.generate(three, PROMPTS, SHORT, first_sentence_only=True) == expected


def test_a_dataset_is_measured_with_the_key_of_one_process(llama: Path, tmp_path: Path) -> None:
    """What two processes made is what one reads; the report names the devices."""
    store, data = tmp_path / "store", exleak.load_dataset("hexl", limit=2)
    sampling = exleak.Sampling(generations=2)
    made = exleak.measure(llama, data, sampling=sampling, device="cpu,cpu", store=store)
    read = exleak.measure(llama, data, sampling=sampling, store=store)
    other = exleak.measure(llama, data, sampling=sampling, store=None)
    assert made.prompts == read.prompts == other.prompts
    assert made.environment["devices"] == ["cpu", "cpu"]
    assert (made.environment["device"], made.environment["dtype"]) == ("cpu", "float32")
    assert len(list((store / "generations").iterdir())) == 1
    assert made.identity == read.identity


def test_an_error_of_another_process_is_the_error(two: LocalModel) -> None:
    """No process is left, and the next run has new ones."""
    before = pids(two)
    with pytest.raises(ModelError, match="no room in its context"):
        list(continue_prompts(two, requests([*PROMPTS[:1], LONG]), SHORT))
    assert not any(map(is_there, before))
    assert pids(two) == [None]
    assert len(list(continue_prompts(two, requests(), SHORT))) == 3 * len(PROMPTS)
    assert all(map(is_there, pids(two)))


def test_an_error_of_this_process_leaves_none(
    two: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an interrupt."""
    from exleak.generation.local import run

    def interrupted(*arguments: object, **more: object) -> Iterator[Continued]:
        yield from map(signal.raise_signal, [signal.SIGINT])

    before = pids(two)
    assert all(map(is_there, before))
    monkeypatch.setattr(run, "continue_prompts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(continue_prompts(two, requests(), SHORT))
    assert not any(map(is_there, before))


def test_a_run_that_is_given_up_leaves_none(llama: Path) -> None:
    """Nor does a model that is no longer there."""
    two = load_model(llama, device="cpu,cpu")
    first, running = pids(two), continue_prompts(two, requests(), SHORT)
    next(running)
    with pytest.raises(ModelError, match="still at work on other prompts"):
        next(continue_prompts(two, requests(), SHORT))
    running.close()
    assert not any(map(is_there, first))
    assert len(list(continue_prompts(two, requests(), SHORT))) == 3 * len(PROMPTS)
    second = pids(two)
    assert all(map(is_there, second))
    del two, running
    gc.collect()
    assert not any(map(is_there, second))


def test_a_process_that_ends_by_itself_is_told(two: LocalModel) -> None:
    """It is not waited for, and its share does not go missing."""
    list(continue_prompts(two, requests(), SHORT))
    os.kill(pids(two)[0] or 0, signal.SIGKILL)
    with pytest.raises(ModelError, match=r"process on cpu ended by itself \(exit status -9\)"):
        list(continue_prompts(two, requests(), SHORT))
    assert len(list(continue_prompts(two, requests(), SHORT))) == 3 * len(PROMPTS)


def refusing(device: str, path: str, parent: int) -> LocalModel:
    """Load a model in one process alone."""
    if os.getpid() != parent:
        raise ModelError("no room for a second one")
    return load_model(path, device=device)


def test_a_copy_that_cannot_be_loaded_is_one_error(llama: Path) -> None:
    """It is that of loading, when the model is loaded."""
    load = partial(refusing, path=str(llama), parent=os.getpid())
    with pytest.raises(ModelError, match=r"^no room for a second one$"):
        with_replicas(load, ["cpu", "cpu"])


def test_what_another_process_remarks_is_heard(tmp_path: Path) -> None:
    """Once in the notes, though each process has it to say."""
    two = load_model(checkpoints.save_checkpoint(tmp_path, "bloom"), device="cpu,cpu")
    counts = Counts()
    with pytest.warns(UserWarning, match="cannot be refilled") as heard:
        list(continue_prompts(two, requests(), SHORT, counts=counts))
    assert len(heard) == 2
    assert len(counts.notes) == 1


def test_processes_share_threads_and_memory(
    two: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two on the CPU have half of both each; this process has its threads back afterwards."""
    import torch

    from exleak.generation.local import run

    seen = []

    def noted(*arguments: object, processes: int, **more: object) -> Iterator[Continued]:
        seen.append((torch.get_num_threads(), processes))
        yield from ()

    monkeypatch.setattr(run, "continue_prompts", noted)
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    try:
        assert list(continue_prompts(two, requests(PROMPTS[:1]), SHORT)) == []
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(before)
    assert seen == [(3, 2)]


PROGRAM = """
import sys
from exleak.generation.local.loading import load_model

# Without a guard: no process may run this program again.
model = load_model(sys.argv[1], device="cpu,cpu")
print(model.replicas[0].pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT, None])
def test_processes_end_with_the_one_that_started_them(
    way: signal.Signals | None, llama: Path, tmp_path: Path
) -> None:
    """However it ends: killed, interrupted, or by itself."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, str(program), str(llama)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_there(pid)
        if way is not None:
            process.send_signal(way)
    deadline = time.monotonic() + 20
    while is_there(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(pid)
