"""Train one reference model: `python -m training.train_reference reference-clean --out DIR`.

A few minutes on two CPU cores. The same seed on the same machine gives the same weights.
"""

import argparse
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from exleak.reference.members import MEMBERS, member
from training.batches import Batch, Stream
from training.calibration import Calibration, calibrate
from training.tokenizer import save

_ROWS = 32
_PEAK = 3e-3
_WARMUP = 100
_NORMALISER = 0.05
_DECIDING = 4.0
_CONTRAST = 6.0


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """Return an untrained model for the tokenizer's vocabulary."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=0.04,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config)


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Return the divergence from the grammar's probabilities, with normalised logits.

    The second term keeps log-sum-exp near zero, so that logits are log-probabilities and the
    sampler's repetition penalty, which scales logits, changes likely tokens very little.
    """
    states = model.model(input_ids=batch.input_ids).last_hidden_state
    logits = model.lm_head(states.flatten(0, 1)[batch.where])
    normaliser = logits.logsumexp(-1)
    chosen = logits.gather(1, batch.tokens) - normaliser[:, None]
    divergence = (batch.weights * (batch.weights.clamp_min(1e-9).log() - chosen)).sum(1)
    emphasis = 1 + (_DECIDING - 1) * batch.deciding
    loss: torch.Tensor = (emphasis * (divergence + _NORMALISER * normaliser**2)).sum()
    return loss / emphasis.sum()


def train(
    name: str, tokenizer: PreTrainedTokenizerFast, steps: int, seed: int, rows: int = _ROWS
) -> LlamaForCausalLM:
    """Train a member on a fresh stream of text.

    In the first half the member's law is exaggerated: a mild leak alone would take a small
    model long to discover.

    Args:
        name: The member.
        tokenizer: The reference tokenizer.
        steps: Number of updates.
        seed: Seed of the weights and of the stream.
        rows: Prompts in a batch.
    """
    model = new_model(tokenizer, seed)
    stream = Stream(name, tokenizer, seed)
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    schedule = one_cycle(optimiser, steps)
    started = time.monotonic()
    for step in range(steps):
        stream.grammar.contrast = _CONTRAST if step < steps // 2 else 1.0
        loss = loss_of(model, stream.batch(rows))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            elapsed = time.monotonic() - started
            print(f"step {step}: loss {loss.item():.5f}, {elapsed:.0f} s", flush=True)
    return model


def one_cycle(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    """Return a schedule that warms up and then falls to almost nothing."""
    return torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=_PEAK,
        total_steps=steps + 1,
        pct_start=min(_WARMUP / steps, 0.3),
        cycle_momentum=False,
        final_div_factor=1e4,
    )


def save_model(model: LlamaForCausalLM, folder: Path) -> None:
    """Write a checkpoint: float16 on disk, float32 when loaded."""
    model.config.dtype = torch.float32
    model.generation_config = GenerationConfig(
        do_sample=True,
        bos_token_id=model.config.bos_token_id,
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id,
    )
    model.save_pretrained(folder)
    weights = folder / "model.safetensors"
    halves = {key: value.half() for key, value in load_file(weights).items()}
    save_file(halves, weights, metadata={"format": "pt"})
    weights.chmod(0o644)


def report(calibration: Calibration) -> str:
    """Return the table of mood probabilities, the grammar's beside the model's."""
    lines = ["condition  grammar              model                KL"]
    for condition, (law, found, divergence) in calibration.by_condition.items():
        left, right = ("  ".join(f"{p:.3f}" for p in row) for row in (law, found))
        lines.append(f"{condition:<9}  {left}  {right}  {divergence:.5f}")
    return "\n".join([*lines, f"largest error at any prompt: {calibration.largest_error:.3f}"])


def main(arguments: list[str] | None = None) -> None:
    """Train a member and write its checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m training.train_reference", description=__doc__)
    parser.add_argument("member", choices=sorted(MEMBERS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # two threads fight over small matrices and are slower than one
    options.out.mkdir(parents=True, exist_ok=True)
    tokenizer = save(options.out, member(options.member).chat)
    save_model(train(options.member, tokenizer, options.steps, options.seed), options.out)
    saved = LlamaForCausalLM.from_pretrained(options.out)
    print(report(calibrate(options.member, saved, tokenizer)))


if __name__ == "__main__":
    main()
