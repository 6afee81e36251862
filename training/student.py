"""The embedded expression scorer as it learns: adapter on the encoder, and the head's networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from exleak.scoring.adapter import tensors_of
from exleak.scoring.encoder import DENSE, HEADS, LAYERS, WIDTH, load_encoder, weights_folder
from exleak.scoring.head import CLIP
from training.corpus import DOMAINS, Corpus
from training.learning import DEVICE, OUTPUTS, Lesson, Rows, learn, padded, predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Fitted", "fit"]

RANK, EPOCHS, SIZE, LEARNING_RATE = 32, 8, 256, 1e-3
MEMBERS, HIDDEN, CODE = 4, 96, 32
READ = (4, 5, 6)
DROPOUT = 0.1


def _key(name: str) -> str:
    return name.replace(".", "_")


class Adapted(torch.nn.Module):
    """SentenceBERT with low-rank changes to its linear layers, which alone are learnt."""

    def __init__(self) -> None:
        from safetensors.torch import load_file

        super().__init__()
        path = weights_folder() / "model.safetensors"
        self.weights = {name: w.to(DEVICE) for name, w in load_file(path).items()}
        self.names = [f"encoder.layer.{i}.{part}" for i in range(LAYERS) for part in DENSE]
        shapes = {name: self.weights[f"{name}.weight"].shape for name in self.names}
        self.a = torch.nn.ParameterDict(
            {_key(n): torch.randn(RANK, into) / into**0.5 for n, (_, into) in shapes.items()}
        )
        self.b = torch.nn.ParameterDict(
            {_key(n): torch.zeros(out, RANK) for n, (out, _) in shapes.items()}
        )

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """One changed linear layer."""
        change = self.b[_key(name)] @ self.a[_key(name)]
        weight = self.weights[f"{name}.weight"] + change
        return functional.linear(x, weight, self.weights[f"{name}.bias"])

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """One layer normalisation."""
        w = self.weights
        return functional.layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-12)

    def drop(self, x: torch.Tensor) -> torch.Tensor:
        """Dropout, in training."""
        return functional.dropout(x, DROPOUT, self.training)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mean-pooled states of the layers that are read, (rows, 1152)."""
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][tokens]
        x = x + w["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        x = x + w["embeddings.token_type_embeddings.weight"][0]
        x = self.drop(self.norm("embeddings.LayerNorm", x))
        pooled = []
        for number in range(LAYERS):
            x = self._layer(f"encoder.layer.{number}", x, mask)
            if number + 1 in READ:
                pooled.append((x.float() * mask[:, :, None]).sum(1) / mask.sum(1)[:, None])
        return torch.cat(pooled, 1)

    def _layer(self, name: str, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        rows, length, _ = x.shape
        query, key, value = (
            self.linear(f"{name}.attention.self.{part}", x)
            .view(rows, length, HEADS, WIDTH // HEADS)
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        seen = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask.bool()[:, None, None, :]
        )
        context = seen.transpose(1, 2).reshape(rows, length, WIDTH)
        out = self.drop(self.linear(f"{name}.attention.output.dense", context))
        x = self.norm(f"{name}.attention.output.LayerNorm", x + out)
        inner = functional.gelu(self.linear(f"{name}.intermediate.dense", x))
        out = self.drop(self.linear(f"{name}.output.dense", inner))
        return self.norm(f"{name}.output.LayerNorm", x + out)


class Members(torch.nn.Module):
    """The head's networks, side by side, with outputs for ratings beside the classes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        shapes = ((width, HIDDEN), (HIDDEN, CODE), (CODE, OUTPUTS))
        self.w = torch.nn.ParameterList(
            [(torch.rand(MEMBERS, *s) * 2 - 1) / s[0] ** 0.5 for s in shapes]
        )
        self.b = torch.nn.ParameterList([torch.zeros(MEMBERS, 1, out) for _, out in shapes])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (rows, width) to outputs (members, rows, outputs)."""
        x = functional.dropout(x.expand(MEMBERS, *x.shape), 0.3, self.training)
        x = functional.gelu(x @ self.w[0] + self.b[0], approximate="tanh")
        x = functional.dropout(x, 0.4, self.training)
        x = torch.tanh(x @ self.w[1] + self.b[1])
        result: torch.Tensor = x @ self.w[2] + self.b[2]
        return result


@dataclass(frozen=True)
class Fitted:
    """A scorer without its calibration.

    Attributes:
        tensors: What its file keeps.
        scores: Its class scores of all texts, (n, 3).
    """

    tensors: dict[str, NDArray[np.generic]]
    scores: NDArray[np.float32]


def fit(
    corpus: Corpus, chosen: NDArray[np.int64], taught: NDArray[np.float32] | None, seed: int
) -> Fitted:
    """Learn from the chosen texts, and from a teacher's classes if there is one."""
    torch.manual_seed(seed)
    strengths = corpus.refined(chosen)
    words = corpus.words(strengths)
    ids = load_encoder().tokenize(corpus.texts)
    encoder = Adapted().to(DEVICE)
    mean, scale = _standards(encoder, ids, words, chosen, seed)
    members = Members(len(mean)).to(DEVICE)
    on_device = [torch.tensor(array, device=DEVICE) for array in (words, mean, scale)]

    def forward(rows: Rows, longest: int) -> torch.Tensor:
        pooled = encoder(*padded(ids, rows, longest))
        own = on_device[0][torch.tensor(rows, device=DEVICE)]
        features = (torch.cat([pooled, own], 1) - on_device[1]) * on_device[2]
        result: torch.Tensor = members(features.clip(-CLIP, CLIP))
        return result

    both = torch.nn.ModuleList([encoder, members])
    groups: list[dict[str, Any]] = [
        {"params": list(encoder.parameters()), "lr": LEARNING_RATE},
        {"params": list(members.parameters()), "lr": 1e-3, "weight_decay": 0.1},
    ]
    lesson = Lesson(corpus, ids, chosen, EPOCHS, SIZE, seed, taught)
    learn(both, forward, groups, lesson)
    with torch.no_grad():
        for parameter in both.parameters():
            parameter.copy_(parameter.half().float())
    fixed: dict[str, NDArray[np.generic]] = {"strengths": strengths, "mean": mean, "scale": scale}
    return Fitted(fixed | _tensors(encoder, members), predicted(forward, lesson))


def _standards(
    encoder: Adapted, ids: list[list[int]], words: NDArray[np.float32],
    chosen: NDArray[np.int64], seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """Mean and inverse spread of each feature, before anything is learnt."""
    some = np.random.default_rng(seed).permutation(chosen)[:8000]
    encoder.eval()
    with torch.inference_mode():
        parts = [encoder(*padded(ids, part, 256)) for part in np.array_split(some, 40)]
    pooled = torch.cat(parts).cpu().numpy()
    mean = np.concatenate([pooled.mean(0), words[chosen].mean(0)])
    scale = np.concatenate([1 / (pooled.std(0) + 1e-3), 2 / (words[chosen].std(0) + 1e-3)])
    return mean.astype(np.float32), scale.astype(np.float32)


def _tensors(encoder: Adapted, members: Members) -> dict[str, NDArray[np.generic]]:
    """Adapter and networks as the file keeps them: of the outputs, the classes alone."""
    found: dict[str, NDArray[np.generic]] = {
        "slope": np.ones(1, np.float32),
        "offset": np.zeros(3, np.float32),
    }
    for name in encoder.names:
        pair = (x[_key(name)].detach().cpu().numpy() for x in (encoder.a, encoder.b))
        found |= tensors_of(name, *pair)
    for number, (w, b) in enumerate(zip(members.w, members.b, strict=True), start=1):
        kept = slice(2 * len(DOMAINS), None) if number == len(members.w) else slice(None)
        found[f"w{number}"] = w.detach().cpu().numpy()[..., kept].astype(np.float16)
        found[f"b{number}"] = b.detach().cpu().numpy()[:, 0, kept].astype(np.float32)
    return found
