"""How a token is drawn: settings, the warped distribution, and draws that do not depend on order.

Warping follows transformers' own processors in their order (repetition penalty, temperature,
top-k, top-p) on the same logits. Each draw is a hash of (seed, prompt, generation index, position),
so the same generation comes out at any batch size, in any order, on any worker, after any restart.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exleak.errors import SettingsError

if TYPE_CHECKING:
    import torch

# Increment and multipliers of the SplitMix64 generator (Steele, Lea and Flood, OOPSLA 2014),
# as signed 64-bit integers: torch has no unsigned arithmetic.
_INCREMENT = -7046029254386353131
_MULTIPLIERS = (-4658895280553007687, -7723592293110705685)


@dataclass(frozen=True)
class Sampling:
    """Sampling settings; the defaults are the paper's (section 4.1.2).

    Attributes:
        generations: Continuations per prompt (K).
        seed: Names the run; the same seed gives the same continuations.
        top_p: Nucleus mass kept, in (0, 1].
        top_k: Most likely tokens kept; 0 keeps all.
        temperature: Divides the logits; above 0.
        repetition_penalty: Above 0; 1 changes nothing.
        max_new_tokens: Longest continuation, in tokens.

    Raises:
        SettingsError: A value outside its range.
    """

    generations: int = 10
    seed: int = 0
    top_p: float = 0.9
    top_k: int = 50
    temperature: float = 1.0
    repetition_penalty: float = 1.1
    max_new_tokens: int = 128

    def __post_init__(self) -> None:
        ranges = (
            ("generations", self.generations >= 1, "at least 1"),
            ("seed", 0 <= self.seed < 2**63, "a whole number from 0 to 2**63 - 1"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("temperature", 0 < self.temperature < float("inf"), "above 0"),
            ("repetition_penalty", 0 < self.repetition_penalty < float("inf"), "above 0"),
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
        )
        for name, holds, wanted in ranges:
            if not holds:
                raise SettingsError(f"sampling: {name} must be {wanted}, not {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON-ready builtins."""
        return dataclasses.asdict(self)


def stream(seed: int, prompt: str, index: int) -> int:
    """The key of one generation's draws: a signed 64-bit hash of seed, prompt text and index."""
    text = f"{seed}\0{index}\0{prompt}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def uniforms(streams: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """One uniform number per row, in [0, 1).

    Args:
        streams: Keys from :func:`stream`, int64, shape (n,).
        positions: Index of the token within its continuation, int64, shape (n,).

    Returns:
        float64, shape (n,), the same for the same (stream, position) on every device.
    """
    import torch

    state = streams + (positions + 1) * _INCREMENT
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        state = (state ^ _shift(state, shift)) * multiplier
    bits = _shift(state ^ _shift(state, 31), 11)
    return bits.to(torch.float64) * 2.0**-53


def _shift(value: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift: torch's own keeps the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def penalise(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Apply the repetition penalty to the tokens that occurred before.

    Args:
        logits: Shape (n, vocabulary).
        seen: bool, same shape: the tokens of the prompt and of the continuation so far.
        penalty: Divides positive logits and multiplies negative ones.
    """
    import torch

    if penalty == 1.0:
        return logits
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def warp(logits: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """The warped distribution over its few candidates.

    Args:
        logits: Penalised logits, float32, shape (n, vocabulary).
        sampling: Temperature, top-k and top-p.

    Returns:
        Token ids (int64) and probabilities (float32), both of shape (n, candidates), ids ascending
        in each row; tokens that were filtered out have probability 0. Candidates are more than
        ``top_k`` only where ties at the k-th logit keep more, as in transformers.
    """
    import torch

    scores = logits / sampling.temperature if sampling.temperature != 1.0 else logits
    ids, scores = _top_k(scores, sampling.top_k)
    if sampling.top_p < 1.0:
        ascending, order = torch.sort(scores, dim=-1, stable=True)
        mass = ascending.softmax(dim=-1).cumsum(dim=-1)
        remove = mass <= 1 - sampling.top_p
        remove[..., -1] = False
        scores = scores.masked_fill(remove.scatter(-1, order, remove), -torch.inf)
    return ids, scores.softmax(dim=-1)


def _top_k(scores: torch.Tensor, top_k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The candidates' ids, ascending, and their scores; ties at the k-th score are kept."""
    import torch

    size = scores.shape[-1]
    k = min(top_k, size) if top_k else size
    if k < size:
        best, ids = torch.topk(scores, k, dim=-1)
        threshold = best[..., -1:]
        kept = int((scores >= threshold).sum(dim=-1).max())
        if kept > k:
            scores = scores.masked_fill(scores < threshold, -torch.inf)
            ids = torch.topk(scores, min(kept, size), dim=-1).indices
        ids = ids.sort(dim=-1).values
        return ids, scores.gather(-1, ids)
    return torch.arange(size, device=scores.device).expand(scores.shape), scores


def draw(ids: torch.Tensor, probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Draw one token per row by inverting the distribution, in order of token id.

    The order of ids, not of probabilities: two nearly equal probabilities may swap places under
    rounding, ids never do.

    Args:
        ids, probabilities: From :func:`warp`, shape (n, candidates).
        uniform: From :func:`uniforms`, shape (n,).

    Returns:
        Token ids, int64, shape (n,).
    """
    import torch

    mass = probabilities.to(torch.float64).cumsum(dim=-1)
    target = uniform.unsqueeze(-1) * mass[..., -1:]
    # right=True never lands on a token of probability 0: its interval is empty.
    target = torch.minimum(target, torch.nextafter(mass[..., -1:], torch.zeros_like(target)))
    column = torch.searchsorted(mass, target, right=True)
    return ids.gather(-1, column).squeeze(-1)
