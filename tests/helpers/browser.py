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
    pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not all(_programs()):
        pytest.skip("Chromium or chromedriver is missing; nothing was tested in a browser")
    running = []

    def start(page: Path, profile: str = "profile") -> Any:
        running.append(chromium(tmp_path, profile))
        running[-1].get(page.as_uri())
        return running[-1]

    yield start
    for started in running:
        started.quit()


def _programs() -> tuple[str | None, str | None]:
    """Chromium and its driver."""
    return shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")


def chromium(folder: Path, profile: str = "profile") -> Any:
    """A new Chromium, to be ended with ``quit()``.

    Args:
        folder: Where its profiles and downloads are kept.
        profile: Name of its profile, which keeps what pages store.
    """
    from selenium import webdriver

    binary, driver = _programs()
    options = webdriver.ChromeOptions()
    options.binary_location = binary or ""
    for option in (*_OPTIONS, f"user-data-dir={folder / profile}", "window-size=1200,900"):
        options.add_argument(f"--{option}")
    downloads = {"download.default_directory": str(folder / "downloads")}
    options.add_experimental_option("prefs", downloads)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def screen(driver: Any, width: int = 1280, dark: bool = False, height: int = 900) -> None:
    """Show pages on a screen of this size in pixels, in light or dark colours."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def press(driver: Any, *keys: str) -> None:
    """Press keys, wherever the focus is."""
    driver.switch_to.active_element.send_keys(keys[0])
    for key in keys[1:]:
        driver.switch_to.active_element.send_keys(key)
