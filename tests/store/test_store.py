"""What is kept on disk: whole, by content, and never wrong."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import exleak
from exleak import Sampling, load_dataset
from exleak.cli import main
from exleak.generation.dataset import Generated, generate_rows
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.source import CheckpointSource, LoadedSource
from exleak.store import Store
from exleak.store.identity import checkpoint_hash, is_whole, local_folder
from exleak.store.segments import Segments, StoreWarning
from tests.helpers import checkpoints
from tests.helpers.progress import heard

SETTINGS = Sampling(generations=2, max_new_tokens=12)
DATA = load_dataset("hexl", limit=3)


@pytest.fixture
def segments(tmp_path: Path) -> Segments:
    """Two segments of three entries."""
    made = Segments(tmp_path / "s", "head")
    made.append({"a": 1, "b": "\ud800\u2028\n"})
    made.append({"c": [0.1, 1 / 3]})
    return made


def measured(path: Path, store: Store | None, **settings: Any) -> Generated:
    """Generate the small dataset."""
    source = CheckpointSource("m", str(path), device="cpu")
    return generate_rows(source, DATA, settings.pop("sampling", SETTINGS), store=store, **settings)


class NoModel(CheckpointSource):
    """A source that must not be loaded."""

    @property
    def model(self) -> Any:
        """Fails."""
        raise AssertionError("the model was loaded")


def test_entries_read_back_exactly(segments: Segments) -> None:
    """Floats to the last bit, surrogates and line separators included."""
    assert segments.read() == {"a": 1, "b": "\ud800\u2028\n", "c": [0.1, 1 / 3]}


def test_a_segment_truncated_at_any_byte_is_skipped(segments: Segments) -> None:
    """A warning, the other segment's entries, and never a wrong one."""
    path = segments.paths()[0]
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.warns(StoreWarning, match="computed again"):
            assert segments.read() == {"c": [0.1, 1 / 3]}


def test_a_changed_byte_is_noticed(segments: Segments) -> None:
    """A flipped bit is not taken for a result."""
    path = segments.paths()[1]
    path.write_bytes(path.read_bytes().replace(b"0.1", b"0.2"))
    with pytest.warns(StoreWarning):
        assert "c" not in segments.read()


def test_a_foreign_segment_is_skipped(segments: Segments, tmp_path: Path) -> None:
    """A file of another run, copied here by hand, is not used."""
    other = Segments(tmp_path / "other", "another head")
    other.append({"z": 1})
    shutil.copy(other.paths()[0], segments.folder)
    with pytest.warns(StoreWarning, match="something else"):
        assert "z" not in segments.read()


def test_the_oldest_of_equal_keys_wins(segments: Segments) -> None:
    """Two processes that made the same entry agree on which one counts."""
    segments.append({"a": 2})
    assert segments.read()["a"] == 1


def test_merging_keeps_every_entry(segments: Segments) -> None:
    """One file afterwards, the same map."""
    before = segments.read()
    segments.merge()
    assert len(segments.paths()) == 1
    assert segments.read() == before


def test_a_store_that_cannot_be_written_is_done_without(llama: Path, tmp_path: Path) -> None:
    """A warning, and the same continuations."""
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(StoreWarning, match="cannot be written"):
        found = measured(llama, Store(tmp_path / "file"))
    assert found.rows == measured(llama, None).rows


def test_what_is_stored_is_not_generated_again(llama: Path, tmp_path: Path) -> None:
    """The second time the model is not loaded."""
    store = Store(tmp_path)
    first = measured(llama, store)
    source = NoModel("m", str(llama), device="cpu")
    assert generate_rows(source, DATA, SETTINGS, store=store) == first
    assert first.rows == measured(llama, None).rows


def test_more_generations_add_to_what_is_there(llama: Path, tmp_path: Path) -> None:
    """K is not part of the key: only the new indices are generated."""
    store = Store(tmp_path)
    few = measured(llama, store)
    many = measured(llama, store, sampling=Sampling(generations=4, max_new_tokens=12))
    for row, longer in zip(few.rows, many.rows, strict=True):
        assert longer.generations[:2] == row.generations


@pytest.mark.parametrize(
    "changed",
    [{"sampling": Sampling(generations=2, max_new_tokens=12, seed=1)}, {"mitigation": "Be calm"}],
)
def test_other_settings_are_other_entries(
    changed: dict[str, Any], llama: Path, tmp_path: Path
) -> None:
    """Seed and instruction change the prompts or the draws, and the texts."""
    store = Store(tmp_path)
    first = measured(llama, store)
    second = measured(llama, store, **dict(changed))
    assert [row.generations for row in first.rows] != [row.generations for row in second.rows]
    assert second.rows == measured(llama, None, **dict(changed)).rows


def test_a_checkpoint_overwritten_in_place_is_measured_anew(tmp_path: Path) -> None:
    """The path is never the key."""
    store, path = Store(tmp_path / "store"), tmp_path / "checkpoint"
    first = measured(checkpoints.save_checkpoint(path, seed=0), store)
    second = measured(checkpoints.save_checkpoint(path, seed=1), store)
    assert first.identity["checkpoint"] != second.identity["checkpoint"]
    assert first.rows != second.rows
    assert second.rows == measured(path, None).rows


def test_what_a_trainer_leaves_beside_a_checkpoint_does_not_count(llama: Path) -> None:
    """The same weights in another folder, with a trainer's state: the same checkpoint."""
    before = checkpoint_hash(llama)
    (llama / "trainer_state.json").write_text("{}")
    (llama / "optimizer.bin").write_bytes(b"x")
    assert checkpoint_hash(llama) == before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "generation_config.json"])
def test_every_file_that_matters_counts(name: str, llama: Path, tmp_path: Path) -> None:
    """Configuration and tokenizer are part of the checkpoint."""
    copy = Path(shutil.copytree(llama, tmp_path / "copy"))
    (copy / name).write_text((copy / name).read_text() + " ")
    assert checkpoint_hash(copy) != checkpoint_hash(llama)


def test_the_memo_is_dropped_when_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same path and size, other content and time stamp."""
    monkeypatch.setattr("exleak.store.identity._SETTLED_NS", -1)
    folder, memo = tmp_path / "c", tmp_path / "hashes.json"
    folder.mkdir()
    weights = folder / "model.safetensors"
    weights.write_bytes(b"aaaa")
    os.utime(weights, (1, 1))
    told = heard(lambda: checkpoint_hash(folder, memo))
    assert [(done.count, done.total) for done in told] == [(0, 4), (4, 4)]
    first = checkpoint_hash(folder, memo)
    assert json.loads(memo.read_text())
    assert heard(lambda: checkpoint_hash(folder, memo)) == []
    assert checkpoint_hash(folder, memo) == first
    weights.write_bytes(b"bbbb")
    assert checkpoint_hash(folder, memo) != first


def test_a_file_that_just_changed_is_not_remembered(tmp_path: Path) -> None:
    """It may change again within the resolution of its time stamp."""
    folder, memo = tmp_path / "c", tmp_path / "hashes.json"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"aaaa")
    checkpoint_hash(folder, memo)
    assert not memo.exists()


def test_the_hubs_own_hashes_are_used(tmp_path: Path) -> None:
    """A snapshot's large files are links to blobs named by their sha256: nothing is read."""
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"whatever")
    folder = tmp_path / "snapshots" / "main"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").symlink_to(blob)
    blob.chmod(0)
    assert checkpoint_hash(folder)


def test_a_cached_hub_name_has_a_folder(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of a hub name are found in the cache without loading anything."""
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    shutil.copytree(llama, snapshot)
    reference = tmp_path / "models--org--name" / "refs" / "main"
    reference.parent.mkdir()
    reference.write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    assert local_folder("org/name") == snapshot
    assert local_folder("org/other") is None


def test_what_loading_fetches_is_what_is_stored(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hub names whose weights are still to come are two checkpoints, however alike now."""
    checkpoints.use_cache(tmp_path / "hub", monkeypatch)
    other = checkpoints.save_checkpoint(tmp_path / "other", seed=1)
    found = {}
    for name, source in (("org/one", llama), ("org/two", other)):
        folder = checkpoints.snapshot(tmp_path / "hub", name)
        for path in source.iterdir():
            if path.suffix != ".safetensors":
                shutil.copy(path, folder)

        def fetch(source: Path = source, folder: Path = folder, name: str = name) -> LocalModel:
            shutil.copy(source / "model.safetensors", folder)
            return load_model(name)

        model = CheckpointSource(name, name, device="cpu", loader=fetch)
        found[name] = generate_rows(model, DATA, SETTINGS, store=Store(tmp_path / "store"))
    assert found["org/one"].rows == measured(llama, None).rows
    assert found["org/two"].rows == measured(other, None).rows


def test_a_revision_that_came_while_loading_has_its_own_entries(
    tmp_path: Path, llama: Path
) -> None:
    """Continuations are kept under what was loaded, not under what was there before."""
    place = tmp_path / "m"
    shutil.copytree(llama, place)
    old = checkpoint_hash(place)

    def push() -> LocalModel:
        checkpoints.save_checkpoint(place, seed=1)
        return load_model(place)

    store = Store(tmp_path / "store")
    made = generate_rows(
        CheckpointSource("m", str(place), device="cpu", loader=push), DATA, SETTINGS, store=store
    )
    assert made.identity["checkpoint"] == checkpoint_hash(place) != old
    kept = [about for kind, _, about in store.all() if kind == "generations" and about]
    assert [about["checkpoint"] for about in kept] == [made.identity["checkpoint"]]


def test_the_hub_is_asked_for_the_newest_revision(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint pushed since is not answered for by the cached one."""
    checkpoints.use_cache(tmp_path, monkeypatch)
    cached = checkpoints.snapshot(tmp_path, "org/name")
    shutil.copytree(llama, cached, dirs_exist_ok=True)
    assert local_folder("org/name") == cached
    newest = tmp_path / "newest"
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda *_, **__: str(newest / "config.json")
    )
    assert local_folder("org/name") == newest


def test_a_checkpoint_is_whole_with_all_its_weights(llama: Path, tmp_path: Path) -> None:
    """One file of weights, or every file that the index names."""
    assert is_whole(llama)
    (tmp_path / "config.json").write_text("{}")
    assert not is_whole(tmp_path)
    files = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = json.dumps({"weight_map": files})
    (tmp_path / "model.safetensors.index.json").write_text(index)
    (tmp_path / files["a"]).touch()
    (tmp_path / "training_args.bin").touch()
    assert not is_whole(tmp_path)
    (tmp_path / files["b"]).touch()
    assert is_whole(tmp_path)


def test_a_folder_of_runs_alone_is_a_store(llama: Path, tmp_path: Path) -> None:
    """Continuations of a model object are never used again, but its run is there to prune."""
    store = Store(tmp_path / "store")
    generate_rows(LoadedSource(load_model(llama)), DATA, SETTINGS, store=store)
    assert len(list(store.runs.glob("*.jsonl"))) == 1
    assert store.is_one()


def generate_in_process(path: str, store: str) -> None:
    """Generate into a store, flushing after every continuation."""
    from exleak.generation import dataset as rows

    rows._FLUSH_COUNT = 1
    measured(Path(path), Store(store))


def generating(path: Path, store: Path, number: int = 1) -> list[subprocess.Popen[bytes]]:
    """Processes that begin at the same time to generate into a store."""
    code = (
        "import sys; from tests.store.test_store import generate_in_process as g; "
        "print('ready', flush=True); sys.stdin.readline(); g(*sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, str(path), str(store)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    root = Path(__file__).parents[2]
    found = [subprocess.Popen(command, cwd=root, **pipes) for _ in range(number)]
    for process in found:
        assert process.stdout is not None
        process.stdout.readline()
    for process in found:
        assert process.stdin is not None
        process.stdin.close()
    return found


def test_two_processes_write_at_once(warm: None, llama: Path, tmp_path: Path) -> None:
    """Both end well, and what is stored is what one process alone would have made."""
    for process in generating(llama, tmp_path, 2):
        with process:
            assert process.wait(120) == 0
    source = NoModel("m", str(llama), device="cpu")
    assert (
        generate_rows(source, DATA, SETTINGS, store=Store(tmp_path)).rows
        == measured(llama, None).rows
    )


def test_a_killed_run_resumes(warm: None, llama: Path, tmp_path: Path) -> None:
    """Killed while it writes: nothing is wrong afterwards, and what was flushed is kept."""
    (process,) = generating(llama, tmp_path)
    about = CheckpointSource("m", str(llama), device="cpu").about(SETTINGS, Store(tmp_path))
    stored = Store(tmp_path).generations(about)
    deadline = time.monotonic() + 60
    while len(stored.paths()) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005 * random.random())
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = stored.read()
    assert len(kept) >= 2
    assert measured(llama, Store(tmp_path)).rows == measured(llama, None).rows
    after = stored.read()
    assert all(after[key] == value for key, value in kept.items())


def test_scores_are_kept_by_instrument(llama: Path, tmp_path: Path) -> None:
    """The same sentences are not scored twice; the measurement is the same."""
    path = str(llama)
    arguments: dict[str, Any] = {"sampling": SETTINGS, "device": "cpu", "store": tmp_path}
    first = exleak.measure(path, DATA, **arguments)
    instrument = exleak.load_instrument("embedded")

    class Silent:
        """A scorer that must not be asked."""

        hash = ""

        def predict(self, texts: Any) -> Any:
            """Fails."""
            raise AssertionError(texts)

        embed = predict

    mute = type("Mute", (), {
        "name": "embedded", "hash": instrument.hash, "expression": Silent(), "semantic": Silent(),
        "languages": instrument.languages, "check_languages": instrument.check_languages,
    })()  # fmt: skip
    assert exleak.measure(path, DATA, instrument=mute, **arguments) == first


def test_the_store_command_lists_verifies_and_prunes(
    llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A torn file is named, makes the exit status 1, and is removed."""
    measured(llama, Store(tmp_path))
    command = ["store", "--dir", str(tmp_path)]
    assert main([*command, "list"]) == 0
    assert "25 entries" in capsys.readouterr().out
    assert main([*command, "verify"]) == 0
    (path,) = tmp_path.glob("generations/*/*.jsonl")
    torn = path.with_name("0.jsonl")
    torn.write_bytes(path.read_bytes()[:-9])
    assert main([*command, "verify"]) == 1
    assert "0.jsonl: torn" in capsys.readouterr().out
    assert main([*command, "prune"]) == 0
    assert not torn.exists()
    assert main([*command, "verify"]) == 0
    assert main([*command, "prune", "--older-than", "0"]) == 0
    assert not list(tmp_path.glob("generations/*"))


def test_a_store_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2 and the option to give."""
    assert main(["store", "--dir", str(tmp_path / "x"), "list"]) == 2
    assert "--dir" in capsys.readouterr().err


def test_prune_leaves_what_is_not_the_stores_alone(llama: Path, tmp_path: Path) -> None:
    """Folders and files that somebody else put there stay, however old; only segments go."""
    measured(llama, Store(tmp_path))
    (segment,) = tmp_path.glob("generations/*/*.jsonl")
    foreign = [
        tmp_path / "notes.txt",
        tmp_path / "generations" / "mine" / "0.jsonl",
        tmp_path / "generations" / "readme.txt",
        tmp_path / "scores" / "old" / "weights.bin",
        tmp_path / "runs" / "notes.md",
        segment.with_name("by-hand.txt"),
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("keep me")
        os.utime(path, (1, 1))
    assert main(["store", "--dir", str(tmp_path), "prune", "--older-than", "0"]) == 0
    assert [path for path in foreign if not path.exists()] == []
    assert not segment.exists()
    assert not list(tmp_path.glob("runs/*.jsonl"))


@pytest.mark.parametrize("action", ["list", "verify", "prune"])
def test_a_folder_that_is_no_store_is_refused(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody's own folder with subfolders of the same names."""
    kept = tmp_path / "scores" / "2024" / "run.jsonl"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    (tmp_path / ".gitignore").write_text("*.bin\n")
    assert main(["store", "--dir", str(tmp_path), action]) == 2
    assert "not a store" in capsys.readouterr().err
    assert kept.exists()


@pytest.mark.parametrize("content", [b"\0" * 99, b"[" * 200_000], ids=("zeros", "deep"))
def test_a_folder_that_cannot_be_read_is_counted(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no segment says what it is about, verify counts them all and prune removes them."""
    Store(tmp_path).scores("i").append({"a": [1.0]})
    (segment,) = tmp_path.glob("scores/*/*.jsonl")
    segment.write_bytes(content)
    command = ["store", "--dir", str(tmp_path)]
    assert main([*command, "verify"]) == 1
    assert "1 files checked, 1 cannot be used" in capsys.readouterr().out
    assert main([*command, "list"]) == 0
    assert "cannot be read" in capsys.readouterr().out
    assert main([*command, "prune"]) == 0
    assert not segment.parent.exists()


def test_endpoints_and_runs_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's entries have no checkpoint; a run's generations file is told by its path."""
    store = Store(tmp_path)
    about = {"endpoint": "http://host/v1", "model": "org/m", "fingerprint": None, "honoured": {},
             "chat": True, "sampling": {"seed": 3}}  # fmt: skip
    store.generations(about).append({"a": ["text"]})
    run = tmp_path / "runs" / "m-hexl-0123abcd.jsonl"
    run.parent.mkdir()
    run.write_text("{}\n")
    assert main(["store", "--dir", str(tmp_path), "list"]) == 0
    out = capsys.readouterr().out
    assert "org/m at http://host/v1, seed 3, chat True" in out
    assert str(run) in out


def test_every_run_leaves_a_generations_file(llama: Path, tmp_path: Path) -> None:
    """Scored, it gives the run's rates; the same run has the same file, another one another."""
    settings: dict[str, Any] = {"sampling": SETTINGS, "device": "cpu", "store": tmp_path}
    found = exleak.measure(str(llama), DATA, **settings)
    (path,) = tmp_path.glob("runs/*.jsonl")
    assert re.fullmatch(r".*llama-hexl-[0-9a-f]{8}\.jsonl", path.name)
    again = exleak.score(path)
    assert (again.expression, again.semantic) == (found.expression, found.semantic)
    assert exleak.read_generations(path) == measured(llama, None).rows
    exleak.measure(str(llama), DATA, **settings)
    assert list(tmp_path.glob("runs/*.jsonl")) == [path]
    exleak.measure(str(llama), DATA, mitigation=exleak.MITIGATION, **settings)
    assert len(list(tmp_path.glob("runs/*.jsonl"))) == 2


def test_model_objects_of_one_name_have_files_of_their_own(tmp_path: Path) -> None:
    """As in a training loop, where neither name nor settings tell the steps apart."""
    models = [
        load_model(checkpoints.save_checkpoint(tmp_path / f"step-{i}", seed=i)) for i in (0, 1, 0)
    ]
    sources = [LoadedSource(LocalModel("m", one.model, one.tokenizer, False)) for one in models]
    store = Store(tmp_path / "store")
    found = [generate_rows(source, DATA, SETTINGS, store=store).rows for source in sources]
    kept = {exleak.read_generations(path) for path in tmp_path.glob("store/runs/m-hexl-*.jsonl")}
    assert kept == {*found}
    assert len(kept) == 2


def test_a_run_that_cannot_be_written_is_a_warning(llama: Path, tmp_path: Path) -> None:
    """The measurement goes on without its generations file."""
    (tmp_path / "runs").write_text("no folder")
    with pytest.warns(StoreWarning, match="cannot be written"):
        found = measured(llama, Store(tmp_path))
    assert found.rows == measured(llama, None).rows


ROW = {"id": "c", "control": None, "condition": "control", "prompt": "It is", "generations": ["a."]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompt": None}, "field 'prompt' must be a text, not None"),
        ({"prompt": ["It is"]}, "field 'prompt' must be a text"),
        ({"id": None}, "field 'id' must be a text or a whole number, not None"),
        ({"id": True}, "field 'id' must be a text or a whole number, not True"),
        ({"id": "p", "condition": "positive", "control": False}, "field 'control' must be"),
    ],
)
def test_a_row_of_other_types_is_refused(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """None is not taken for the text "None"."""
    path = tmp_path / "g.jsonl"
    path.write_text(json.dumps({**ROW, **changed}))
    with pytest.raises(exleak.DatasetError, match=message) as error:
        exleak.read_generations(path)
    assert f"{path}, line 1" in str(error.value)


def test_a_deeply_nested_line_is_no_json(tmp_path: Path) -> None:
    """In a generations file, as anywhere."""
    path = tmp_path / "g.jsonl"
    path.write_text("[" * 200_000)
    with pytest.raises(exleak.DatasetError, match="line 1: not JSON"):
        exleak.score(path)
