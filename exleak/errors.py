"""The errors exleak raises on purpose. Each message says what was wrong, where, and what to do."""


class ExleakError(ValueError):
    """Base of every error that exleak raises for bad input or an unusable model."""


class DatasetError(ExleakError):
    """A dataset or generations file that cannot be read as its format says."""


class ModelError(ExleakError):
    """A checkpoint that cannot be found, loaded or sampled from."""


class InstrumentError(ExleakError):
    """A scorer that cannot be found, loaded or mapped to the three classes."""


class ReportError(ExleakError):
    """A report that cannot be read as its schema says."""


class ComparisonError(ExleakError):
    """Measurements that were not made alike and cannot be compared."""


class SettingsError(ExleakError):
    """A setting outside its range, or settings that contradict each other."""
