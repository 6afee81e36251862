"""The hub that cannot be reached is told at once."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from exleak import ModelError, hub
from exleak.generation.local.loading import load_model
from exleak.hub import within_reach
from exleak.store.identity import local_folder
from tests.helpers.server import Fake


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of the hub, and the environment forbids nothing."""
    monkeypatch.setattr(hub, "_found", {})
    monkeypatch.setattr(hub, "_said", set())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(hub, "_SECONDS", 0.3)
        yield


@pytest.mark.usefixtures("silent")
def test_a_hub_that_does_not_answer_is_said_and_not_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the variable that spares the waiting; the model that is not cached is one error."""
    with caplog.at_level(logging.WARNING, "exleak"):
        started = time.monotonic()
        assert local_folder("nobody/none") is None
        assert time.monotonic() - started < 5
        with pytest.raises(ModelError, match="nobody/none"):
            load_model("nobody/none")
    (said,) = (message for message in caplog.messages if "cannot be reached" in message)
    assert "HF_HUB_OFFLINE=1" in said
    assert "nobody/none is looked for in its cache" in said


@pytest.mark.usefixtures("silent")
def test_offline_mode_ends_with_the_loading() -> None:
    """What the user does next with the hub is none of ours."""
    with within_reach("nobody/none"):
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE


def test_a_hub_that_answers_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it says to a bare request, unless it or a proxy is in trouble."""
    with Fake() as fake:
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        with within_reach("nobody/none"):
            assert not constants.HF_HUB_OFFLINE


@pytest.mark.usefixtures("silent")
def test_folders_and_offline_mode_ask_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request is made for what needs none."""
    monkeypatch.setattr(hub, "_ask", lambda address: pytest.fail("it was asked"))
    with within_reach(str(tmp_path)):
        pass
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with within_reach("nobody/none"):
        pass
    assert not hub._found
