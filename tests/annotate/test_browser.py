"""The page in headless Chromium: by keyboard, over a restart, and into ``agreement``.

Needs selenium, chromium and chromedriver (Debian: ``apt-get install chromium chromium-driver``);
skipped where one of them is missing.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exleak import write_generations
from exleak.annotate.answers import read_answers
from exleak.annotate.export import HANDOUT, export_labels, export_pairs
from exleak.annotate.key import Key
from exleak.annotate.sample import Size
from tests.helpers.browser import BACKSPACE, DELETE, ENTER, Open, press
from tests.helpers.pages import HOSTILE
from tests.helpers.people import annotate, reference_rows, write_run

pytestmark = pytest.mark.browser

DIRECTIONS = {"left": "\ue012", "same": "\ue015", "right": "\ue014"}
INFLUENCES = {"yes": "y", "no": "n", "unsure": "u"}


def text(driver: Any, name: str) -> str:
    """The text of an element."""
    return str(driver.find_element("id", name).text)


def pressed(driver: Any) -> list[str]:
    """The answers shown as given."""
    buttons = driver.find_elements("css selector", '[aria-pressed="true"]')
    return [button.get_attribute("data-value") for button in buttons]


def saved(folder: Path, suffix: str) -> Path:
    """The downloaded file, once it is complete."""
    for _ in range(100):
        found = list(folder.glob(f"answers-*.{suffix}"))
        if found and not list(folder.glob("*.crdownload")):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no .{suffix} file was saved")


def exported(tmp_path: Path, items: int) -> tuple[Key, Path]:
    """An export and its page."""
    run = write_run(tmp_path / "run.jsonl", 12)
    key = export_pairs(run, tmp_path / "out", Size(items=items))
    return key, tmp_path / "out" / HANDOUT / "annotate.html"


def test_thirty_items_by_keyboard_over_a_restart(
    browser: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Begun, closed, reopened where it was left, corrected, finished, saved, and evaluated."""
    key, page = exported(tmp_path, 30)
    rng = random.Random(0)
    plan = [(rng.choice(list(DIRECTIONS)), rng.choice(list(INFLUENCES))) for _ in key.items]
    driver = browser(page)
    press(driver, "=Ada", ENTER)
    for direction, influence in plan[:12]:
        press(driver, DIRECTIONS[direction], INFLUENCES[influence])
    assert text(driver, "progress") == "Item 13 of 30, 12 answered"
    driver.quit()

    driver = browser(page)
    assert text(driver, "progress") == "Item 13 of 30, 12 answered"
    press(driver, BACKSPACE)
    assert pressed(driver) == list(plan[11])
    plan[11] = ("same", plan[11][1])
    press(driver, DIRECTIONS["same"], ENTER)
    for direction, influence in plan[12:]:
        press(driver, DIRECTIONS[direction], INFLUENCES[influence])
    assert text(driver, "verdict") == "All done"
    driver.find_element("id", "final-json").click()
    driver.find_element("id", "final-csv").click()

    files = [saved(tmp_path / "downloads", suffix) for suffix in ("json", "csv")]
    for file in files:
        answers = read_answers([file], key)
        assert answers.annotators == ("=Ada",)
        given = [(answers.of("direction", i), answers.of("influence", i)) for i in answers.items]
        assert given == [((direction,), (influence,)) for direction, influence in plan]
    other = json.loads(files[0].read_text())
    (tmp_path / "ben.json").write_text(json.dumps({**other, "annotator": "Ben"}))
    assert annotate("agreement", files[0], tmp_path / "ben.json") == 0
    assert "answered by =Ada (30), Ben (30)" in capsys.readouterr().out


def test_missing_answers_are_counted_and_left_out(browser: Open, tmp_path: Path) -> None:
    """Enter skips, Delete clears; the end says how many are open and leads back."""
    key, page = exported(tmp_path, 3)
    driver = browser(page)
    press(driver, "Ada", ENTER, "1", "y", ENTER, "2")
    assert pressed(driver) == ["same"]
    press(driver, DELETE)
    assert pressed(driver) == []
    press(driver, "3", ENTER)
    assert text(driver, "verdict") == "2 still open"
    driver.find_element("id", "final-json").click()
    answers = read_answers([saved(tmp_path / "downloads", "json")], key)
    assert [answers.of("direction", i.id) for i in key.items] == [("left",), (), ("right",)]
    assert [answers.of("influence", i.id) for i in key.items] == [("yes",), (), ()]
    driver.find_element("id", "open").click()
    assert text(driver, "heading") == "Item 2"


def test_a_saved_file_goes_on_in_another_browser(browser: Open, tmp_path: Path) -> None:
    """With name and answers; a file of another export is refused, in words."""
    _, page = exported(tmp_path, 5)
    driver = browser(page)
    press(driver, "Ada", ENTER, "1", "y", "3", "n")
    driver.find_element("id", "save-json").click()
    file = saved(tmp_path / "downloads", "json")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**json.loads(file.read_text()), "export": "another"}))

    driver = browser(page, "elsewhere")
    driver.find_element("id", "file").send_keys(str(other))
    assert "belongs to another export" in text(driver, "problem")
    driver.find_element("id", "file").send_keys(str(file))
    time.sleep(0.3)
    assert text(driver, "progress") == "Item 3 of 5, 2 answered"


def test_hostile_texts_are_shown_and_not_run(browser: Open, tmp_path: Path) -> None:
    """The page shows what the model wrote, runs none of it and asks the network for nothing."""
    texts = tuple(f"{part} is good." for part in HOSTILE)
    rows = [replace(row, generations=texts) for row in reference_rows(8, random.Random(0))]
    write_generations(tmp_path / "run.jsonl", rows)
    key = export_pairs(tmp_path / "run.jsonl", tmp_path / "out")
    driver = browser(tmp_path / "out" / HANDOUT / "annotate.html")
    press(driver, "Ada", ENTER)
    for item in key.items:
        shown = driver.execute_script(
            "return [...document.querySelectorAll('.card .text')]"
            ".map((e) => e.textContent.toWellFormed())"
        )
        wanted = [item.shown["left"], item.shown["right"]]
        # WebDriver cannot carry a lone surrogate, for which this is the replacement mark.
        assert shown == [words.replace("\udcff", "\ufffd") for words in wanted]
        press(driver, ENTER)
    assert driver.execute_script("return window.hacked") is None
    asked = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    addresses = {
        entry["params"]["request"]["url"]
        for entry in asked
        if entry["method"] == "Network.requestWillBeSent"
    }
    assert any(address.startswith("file:") for address in addresses)
    assert not any(address.startswith(("http", "ws", "ftp")) for address in addresses)
    assert driver.get_log("browser") == []


def test_the_page_can_be_used_without_seeing_or_pointing(browser: Open, tmp_path: Path) -> None:
    """Progress is announced, answers are buttons with a state and a group, focus is led."""
    _, page = exported(tmp_path, 3)
    driver = browser(page)
    press(driver, "Ada", ENTER)
    assert driver.switch_to.active_element.get_attribute("id") == "heading"
    progress = driver.find_element("id", "progress")
    assert progress.get_attribute("aria-live") == "polite"
    for group in driver.find_elements("css selector", "#questions fieldset"):
        assert group.accessible_name
        assert group.aria_role == "group"
    for button in driver.find_elements("css selector", "button"):
        assert button.accessible_name or not button.is_displayed()
    press(driver, "2")
    focused = driver.switch_to.active_element
    assert (focused.accessible_name, focused.get_attribute("aria-pressed")) == ("The same", "true")
    driver.find_element("id", "shortcuts").click()
    driver.find_element("id", "heading").click()
    press(driver, "1")
    assert pressed(driver) == ["same"]


@pytest.mark.parametrize("width", [320, 1200])
def test_nothing_is_cut_off(width: int, browser: Open, tmp_path: Path) -> None:
    """Neither on a phone nor on a desk."""
    _, page = exported(tmp_path, 3)
    driver = browser(page)
    metrics = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    press(driver, "Ada", ENTER)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_labels_are_given_by_keyboard(browser: Open, tmp_path: Path) -> None:
    """The labelling page asks one question and moves on after it."""
    key = export_labels("hexl", tmp_path / "out", Size(items=3))
    driver = browser(tmp_path / "out" / HANDOUT / "annotate.html")
    press(driver, "Ada", ENTER, DIRECTIONS["left"], DIRECTIONS["same"], DIRECTIONS["right"])
    assert text(driver, "verdict") == "All done"
    driver.find_element("id", "final-csv").click()
    answers = read_answers([saved(tmp_path / "downloads", "csv")], key)
    assert [answers.of("label", i.id) for i in key.items] == [
        ("negative",), ("neutral",), ("positive",),
    ]  # fmt: skip
