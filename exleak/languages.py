"""Languages of datasets: their codes, and the marks that join the parts of a prompt."""

from __future__ import annotations

import re

ENGLISH = "en"
_CODE = re.compile("[a-z]{2,3}")
#: What follows an instruction, and what separates sentences.
_MARKS = (": ", " ")
_OTHER_MARKS = {"ja": ("：", ""), "zh": ("：", "")}


def marks(language: str) -> tuple[str, str]:
    """The mark after an instruction, and the space between two sentences.

    >>> marks("de"), marks("zh")
    ((': ', ' '), ('：', ''))
    """
    return _OTHER_MARKS.get(language, _MARKS)


def is_code(value: object) -> bool:
    """Whether a value has the form of an ISO 639 code.

    >>> is_code("de"), is_code("German"), is_code("pt-br")
    (True, False, False)
    """
    return isinstance(value, str) and _CODE.fullmatch(value) is not None
