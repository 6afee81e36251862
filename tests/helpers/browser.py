"""Headless Chromium.

Needs selenium, chromium and chromedriver (Debian: ``apt-get install chromium chromium-driver``).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_OPTIONS = (
    "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
    "disable-background-networking", "disable-component-update", "disable-sync",
)  # fmt: skip
ENTER, BACKSPACE, DELETE = "\ue007", "\ue003", "\ue017"

Open = Callable[..., Any]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Open]:
    """Opens a page in Chromium; one profile per name, kept over restarts."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("Chromium or chromedriver is missing; nothing was tested in a browser")
    running = []

    def start(page: Path, profile: str = "profile", size: str = "1200,900") -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        for option in (*_OPTIONS, f"user-data-dir={tmp_path / profile}", f"window-size={size}"):
            options.add_argument(f"--{option}")
        downloads = {"download.default_directory": str(tmp_path / "downloads")}
        options.add_experimental_option("prefs", downloads)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(driver)
        running.append(webdriver.Chrome(options=options, service=service))
        running[-1].get(page.as_uri())
        return running[-1]

    yield start
    for started in running:
        started.quit()


def press(driver: Any, *keys: str) -> None:
    """Press keys, wherever the focus is."""
    driver.switch_to.active_element.send_keys(keys[0])
    for key in keys[1:]:
        driver.switch_to.active_element.send_keys(key)
