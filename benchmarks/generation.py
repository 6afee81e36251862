"""How fast first sentences are generated, against what a user could pick instead.

    python benchmarks/generation.py MODEL [--repeats 3] [--lm-eval-python PYTHON] [--json OUT]

The workload is HEXL: 240 prompts, 10 continuations each, the paper's settings. Each method runs in
a process of its own, cold; its time counts from the loaded model to the last continuation. All
methods take turns, so that a busy machine is busy for all; ratios are of medians. On a machine with
CUDA all but lm-eval run there, in bfloat16.

- engine: exleak.
- floor: bare forward passes of the model as transformers runs it, with the engine's shapes and
  nothing sampled.
- passes: the same in the form that the engine shows the model (its own attention on the CPU).
- batched: transformers' generate, at the best of several batch sizes.
- single: one generate per continuation, as published notebooks do: a sample is timed and
  extrapolated.
- lm-eval: lm-evaluation-harness' generate_until, at the best of several batch sizes, in an
  environment of its own (--lm-eval-python).
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

REPEATS = 3
SINGLE_SAMPLE = 40
BATCHES = (64, 240, 640)
METHODS = ("engine", "floor", "passes", "batched", "single", "lm-eval")


def prompts() -> list[str]:
    """The 240 prompts of HEXL, read without exleak: the other environment does not have it."""
    path = Path(__file__).parents[1] / "exleak" / "datasets" / "hexl.jsonl"
    head, *samples = [json.loads(line) for line in path.read_text().splitlines()]
    found = []
    for sample in samples:
        for condition in (None, "positive", "neutral", "negative"):
            sentence = f"{sample[condition]} " if condition else ""
            found.append(f"{head['instruction']}: {sentence}{sample['control']}")
    return found


def run_engine(model: str, batch: int) -> dict[str, Any]:
    """Exleak's engine, up to each first sentence."""
    import exleak
    import exleak.generation.local.engine
    import exleak.generation.local.plain
    from exleak.generation.local.run import continue_prompts
    from exleak.generation.requests import Counts, Request
    from exleak.prompts import first_sentence_of

    # What the other methods import comes with their model, too.
    loaded, counts = exleak.load_model(model), Counts()
    start = time.perf_counter()
    requests = [
        Request(text, tuple(range(10)), first_sentence_of(text, None, None).is_complete)
        for text in prompts()
    ]
    done = sum(1 for _ in continue_prompts(loaded, requests, exleak.Sampling(), counts=counts))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "done": done, "useful": counts.useful / counts.computed}


def run_floor(model: str, batch: int) -> dict[str, Any]:
    """The forward passes of the engine's run as the model does them by itself."""
    return run_passes(model, batch, bare=True)


def run_passes(model: str, batch: int, *, bare: bool = False) -> dict[str, Any]:
    """The forward passes of the engine's run, replayed without sampling, on as many threads."""
    from concurrent.futures import ThreadPoolExecutor

    import torch

    import exleak
    from exleak.generation.local.forward import Forward
    from exleak.generation.local.run import continue_prompts
    from exleak.generation.requests import Request
    from exleak.prompts import first_sentence_of

    passes: dict[int, list[tuple[int, int, int]]] = {}
    forms: list[Forward] = []
    forward = Forward.__call__

    def recorded(self: Forward, ids: Any, mask: Any, positions: Any, cache: Any) -> Any:
        passes.setdefault(threading.get_ident(), []).append((*ids.shape, mask.shape[1]))
        forms.append(self)
        return forward(self, ids, mask, positions, cache)

    Forward.__call__ = recorded  # type: ignore[method-assign]
    loaded = exleak.load_model(model)
    requests = [
        Request(text, tuple(range(10)), first_sentence_of(text, None, None).is_complete)
        for text in prompts()
    ]
    for _ in continue_prompts(loaded, requests, exleak.Sampling()):
        pass
    Forward.__call__ = forward  # type: ignore[method-assign]
    if len(passes) > 1:
        passes.pop(threading.get_ident())  # what tried out the form of the pass
    own = {"initializer": torch.set_num_threads, "initargs": (1,)} if len(passes) > 1 else {}
    form = forms[-1]
    if bare:
        form = replace(form, ready_mask=False, batched=False)
    with form.in_use(), ThreadPoolExecutor(len(passes), **own) as pool:
        start = time.perf_counter()
        for _ in pool.map(replay, [form] * len(passes), passes.values()):
            pass
        return {"seconds": time.perf_counter() - start}


def replay(form: Any, shapes: list[tuple[int, int, int]]) -> None:
    """Forward passes of these shapes: rows, new tokens, columns of the cache."""
    import torch
    from transformers.cache_utils import DynamicCache

    from exleak.generation.local.cache import SlotCache

    rows = max(rows for rows, new, _ in shapes if new == 1)
    most = max(columns for *_, columns in shapes)
    device = form.model.device
    ones = torch.ones(1, 1, dtype=torch.long, device=device)
    with torch.inference_mode():
        like = DynamicCache()
        form(ones, ones.bool(), ones - 1, like)
        cache = SlotCache(like, rows, most, most=most, whole=form.whole, device=device)
        for size, new, width in shapes:
            ids = ones.expand(size, new)
            mask = torch.ones(size, width, dtype=torch.bool, device=device)
            positions = torch.arange(width - new, width, device=device).expand(size, new)
            used: Any = DynamicCache()
            if new == 1:
                cache.resize(size, width)
                used = cache
            form(ids, mask, positions, used).float().sum().item()


def _load(model: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    # As exleak does by default.
    device, dtype = ("cuda", "bfloat16") if torch.cuda.is_available() else ("cpu", "float32")
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=dtype)
    return loaded.to(device).eval(), tokenizer


_SETTINGS: dict[str, Any] = {
    "do_sample": True, "top_p": 0.9, "top_k": 50, "repetition_penalty": 1.1,
    "max_new_tokens": 128,
}  # fmt: skip


def run_batched(model: str, batch: int) -> dict[str, Any]:
    """Batches of prompts through the generate of transformers."""
    import torch

    loaded, tokenizer = _load(model)
    texts = [text for text in prompts() for _ in range(10)]
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(texts), batch):
            ids = tokenizer(texts[first : first + batch], return_tensors="pt", padding=True)
            ids = ids.to(loaded.device)
            ids.pop("token_type_ids", None)
            loaded.generate(**ids, pad_token_id=tokenizer.pad_token_id, **_SETTINGS)
    return {"seconds": time.perf_counter() - start, "done": len(texts)}


def run_single(model: str, batch: int) -> dict[str, Any]:
    """One generate per continuation; a sample of them, extrapolated to all."""
    import torch

    loaded, tokenizer = _load(model)
    texts = prompts()[:: 240 // SINGLE_SAMPLE][:SINGLE_SAMPLE]
    start = time.perf_counter()
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer(text, return_tensors="pt").to(loaded.device)
            ids.pop("token_type_ids", None)
            loaded.generate(**ids, pad_token_id=tokenizer.pad_token_id, **_SETTINGS)
    return {"seconds": (time.perf_counter() - start) * 2400 / len(texts), "done": len(texts)}


def run_lm_eval(model: str, batch: int) -> dict[str, Any]:
    """Generation by lm-evaluation-harness, stopping at sentence ends as well as it can."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    loaded = HFLM(pretrained=model, device="cpu", batch_size=batch, dtype="float32")
    settings = {key: value for key, value in _SETTINGS.items() if key != "max_new_tokens"}
    arguments = {"until": [". ", "! ", "? ", "\n"], "max_gen_toks": 128, "temperature": 1.0}
    arguments |= settings
    requests = [
        Instance("generate_until", {}, (text, arguments), number)
        for number, text in enumerate(text for text in prompts() for _ in range(10))
    ]
    start = time.perf_counter()
    done = loaded.generate_until(requests, disable_tqdm=True)
    return {"seconds": time.perf_counter() - start, "done": len(done)}


RUN: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "engine": run_engine, "floor": run_floor, "passes": run_passes, "batched": run_batched,
    "single": run_single, "lm-eval": run_lm_eval,
}  # fmt: skip


def cold(python: str, method: str, model: str, batch: int) -> dict[str, Any]:
    """Run one method in a process of its own."""
    command = [python, __file__, model, "--worker", method, "--batch", str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{method} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Time every method in turn and print ratios of medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["engine", "floor"])
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--lm-eval-python", metavar="PYTHON")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(RUN[options.worker](options.model, options.batch)))
        return
    runs: dict[str, list[dict[str, Any]]] = {}
    for _ in range(options.repeats):
        for method in options.methods:
            python = options.lm_eval_python if method == "lm-eval" else sys.executable
            sizes = options.batches if method in ("batched", "lm-eval") else [0]
            for size in sizes:
                name = f"{method} {size}" if size else method
                runs.setdefault(name, []).append(cold(python, method, options.model, size))
                print(f"{name:14} {runs[name][-1]}", flush=True)
    medians = {
        name: statistics.median(run["seconds"] for run in all_) for name, all_ in runs.items()
    }
    print(f"\n{platform.machine()}, {platform.system()}; median of {options.repeats} cold runs")
    for name, seconds in medians.items():
        print(f"{name:14} {seconds:9.2f} s   {seconds / medians.get('engine', seconds):8.2f} x")
    if options.json:
        options.json.write_text(json.dumps({"runs": runs, "medians": medians}, indent=1) + "\n")


if __name__ == "__main__":
    main()
