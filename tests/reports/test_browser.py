"""The page in headless Chromium: quick, silent, searchable, usable by keyboard and on a phone.

Needs selenium, chromium and chromedriver (Debian: ``apt-get install chromium chromium-driver``);
skipped where one of them is missing.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import exleak
from exleak.measurement import About
from exleak.records import PromptGenerations
from exleak.reports import write_report
from tests.helpers.browser import ENTER, Open, press, screen
from tests.helpers.instruments import TOPICS
from tests.helpers.measurements import compared, measurement, six_models
from tests.helpers.numbers import at, is_rounded
from tests.helpers.runs import topical_rows

pytestmark = pytest.mark.browser
TAB = "\ue004"


def opened(
    browser: Open, tmp_path: Path, *found: Any, width: int = 1280, dark: bool = False
) -> Any:
    """A page of these measurements, on a screen of this width."""
    write_report(tmp_path / "r.html", found)
    driver = browser(tmp_path / "r.html")
    screen(driver, width, dark)
    return driver


def quiet(driver: Any) -> bool:
    """Whether the page said nothing on the console and asked the network for nothing."""
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    addresses = [
        entry["params"]["request"]["url"]
        for entry in sent
        if entry["method"] == "Network.requestWillBeSent"
    ]
    assert any(address.startswith("file:") for address in addresses)
    asked = [a for a in addresses if not a.startswith(("file:", "data:", "chrome:"))]
    return not asked and not driver.get_log("browser")


def rows(driver: Any) -> list[str]:
    """The text of each visible row of the table of prompts."""
    return [row.text for row in driver.find_elements("css selector", "#rows > tr")]


def test_a_large_report_opens_at_once(browser: Open, tmp_path: Path) -> None:
    """Six models on HEXL and AEXL: under 3 MB, ready in under 2 s, nothing on the console."""
    driver = opened(browser, tmp_path, *six_models())
    assert (tmp_path / "r.html").stat().st_size < 3_000_000
    driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    start = time.perf_counter()
    driver.refresh()
    assert driver.find_element("id", "count").text.startswith("180 of 180 test prompts")
    assert time.perf_counter() - start < 2
    assert quiet(driver)


def test_search_condition_and_order(browser: Open, tmp_path: Path) -> None:
    """Rows are found by words of prompt and sentences, chosen by condition, and sorted by d."""
    found = measurement()
    driver = opened(browser, tmp_path, found)
    d = [pair.difference or 0.0 for pair in found.pairs]
    assert is_rounded(rows(driver)[0].split()[-1], max(d))
    driver.find_element("id", "search").send_keys("THING 7 bad")
    (row,) = [text for text in rows(driver) if "I saw bad 7." in text]
    assert len(rows(driver)) < len(d)
    pair = at([found], "0.pairs.23")
    assert pair["id"] == "s7:negative"
    assert is_rounded(row.split()[-1], pair["difference"])
    driver.find_element("id", "search").clear()
    driver.find_element("id", "search").send_keys("no such word")
    assert rows(driver) == []
    assert driver.find_element("id", "count").text == "0 of 45 test prompts; 0 shown"
    driver.find_element("id", "search").clear()
    driver.find_element("css selector", "#condition option:nth-child(3)").click()
    driver.find_element("css selector", "#order option:nth-child(2)").click()
    neutral = [pair.difference or 0.0 for pair in found.pairs if pair.condition == "neutral"]
    shown = rows(driver)
    assert len(shown) == len(neutral)
    assert is_rounded(shown[0].split()[-1], min(neutral))


def test_every_row_shows_the_numbers_of_the_json(browser: Open, tmp_path: Path) -> None:
    """d, and the probability before each sentence."""
    report = measurement()
    driver = opened(browser, tmp_path, report)
    found = report.to_json()
    driver.find_element("css selector", "#order option:nth-child(3)").click()
    while driver.find_element("id", "more").is_displayed():
        driver.find_element("id", "more").click()
    prompts = {prompt["id"]: prompt for prompt in found["prompts"]}
    shown = driver.execute_script(
        "return [...document.querySelectorAll('#rows > tr')].map((row) =>"
        " [...row.querySelectorAll('.number')].map((number) => number.textContent.trim()))"
    )
    for numbers, pair in zip(shown, found["pairs"], strict=True):
        column = ("negative", "neutral", "positive").index(pair["condition"])
        test, control = prompts[pair["id"]], prompts[pair["control"]]
        examples = [control["typical"], test["typical"], test["strongest"]]
        if test["typical"]["sentence"] == test["strongest"]["sentence"]:
            examples.pop()
        known = [example["probabilities"][column] for example in examples]
        assert all(map(is_rounded, numbers, [*known, pair["difference"]])), (numbers, pair)
        assert len(numbers) == len(known) + 1
        assert all(re.fullmatch(r"\d\.\d\d", shown) for shown in numbers[:-1])


def test_another_measurement_is_chosen(browser: Open, tmp_path: Path) -> None:
    """The table changes, and says how many prompts there are."""
    driver = opened(browser, tmp_path, measurement(), measurement("other", samples=20, seed=3))
    driver.find_element("css selector", "#measurement option:nth-child(2)").click()
    assert driver.find_element("id", "count").text == "60 of 60 test prompts; 25 shown"


def test_prompts_are_filtered_by_what_they_restate(browser: Open, tmp_path: Path) -> None:
    """By kind, or some or none of the continuations; the words of the sentence are marked."""
    found = exleak.score(
        [*topical_rows(4, 6), *_renamed(topical_rows(4, 0))],
        TOPICS,
        about=About(model="m", dataset="d"),
    )
    driver = opened(browser, tmp_path, found)
    assert len(rows(driver)) == 24
    for kind, count in (("echo", 12), ("mood", 0), ("some", 0), ("none", 12)):
        driver.find_element("css selector", f"#kind option[value={kind}]").click()
        assert len(rows(driver)) == count
    driver.find_element("css selector", "#kind option[value=echo]").click()
    shown = driver.find_elements("css selector", "#rows mark")
    assert {mark.text for mark in shown} == {"comet"}
    assert "60% of the continuations" in rows(driver)[0]


def _renamed(made: list[PromptGenerations]) -> list[PromptGenerations]:
    return [
        replace(row, id=f"x{row.id}", control=None if row.control is None else f"x{row.control}")
        for row in made
    ]


def test_everything_is_reached_by_keyboard(browser: Open, tmp_path: Path) -> None:
    """Tab goes through all controls in order; Enter shows more rows and keeps the place."""
    driver = opened(browser, tmp_path, measurement())
    stops = []
    for _ in range(37):
        press(driver, TAB)
        active = driver.switch_to.active_element
        stops.append(active.get_attribute("id") or active.tag_name)
    assert stops == ["a", "theme", "a", "measurement", "condition", "kind", "order", "search",
                     "shortcuts", *["a"] * 25, "more", "summary", "body"]  # fmt: skip
    driver.find_element("id", "more").send_keys(ENTER)
    assert len(rows(driver)) == 45
    active = driver.switch_to.active_element
    assert active.text == rows(driver)[25]
    driver.find_element("css selector", "summary").send_keys(ENTER)
    assert driver.find_element("css selector", "details .settings").is_displayed()


def marked(driver: Any) -> Any:
    """The one pair or measurement that is pointed at."""
    (found,) = driver.find_elements("css selector", "[aria-current]")
    return found


def pointed_at(driver: Any) -> str:
    """Its id; it has the focus, and is seen."""
    found = marked(driver)
    top, box = driver.execute_script("return scrollY"), found.rect
    assert top - box["height"] < box["y"] < top + 900
    focused = driver.switch_to.active_element
    assert found in (focused, focused.find_element("xpath", ".."))
    return str(found.get_attribute("id"))


def settled(driver: Any, end: str) -> bool:
    """Whether the address comes to end so within two seconds."""
    for _ in range(40):
        if driver.current_url.partition("#")[2] == end:
            return True
        time.sleep(0.05)
    raise AssertionError(driver.current_url)


def test_pairs_are_reached_by_keys(browser: Open, tmp_path: Path) -> None:
    """``j`` and ``k`` go from pair to pair, beyond what is shown; nothing happens while typing."""
    driver = opened(browser, tmp_path, measurement())

    def row(place: int) -> str:
        found = driver.find_elements("css selector", "#rows > tr")[place]
        return str(found.get_attribute("id"))

    press(driver, "j")
    assert pointed_at(driver) == row(0)
    press(driver, *"jjk")
    assert pointed_at(driver) == row(1)
    press(driver, *"kk", *"j" * 26)
    assert len(rows(driver)) == 45
    assert pointed_at(driver) == row(26)
    assert settled(driver, row(26))
    press(driver, "/", *"7 jk/")
    search = driver.find_element("id", "search")
    assert search == driver.switch_to.active_element
    assert search.get_attribute("value") == "7 jk/"
    assert rows(driver) == []
    search.clear()
    press(driver, "/", *"7 bad", ENTER)
    assert 0 < len(rows(driver)) < 45
    assert pointed_at(driver) == row(0)
    first = marked(driver).get_attribute("id")
    assert settled(driver, f"{first}?search=7+bad")
    driver.find_element("id", "order").send_keys("jj")
    driver.find_element("id", "shortcuts").click()
    driver.refresh()
    press(driver, *"jj/")
    assert marked(driver).get_attribute("id") == first
    assert driver.switch_to.active_element.get_attribute("id") != "search"


def test_a_link_shows_its_pair(browser: Open, tmp_path: Path) -> None:
    """Of any measurement, however far down; filters come along, and never hide it."""
    found = measurement(), measurement("other", samples=20, seed=3)
    driver = opened(browser, tmp_path, *found)
    page, pair = (tmp_path / "r.html").as_uri(), "other-on-hexl/s7:negative"
    chosen = "return ['measurement', 'condition', 'search'].map((id) => byId(id).value)"

    def visit(end: str) -> None:
        driver.get("about:blank")
        driver.get(f"{page}#{end}")

    visit(f"{pair}?condition=positive&search=thing")
    assert pointed_at(driver) == pair
    assert driver.execute_script(chosen) == ["other-on-hexl", "", ""]
    visit(f"{pair}?condition=negative&search=thing")
    assert pointed_at(driver) == pair
    assert driver.execute_script(chosen) == ["other-on-hexl", "negative", "thing"]
    link = driver.find_element("css selector", "#rows > tr:first-child a")
    target, words = link.get_attribute("href"), link.text
    link.click()
    assert driver.current_url == target
    assert words == f"link to {pointed_at(driver).partition('/')[2]}"
    driver.back()
    assert pointed_at(driver) == pair
    driver.find_element("id", "search").send_keys(" 1")
    assert settled(driver, "prompts?measurement=other-on-hexl&condition=negative&search=thing+1")
    shown = rows(driver)
    driver.refresh()
    assert rows(driver) == shown
    visit("other-on-hexl/s99:negative")
    assert driver.find_element("id", "count").text.endswith(
        "there is no pair other-on-hexl/s99:negative in this report"
    )
    assert driver.find_elements("css selector", "[aria-current]") == []
    visit("")
    driver.find_element("css selector", ".summary tbody tr:nth-child(2) a").click()
    assert pointed_at(driver) == "other-on-hexl"
    assert driver.find_element("css selector", "[aria-current] .settings").is_displayed()
    assert quiet(driver)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True], ids=("light", "dark"))
def test_nothing_overflows(browser: Open, tmp_path: Path, width: int, dark: bool) -> None:
    """Not even hostile texts and long names, in the details either; and text can be read."""
    name = "runs/" + "a-very-long-folder-name" * 6
    driver = opened(browser, tmp_path, measurement(name), measurement(hostile=True),
                    width=width, dark=dark)  # fmt: skip
    driver.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for option in (1, 2):
        driver.find_element("css selector", f"#measurement option:nth-child({option})").click()
        assert driver.execute_script(_OVERFLOWING) == []
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert driver.execute_script(_FAINT) == []
    assert quiet(driver)


def test_axe_finds_nothing(browser: Open, tmp_path: Path) -> None:
    """No rule of accessibility that axe-core knows is broken, at either width, in light or dark."""
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    driver = opened(browser, tmp_path, compared(), measurement(hostile=True))
    driver.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    driver.execute_script(axe)
    for width, dark in product((1280, 390), (False, True)):
        screen(driver, width, dark)
        assert driver.execute_async_script(_AXE) == []


# What axe-core says of the page, with the first place of each finding.
_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => done(violations.map(
  ({ id, help, nodes }) => `${id}: ${help}, ${nodes.length} times, such as ${nodes[0].html}`)));
"""
# Elements beyond the right edge, or wider inside than outside.
_OVERFLOWING = """
return [...document.querySelectorAll('body *')].filter((e) => {
  const box = e.getBoundingClientRect();
  if (e.closest('thead, .skip, option') || !box.width) return false;
  const wide = !e.closest('svg, select, input') && e.scrollWidth > e.clientWidth + 1;
  return box.right > innerWidth + 1 || (wide && getComputedStyle(e).display !== 'inline');
}).map((e) => `${e.tagName} ${e.className.baseVal ?? e.className} ${e.textContent.slice(0, 40)}`);
"""
# Texts with less contrast to what is behind them than WCAG's 4.5.
_FAINT = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (colour) => parse(colour).slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (e) => {
  for (let at = e; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (parse(colour)[3] !== 0) return colour;
  }
  return 'rgb(255, 255, 255)';
};
return [...document.querySelectorAll('body *')].filter((e) => {
  if (!e.getClientRects().length || e.closest('select, script')) return false;
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) return false;
  const style = getComputedStyle(e);
  const ink = e.closest('svg') ? style.fill : style.color;
  const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05) < 4.5;
}).map((e) => `${e.tagName} ${e.textContent.slice(0, 40)}`);
"""


def test_hostile_texts_are_shown_as_texts(browser: Open, tmp_path: Path) -> None:
    """They run nothing, load nothing, and are found by search as they were written."""
    driver = opened(browser, tmp_path, measurement(hostile=True))
    driver.execute_script("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    while driver.find_element("id", "more").is_displayed():
        driver.find_element("id", "more").click()
    assert driver.execute_script("return window.hacked === undefined")
    assert driver.find_elements("css selector", "#rows img, #rows script, #rows b") == []
    others = "#rows a:not([href^='#runs-step-100-on-hexl/'])"
    assert driver.find_elements("css selector", others) == []
    driver.find_element("id", "search").send_keys("</script><script>window.hacked")
    assert "</script><script>window.hacked = 1</script>" in rows(driver)[0]
    assert not re.search("[\x1b\u202e\u2066]", driver.find_element("tag name", "body").text)
    assert quiet(driver)


def test_colours_follow_the_button(browser: Open, tmp_path: Path) -> None:
    """As the system, light, dark; what was chosen is kept."""
    driver = opened(browser, tmp_path, measurement(), dark=True)
    colour = "return getComputedStyle(document.body).backgroundColor"
    dark = driver.execute_script(colour)
    button = driver.find_element("id", "theme")
    button.click()
    assert button.text == "Colours: light"
    light = driver.execute_script(colour)
    assert light != dark
    driver.refresh()
    assert driver.execute_script(colour) == light
    driver.find_element("id", "theme").click()
    assert driver.execute_script(colour) == dark


def test_paper_shows_what_is_folded(browser: Open, tmp_path: Path) -> None:
    """Printing unfolds the details, and folds them again."""
    driver = opened(browser, tmp_path, measurement())
    unfolded = "return document.querySelector('details').open"
    driver.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert driver.execute_script(unfolded)
    driver.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert not driver.execute_script(unfolded)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not driver.find_element("id", "controls").is_displayed()
