"""What is drawn, how much of it, and that nothing handed out gives it away."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from exleak import write_generations
from exleak.annotate.export import HANDOUT, KEY, blind, export_labels, export_pairs
from exleak.annotate.key import read_key
from exleak.annotate.sample import Lots, Size, draw_pairs, half_width, items_for
from exleak.errors import DatasetError, SettingsError
from exleak.records import PromptGenerations
from tests.helpers.people import reference_rows, write_run


def rows(controls: int = 12, generations: int = 3, seed: int = 0) -> list[PromptGenerations]:
    """A simulated run."""
    return list(reference_rows(controls, random.Random(seed), generations))


def handed_out(folder: Path) -> dict[str, str]:
    """The texts of all files that annotators get."""
    return {path.name: path.read_text("utf-8") for path in (folder / HANDOUT).iterdir()}


def test_the_key_says_what_was_shown(tmp_path: Path) -> None:
    """Side, condition and draws lead back to the run's own sentences."""
    run = write_run(tmp_path / "run.jsonl")
    key = export_pairs(run, tmp_path / "out")
    assert read_key(tmp_path / "out" / KEY) == key
    texts = {row.id: row.generations for row in rows()}
    assert len(key.items) == 36
    for item in key.items:
        assert item.draws is not None
        sample, condition = item.prompt.split(":")
        assert item.condition == condition
        assert item.test == texts[item.prompt][item.draws[0]]
        assert item.reference == texts[f"{sample}:control"][item.draws[1]]


def test_the_same_seed_and_salt_give_the_same_files(tmp_path: Path) -> None:
    """An export can be drawn again; another salt gives other ids, order and sides."""
    run = write_run(tmp_path / "run.jsonl")
    for name, salt in (("a", "one"), ("b", "one"), ("c", "two")):
        export_pairs(run, tmp_path / name, seed=3, salt=salt)
    first, again, other = (handed_out(tmp_path / name) for name in "abc")
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_the_salt_is_random(tmp_path: Path) -> None:
    """Who knows the run and the seed cannot work out the sides."""
    run = write_run(tmp_path / "run.jsonl")
    salts = {export_pairs(run, tmp_path / str(i)).salt for i in range(3)}
    assert len(salts) == 3
    assert min(map(len, salts)) >= 32


def test_no_item_gives_its_side_or_condition_away() -> None:
    """Over 100 draws, side, place and id are independent of the condition and of each other."""
    run, sides, places, ids = rows(10), Counter[str](), Counter[str](), Counter[str]()
    draws = 100
    for seed in range(draws):
        items = draw_pairs(run, Size(), Lots(0, f"salt {seed}"))
        ranked = sorted(item.id for item in items)
        for place, item in enumerate(items):
            sides[item.condition] += item.side == "left"
            places[item.condition] += place < len(items) / 2
            ids[item.condition] += ranked.index(item.id) < len(items) / 2
    for counter in (sides, places, ids):
        for condition in ("positive", "neutral", "negative"):
            # 1000 items each: a standard deviation of 16.
            assert abs(counter[condition] - 5 * draws) < 80


def test_the_order_is_not_the_run_s() -> None:
    """Over 100 draws, neighbours are as often in the run's order as not, at any distance."""
    run, rising, same = rows(10), 0, Counter[int]()
    for seed in range(100):
        items = draw_pairs(run, Size(), Lots(0, f"salt {seed}"))
        names = [item.prompt for item in items]
        rising += sum(first < second for first, second in itertools.pairwise(names))
        for step in range(1, 7):
            pairs = zip(items, items[step:], strict=False)
            same[step] += sum(one.condition == two.condition for one, two in pairs)
    assert abs(rising / 2900 - 0.5) < 0.05
    for step, count in same.items():
        # Of 30 items, nine of the other 29 have the same condition.
        assert abs(count / (100 * (30 - step)) - 9 / 29) < 0.05


def test_handed_out_files_do_not_depend_on_the_conditions(tmp_path: Path) -> None:
    """Relabel every test prompt: not a byte of what annotators get changes."""
    relabel = {"positive": "negative", "neutral": "positive", "negative": "neutral"}
    wanted = dict(zip(range(12), ["positive", "neutral", "negative"] * 4, strict=True))
    kept = [
        row for row in rows() if row.condition in ("control", wanted[int(row.id.split(":")[0][1:])])
    ]
    texts = []
    for name, labels in (("a", {}), ("b", relabel)):
        changed = [
            replace(row, condition=labels.get(row.condition, row.condition))  # type: ignore[arg-type]
            for row in kept
        ]
        write_generations(tmp_path / f"{name}.jsonl", changed)
        export_pairs(tmp_path / f"{name}.jsonl", tmp_path / name, salt="s")
        texts.append(handed_out(tmp_path / name))
    assert texts[0] == texts[1]
    assert read_key(tmp_path / "a" / KEY).items != read_key(tmp_path / "b" / KEY).items


def test_handed_out_files_hold_no_trace_of_the_run(tmp_path: Path) -> None:
    """Neither prompt ids nor injected sentences, salt or path; items have blind fields only."""
    run = write_run(tmp_path / "secret-run.jsonl")
    key = export_pairs(run, tmp_path / "out", salt="pepper")
    files = handed_out(tmp_path / "out")
    assert set(files) == {"annotate.html", "items.csv", "items.jsonl"}
    for text in files.values():
        for trace in ("Something", "happened", "secret-run", "pepper", ":control", "s1:", "Go on:"):
            assert trace not in text
    for item in blind(key):
        assert list(item) == ["item", "context", "left", "right"]
        assert re.fullmatch("[bcdfghjkmnpqrstvwxz]{10}", item["item"])
    # What is not an item is the same for every export.
    page = files["annotate.html"].replace(key.export, "")
    other = export_pairs(write_run(tmp_path / "b.jsonl", seed=5), tmp_path / "other")
    page_of_other = handed_out(tmp_path / "other")["annotate.html"].replace(other.export, "")
    cut: Callable[[str], str] = lambda text: re.sub(r'"items":\[.*\]', "", text)  # noqa: E731
    assert cut(page) == cut(page_of_other)


def test_no_sentence_comes_twice_with_one_beginning() -> None:
    """A sentence that comes back would be the control's; such pairs are redrawn or left out."""
    run = [
        replace(row, generations=("it felt fine.", "it felt so-so.", "it was odd."))
        for row in rows(6)
    ]
    shown: set[tuple[str, str]] = set()
    items = draw_pairs(run, Size(), Lots(0, "s"))
    assert len(items) >= 6
    for item in items:
        new = {(item.cluster, item.test), (item.cluster, item.reference)}
        assert not new & shown
        shown |= new


def test_a_sentence_that_repeats_the_injected_one_is_not_shown() -> None:
    """It would tell the side and the condition at once."""
    run = [
        replace(row, generations=(f"it is said: {row.injected}", *row.generations[:1]))
        if row.injected
        else row
        for row in rows(6)
    ]
    items = draw_pairs(run, Size(), Lots(0, "s"))
    assert len(items) == 18
    assert not any("happened" in text for item in items for text in item.shown.values())


def test_controls_and_conditions_take_turns() -> None:
    """Twelve items of twelve controls: one each, four of every condition."""
    items = draw_pairs(rows(), Size(items=12), Lots(0, "s"))
    assert len({item.cluster for item in items}) == 12
    assert set(Counter(item.condition for item in items).values()) == {4}


def test_precision_gives_the_size() -> None:
    """Half-widths of .1 and .05 need 97 and 385 items; positive and negative ones count."""
    assert [items_for(h) for h in (0.1, 0.05)] == [97, 385]
    assert half_width(97) <= 0.1 < half_width(96)
    items = draw_pairs(rows(60), Size(precision=0.1), Lots(0, "s"))
    assert sum(item.condition != "neutral" for item in items) == 97


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"items": 0}, "1 or more"),
        ({"items": 1000}, "1000 items are asked for, only 36"),
        ({"precision": 0.01}, "needs 9604 items, only 24 can be drawn; the best .* is 0.200"),
        ({"precision": 0.6}, "between 0 and 0.5"),
        ({"items": 5, "precision": 0.1}, "not both"),
    ],
)
def test_a_wrong_size_is_an_error(size: dict[str, float], message: str) -> None:
    """It says what can be had."""
    with pytest.raises(SettingsError, match=message):
        draw_pairs(rows(), Size(**size), Lots(0, "s"))  # type: ignore[arg-type]


def test_nothing_to_show_is_an_error() -> None:
    """Neither unusable generations nor controls alone make a pair."""
    with pytest.raises(DatasetError, match="nothing to annotate"):
        draw_pairs([row for row in rows() if row.control is None], Size(), Lots(0, "s"))
    with pytest.raises(DatasetError, match="nothing to annotate"):
        draw_pairs([replace(row, generations=("...",)) for row in rows()], Size(), Lots(0, "s"))


def test_an_export_is_never_overwritten(tmp_path: Path) -> None:
    """Its key would be lost, and with it the answers."""
    run = write_run(tmp_path / "run.jsonl")
    export_pairs(run, tmp_path / "out")
    with pytest.raises(SettingsError, match="holds an export already"):
        export_pairs(run, tmp_path / "out")


def test_labels_are_exported_once_each_without_their_label(tmp_path: Path) -> None:
    """HEXL has 180 injected sentences; items hold the sentence and nothing else."""
    key = export_labels("hexl", tmp_path / "out")
    assert Counter(item.condition for item in key.items) == dict.fromkeys(
        ("positive", "neutral", "negative"), 60
    )
    first = json.loads(handed_out(tmp_path / "out")["items.jsonl"].partition("\n")[0])
    assert list(first) == ["export", "item", "sentence", "label"]
    assert first["label"] is None
    assert "hexl" not in "".join(handed_out(tmp_path / "out").values())


def test_a_sentence_with_two_labels_is_an_error(tmp_path: Path) -> None:
    """No majority could confirm both."""
    path = tmp_path / "d.jsonl"
    sample = {"id": "a", "control": "It is", "positive": "So.", "neutral": "So.", "negative": "No."}
    path.write_text(json.dumps(sample))
    with pytest.raises(DatasetError, match=r"'So\.' is positive in a:positive and neutral in"):
        export_labels(path, tmp_path / "out")
