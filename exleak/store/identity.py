"""The identity of a checkpoint: a hash of its content, never its path.

Training overwrites checkpoint folders in place. Hashing imports neither torch nor transformers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from pathlib import Path

from exleak.files import write_text
from exleak.hub import bounded

_WEIGHTS = ("*.safetensors", "*.bin")
_TEXTS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
#: Files that trainers write beside a checkpoint; they do not affect its generations.
_FOREIGN = re.compile(
    r"trainer_state\.json|training_args\.bin|optimizer\.bin|scheduler\.bin|"
    r"README\.txt|all_results\.json|\w+_results\.json"
)
_SHARD = re.compile(r"-\d+-of-\d+\.")
#: A file younger than this may change again without a new time stamp.
_SETTLED_NS = 2_000_000_000


def checkpoint_hash(folder: Path, memo: Path | None = None) -> str:
    """Hash of all files in a checkpoint folder that can affect its generations.

    Args:
        folder: A checkpoint folder, with weights, configuration and tokenizer.
        memo: File that caches file hashes by path, size, times and inode.

    Returns:
        Hex sha256 over the names and contents of weights, configuration and tokenizer files.
    """
    known = _read_memo(memo)
    before = dict(known)
    lines = [f"{path.name} {_file_hash(path, known)}\n" for path in _files(folder)]
    _write_memo(memo, known, before)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_hash(path: Path, memo: Path | None = None) -> str:
    """Hash of a checkpoint that is a single file.

    Args:
        path: The file.
        memo: As for :func:`checkpoint_hash`.
    """
    known = _read_memo(memo)
    before = dict(known)
    found = _file_hash(path, known)
    _write_memo(memo, known, before)
    return found


def _files(folder: Path) -> list[Path]:
    files = {path for pattern in (*_WEIGHTS, *_TEXTS) for path in folder.glob(pattern)}
    return sorted(path for path in files if not _FOREIGN.fullmatch(path.name))


def _file_hash(path: Path, known: dict[str, str]) -> str:
    while True:
        key = _stamp(path)
        if key in known:
            return known[key]
        with path.open("rb") as file:
            content_hash = hashlib.file_digest(file, "sha256").hexdigest()
        if _stamp(path) == key:  # unchanged during reading
            break
    status = path.stat()
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
        known[key] = content_hash
    return content_hash


def _stamp(path: Path) -> str:
    """A key that changes whenever the file does.

    A copy can keep size and modification time (``rsync -t``, container layers) and may reuse the
    inode of the replaced file. Only the file system sets the change time, at each write.
    """
    status = path.stat()
    return (
        f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} "
        f"{status.st_dev}:{status.st_ino}"
    )


def _read_memo(memo: Path | None) -> dict[str, str]:
    if memo is None:
        return {}
    try:
        memo_content = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memo_content if isinstance(memo_content, dict) else {}


def _write_memo(memo: Path | None, known: dict[str, str], before: dict[str, str]) -> None:
    if memo is not None and known != before:
        with contextlib.suppress(OSError):  # only the cache is lost
            write_text(memo, json.dumps(known, indent=0, sort_keys=True) + "\n")


@bounded
def local_folder(source: str) -> Path | None:
    """The folder of a checkpoint's files: the source itself, or its snapshot in the hub's cache.

    If the hub can be reached, it is asked for the newest revision, as in loading the checkpoint;
    otherwise the cached revision is used.

    Returns:
        The folder; ``None`` for a hub name that is not in the cache yet.
    """
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    try:
        return Path(hf_hub_download(source, "config.json")).parent
    except Exception:  # loading the checkpoint will report the cause
        config = try_to_load_from_cache(source, "config.json")
        return Path(config).parent if isinstance(config, str) else None


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint folder has all weights files: those in its index, if there is one."""
    for index in sorted(folder.glob("*.index.json")):
        try:
            files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
        if all((folder / name).is_file() for name in files):
            return True
    return any(
        path.is_file() and not _SHARD.search(path.name)
        for pattern in _WEIGHTS
        for path in folder.glob(pattern)
        if not _FOREIGN.fullmatch(path.name)
    )
