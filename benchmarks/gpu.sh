#!/usr/bin/env bash
# What only a GPU can show, on one with CUDA, in under ten minutes, as one JSON.
#
#     benchmarks/gpu.sh MODEL [FOLDER [STEP…]]      (a chat model's checkpoint; all steps unless named)
#
# Each step has a time limit and a log of its own in FOLDER. FOLDER/gpu.json has the command, exit
# status, seconds and output of each step, and is written anew after each, so that a run that is cut
# short leaves what it has.
set -uo pipefail
cd "$(dirname "$0")/.."
model=$1 folder=${2:-$(mktemp -d)}
steps=" ${*:3} "
mkdir -p "$folder"
[[ ! -e $model ]] || model=$(realpath "$model")
folder=$(realpath "$folder")
export HF_HUB_OFFLINE=1

run() { # NAME SECONDS COMMAND…
    local name=$1 limit=$2 begun=$SECONDS status
    shift 2
    [[ $steps == "  " || $steps == *" $name "* ]] || return 0
    printf '\n=== %s (%d s)\n' "$name" "$SECONDS"
    timeout "$limit" "$@" 2>&1 | tee "$folder/$name.log"
    status=$?
    python3 - "$folder/gpu.json" "$name" "$status" $((SECONDS - begun)) "$folder/$name.log" "$*" <<'PYTHON'
import json, sys
from pathlib import Path

file, name, status, seconds, log, command = sys.argv[1:]
known = json.loads(Path(file).read_text()) if Path(file).is_file() else {}
output = Path(log).read_text(errors="replace")[-20_000:]
known[name] = {"command": command, "status": int(status), "seconds": int(seconds), "output": output.splitlines()}
Path(file).write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
PYTHON
}

[[ $steps != "  " ]] || rm -f "$folder/gpu.json"
run machine 60 bash -c 'nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
    python3 -c "import torch, transformers; print(torch.__version__, transformers.__version__)"'
# In a folder of its own: the tests of this repository hide the GPU.
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$folder/suite"
echo 'from leakage_fixtures.suite import TestLeakage' > "$folder/suite/test_leakage.py"
measure() { (cd "$folder/suite" && python3 -m pytest -q -p leakage_fixtures.plugin -m gpu --leakage-model="$model" "$@"); }
export -f measure
export folder model
# A limit that no model keeps, and one that every model does: red and green, from a cold store.
run gpu-tests 150 bash -c 'measure --leakage-max-rate 0.05 --leakage-store="$folder/store"'
run gpu-tests-again 60 bash -c 'measure --leakage-max-rate 1 --leakage-store="$folder/store"'
run adaptive 60 bash -c 'measure --leakage-max-rate 0.5 --leakage-adaptive --leakage-store="$folder/adaptive"'
run speed 150 python3 benchmarks/generation.py "$model" --methods engine floor passes batched \
    --batches 640 2400 --repeats 1 --json "$folder/speed.json"
run float32-against-the-cpu 90 python3 benchmarks/invariance.py "$model" --limit 8 --dtype float32 \
    --batches 640 7 --against cpu
run bfloat16-and-batch-sizes 60 python3 benchmarks/invariance.py "$model" --limit 8 --batches 640 64 7
run memory 60 python3 benchmarks/memory.py "$model" --prompts 240
run out-of-memory 60 python3 - "$model" <<'PYTHON'
import sys, torch, exleak
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Counts, Request
from exleak.prompts import first_sentence_of

model = exleak.load_model(sys.argv[1], dtype="float32")
texts = [prompt.text for prompt in exleak.load_dataset("hexl").prompts]
requests = [Request(t, tuple(range(10)), first_sentence_of(t, None, None).is_complete) for t in texts]
def run(batch):
    counts = Counts()
    found = continue_prompts(model, requests, exleak.Sampling(), batch_size=batch, counts=counts)
    return {(r.request, r.index): r.text for r in found}, counts.batch_sizes
whole, sizes = run(None)
total = torch.cuda.get_device_properties(0).total_memory
torch.cuda.empty_cache()
torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 2**30) / total)
less, fewer = run(2048)
print(f"rows {sizes}, then {fewer}; {sum(whole[k] != less[k] for k in whole)} of {len(whole)} texts differ")
PYTHON
# Would a compiled step (CUDA graphs) be faster? The forward pass of 640 rows, one token each.
run compiled-step 90 python3 - "$model" <<'PYTHON'
import statistics, sys, time, torch
from transformers import AutoModelForCausalLM, StaticCache

device = "cuda" if torch.cuda.is_available() else "cpu"
rows, width = (640, 96) if device == "cuda" else (8, 32)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16).to(device).eval()
synchronize = torch.cuda.synchronize if device == "cuda" else (lambda: None)
for name, step in (("eager", model.forward), ("compiled", torch.compile(model.forward, mode="reduce-overhead"))):
    cache, times = StaticCache(config=model.config, max_cache_len=width), []
    with torch.inference_mode():
        for column in range(width):
            ids = torch.full((rows, 1), 5, device=device)
            begun = time.perf_counter()
            step(ids, past_key_values=cache, cache_position=torch.tensor([column], device=device))
            synchronize()
            times.append(time.perf_counter() - begun)
    print(f"{name}: {1000 * statistics.median(times[width // 2 :]):.2f} ms a step, the first {times[0]:.1f} s")
PYTHON
printf '\n=== done (%d s): %s\n' "$SECONDS" "$folder/gpu.json"
