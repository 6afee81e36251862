"""The page as a file: its numbers are the JSON's, its texts are texts, it needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from exleak.records import Verdict
from exleak.reports import charts, figures, render
from exleak.reports.columns import FACTS, RATES, SERIES, lookup
from exleak.reports.prompt_table import prompt_data
from exleak.reports.published import published
from tests.helpers.measurements import compared, measurement, mitigated, six_models
from tests.helpers.numbers import at, is_rounded, shows
from tests.helpers.pages import elements

FOUND = [
    measurement(),
    mitigated("mine", "aexl"),
    measurement("meta/Model_1", "aexl", seed=1, limit=0.95),
    measurement("plain", limit=None, seed=2),
    measurement(hostile=True),
    compared(),
]


class Places(HTMLParser):
    """Every element that tells its place in the report: place, value, text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None, str]] = []
        self.open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a number's place."""
        values = dict(attrs)
        self.open = "data-at" in values
        if self.open:
            self.found.append((str(values["data-at"]), values.get("value"), ""))

    def handle_data(self, data: str) -> None:
        """Note its text."""
        if self.open:
            self.found[-1] = (*self.found[-1][:2], data)
            self.open = False


def places(text: str) -> list[tuple[str, str | None, str]]:
    """The numbers of a page."""
    parser = Places()
    parser.feed(text)
    return parser.found


def test_every_number_is_that_of_the_json() -> None:
    """Each equals the value at the place that it names, rounded."""
    for place, value, text in places(render("html", FOUND)):
        known = at(FOUND, place)
        assert shows(text, known), (place, text, known)
        if place.endswith(".rate") and known is not None:
            assert re.fullmatch(r"[01]\.\d{3}", text)
        if value is not None:
            exact = " ".join(map(str, known)) if isinstance(known, list) else str(known)
            assert value == exact


COLUMNS = [
    ("μ_EL", "expression.rate"),
    ("95% interval", "expression.interval"),
    ("W_EL", "expression.p_value"),
    ("directional", "expression.directional.rate"),
    ("carry-over", "expression.carry_over.share.rate"),
    ("residual", "expression.residual.directional.rate"),
    ("μ_L", "semantic.instance.rate"),
    ("limit", "verdict.limit"),
    ("Δ", "verdict.comparison.delta"),
]
KEYS = {"Value": "rate", "95% interval": "interval", "n": "n", "p": "p_value", "Ties": "ties"}
CELL = re.compile(r'data-label="([^"]*)">(?:<strong>)?<data data-at="(\d+)\.([^"]*)"')


def test_each_number_stands_under_its_heading() -> None:
    """In the summary, and in the tables of rates."""
    page = render("html", FOUND)
    summary, steps, *rates = re.findall(r'<tbody role="rowgroup">.*?</tbody>', page)
    for index, row in enumerate(summary.split("</tr>")[: len(FOUND)]):
        known = [
            (name, str(index), place)
            for name, place in COLUMNS
            if lookup(FOUND[index], place) is not None
        ]
        assert CELL.findall(row) == known
    assert [place for _, _, place in CELL.findall(steps)] == [place for _, place, _ in SERIES]
    assert len(rates) == len(FOUND)
    for index, table in enumerate(rates):
        for row, (label, place) in zip(table.split("</tr>"), RATES, strict=False):
            assert f">{label}</th>" in row
            for name, number, found in CELL.findall(row):
                assert (number, found) == (str(index), f"{place}.{KEYS[name]}")


def test_some_columns_are_there_where_they_say_something() -> None:
    """The difference to a baseline, and the rate that a limit is on if it is not the paper's."""
    limited = replace(measurement(), verdict=Verdict("pass", (), 0.6, metric="residual"))
    for found, heading, cell in (
        (compared(), "Δ", '<data data-at="1.verdict.comparison.delta"'),
        (limited, "limit on", "residual<"),
    ):
        column = f'scope="col">{heading}</th>'
        assert column not in render("html", [measurement()])
        page = render("html", [measurement(), found])
        assert column in page
        assert f'data-label="{heading}">{cell}' in page


def test_every_rate_of_the_json_is_shown() -> None:
    """With interval, n, p-value and ties, wherever there is one."""
    shown = {place for place, _, _ in places(render("html", FOUND))}
    for index, found in enumerate(FOUND):
        for _, place in RATES:
            for key in ("rate", "interval", "n", "p_value", "ties"):
                if at([found], f"0.{place}.{key}") is not None:
                    assert f"{index}.{place}.{key}" in shown
        for place in ("verdict.limit", *(place for _, place, _ in FACTS)):
            if lookup(found, place) is not None:
                assert f"{index}.{place}" in shown


def test_no_number_lacks_its_place() -> None:
    """What else looks like a rate is one of the paper's, or stands in a text of the JSON."""
    body = render("html", FOUND).partition("</style>")[2].partition('<script id="data"')[0]
    body = re.sub(r"<(data|title|desc)\b.*?</\1>|<text[^>]* data-at.*?</text>", "", body)
    body = re.sub(
        r'<(dl class="settings"|ul class="remarks").*?</(dl|ul)>|<bdi>.*?</bdi>', "", body
    )
    numbers = re.findall(r"\d\.\d+", re.sub("<[^>]*>", " ", body))
    known = {f"{cell.mu:.2f}" for table in (published(3), published(4))
             for cells in table.values() for cell in cells.values()}  # fmt: skip
    # Names of models hold numbers, too.
    names = set(re.findall(r"\d\.\d+", " ".join(published(3))))
    assert set(numbers) <= known | names


def test_the_table_of_prompts_has_the_numbers_of_the_json() -> None:
    """Differences and probabilities of each test prompt, as its own data say."""
    for index, one in enumerate(prompt_data(FOUND)["measurements"]):
        found = FOUND[index].to_json()
        prompts = {prompt["id"]: prompt for prompt in found["prompts"]}
        for row, pair in zip(one["rows"], found["pairs"], strict=True):
            test, control = prompts[pair["id"]], prompts[pair["control"]]
            column = ("negative", "neutral", "positive").index(pair["condition"])
            assert is_rounded(f"{row[3]:.3f}", pair["difference"])
            for shown, prompt in ((row[5], control), (row[10], test)):
                assert all(map(is_rounded, (f"{p:.2f}" for p in shown), prompt["probabilities"]))
            assert is_rounded(f"{row[4]:.2f}", test["carry_over"])
            for p, example in ((7, control["typical"]), (12, test["typical"]),
                               (16, test["strongest"])):  # fmt: skip
                assert is_rounded(f"{row[p]:.2f}", example["probabilities"][column])
                assert row[p + 1] == example["restates"]
                assert row[p + 2] == list(example["shared"])


def test_hostile_texts_make_no_markup() -> None:
    """Only our tags and attributes, and nothing that would run or be loaded."""
    page = render("html", [measurement(hostile=True)])
    found = elements(page)
    assert not {"img", "iframe", "a:href", "b", "object", "link"} & set(found.tags)
    assert found.tags.count("script") == 2
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "src"]
    hrefs = [v for name, v in found.attributes if name == "href"]
    assert hrefs == ["#main", "#runs-step-100-on-hexl"]
    assert page.encode().decode() == page


def test_hostile_texts_obey_nobody() -> None:
    """No control characters, no marks that turn the direction of writing, no lone surrogates."""
    page = render("html", [measurement(hostile=True)])
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    assert "x" * 300 not in page


def test_only_the_own_script_and_style_may_run() -> None:
    """The policy names them by hash and allows nothing else."""
    page = render("html", FOUND)
    style, _, script = elements(page).scripts
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    for kind, source in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in found[1]
    assert found[1].startswith("default-src 'none'")


def test_the_page_is_self_contained() -> None:
    """No address, no import, no request, no mark left over."""
    page = render("html", [measurement()])
    for trace in ("http://", "https://", "src=", "@import", "url(", "fetch(", "XMLHttp", "{{"):
        assert trace not in page


def test_every_figure_is_described() -> None:
    """A title and a description for those who cannot see it, under ids used once."""
    page = render("html", FOUND)
    labels = re.findall(r'<svg class="figure" role="img" aria-labelledby="([^"]*)"', page)
    assert len(labels) == 2 + 2 + 2 + len(FOUND)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(" ".join(labels).split()) <= set(ids)


def test_the_published_numbers_stand_beside_the_measured_ones() -> None:
    """Table 3, and Table 4 with the mitigation instruction; doubtful cells are marked."""
    plain = render("html", [measurement(dataset="aexl")])
    assert "Llama-3.1-8B 0.61 †" in plain
    assert "Qwen2.5-0.5B 0.76<" in plain
    found = measurement(dataset="hexl")
    mitigated = render(
        "html", [replace(found, sampling={**found.sampling, "mitigation": "Ignore."})]
    )
    assert "Llama-3.1-8B-Instruct, with mitigation 0.60 †" in mitigated
    assert "Qwen2.5-0.5B 0" not in mitigated
    assert "Llama" not in render("html", [measurement(dataset="mine")])


def test_each_run_has_the_published_numbers_of_its_kind() -> None:
    """A plain and a mitigated run in one figure: Table 3 and Table 4, told apart."""
    (_, figure), _ = charts.rates([measurement(), mitigated(), measurement(dataset="aexl")])
    for which, suffix in ((3, ""), (4, ", with mitigation")):
        for model, cells in published(which).items():
            assert f">{model}{suffix} {cells['hexl'].mu:.2f}" in figure
    (_, figure), (_, other) = charts.rates([mitigated(), measurement(dataset="aexl")])
    assert ">Llama-3.1-8B " not in figure
    assert "with mitigation" not in other


def test_figures_tell_a_mitigated_run_from_a_plain_one() -> None:
    """Rates, bars and histograms."""
    for draw in (charts.rates, charts.conditions, charts.differences):
        found = "".join(f"{caption} {figure}" for caption, figure in draw([mitigated("m")]))
        assert "m, with mitigation" in found
    (one,) = prompt_data([mitigated("m")])["measurements"]
    assert one["name"] == "m, with mitigation on hexl"


@pytest.mark.parametrize("value", [-1.0, -0.05, 0.0, 0.001, 0.05, 1.0])
def test_a_histogram_counts_zero_as_no_leak(value: float) -> None:
    """The bins on the right of 0 hold what is above it."""
    drawn = figures.histogram("h", "t", [("positive", [value])])
    (left,) = re.findall(r'<rect class="positive" x="([\d.]+)%', drawn)
    assert (float(left) >= 50) == (value > 0)


def test_a_figure_stands_alone() -> None:
    """As a well-formed SVG file with its own colours, whatever a model is called."""
    from xml.etree import ElementTree

    mark = figures.Mark("<&> \x1b\ud800 model", 0.7, (0.6, 0.8), 0.65)
    for figure in (
        figures.rates("r", "<title>", [mark], [mark]),
        figures.conditions("c", "t", [("<&>", [mark])]),
        figures.histogram("h", "t", [("negative", [0.1, -0.2])]),
    ):
        root = ElementTree.fromstring(figures.standalone(figure).encode())
        assert root.tag.endswith("svg")


def test_a_page_without_details_is_made() -> None:
    """From a report that holds only what the contract asks for, or nothing at all."""
    bare = replace(measurement(), pairs=(), prompts=(), worst=(), notes=())
    assert json.loads(elements(render("html", [bare])).scripts[1])["measurements"][0]["rows"] == []
    assert "nothing measured" in render("html", [])


def test_six_models_on_two_datasets_are_under_3_mb() -> None:
    """HEXL's 240 and AEXL's 800 prompts, with sentences of 20 words."""
    assert len(render("html", six_models()).encode()) < 3_000_000
