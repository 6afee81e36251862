#!/usr/bin/env bash
# What only a GPU can show, on one with CUDA: the same texts, speed, memory, and the gpu tests.
#
#     benchmarks/gpu.sh MODEL [FOLDER]      (a chat model's checkpoint; a folder for a large one)
set -uo pipefail
cd "$(dirname "$0")/.."
model=$1 folder=${2:-$(mktemp -d)}
export HF_HUB_OFFLINE=1

step() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }

step machine
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
python3 -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)'

step the gpu tests: a limit that no model keeps, and one that every model does
for limit in 0.05 1; do
    python3 -m pytest -q -p no:cacheprovider -m gpu --leakage-model="$model" \
        --leakage-max-rate $limit --leakage-store="$folder/store" tests/test_leakage.py 2>&1 | tail -45
done

step float32 on the GPU against the CPU, and batch sizes
python3 benchmarks/invariance.py "$model" --limit 20 --dtype float32 --batches 640 7 --against cpu
step bfloat16 and batch sizes
python3 benchmarks/invariance.py "$model" --limit 20 --batches 640 64 7

step speed
python3 benchmarks/generation.py "$model" --methods engine floor passes batched --batches 640 2400 --repeats 2

step memory
python3 benchmarks/memory.py "$model" --prompts 240 2400

step out of memory
python3 - "$model" <<'PYTHON'
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
torch.cuda.set_per_process_memory_fraction(1.3 * torch.cuda.memory_allocated() / total)
less, fewer = run(2048)
print(f"rows {sizes}, then {fewer}; {sum(whole[k] != less[k] for k in whole)} of {len(whole)} texts differ")
PYTHON

step a model of 1.7 billion random weights
python3 - "$model" "$folder/large" <<'PYTHON'
import sys, torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
config = AutoConfig.from_pretrained(sys.argv[1], hidden_size=2048, intermediate_size=8192,
    num_hidden_layers=24, num_attention_heads=32, num_key_value_heads=32, head_dim=64)
torch.set_default_dtype(torch.bfloat16)
with torch.device("cuda"):
    AutoModelForCausalLM.from_config(config).save_pretrained(sys.argv[2])
AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[2])
PYTHON
python3 benchmarks/generation.py "$folder/large" --methods engine floor batched --batches 640 --repeats 1
python3 benchmarks/memory.py "$folder/large" --prompts 240
step done
