"""Continuations of a whole dataset: stored ones are read, missing ones are generated."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from exleak.environment import difference, packages
from exleak.errors import ModelError
from exleak.generation.requests import Backend, Counts, Request, Source
from exleak.generation.sampling import Sampling, check_batch_size
from exleak.languages import ENGLISH
from exleak.progress import advance, phase
from exleak.prompts import first_sentence_of, prompt_text
from exleak.records import Dataset, Prompt, PromptGenerations
from exleak.sentences.thoughts import opens_thought
from exleak.store.generations import write_run
from exleak.store.store import digest

if TYPE_CHECKING:
    from exleak.store import Store
    from exleak.store.segments import Segments

#: New continuations are flushed to the store after this many at the latest.
_FLUSH_COUNT = 500
_CHAT = "chat"
_NOTES = "notes"
#: Key prefix of notes made during generation.
_SAID = "said:"


#: Note on runs whose answers begin with the control prompt.
PREFILLED = (
    "the control prompt was put into the model's own turn (chat prefill), which is not the "
    "paper's protocol"
)


class _Asked(NamedTuple):
    """A prompt as sent to a model, the prefilled beginning of the answer, and their language."""

    text: str
    begun: str | None
    language: str


@dataclass(frozen=True)
class Generated:
    """A dataset's continuations and their origin.

    Attributes:
        rows: One per prompt, in dataset order.
        identity: Identity of the model, for comparisons.
        environment: Device and dtype, or a server's address; ``batch_sizes`` if the batch size
            was halved because memory ran out.
        notes: Caveats on how they were made.
    """

    rows: tuple[PromptGenerations, ...]
    identity: dict[str, Any]
    environment: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass
class _Course:
    """Batch sizes used during a generation, and caveats on it."""

    sizes: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def generate_rows(
    source: Source,
    dataset: Dataset,
    sampling: Sampling,
    *,
    batch_size: int | None = None,
    mitigation: str | None = None,
    store: Store | None = None,
    is_part: bool = False,
) -> Generated:
    """Continue every prompt of a dataset, each continuation up to its first sentence.

    Equal prompts are generated once. With a store, the model is loaded only if continuations are
    missing, and a lock prevents two processes from generating the same ones. The rows are also
    written to the store as a generations file.

    Args:
        source: The model.
        dataset: The prompts to continue.
        sampling: Settings.
        batch_size: Maximum number of continuations generated at once; affects only the rounding
            of logits.
        mitigation: An instruction prepended to each prompt.
        store: Where continuations are stored.
        is_part: Whether the run goes on with other prompts: no generations file is written then.

    Raises:
        SettingsError: A batch size below 1.
    """
    check_batch_size(batch_size)
    course = _Course()
    asked = _asked(source, dataset, mitigation)
    wanted = _wanted(dataset, asked)
    about = None if store is None else source.about(sampling, store)
    notes: tuple[str, ...]
    if store is None or about is None:
        backend = _loaded(source)
        entries = _generate(backend, wanted, sampling, {}, None, batch_size, course)
        chat, notes = backend.chat, (*backend.loading_notes, *course.notes)
        environment = source.environment  # some of it is known once the model is loaded
    else:
        entries, about, origins = _from_store(
            source, about, wanted, sampling, store, batch_size, course
        )
        here = source.made_with
        made = _made(origins, wanted, sampling) if here else []
        chat, notes = entries[_CHAT], _stored_notes(entries, made, here)
        environment = source.environment
        environment |= {"packages": {**packages(), **_together(made)}} if made else {}
    if len(course.sizes) > 1:
        environment["batch_sizes"] = course.sizes
    rows = tuple(map(partial(_row, entries, sampling), dataset.prompts, asked))
    notes = (*notes, *source.notes(sampling, rows))
    if chat == "prefill":
        notes = (PREFILLED, *notes)
    if store is not None and not is_part:
        write_run(store, f"{source.name}-{dataset.name}", rows)
    return Generated(rows, source.identity(chat, about), environment, notes)


def missing(
    source: Source,
    dataset: Dataset,
    sampling: Sampling,
    *,
    mitigation: str | None = None,
    store: Store | None = None,
) -> list[tuple[Prompt, Request]]:
    """What :func:`generate_rows` with these arguments would generate, without generating it.

    The model is loaded only if something is missing. A store that does not exist is not made.
    """
    wanted = _wanted(dataset, _asked(source, dataset, mitigation))
    found: dict[str, Any] = {}
    if store is not None and store.root.is_dir():
        about = source.about(sampling, store)
        found = {} if about is None else _read(store.generations(about))[0]
        if not _missing(wanted, sampling, found):
            return []
    requests = _requests(source.backend, wanted, sampling, found)
    return [
        (prompt, request)
        for prompt, request in zip(wanted.values(), requests, strict=True)
        if request.indices
    ]


def _asked(source: Source, dataset: Dataset, mitigation: str | None) -> list[_Asked]:
    """Every prompt as it is sent to the model."""
    is_begun = source.chat == "prefill"
    return [
        _Asked(
            prompt_text(prompt, mitigation), prompt.control if is_begun else None, prompt.language
        )
        for prompt in dataset.prompts
    ]


def _wanted(dataset: Dataset, asked: list[_Asked]) -> dict[_Asked, Prompt]:
    """The different prompts as sent to the model, each with the first one that is sent so."""
    wanted: dict[_Asked, Prompt] = {}
    for one, prompt in zip(asked, dataset.prompts, strict=True):
        wanted.setdefault(one, prompt)
    return wanted


def _made(
    origins: dict[str, dict[str, str]], wanted: dict[_Asked, Prompt], sampling: Sampling
) -> list[dict[str, str]]:
    """Distinct package versions that made the wanted continuations, oldest first."""
    wanted_keys = {_key(asked, i) for asked in wanted for i in range(sampling.generations)}
    distinct: list[dict[str, str]] = []
    for key, versions in origins.items():
        if key in wanted_keys and versions not in distinct:
            distinct.append(versions)
    return distinct


def _together(made: list[dict[str, str]]) -> dict[str, str]:
    """Versions by package, comma-separated if continuations were made with several."""
    names = dict.fromkeys(name for versions in made for name in versions)
    return {
        name: ", ".join(dict.fromkeys(versions.get(name, "unknown") for versions in made))
        for name in names
    }


def _stored_notes(
    found: dict[str, Any], made: list[dict[str, str]], here: dict[str, str]
) -> tuple[str, ...]:
    """Notes from loading and generating, and one if other package versions made some entries."""
    said = difference(made, here)
    course = [text for key, text in found.items() if key.startswith(_SAID)]
    return (*found.get(_NOTES, ()), *course, *([said] if said else ()))


def _row(
    found: dict[str, str], sampling: Sampling, prompt: Prompt, asked: _Asked
) -> PromptGenerations:
    texts = tuple(found[_key(asked, index)] for index in range(sampling.generations))
    return PromptGenerations.of(prompt, asked.text, texts)


def _render(backend: Backend, asked: _Asked) -> str:
    rendered = backend.render(asked.text, asked.begun)
    if opens_thought(rendered):
        end = rendered[-20:].strip()
        raise ModelError(
            f"model {backend.name}: its chat template opens a thought ({end!r}), whose first "
            "sentence is no answer; give a checkpoint whose template has thinking "
            "off, or --leakage-chat never"
        )
    return rendered


def _key(asked: _Asked, index: int) -> str:
    text = asked.text if asked.begun is None else f"{asked.text}\0{asked.begun}"
    # Where a continuation may stop depends on the language.
    suffix = "" if asked.language == ENGLISH else f":{asked.language}"
    return f"{digest(text)}:{index}{suffix}"


def _missing(wanted: dict[_Asked, Prompt], sampling: Sampling, found: dict[str, Any]) -> bool:
    return _CHAT not in found or any(
        _key(asked, i) not in found for asked in wanted for i in range(sampling.generations)
    )


def _from_store(
    source: Source,
    about: dict[str, Any],
    wanted: dict[_Asked, Prompt],
    sampling: Sampling,
    store: Store,
    batch_size: int | None,
    course: _Course,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, str]]]:
    """Stored and new continuations by key, their store key, and the versions that made each."""
    segments = store.generations(about)
    entries, origins = _read(segments)
    if not _missing(wanted, sampling, entries):
        return entries, about, origins
    with store.lock(segments):
        entries, origins = _read(segments)
        if not _missing(wanted, sampling, entries):
            return entries, about, origins
        backend = _loaded(source)
        # Loading may have fetched files or a newer revision: the store key is that of the
        # loaded model.
        about = source.about(sampling, store) or about
        segments = store.generations(about)
        segments.makers = source.made_with
        entries, origins = _read(segments)
        notes = list(backend.loading_notes)
        about_loaded = {_CHAT: backend.chat, **({_NOTES: notes} if notes else {})}
        fresh = {key: value for key, value in about_loaded.items() if key not in entries}
        entries |= fresh
        segments.append(fresh)
        entries = _generate(backend, wanted, sampling, entries, segments, batch_size, course)
        origins = {key: origins.get(key, segments.makers) for key in entries}
        said = {_SAID + digest(note): note for note in course.notes}
        segments.append(said)
        entries |= said
        segments.merge()
    return entries, about, origins


def _loaded(source: Source) -> Backend:
    """The model, loaded; on a server, probed."""
    with phase("loading", "weights", 0):
        return source.backend


def _read(segments: Segments) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """The stored entries, and the package versions that made each."""
    stored: dict[str, Any] = {}
    origins: dict[str, dict[str, str]] = {}
    for versions, entries in segments.parts():
        stored |= entries
        origins |= dict.fromkeys(entries, versions)
    return stored, origins


def _requests(
    backend: Backend, wanted: dict[_Asked, Prompt], sampling: Sampling, found: dict[str, Any]
) -> list[Request]:
    """A request for each wanted prompt, for the continuations that ``found`` lacks."""
    return [
        Request(
            _render(backend, asked),
            tuple(i for i in range(sampling.generations) if _key(asked, i) not in found),
            first_sentence_of(
                asked.text, prompt.control, prompt.injected, asked.language
            ).is_complete,
            asked.begun,
        )
        for asked, prompt in wanted.items()
    ]


def _generate(
    backend: Backend,
    wanted: dict[_Asked, Prompt],
    sampling: Sampling,
    found: dict[str, Any],
    segments: Segments | None,
    batch_size: int | None,
    course: _Course,
) -> dict[str, Any]:
    """Generate the continuations that ``found`` lacks, and return all of them.

    New texts are flushed to the store at intervals, and also when the run fails.
    """
    order = list(wanted)
    requests = _requests(backend, wanted, sampling, found)
    total = sum(len(request.indices) for request in requests)
    fresh: dict[str, str] = {}
    made: dict[str, str] = {}
    flushed = time.monotonic()
    counts = Counts(batch_sizes=course.sizes, notes=course.notes)
    items = backend.continue_prompts(requests, sampling, batch_size=batch_size, counts=counts)
    try:
        # Closing restores the model's state.
        with closing(items), phase("generating", "sentences", total):
            for item in items:
                fresh[_key(order[item.request], item.index)] = item.text
                late = time.monotonic() - flushed > backend.flush_seconds
                if segments and (len(fresh) >= _FLUSH_COUNT or late):
                    segments.append(fresh)
                    made, fresh, flushed = made | fresh, {}, time.monotonic()
                advance()
    finally:
        if segments:
            segments.append(fresh)
    return {**found, **made, **fresh}
