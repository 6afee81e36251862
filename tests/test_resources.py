"""Processors and memory, as affinity, control groups and the process's limits leave them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from exleak import ModelError, Sampling, resources
from exleak.generation.local import memory, run
from exleak.generation.local.loading import load_model
from exleak.generation.local.memory import is_out_of_memory
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Request

MIB = 1 << 20
GIB = 1 << 30


def machine(root: Path, files: dict[str, object]) -> Path:
    """A machine with 8 GiB available, of which the page cache holds most, and other files."""
    files = {"proc/meminfo": "MemTotal: 9000000 kB\nMemFree: 100 kB\nMemAvailable: 8388608 kB",
             **files}  # fmt: skip
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n", encoding="utf-8")
    return root


V2 = {"proc/self/cgroup": "0::/a/b"}
V1 = {"proc/self/cgroup": "5:memory:/docker/x\n3:cpu,cpuacct:/docker/x"}
GROUP = "sys/fs/cgroup"
MEMORY: dict[str, tuple[dict[str, object], int]] = {
    "no group": ({}, 8 * GIB),
    "no limit": ({**V2, f"{GROUP}/a/b/memory.max": "max", f"{GROUP}/a/b/memory.current": 5},
                 8 * GIB),
    "its own": ({**V2, f"{GROUP}/a/b/memory.max": 1500 * MIB,
                 f"{GROUP}/a/b/memory.current": 500 * MIB}, 1000 * MIB),
    "idle cache": ({**V2, f"{GROUP}/a/b/memory.max": 1500 * MIB,
                    f"{GROUP}/a/b/memory.current": 500 * MIB,
                    f"{GROUP}/a/b/memory.stat": f"anon 7\ninactive_file {200 * MIB}"}, 1200 * MIB),
    "one above": ({**V2, f"{GROUP}/a/b/memory.max": "max", f"{GROUP}/a/b/memory.current": 5,
                   f"{GROUP}/a/memory.max": GIB, f"{GROUP}/a/memory.current": 24 * MIB},
                  1000 * MIB),
    "throttled": ({**V2, f"{GROUP}/a/b/memory.max": "max", f"{GROUP}/a/b/memory.high": GIB,
                   f"{GROUP}/a/b/memory.current": 0}, GIB),
    "a container's root": ({"proc/self/cgroup": "0::/", f"{GROUP}/memory.max": GIB,
                            f"{GROUP}/memory.current": 0}, GIB),
    "a path from outside": ({"proc/self/cgroup": "0::/../gone", f"{GROUP}/memory.max": GIB,
                             f"{GROUP}/memory.current": 0}, GIB),
    "more than the machine": ({**V2, f"{GROUP}/a/b/memory.max": 99 * GIB,
                               f"{GROUP}/a/b/memory.current": 0}, 8 * GIB),
    "over it": ({**V2, f"{GROUP}/a/b/memory.max": GIB, f"{GROUP}/a/b/memory.current": 2 * GIB}, 0),
    "version 1": ({**V1, f"{GROUP}/memory/docker/x/memory.limit_in_bytes": GIB,
                   f"{GROUP}/memory/docker/x/memory.usage_in_bytes": 25 * MIB,
                   f"{GROUP}/memory/docker/x/memory.stat": f"total_inactive_file {MIB}"},
                  1000 * MIB),
    "version 1, in the container": ({**V1, f"{GROUP}/memory/memory.limit_in_bytes": GIB,
                                     f"{GROUP}/memory/memory.usage_in_bytes": 0}, GIB),
    "version 1, no limit": ({**V1, f"{GROUP}/memory/memory.limit_in_bytes": 9223372036854771712,
                             f"{GROUP}/memory/memory.usage_in_bytes": 0}, 8 * GIB),
    "both versions": ({"proc/self/cgroup": "5:memory:/x\n0::/x",
                       f"{GROUP}/unified/x/cgroup.procs": 1,
                       f"{GROUP}/memory/x/memory.limit_in_bytes": GIB,
                       f"{GROUP}/memory/x/memory.usage_in_bytes": 0}, GIB),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMORY)
def test_free_memory_is_the_least_that_any_limit_leaves(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's, with what its page cache would give back, or that of a group."""
    monkeypatch.setattr(resources, "_own_limits", lambda root: [])
    files, left = MEMORY[name]
    assert resources.free_memory(machine(tmp_path, files)) == left


def test_held_memory_is_that_of_the_process(tmp_path: Path) -> None:
    """What is resident; unknown where the system does not tell."""
    assert resources.held_memory(machine(tmp_path, {"proc/self/status": "VmRSS:  300 kB"})) == (
        300 * 1024
    )
    assert resources.highest_memory(machine(tmp_path, {"proc/self/status": "VmHWM: 9 kB"})) == 9216
    assert resources.held_memory(tmp_path / "nowhere") is None


CPUS: dict[str, tuple[dict[str, object], int]] = {
    "no limit": ({**V2, f"{GROUP}/a/b/cpu.max": "max 100000"}, 20),
    "a quota": ({**V2, f"{GROUP}/a/b/cpu.max": "350000 100000"}, 3),
    "part of one": ({**V2, f"{GROUP}/a/b/cpu.max": "50000 100000"}, 1),
    "one above": ({**V2, f"{GROUP}/a/b/cpu.max": "max 100000",
                   f"{GROUP}/a/cpu.max": "200000 100000"}, 2),
    "version 1": ({**V1, f"{GROUP}/cpu,cpuacct/docker/x/cpu.cfs_quota_us": 400000,
                   f"{GROUP}/cpu,cpuacct/docker/x/cpu.cfs_period_us": 100000}, 4),
    "version 1, no limit": ({**V1, f"{GROUP}/cpu/docker/x/cpu.cfs_quota_us": -1,
                             f"{GROUP}/cpu/docker/x/cpu.cfs_period_us": 100000}, 20),
}  # fmt: skip


@pytest.mark.parametrize("name", CPUS)
def test_processors_are_those_of_affinity_and_quota(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the machine's: 64 here, of which 20 are this process's."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(20)), raising=False)
    files, found = CPUS[name]
    assert resources.cpus(machine(tmp_path, files)) == found


@pytest.mark.parametrize(
    ("wanted", "found"), [("3", 3), ("3,2", 3), ("64", 20), ("", 10), ("0", 10), ("many", 10)]
)
def test_openmp_threads_are_as_the_environment_says(
    wanted: str, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a share of the processors."""
    monkeypatch.setattr(resources, "cpus", lambda: 20)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert resources.threads(2) == found


def test_a_loaded_model_keeps_to_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch knows of affinity, not of quotas; fewer threads than allowed stay as they are."""
    before = torch.get_num_threads()
    monkeypatch.setattr(resources, "cpus", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    try:
        for threads, then in ((8, 3), (2, 2)):
            torch.set_num_threads(threads)
            load_model("reference-clean", device="cpu")
            assert torch.get_num_threads() == then
    finally:
        torch.set_num_threads(before)


def test_the_limit_on_address_space_counts() -> None:
    """``ulimit -v``, in a process that has one."""
    code = (
        "import resource\nfrom exleak.resources import free_memory\n"
        "limit = 600 << 20\nresource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "print(free_memory())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert 0 < int(done.stdout) < 600 * MIB


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
     RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory"),
     RuntimeError("std::bad_alloc"), RuntimeError("CUDA error: out of memory"),
     RuntimeError("MPS backend out of memory"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")],
)  # fmt: skip
def test_errors_of_memory_are_known(error: Exception) -> None:
    """In the words of each allocator; the batch is then halved."""
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("size mismatch"))


def test_too_little_memory_to_begin_is_a_clear_error(
    llama_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first row cannot be tried, as where the last halving does not help."""

    def full(*_: object) -> int:
        raise MemoryError

    monkeypatch.setattr(run, "rows_that_fit", full)
    with pytest.raises(ModelError, match="not enough memory for one row"):
        list(continue_prompts(llama_model, [Request("a", (0,))], Sampling(max_new_tokens=4)))


def test_fewer_rows_fit_into_a_container(
    llama_model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine asks for what the group leaves, not for what the machine has."""
    requests = [Request("a", tuple(range(600)))]
    monkeypatch.setattr(resources, "_own_limits", lambda root: [])
    found = []
    for name, limit in (("wide", "max"), ("narrow", 2 * MIB)):
        files: dict[str, object] = {
            **V2,
            f"{GROUP}/a/b/memory.max": limit,
            f"{GROUP}/a/b/memory.current": 0,
        }
        monkeypatch.setattr(resources, "_ROOT", machine(tmp_path / name, files))
        found.append(memory.rows_that_fit(llama_model, requests, Sampling(max_new_tokens=100)))
    assert 1 <= found[1] < found[0] // 4


def test_the_number_of_rows_does_not_follow_every_change_of_the_free_memory(
    llama_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the maximum it is a power of two, and at most what fits."""
    requests = [Request("a", tuple(range(600)))]
    found = []
    for free in range(4 * MIB, 8 * MIB, MIB // 4):
        monkeypatch.setattr(resources, "free_memory", lambda free=free: free)
        found.append(memory.rows_that_fit(llama_model, requests, Sampling(max_new_tokens=100)))
    assert len(set(found)) <= 3
    assert all(rows.bit_count() == 1 for rows in found)
