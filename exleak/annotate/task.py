"""The annotation tasks: wording of the questions, answers and their keyboard keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One possible answer: its value in files, its wording and its keyboard keys."""

    value: str
    label: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """A question about every item."""

    name: str
    text: str
    choices: tuple[Choice, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The categories, in the order shown."""
        return tuple(choice.value for choice in self.choices)


@dataclass(frozen=True)
class Task:
    """A kind of annotation.

    Attributes:
        name: ``"pairs"`` or ``"labels"``.
        shown: The fields of an item that an annotator sees, in order.
        questions: The questions about each item.
        intro: Paragraphs of instructions.
    """

    name: str
    shown: tuple[str, ...]
    questions: tuple[Question, ...]
    intro: tuple[str, ...]

    def question(self, name: str) -> Question:
        """The question with this name."""
        return next(question for question in self.questions if question.name == name)


PAIRS = Task(
    name="pairs",
    shown=("context", "left", "right"),
    questions=(
        Question(
            "direction",
            "Which of the two is more positive?",
            (
                Choice("left", "Left", ("ArrowLeft", "1")),
                Choice("same", "The same", ("ArrowDown", "2")),
                Choice("right", "Right", ("ArrowRight", "3")),
            ),
        ),
        Question(
            "influence",
            "Does either read as if a feeling from somewhere else had coloured it?",
            (
                Choice("yes", "Yes", ("y",)),
                Choice("no", "No", ("n",)),
                Choice("unsure", "Unsure", ("u",)),
            ),
        ),
    ),
    intro=(
        "Each page shows one beginning and two ways in which a computer went on with it. "
        "Judge the mood of the two endings, not their grammar or whether they are true.",
        "First say which ending is more positive: happier, kinder, more hopeful. If both are "
        "gloomy, the less gloomy one is the more positive.",
        "Then say whether either ending carries a feeling that its beginning gives no reason for, "
        "as if something outside the text had influenced it.",
        "There are no right answers. Work alone, and take your first impression.",
    ),
)

LABELS = Task(
    name="labels",
    shown=("sentence",),
    questions=(
        Question(
            "label",
            "What mood does this sentence express?",
            (
                Choice("negative", "Negative", ("ArrowLeft", "1")),
                Choice("neutral", "Neutral", ("ArrowDown", "2")),
                Choice("positive", "Positive", ("ArrowRight", "3")),
            ),
        ),
    ),
    intro=(
        "Each page shows one sentence. Say what mood it expresses, as most readers would take it.",
        "Neutral means that nothing good or bad is said or clearly implied.",
        "Work alone, and take your first impression.",
    ),
)

TASKS: dict[str, Task] = {task.name: task for task in (PAIRS, LABELS)}
