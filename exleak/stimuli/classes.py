"""Sorts stimuli into the classes negative, neutral and positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exleak.errors import DatasetError, SettingsError
from exleak.records import CLASSES
from exleak.stimuli.reading import Stimulus


@dataclass(frozen=True)
class Cuts:
    """Valences below the first are negative, above the second positive, all others neutral."""

    negative_below: float
    positive_above: float

    def class_of(self, valence: float) -> str:
        """The class of a valence."""
        if valence < self.negative_below:
            return "negative"
        return "positive" if valence > self.positive_above else "neutral"

    @classmethod
    def of(
        cls,
        stimuli: Sequence[Stimulus],
        negative_below: float | None,
        positive_above: float | None,
    ) -> Cuts | None:
        """The cuts that were given, or by default at thirds of the range of the ratings.

        Thirds of the range, unlike a third of the sentences each, keep a mild sentence out of the
        extreme classes however many mild ones there are.

        Returns:
            The cuts; ``None`` if the stimuli have labels.

        Raises:
            SettingsError: Only one is given, they are in the wrong order, or there are labels.
            DatasetError: All valences are the same.
        """
        given = (negative_below, positive_above)
        ratings = [item.valence for item in stimuli if not isinstance(item.valence, str)]
        if not ratings:
            if given != (None, None):
                raise SettingsError(
                    "the valences are labels: leave out --negative-below and --positive-above"
                )
            return None
        if negative_below is None and positive_above is None:
            low, high = min(ratings), max(ratings)
            if low == high:
                raise DatasetError(f"every valence is {low:g}: there are no classes to tell apart")
            third = (high - low) / 3
            return cls(low + third, high - third)
        if negative_below is None or positive_above is None:
            raise SettingsError("give both --negative-below and --positive-above, or neither")
        if not negative_below <= positive_above:
            raise SettingsError(
                f"--negative-below {negative_below:g} must not be above --positive-above "
                f"{positive_above:g}"
            )
        return cls(negative_below, positive_above)


def by_class(stimuli: Sequence[Stimulus], cuts: Cuts | None) -> dict[str, list[Stimulus]]:
    """The stimuli of each class, in file order.

    Args:
        stimuli: The stimuli.
        cuts: Their cuts, ``None`` for labels.

    Raises:
        DatasetError: A class has fewer than two sentences.
    """
    classes: dict[str, list[Stimulus]] = {label: [] for label in CLASSES}
    for item in stimuli:
        valence = item.valence
        if isinstance(valence, str):
            classes[valence].append(item)
        elif cuts is not None:
            classes[cuts.class_of(valence)].append(item)
    # The uncertainty of a rate comes from the scatter between sentences.
    if few := [label for label, members in classes.items() if len(members) < 2]:
        counts = ", ".join(f"{len(classes[label])} {label}" for label in CLASSES)
        advice = "label more" if cuts is None else "move --negative-below or --positive-above"
        raise DatasetError(
            f"too few {few[0]} sentences, at least 2 are needed: there are {counts}; add some, or "
            f"{advice}"
        )
    return classes
