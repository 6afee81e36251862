"""Datasets of rated sentences: stimuli of others, crossed with the controls of a dataset."""

from exleak.stimuli.importing import import_stimuli
from exleak.stimuli.reading import Columns
from exleak.stimuli.report import Imported

__all__ = ["Columns", "Imported", "import_stimuli"]
