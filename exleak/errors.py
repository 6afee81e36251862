"""The exceptions that exleak raises. Messages say what is wrong, where, and what to do."""

#: Maximum length of another library's message within one of ours.
_LONGEST_REASON = 600


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


class TrackerError(ExleakError):
    """An experiment tracker is not installed, or does not take what is logged."""


class PullRequestError(ExleakError):
    """A pull request's comments cannot be read or written."""


def one_line(error: BaseException) -> str:
    """Type and message of an error in one line, truncated if long."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"
