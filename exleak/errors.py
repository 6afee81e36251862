"""The exceptions that exleak raises. Messages say what is wrong, where, and what to do."""


class ExleakError(ValueError):
    """Base class of exleak's errors for invalid input or an unusable model."""


class DatasetError(ExleakError):
    """A dataset or generations file cannot be read in its format."""


class ModelError(ExleakError):
    """A checkpoint cannot be found, loaded or sampled from."""


class InstrumentError(ExleakError):
    """A scorer cannot be found, loaded or mapped to the three classes."""


class ReportError(ExleakError):
    """A report cannot be read, or violates its schema."""


class ComparisonError(ExleakError):
    """Measurements have different settings and cannot be compared."""


class SettingsError(ExleakError):
    """A setting is outside its range, or settings contradict each other."""
