"""The page as a file: hostile texts stay texts, and nothing is loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from exleak.annotate.page import page
from exleak.annotate.task import LABELS, PAIRS, TASKS, Task
from exleak.pages import embedded
from tests.helpers.pages import HOSTILE, elements


def items(texts: tuple[str, ...]) -> list[dict[str, str]]:
    """Items that show these texts everywhere."""
    return [{"item": f"i{i}", "context": t, "left": t, "right": t} for i, t in enumerate(texts)]


def test_hostile_texts_make_no_markup() -> None:
    """A page with them has exactly the elements of a page without."""
    plain, hostile = elements(page("e", PAIRS, items(("a",)))), page("e", PAIRS, items(HOSTILE))
    assert elements(hostile).tags == plain.tags
    assert elements(hostile).attributes == plain.attributes
    assert hostile.encode().decode() == hostile


def test_hostile_texts_come_back_as_they_were() -> None:
    """What the script reads is what the model wrote."""
    _, data, _ = elements(page("e", PAIRS, items(HOSTILE))).scripts
    assert [item["left"] for item in json.loads(data)["items"]] == list(HOSTILE)
    assert not set("<>&") & set(embedded(items(HOSTILE)))


def test_only_the_own_script_and_style_may_run() -> None:
    """The policy names them by hash and allows nothing else."""
    text = page("e", PAIRS, items(("a",)))
    style, _, script = elements(text).scripts
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert found is not None
    for kind, source in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in found[1]
    assert found[1].startswith("default-src 'none'")


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_the_page_is_self_contained(task: Task) -> None:
    """No address, no import, no request."""
    text = page("e", task, [])
    for trace in ("http://", "https://", "src=", 'href="', "@import", "url(", "fetch(", "XMLHttp"):
        assert trace not in text
    assert "{{" not in text


def test_labels_do_not_show_a_label() -> None:
    """The page for labelling holds sentences only."""
    _, data, _ = elements(page("e", LABELS, [{"item": "i", "sentence": "So."}])).scripts
    assert json.loads(data)["items"] == [{"item": "i", "sentence": "So."}]


def test_every_key_means_one_thing() -> None:
    """No key answers two questions, or also moves between items."""
    for task in TASKS.values():
        keys = [key for q in task.questions for choice in q.choices for key in choice.keys]
        assert len(keys) == len(set(keys))
        assert not set(keys) & {"Backspace", "Enter", "Delete", "Tab", " "}
