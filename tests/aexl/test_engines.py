"""One process, several, and Ray: one and the same dataset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exleak import DatasetError, SettingsError
from exleak.aexl import build
from tests.aexl import fake

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of several blocks."""
    return fake.write(tmp_path_factory.mktemp("text") / "text.txt", 5000)


@pytest.fixture(scope="module")
def single(source: Path) -> tuple[bytes, bytes]:
    """The dataset and report of one process."""
    return make(source, source.parent / "single.jsonl")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray on this machine; the fake instrument is no module that its workers could import."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.cloudpickle.register_pickle_by_value(fake)
    yield
    ray.cloudpickle.unregister_pickle_by_value(fake)
    ray.shutdown()


def make(source: Path, output: Path, **settings: Any) -> tuple[bytes, bytes]:
    """Build and return dataset and report."""
    build([source], output, recipe=fake.RECIPE, instrument=fake.instrument(), **settings)
    return output.read_bytes(), output.with_suffix(".report.json").read_bytes()


def test_four_processes_build_the_same_dataset(
    source: Path, single: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """Dataset and report, byte for byte."""
    output = tmp_path / "single.jsonl"
    assert make(source, output, processes=4, store=tmp_path / "store") == single
    assert len(list((tmp_path / "store").glob("scores/*/*.jsonl"))) == 10


def test_ray_builds_the_same_dataset(
    source: Path, single: tuple[bytes, bytes], tmp_path: Path, cluster: None
) -> None:
    """Dataset and report, byte for byte."""
    output = tmp_path / "single.jsonl"
    assert make(source, output, engine="ray", processes=2, store=None) == single


def test_an_error_in_a_ray_worker_is_as_clear_as_without(tmp_path: Path, cluster: None) -> None:
    """A bad file is named in one line."""
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps({"a": 1, "b": 2}))
    with pytest.raises(DatasetError, match=r"bad.jsonl: no column 'text'") as error:
        make(path, tmp_path / "out.jsonl", engine="ray", store=None)
    assert "\n" not in str(error.value)


def test_ray_cannot_read_standard_input(tmp_path: Path) -> None:
    """Other machines do not have it."""
    with pytest.raises(SettingsError, match="standard input"):
        make(Path("-"), tmp_path / "out.jsonl", engine="ray", store=None)


def test_an_unknown_engine_is_told(source: Path, tmp_path: Path) -> None:
    """With those there are."""
    with pytest.raises(SettingsError, match="local or ray"):
        make(source, tmp_path / "out.jsonl", engine="spark", store=None)
