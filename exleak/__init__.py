"""exleak measures expression leakage: whether an irrelevant sentence's mood affects continuations.

    >>> import exleak
    >>> len(exleak.load_dataset("hexl").samples)
    60

Names are loaded on first use: importing exleak imports neither torch nor numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exleak.datasets import dataset_names, load_dataset
    from exleak.environment import version
    from exleak.errors import (
        ComparisonError,
        DatasetError,
        ExleakError,
        InstrumentError,
        ModelError,
        ReportError,
        SettingsError,
        TrackerError,
    )
    from exleak.gate.comparison import compare
    from exleak.gate.limits import Limits
    from exleak.generation.local.checkpoint import Loading
    from exleak.generation.local.generate import generate
    from exleak.generation.local.loading import load_model
    from exleak.generation.requests import Template
    from exleak.generation.sampling import Sampling
    from exleak.measurement import MITIGATION, measure, score
    from exleak.records import Measurement
    from exleak.scoring import load_instrument
    from exleak.sentences.answers import FirstSentence
    from exleak.store import read_generations, write_generations

_HOMES = {
    "dataset_names": "exleak.datasets",
    "load_dataset": "exleak.datasets",
    "version": "exleak.environment",
    "compare": "exleak.gate.comparison",
    "ComparisonError": "exleak.errors",
    "DatasetError": "exleak.errors",
    "ExleakError": "exleak.errors",
    "InstrumentError": "exleak.errors",
    "ModelError": "exleak.errors",
    "ReportError": "exleak.errors",
    "SettingsError": "exleak.errors",
    "TrackerError": "exleak.errors",
    "Limits": "exleak.gate.limits",
    "Loading": "exleak.generation.local.checkpoint",
    "generate": "exleak.generation.local.generate",
    "load_model": "exleak.generation.local.loading",
    "Template": "exleak.generation.requests",
    "Sampling": "exleak.generation.sampling",
    "MITIGATION": "exleak.measurement",
    "measure": "exleak.measurement",
    "score": "exleak.measurement",
    "Measurement": "exleak.records",
    "load_instrument": "exleak.scoring",
    "FirstSentence": "exleak.sentences.answers",
    "read_generations": "exleak.store",
    "write_generations": "exleak.store",
}

__all__ = [
    "MITIGATION",
    "ComparisonError",
    "DatasetError",
    "ExleakError",
    "FirstSentence",
    "InstrumentError",
    "Limits",
    "Loading",
    "Measurement",
    "ModelError",
    "ReportError",
    "Sampling",
    "SettingsError",
    "Template",
    "TrackerError",
    "compare",
    "dataset_names",
    "generate",
    "load_dataset",
    "load_instrument",
    "load_model",
    "measure",
    "read_generations",
    "score",
    "version",
    "write_generations",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'exleak' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    # An imported submodule of the same name (exleak.measure) would hide the function.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
