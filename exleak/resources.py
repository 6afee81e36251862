"""Processors and memory available to this process, within the limits of control groups.

Containers and job schedulers limit a process by control groups, versions 1 and 2. The machine's
processor count and free memory do not show these limits. Parent groups limit the process too.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
#: Folders below /sys/fs/cgroup with version 1's groups of a controller.
_FOLDERS = {"memory": ("memory",), "cpu": ("cpu", "cpu,cpuacct", "cpuacct,cpu")}


def cpus(root: Path | None = None) -> int:
    """Number of processors that this process may use, by affinity and its groups' quotas.

    Args:
        root: Folder of ``proc`` and ``sys``; by default the machine's.

    Returns:
        Number of processors, rounded down, at least 1.
    """
    root = root or _ROOT
    try:
        available = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        available = os.cpu_count() or 1
    quotas = [_quota(group, version) for group, version in _groups(root, "cpu")]
    return max(1, min([available, *(int(quota) for quota in quotas if quota is not None)]))


def threads(processes: int = 1) -> int:
    """Number of threads for one of several processes: ``OMP_NUM_THREADS``, or an equal share.

    Args:
        processes: Number of processes that share the processors.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), cpus())
    return max(1, cpus() // processes)


def limit_torch(processes: int = 1) -> None:
    """Reduce torch's number of threads to what this process may use; never increase it."""
    import torch

    if (most := threads(processes)) < torch.get_num_threads():
        torch.set_num_threads(most)


def drop_unused_models() -> None:
    """Free models that nothing refers to any more, and what torch keeps of a GPU's memory."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_memory(root: Path | None = None) -> int | None:
    """Bytes that this process can still allocate: without swap, with reclaimable page cache.

    Args:
        root: Folder of ``proc`` and ``sys``; by default the machine's.

    Returns:
        The minimum of what the machine, each group and the process's limits leave; ``None`` if
        unknown.
    """
    root = root or _ROOT
    left = [_available(root), *(_left(*group) for group in _groups(root, "memory"))]
    left += _own_limits(root)
    return max(0, min(known)) if (known := [n for n in left if n is not None]) else None


def _available(root: Path) -> int | None:
    """The machine's free memory, in bytes."""
    table = _table(root / "proc/meminfo")
    if "MemAvailable:" in table:
        return table["MemAvailable:"] * 1024
    if "MemFree:" in table:
        return (table["MemFree:"] + table.get("Cached:", 0)) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def held_memory(root: Path | None = None) -> int | None:
    """Bytes of memory that this process holds now (resident).

    Args:
        root: Folder of ``proc``; by default the machine's.

    Returns:
        ``None`` where the system does not tell.
    """
    return _own_memory("VmRSS:", root)


def highest_memory(root: Path | None = None) -> int | None:
    """Bytes of memory that this process has held at most (resident); as :func:`held_memory`."""
    return _own_memory("VmHWM:", root)


def _own_memory(name: str, root: Path | None) -> int | None:
    held = _table((root or _ROOT) / "proc/self/status").get(name)
    return None if held is None else 1024 * held


def _left(group: Path, version: int) -> int | None:
    """Bytes below a group's limit, with inactive file cache; ``None`` without a limit."""
    names = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
    limits = [limit for name in names if (limit := _number(group / name)) is not None]
    used = _number(group / ("memory.current" if version == 2 else "memory.usage_in_bytes"))
    if not limits or used is None:
        return None
    idle = _table(group / "memory.stat").get(
        "inactive_file" if version == 2 else "total_inactive_file", 0
    )
    return max(0, min(limits) - max(0, used - idle))


def _quota(group: Path, version: int) -> float | None:
    """A group's CPU quota, in processors; ``None`` without a limit."""
    if version == 2:
        quota, _, period = _text(group / "cpu.max").partition(" ")
    else:
        quota, period = (_text(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """This process's group and its parents, each with its version."""
    tops: tuple[str, ...]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            tops, version = ("", "unified"), 2
        elif controller in controllers.split(","):
            tops, version = _FOLDERS[controller], 1
        else:
            continue
        for top in tops:
            yield from _upwards(root / "sys/fs/cgroup" / top, path, version)


def _upwards(top: Path, path: str, version: int) -> Iterator[tuple[Path, int]]:
    # A container's files may start at its group, although the path is relative to the machine's.
    parts = [] if ".." in Path(path).parts else [part for part in path.split("/") if part]
    for depth in range(len(parts), -1, -1):
        if (group := top.joinpath(*parts[:depth])).is_dir():
            yield group, version


def _own_limits(root: Path) -> list[int]:
    """Bytes below the limits of ``ulimit -v`` and ``ulimit -d``."""
    try:
        import resource
    except ImportError:
        return []
    status = _table(root / "proc/self/status")
    left = []
    for name, used in (("RLIMIT_AS", "VmSize:"), ("RLIMIT_DATA", "VmData:")):
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY and used in status:
            left.append(limit - status[used] * 1024)
    return left


def _table(path: Path) -> dict[str, int]:
    """Names and integers in a file with one pair per line."""
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _number(path: Path) -> int | None:
    text = _text(path)
    value = int(text) if text.isdecimal() else None
    # Version 1 writes a huge number for "no limit".
    return None if value is None or value >= 2**60 else value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
