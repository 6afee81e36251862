"""Presets: the twelve models of the paper's Table 3, or any other model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.errors import SettingsError

if TYPE_CHECKING:
    from exleak.generation.requests import Chat


@dataclass(frozen=True)
class Preset:
    """A model to measure.

    Attributes:
        name: Name in the paper.
        hub: Hub name, or a checkpoint folder.
        family: ``"Llama"``, ``"Qwen"``, or empty for a model that is not in the paper.
        size: Number of parameters, in billions; ``None`` if unknown.
        instruct: Whether it is instruction-tuned; ``None`` if unknown.
        gated: Whether the hub requires its licence to be accepted.
    """

    name: str
    hub: str
    family: str = ""
    size: float | None = None
    instruct: bool | None = None
    gated: bool = False

    @property
    def chat(self) -> Chat:
        """Use of the chat template: always for instruct models, never for base models.

        The base models of Qwen2.5 have a chat template too, which must not be used.
        """
        if self.instruct is None:
            return "auto"
        return "always" if self.instruct else "never"


def _llama(version: str, size: int, suffix: str = "") -> Preset:
    name = f"Llama-{version}-{size}B{suffix}"
    return Preset(name, f"meta-llama/{name}", "Llama", size, bool(suffix), gated=True)


def _qwen(size: float, suffix: str = "") -> Preset:
    name = f"Qwen2.5-{size:g}B{suffix}"
    return Preset(name, f"Qwen/{name}", "Qwen", size, bool(suffix))


_LLAMAS = (("3.2", 1), ("3.2", 3), ("3.1", 8))
_QWENS = (0.5, 1.5, 3)
#: The paper's models in the order of Table 3.
PRESETS: tuple[Preset, ...] = (
    *(_llama(*which) for which in _LLAMAS),
    *(_llama(*which, "-Instruct") for which in _LLAMAS),
    *map(_qwen, _QWENS),
    *(_qwen(size, "-Instruct") for size in _QWENS),
)


def find(names: Iterable[str]) -> tuple[Preset, ...]:
    """The models with these names, without duplicates.

    Args:
        names: Names as in the paper, hub names, checkpoint folders, or ``"all"``.

    Raises:
        SettingsError: A name is not in the paper, no folder and no hub name.
    """
    presets: dict[str, Preset] = {}
    for name in names:
        for preset in PRESETS if name == "all" else (_one(name),):
            presets.setdefault(preset.name, preset)
    return tuple(presets.values())


def _one(name: str) -> Preset:
    for preset in PRESETS:
        if name.lower() in (preset.name.lower(), preset.hub.lower()):
            return preset
    if "/" not in name and not Path(name).is_dir():
        known = ", ".join(preset.name for preset in PRESETS)
        raise SettingsError(
            f"model {name!r} is not one of the paper's ({known}), no folder and no hub name"
        )
    return Preset(name, name)
