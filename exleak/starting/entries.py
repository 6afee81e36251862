"""The text of ``leakage.toml``: an entry for each model, its limit left to the reader.

>>> print(entry({"path": "runs/ü"}, "my model"), end="")
[models."my model"]
path = "runs/ü"
"""

from __future__ import annotations

import itertools
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from exleak.errors import SettingsError
from exleak.files import read_text
from exleak.starting.search import Found

#: What stands where a reader has to put a limit; no TOML, so that it is not forgotten.
OPEN = "# max_rate = …"
#: The model of a repository that has no checkpoint yet.
REFERENCE = "reference-clean"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r'[\x00-\x1f\x7f"\\]')
_WIDTH = 100


def string(text: str) -> str:
    """A text as a TOML string, on one line.

    Args:
        text: The text, without lone surrogates, which TOML cannot express.
    """
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"


def entry(values: Mapping[str, str], name: str) -> str:
    """The table ``[models.NAME]`` with texts as its values."""
    key = name if _BARE.fullmatch(name) else string(name)
    lines = [f"[models.{key}]", *(f"{key} = {string(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def models_text(models: Iterable[Found], *, cuda: bool) -> str:
    """The entries of the models found.

    Args:
        models: The models.
        cuda: Whether this machine has CUDA. Without it, entries name the CPU: what names no device
            is measured on CUDA, and skipped without it.
    """
    return "\n".join(_model(found, cuda) for found in models)


def _model(found: Found, cuda: bool) -> str:
    text = ""
    if found.series is not None and found.series.isprintable():
        pattern = shlex.quote(found.series)
        text = f"# The last of {found.count}; all of them: --leakage-model={pattern}\n"
    values = {"path": found.path} | ({} if cuda else {"device": "cpu"})
    return f"{text}{entry(values, found.name)}{OPEN}\n"


def toml_text(models: Iterable[Found], *, cuda: bool) -> str:
    """The whole of a new ``leakage.toml``.

    Without a model, it has the reference model that does not leak, and a commented example.

    Args:
        models: The models.
        cuda: Whether this machine has CUDA.
    """
    entries = models_text(models, cuda=cuda) or (
        "# No checkpoint was found. This reference model comes with exleak, and does not leak.\n"
        f"{entry({'device': 'cpu'}, REFERENCE)}{OPEN}\n\n"
        '# [models.mine]\n# path = "checkpoints/step-1000"\n# max_rate = …\n'
    )
    about = [
        "The models that `pytest` measures. max_rate is the highest μ_EL that passes: set it in "
        "each entry, without the #; until then, pytest needs --leakage-report-only.",
        *orientation(),
    ]
    if not cuda:
        about.append('device = "cpu": there was no CUDA here; without this line an entry is '
                     "measured on CUDA, and skipped where there is none.")  # fmt: skip
    return _commented(about) + "\n" + entries


def _commented(paragraphs: Iterable[str]) -> str:
    filled = (
        textwrap.fill(
            text,
            _WIDTH,
            initial_indent="# ",
            subsequent_indent="#       " if text.startswith(" ") else "# ",
        )
        for text in paragraphs
    )
    return "\n".join(filled) + "\n"


def orientation() -> list[str]:
    """Rates that help to choose a limit: of the reference models, and of the paper's models.

    Returns:
        Lines of text.
    """
    from exleak import reference
    from exleak.reference.members import MEMBERS
    from exleak.reports.published import published

    known = [
        f"  {reference.true_rates(name)['rate']:.2f}  {name}: {member.summary}"
        for name, member in MEMBERS.items()
    ]
    cells = {model: cells["hexl"].mu for model, cells in published(3).items()}
    low, high = min(cells, key=cells.__getitem__), max(cells, key=cells.__getitem__)
    return [
        "For orientation, μ_EL on HEXL with 10 generations per prompt (.5 is no leakage). Models "
        "whose leakage is known, with the instrument `embedded`:",
        *known,
        f"The {len(cells)} models of the paper, with its own instrument: {cells[low]:.2f} ({low}) "
        f"to {cells[high]:.2f} ({high}).",
    ]


def missing(toml: Path, models: Iterable[Found]) -> tuple[Found, ...]:
    """The models that an existing ``leakage.toml`` does not have.

    A series counts as there if any of its checkpoints is. Names that are taken get a number.

    Args:
        toml: The file.
        models: The models, with paths from the folder of the file.

    Raises:
        SettingsError: The file is not TOML, or has something else than tables in ``models``.
    """
    try:
        known = tomllib.loads(read_text(toml)).get("models", {})
        paths = [str(values.get("path", name)) for name, values in known.items()]
    except (ValueError, AttributeError) as error:
        raise SettingsError(f"{toml}: cannot be read ({error}); repair it, or move it") from None
    there = {(toml.parent / path).resolve() for path in paths}
    taken = set(known)
    return tuple(
        _renamed(found, taken)
        for found in models
        if not there & {path.resolve() for path in _all(toml.parent, found)}
    )


def _all(folder: Path, found: Found) -> Iterable[Path]:
    return folder.glob(found.series) if found.series else (folder / found.path,)


def _renamed(found: Found, taken: set[str]) -> Found:
    numbered = (f"{found.name}-{number}" for number in itertools.count(2))
    name = next(name for name in itertools.chain([found.name], numbered) if name not in taken)
    taken.add(name)
    return replace(found, name=name)
