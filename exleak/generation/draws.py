"""Token sampling: the warped distribution, and draws that do not depend on execution order.

Warping applies the same steps as transformers' processors, in the same order (repetition penalty,
temperature, top-k, top-p). Each draw is a hash of (seed, prompt, generation index, position), so a
generation is the same at any batch size, in any order, on any worker and after a restart.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from exleak.generation.sampling import Sampling

if TYPE_CHECKING:
    import torch

# Increment and multipliers of the SplitMix64 generator (Steele, Lea and Flood, OOPSLA 2014),
# as signed 64-bit integers: torch has no unsigned arithmetic.
_INCREMENT = -7046029254386353131
_MULTIPLIERS = (-4658895280553007687, -7723592293110705685)

#: Token that :func:`next_tokens` returns for a row whose logits are NaN or infinite.
BROKEN = -1
_TIED = -2
#: Candidates beyond ``top_k`` for ties, by bytes per logit. Few logits tie in float32, many in
#: 16-bit types.
_SPARE = {4: 1, 2: 64}
#: Rows per block when candidates are selected on the CPU.
_BLOCK = 128


def stream(seed: int, prompt: str, index: int) -> int:
    """Key of one generation's draws: a signed 64-bit hash of seed, prompt text and index."""
    text = f"{seed}\0{index}\0{prompt}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def uniforms(streams: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """One uniform random number per row, in [0, 1).

    Args:
        streams: Keys from :func:`stream`, int64, shape (n,).
        positions: Index of the token within its continuation, int64, shape (n,).

    Returns:
        float64, shape (n,); equal for equal (stream, position) on every device.
    """
    import torch

    state = streams + (positions + 1) * _INCREMENT
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        state = (state ^ _shift(state, shift)) * multiplier
    bits = _shift(state ^ _shift(state, 31), 11)
    return bits.to(torch.float64) * 2.0**-53


def _shift(value: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift: torch's operator keeps the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def next_tokens(
    logits: torch.Tensor, tokens: torch.Tensor, sampling: Sampling, uniform: torch.Tensor
) -> tuple[torch.Tensor, list[int]]:
    """Penalise, warp and draw one token for each row.

    Synchronises with the device once, when the drawn tokens are read.

    Args:
        logits: Logits of the last position, shape (n, vocabulary), in the model's dtype; may be
            modified in place.
        tokens: Ids of prompt and continuation so far, int64, shape (n, length). Repeated ids have
            no effect, so shorter rows are padded with one of their ids.
        sampling: Settings.
        uniform: From :func:`uniforms`, shape (n,).

    Returns:
        The tokens as int64, shape (n,), and as a list; :data:`BROKEN` where a row's logits are NaN
        or infinite.
    """
    spare = _SPARE.get(logits.dtype.itemsize, 1)
    penalised = penalise(logits.float(), tokens, sampling.repetition_penalty)
    drawn = _draw_once(penalised, sampling, uniform, spare)
    ids: list[int] = drawn.tolist()
    for row in (row for row, token in enumerate(ids) if token == _TIED):
        # Redrawn alone, so that its candidate count and its rounding do not depend on other rows.
        here = slice(row, row + 1)
        drawn[here] = _draw_once(penalised[here], sampling, uniform[here], None)
        ids[row] = int(drawn[row])
    return drawn, ids


def _draw_once(
    logits: torch.Tensor, sampling: Sampling, uniform: torch.Tensor, spare: int | None
) -> torch.Tensor:
    """Warp and draw; mark rows with NaN or infinite logits or more than ``spare`` ties."""
    import torch

    ids, probabilities, cut = _warp(logits, sampling, spare)
    drawn = draw(ids, probabilities, uniform).masked_fill(cut, _TIED)
    return drawn.masked_fill(~torch.isfinite(probabilities.sum(dim=-1)), BROKEN)


def penalise(logits: torch.Tensor, tokens: torch.Tensor, penalty: float) -> torch.Tensor:
    """Apply the repetition penalty, in place, to tokens that occurred before.

    Args:
        logits: Shape (n, vocabulary).
        tokens: Ids of prompt and continuation so far, int64, shape (n, length).
        penalty: Divides positive logits and multiplies negative ones.
    """
    import torch

    if penalty == 1.0:
        return logits
    before = logits.gather(1, tokens)
    after = torch.where(before < 0, before * penalty, before / penalty)
    return logits.scatter_(1, tokens, after)


def warp(logits: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """The distribution over the candidate tokens after warping.

    Args:
        logits: Penalised logits, float32, shape (n, vocabulary).
        sampling: Temperature, top-k and top-p.

    Returns:
        Token ids (int64) and probabilities (float32), both of shape (n, candidates), ids ascending
        in each row; filtered tokens have probability 0. There are more than ``top_k`` candidates
        only if ties at the k-th logit are kept, as in transformers.
    """
    ids, probabilities, _ = _warp(logits, sampling, None)
    return ids, probabilities


def _warp(
    logits: torch.Tensor, sampling: Sampling, spare: int | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Like :func:`warp`, and the mask of rows where :func:`_top_k` cut off ties."""
    scores = logits / sampling.temperature if sampling.temperature != 1.0 else logits
    ids, scores, cut = _top_k(scores, sampling.top_k, spare)
    return ids, _nucleus(scores, sampling.top_p), cut


def _top_k(
    scores: torch.Tensor, top_k: int, spare: int | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The candidates' ids, ascending, their scores, and whether ties were cut off, shape (n,).

    Up to ``spare`` ties at the k-th score are kept; ``None`` keeps all, which requires a device
    synchronisation.
    """
    import torch

    size = scores.shape[-1]
    k = min(top_k, size) if top_k else size
    if k == size:
        whole = torch.arange(size, device=scores.device).expand(scores.shape)
        return whole, scores, scores.new_zeros(len(scores), dtype=torch.bool)
    if spare is None:
        lowest = torch.topk(scores, k, dim=-1).values[..., -1:]
        kept = ((scores >= lowest) & (lowest > -torch.inf)).sum(dim=-1)
        count = max(k, int(kept.max()))
    else:
        count = min(k + spare, size)
    ids = _largest(scores, count)
    best = scores.gather(-1, ids)
    # The k-th largest score and all smaller ones.
    spared = torch.topk(best, count - k + 1, dim=-1, largest=False).values
    threshold = spared[..., -1:]
    best = best.masked_fill(best < threshold, -torch.inf)
    if spare is None or count == size:
        return ids, best, torch.zeros_like(best[..., 0], dtype=torch.bool)
    return ids, best, ((spared[..., :1] == threshold) & (threshold > -torch.inf)).squeeze(-1)


def _largest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Ids of the ``count`` largest scores of each row, ascending."""
    import numpy as np
    import torch

    if scores.device.type != "cpu":
        return torch.topk(scores, count, dim=-1).indices.sort(dim=-1).values
    # NumPy selects and sorts with vector instructions, in half of torch's time. Rows are processed
    # in blocks, because an index takes twice the memory of a logit.
    start = scores.shape[-1] - count
    ids = np.empty((len(scores), count), dtype=np.int64)
    for first in range(0, len(scores), _BLOCK):
        rows = slice(first, first + _BLOCK)
        ids[rows] = np.argpartition(scores[rows].numpy(), start, axis=-1)[:, start:]
    ids.sort(axis=-1)
    return torch.from_numpy(ids)


def _ascending(scores: torch.Tensor) -> torch.Tensor:
    """Indices that sort each row in ascending order; equal scores keep their order."""
    import numpy as np
    import torch

    if scores.device.type != "cpu":
        return torch.sort(scores, dim=-1, stable=True).indices
    return torch.from_numpy(np.argsort(scores.numpy(), axis=-1, kind="stable"))


def _nucleus(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    """Candidate probabilities; 0 outside the smallest set with mass ``top_p``."""
    import torch

    if top_p < 1.0:
        order = _ascending(scores)
        mass = scores.gather(-1, order).softmax(dim=-1).cumsum(dim=-1)
        remove = mass <= 1 - top_p
        remove[..., -1] = False
        scores = scores.masked_fill(remove.scatter(-1, order, remove), -torch.inf)
    return scores.softmax(dim=-1)


def draw(ids: torch.Tensor, probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Draw one token per row by inverting the cumulative distribution, in order of token id.

    The order is that of ids, not of probabilities: rounding may swap two nearly equal
    probabilities, but never ids.

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
    # If a probability is NaN, the search ends after the last candidate.
    column = torch.searchsorted(mass, target, right=True).clamp_(max=ids.shape[-1] - 1)
    return ids.gather(-1, column).squeeze(-1)
