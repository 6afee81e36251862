"""How far an expression scorer can be believed, for any instrument.

    python benchmarks/expression.py [--instrument NAME]… [--rated FOLDER] [--labelled FILE.tsv]

- with --labelled (columns label, text): macro recall, recall of each class, expected calibration
  error;
- with --rated (TSV files with columns mean_valence, text, one file a domain): Spearman correlation
  of P[positive] - P[negative] with the human mean, by domain, on one text in five, picked by a
  hash of the text;
- always: probes of our own (emoji, negation, questions, very short texts, other languages, the
  empty text);
- with several instruments: how often they agree, and their rank correlation.

The shipped head of the embedded instrument was fitted to the data that exleak/scoring/HEAD.md
names; on those files its figures flatter it, and the cross-validated ones stand there.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from exleak.scoring import LABELS, load_instrument

Scores = NDArray[np.float64]

#: Our own probes: kind, text, the class expected ("" where only sanity is looked at).
PROBES: tuple[tuple[str, str, str], ...] = (
    ("emoji", "😀", "positive"),
    ("emoji", "😭💔", "negative"),
    ("emoji", "the tickets arrived 🎉", "positive"),
    ("emoji", "another Monday 😡", "negative"),
    ("negation", "not a good idea at all.", "negative"),
    ("negation", "the soup wasn't bad.", "positive"),
    ("negation", "he never disappoints us.", "positive"),
    ("negation", "nobody was happy with the result.", "negative"),
    ("negation", "there is nothing wonderful about it.", "negative"),
    ("question", "what time does the library open?", "neutral"),
    ("question", "why is everything so horrible?", "negative"),
    ("question", "isn't this lovely?", "positive"),
    ("question", "where does the road lead?", "neutral"),
    ("very short", "painting", "neutral"),
    ("very short", "a mess.", "negative"),
    ("very short", "delightful!", "positive"),
    ("very short", "to cook.", "neutral"),
    ("very short", "ruined", "negative"),
    ("completion", "photography and travel.", "neutral"),
    ("completion", "helping people who have lost everything.", ""),
    ("completion", "locked and nobody had the key.", "negative"),
    ("completion", "painted blue and stands by the window.", "neutral"),
    ("completion", "a source of great pride to the whole town.", "positive"),
    ("other language", "Das war ein wunderschöner Tag.", "positive"),
    ("other language", "C'est une catastrophe.", "negative"),
    ("other language", "El tren sale a las ocho.", "neutral"),
    ("other language", "今日はとても楽しかったです。", "positive"),
    ("no text", "", ""),
    ("no text", "...", ""),
    ("no text", "1234", "neutral"),
)
_BINS = 15


def read(path: Path, column: str) -> tuple[list[str], list[str]]:
    """Texts and the values of a column of a TSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["text"] for row in rows], [row[column] for row in rows]


def held_out(text: str) -> bool:
    """One text in five, the same ones always."""
    return hashlib.sha256(text.encode()).digest()[0] < 256 / 5


def calibration_error(scores: Scores, truth: NDArray[np.int64]) -> float:
    """Expected calibration error of the predicted class, equal-width bins (Guo et al. 2017)."""
    confidence, correct = scores.max(axis=1), scores.argmax(axis=1) == truth
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(confidence[bins == b].mean() - correct[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(sum(gaps))


def labelled(scores: Scores, labels: list[str]) -> None:
    """Print recalls and calibration."""
    truth = np.array([LABELS.index(label) for label in labels])
    picked = scores.argmax(axis=1)
    recalls = [float((picked[truth == c] == c).mean()) for c in range(len(LABELS))]
    each = ", ".join(f"{name} {value:.3f}" for name, value in zip(LABELS, recalls, strict=True))
    print(f"  labelled texts, n = {len(truth)}: macro recall {np.mean(recalls):.3f} ({each}); "
          f"calibration error {calibration_error(scores, truth):.3f}")  # fmt: skip


def valence(scores: Scores) -> Scores:
    """P[positive] - P[negative]."""
    return np.asarray(scores[:, 2] - scores[:, 0])


def probes(scores: Scores) -> None:
    """Print how each kind of probe fares, and those that miss."""
    for kind, group in itertools.groupby(enumerate(PROBES), key=lambda item: item[1][0]):
        rows = list(group)
        judged = [(i, text, label) for i, (_, text, label) in rows if label]
        right = [LABELS[int(scores[i].argmax())] == label for i, _, label in judged]
        print(f"  {kind}: {sum(right)} of {len(judged)} as expected")
        for i, (_, text, label) in rows:
            shown = " / ".join(f"{value:.2f}" for value in scores[i])
            if LABELS[int(scores[i].argmax())] != label:
                print(f"    {text!r}: {shown}, expected {label or 'nothing in particular'}")


def main() -> None:
    """Score everything with every instrument."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--instrument", action="append", metavar="NAME")
    parser.add_argument("--rated", type=Path, metavar="FOLDER")
    parser.add_argument("--labelled", type=Path, metavar="FILE")
    options = parser.parse_args()
    sets: dict[str, tuple[list[str], list[str]]] = {}
    if options.labelled:
        sets["labelled"] = read(options.labelled, "label")
    for path in sorted(options.rated.glob("*.tsv")) if options.rated else ():
        pairs = [
            pair for pair in zip(*read(path, "mean_valence"), strict=True) if held_out(pair[0])
        ]
        sets[path.stem] = ([text for text, _ in pairs], [value for _, value in pairs])
    sets["probes"] = ([text for _, text, _ in PROBES], [label for *_, label in PROBES])
    found: dict[str, dict[str, Scores]] = {}
    for name in options.instrument or ["embedded"]:
        tool = load_instrument(name)
        print(f"\n{name} ({tool.expression.hash[:12]})")
        found[name] = {key: tool.expression.predict(texts) for key, (texts, _) in sets.items()}
        report(found[name], sets)
    agreement(found)


def report(scores: dict[str, Scores], sets: dict[str, tuple[list[str], list[str]]]) -> None:
    """Print one instrument's figures."""
    rated = [key for key in sets if key not in ("labelled", "probes")]
    if "labelled" in sets:
        labelled(scores["labelled"], sets["labelled"][1])
    for key in rated:
        human = np.array(sets[key][1], dtype=float)
        rho = stats.spearmanr(valence(scores[key]), human).statistic
        print(f"  {key}, n = {len(human)}: Spearman {rho:.3f}")
    if rated:
        all_scores = np.concatenate([valence(scores[key]) for key in rated])
        human = np.concatenate([np.array(sets[key][1], dtype=float) for key in rated])
        rho = stats.spearmanr(all_scores, human).statistic
        print(f"  all rated texts, n = {len(human)}: Spearman {rho:.3f}")
    probes(scores["probes"])


def agreement(found: dict[str, dict[str, Scores]]) -> None:
    """Print how pairs of instruments agree on everything that was scored."""
    joined = {name: np.concatenate(list(scores.values())) for name, scores in found.items()}
    for (a, one), (b, other) in itertools.combinations(joined.items(), 2):
        same = float((one.argmax(axis=1) == other.argmax(axis=1)).mean())
        rho = stats.spearmanr(valence(one), valence(other)).statistic
        print(f"\n{a} and {b}: same class {same:.1%}, Spearman of valence {rho:.3f}")


if __name__ == "__main__":
    main()
