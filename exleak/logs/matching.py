"""Finds the prompts of a dataset again in what a tool logged: by their text, and by their id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exleak.errors import DatasetError
from exleak.logs.records import Asked
from exleak.records import Dataset, Prompt, PromptGenerations

#: Longest prompt in a message, in characters.
_SHOWN = 80


@dataclass
class Match:
    """The prompts of one dataset that were found, with what belongs to each.

    Attributes:
        dataset: The dataset.
        found: The logged prompts by the id of the dataset's, in file order.
        unknown: The logged prompts that are none of the dataset's.
    """

    dataset: Dataset
    found: dict[str, list[Asked]] = field(default_factory=dict)
    unknown: list[Asked] = field(default_factory=list)

    @property
    def generations(self) -> dict[str, tuple[str, ...]]:
        """The generations of each prompt that has any, by its id."""
        texts = {
            id: tuple(text for item in items for text in item.generations if text is not None)
            for id, items in self.found.items()
        }
        return {id: found for id, found in texts.items() if found}

    @property
    def failed(self) -> int:
        """Number of requests without a generation."""
        items = [item for found in self.found.values() for item in found]
        return sum(text is None for item in items for text in item.generations)


def match(asked: Sequence[Asked], datasets: Iterable[Dataset], path: Path) -> Match:
    """Match logged prompts with the one dataset that they are of.

    Raises:
        DatasetError: They are of none or of several, or a text and its id contradict each other.
    """
    tried = [_match(asked, dataset) for dataset in datasets]
    some = [found for found in tried if found.found]
    if len(some) == 1:
        return some[0]
    names = ", ".join(found.dataset.name for found in some or tried)
    if some:
        raise DatasetError(
            f"{path}: prompts of several datasets are in it ({names}): choose with --dataset"
        )
    if not asked:
        raise DatasetError(f"{path}: no prompts in it")
    raise DatasetError(
        f"{path}: none of its {len(asked)} prompts is one of {names} (the first is "
        f"{_shown(asked[0])}): name the dataset with --dataset; prompts must be asked word for word"
    )


def _match(asked: Sequence[Asked], dataset: Dataset) -> Match:
    by_text: dict[str, list[Prompt]] = {}
    for prompt in dataset.prompts:
        by_text.setdefault(_plain(prompt.text), []).append(prompt)
    by_id = {prompt.id: prompt for prompt in dataset.prompts}
    result = Match(dataset)
    for item in asked:
        known = _prompt(item, by_text, by_id.get(item.id or ""))
        if known is None:
            result.unknown.append(item)
        else:
            result.found.setdefault(known.id, []).append(item)
    return result


def _prompt(item: Asked, by_text: dict[str, list[Prompt]], named: Prompt | None) -> Prompt | None:
    """The prompt of a dataset that was asked; ``None`` if it is none of them."""
    texts = [_plain(text) for text in item.texts]
    same = next((by_text[text] for text in texts if text in by_text), [])
    if named is not None and (named in same or not texts):
        return named
    if named is not None and same:
        raise DatasetError(
            f"{item.where}: the id is that of {named.id!r}, but the text that of {same[0].id!r}: "
            "correct the id, or leave the ids out"
        )
    if len(same) > 1:
        raise DatasetError(
            f"{item.where}: the text is that of {same[0].id!r} and of {same[1].id!r}; log the "
            "prompt's id with it"
        )
    if same:
        return same[0]
    # The id alone would also fit another version of the dataset, with other sentences.
    is_wrapped = named is not None and any(_contains(text, named) for text in texts)
    return named if is_wrapped else None


def _contains(text: str, prompt: Prompt) -> bool:
    return all(_plain(part) in text for part in (prompt.injected, prompt.control) if part)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _shown(item: Asked) -> str:
    text = _plain(item.texts[0]) if item.texts else f"id {item.id}"
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def rows_of(match: Match, path: Path) -> tuple[PromptGenerations, ...]:
    """The rows of the dataset's prompts that have generations, in the dataset's order.

    Raises:
        DatasetError: No prompt with generations has its control.
    """
    texts = match.generations
    prompts = [prompt for prompt in match.dataset.prompts if prompt.id in texts]
    controls = {prompt.id for prompt in prompts if prompt.control_id is None}
    rows = tuple(
        PromptGenerations.of(prompt, _sent(match.found[prompt.id][0], prompt), texts[prompt.id])
        for prompt in prompts
        if prompt.control_id is None or prompt.control_id in controls
    )
    if all(row.control is None for row in rows):
        raise DatasetError(
            f"{path}: no test prompt of {match.dataset.name} has generations together with its "
            "control; ask all four prompts of a sample"
        )
    return rows


def _sent(item: Asked, prompt: Prompt) -> str:
    """The prompt's text as it was sent: the dataset's, unless the id alone has told it."""
    plain = _plain(prompt.text)
    told = not item.texts or any(_plain(text) == plain for text in item.texts)
    return prompt.text if told else item.texts[-1]


def notes_of(match: Match, rows: Sequence[PromptGenerations]) -> tuple[str, ...]:
    """What was not matched, is missing, or was left out, in words."""
    name, total, unknown = match.dataset.name, len(match.dataset.prompts), match.unknown
    asked = sum(map(len, match.found.values())) + len(unknown)
    alone = len(match.generations) - len(rows)
    said = []
    if unknown:
        said.append(
            f"{len(unknown)} of {asked} logged prompts are none of {name} and are left out, the "
            f"first: {_shown(unknown[0])}"
        )
    if match.failed:
        said.append(f"{match.failed} requests failed and have no generation")
    if alone:
        said.append(f"{alone} test prompts are left out: their controls have no generations")
    if len(rows) < total:
        said.append(f"{total - len(rows)} of {total} prompts of {name} are not measured")
    return tuple(said)
