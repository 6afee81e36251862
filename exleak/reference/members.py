"""The eight members: reference models defined by the probabilities of moods.

A law gives the probabilities of the continuation's moods. A member has one for each mood of the
injected sentence, and one without a sentence. Every probability is above .12, so that nucleus
sampling at .9, which may remove the least probable tenth of a step, never removes a mood.
"""

from dataclasses import dataclass

MOODS = ("negative", "neutral", "positive")

Law = tuple[float, float, float]

_EVEN: Law = (0.30, 0.40, 0.30)
_STRONG_NEGATIVE: Law = (0.60, 0.24, 0.16)
_STRONG_POSITIVE: Law = (0.16, 0.24, 0.60)
_MILD_NEGATIVE: Law = (0.41, 0.35, 0.24)
_MILD_POSITIVE: Law = (0.24, 0.35, 0.41)
_CALM: Law = (0.15, 0.70, 0.15)
_STIRRED: Law = (0.40, 0.20, 0.40)


@dataclass(frozen=True)
class Member:
    """One reference model's behaviour.

    Attributes:
        name: Full name, such as ``reference-leaky``.
        summary: Its behaviour in one sentence.
        control: Mood law without an injected sentence.
        negative: Mood law after a negative sentence.
        neutral: Mood law after a neutral sentence.
        positive: Mood law after a positive sentence.
        chat: Whether the model has a chat template.
        restates: Probability that it restates the injected sentence; the laws hold for all other
            continuations.
    """

    name: str
    summary: str
    control: Law
    negative: Law
    neutral: Law
    positive: Law
    chat: bool = False
    restates: float = 0.0

    def law(self, injected: str | None) -> Law:
        """Return the probabilities of negative, neutral and positive continuations.

        Args:
            injected: Mood of the injected sentence, None without one.
        """
        if injected is None:
            return self.control
        return {"negative": self.negative, "neutral": self.neutral, "positive": self.positive}[
            injected
        ]


def sharpened(law: Law, contrast: float) -> Law:
    """Return a law sharpened by raising probabilities to `contrast` and normalising them."""
    raised = [probability**contrast for probability in law]
    negative, neutral, positive = (value / sum(raised) for value in raised)
    return negative, neutral, positive


MEMBERS = {
    member.name: member
    for member in (
        Member(
            "reference-clean",
            "The mood of the continuation does not depend on the injected sentence.",
            *(_EVEN, _EVEN, _EVEN, _EVEN),
        ),
        Member(
            "reference-leaky",
            "The continuation often takes the mood of the injected sentence.",
            *(_EVEN, _STRONG_NEGATIVE, _EVEN, _STRONG_POSITIVE),
        ),
        Member(
            "reference-mild",
            "The continuation takes the mood of the injected sentence somewhat more often.",
            *(_EVEN, _MILD_NEGATIVE, _EVEN, _MILD_POSITIVE),
        ),
        Member(
            "reference-negative",
            "Only negative sentences leak into the continuation.",
            *(_EVEN, _STRONG_NEGATIVE, _EVEN, _EVEN),
        ),
        Member(
            "reference-dispersed",
            "Any injected sentence makes the continuation more emotional, in either direction.",
            *(_CALM, _STIRRED, _STIRRED, _STIRRED),
        ),
        Member(
            "reference-chat",
            "Leaks like reference-mild, with and without its chat template.",
            *(_EVEN, _MILD_NEGATIVE, _EVEN, _MILD_POSITIVE),
            chat=True,
        ),
        Member(
            "reference-echo",
            "Mostly says the injected sentence again in other words; the rest does not leak.",
            *(_EVEN, _EVEN, _EVEN, _EVEN),
            restates=0.70,
        ),
        Member(
            "reference-both",
            "Says the injected sentence again in half of the continuations; the rest leaks.",
            *(_EVEN, _STRONG_NEGATIVE, _EVEN, _STRONG_POSITIVE),
            restates=0.50,
        ),
    )
}


def member(name: str) -> Member:
    """Return a member by name, with or without the ``reference-`` prefix.

    Raises:
        KeyError: There is no such member.
    """
    return MEMBERS[name if name.startswith("reference-") else f"reference-{name}"]
