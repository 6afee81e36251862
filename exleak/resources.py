"""Processors and memory that this process may use: the machine's, less what it is limited to.

Containers and job schedulers limit a process by control groups, versions 1 and 2, which nothing
else shows: the machine's processors and free memory stay what they are. Every group above the
process's own limits it as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
#: Folders below /sys/fs/cgroup that hold version 1's groups of a controller.
_FOLDERS = {"memory": ("memory",), "cpu": ("cpu", "cpu,cpuacct", "cpuacct,cpu")}


def cpus(root: Path | None = None) -> int:
    """Processors that this process may keep busy: by affinity and the quotas of its groups.

    Args:
        root: Where ``proc`` and ``sys`` are; the machine's by default.

    Returns:
        At least 1; a part of a processor is left out.
    """
    root = root or _ROOT
    try:
        found = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        found = os.cpu_count() or 1
    quotas = [_quota(group, version) for group, version in _groups(root, "cpu")]
    return max(1, min([found, *(int(quota) for quota in quotas if quota is not None)]))


def threads(processes: int = 1) -> int:
    """Threads for one of several processes that compute at once: ``OMP_NUM_THREADS``, or a share.

    Args:
        processes: How many share the processors.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), cpus())
    return max(1, cpus() // processes)


def limit_torch(processes: int = 1) -> None:
    """Take torch's threads down to what this process may use; never up."""
    import torch

    if (most := threads(processes)) < torch.get_num_threads():
        torch.set_num_threads(most)


def free_memory(root: Path | None = None) -> int | None:
    """Bytes that this process can still take: no swap, but what the page cache would give back.

    Args:
        root: Where ``proc`` and ``sys`` are; the machine's by default.

    Returns:
        The least of what the machine, each group and the process's own limits leave; ``None``
        where nothing tells.
    """
    root = root or _ROOT
    left = [_available(root), *(_left(*group) for group in _groups(root, "memory"))]
    left += _own_limits(root)
    return max(0, min(known)) if (known := [n for n in left if n is not None]) else None


def _available(root: Path) -> int | None:
    """What the machine has free."""
    found = _table(root / "proc/meminfo")
    if "MemAvailable:" in found:
        return found["MemAvailable:"] * 1024
    if "MemFree:" in found:
        return (found["MemFree:"] + found.get("Cached:", 0)) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _left(group: Path, version: int) -> int | None:
    """What a group's limit leaves, idle file cache included; ``None`` where it has none."""
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
    """Processors' worth of time that a group may use; ``None`` without a limit."""
    if version == 2:
        quota, _, period = _text(group / "cpu.max").partition(" ")
    else:
        quota, period = (_text(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """This process's group and those above it, each with its version."""
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
    # A container's files may start at its own group, while the path is told from the machine's.
    parts = [] if ".." in Path(path).parts else [part for part in path.split("/") if part]
    for depth in range(len(parts), -1, -1):
        if (group := top.joinpath(*parts[:depth])).is_dir():
            yield group, version


def _own_limits(root: Path) -> list[int]:
    """What ``ulimit -v`` and ``ulimit -d`` leave."""
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
    """Names and their whole numbers, a line each."""
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _number(path: Path) -> int | None:
    text = _text(path)
    value = int(text) if text.isdecimal() else None
    # Version 1 has no word for "no limit", only a number that no machine reaches.
    return None if value is None or value >= 2**60 else value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
