"""The identity of a checkpoint: a hash of its content, never its path.

Training overwrites checkpoint folders in place. Hashing imports neither torch nor transformers.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import re
import time
from pathlib import Path

from exleak.files import write_text
from exleak.hub import bounded
from exleak.progress import advance, phase

_WEIGHTS = ("*.safetensors", "*.bin")
_TEXTS = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
_TOKENIZERS = (
    "*token*", "vocab*", "merges.txt", "*.model", "*.jinja", "*.tiktoken", "spiece.*",
)  # fmt: skip
#: Files that trainers write beside a checkpoint; they do not affect its generations.
_FOREIGN = re.compile(
    r"trainer_state\.json|training_args\.bin|optimizer\.bin|scheduler\.bin|"
    r"README\.txt|all_results\.json|\w+_results\.json"
)
_SHARD = re.compile(r"-\d+-of-\d+\.")
#: Bytes that are read at once.
_CHUNK = 2**22
#: A file younger than this may change again without a new time stamp.
_SETTLED_NS = 2_000_000_000


def checkpoint_hash(
    folder: Path, memo: Path | None = None, *, file: str | None = None, code: bool = False
) -> str:
    """Hash of all files in a checkpoint folder that can affect its generations.

    Args:
        folder: A checkpoint folder, with weights, configuration and tokenizer; or an adapter's.
        memo: File that caches file hashes by path, size, times and inode.
        file: The one file that is loaded, such as a GGUF file.
        code: Whether Python code of the folder is run.

    Returns:
        Hex sha256 over the names and contents of weights, configuration and tokenizer files.
    """
    patterns = (glob.escape(file),) if file else (*_WEIGHTS, *_TEXTS, *(("*.py",) if code else ()))
    return _hash(folder, patterns, memo)


def tokenizer_hash(folder: Path, memo: Path | None = None) -> str:
    """Hash of the tokenizer's files in a folder, as in :func:`checkpoint_hash`."""
    return _hash(folder, _TOKENIZERS, memo)


def weights_size(folder: Path, file: str | None = None) -> int:
    """Bytes of the weights in a checkpoint folder, or of the one file that is loaded."""
    for pattern in (glob.escape(file),) if file else _WEIGHTS:
        if found := _files(folder, (pattern,)):
            return sum(path.stat().st_size for path in found)
    return 0


def _hash(folder: Path, patterns: tuple[str, ...], memo: Path | None) -> str:
    known = _read_memo(memo)
    before = dict(known)
    files = _files(folder, patterns)
    unread = sum(path.stat().st_size for path in files if _stamp(path) not in known)
    with phase("loading", "bytes", unread) if unread else contextlib.nullcontext():
        lines = [f"{path.name} {_file_hash(path, known)}\n" for path in files]
    if memo is not None and known != before:
        with contextlib.suppress(OSError):  # only the cache is lost
            write_text(memo, json.dumps(known, indent=0, sort_keys=True) + "\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    files = {path for pattern in patterns for path in folder.glob(pattern)}
    return sorted(path for path in files if not _FOREIGN.fullmatch(path.name) and path.is_file())


def _file_hash(path: Path, known: dict[str, str]) -> str:
    while True:
        key = _stamp(path)
        if key in known:
            return known[key]
        content_hash = _read(path)
        if _stamp(path) == key:  # unchanged during reading
            break
    status = path.stat()
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
        known[key] = content_hash
    return content_hash


def _read(path: Path) -> str:
    """Hex sha256 of a file's content."""
    found, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            found.update(buffer[:size])
            advance(size)
    return found.hexdigest()


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


@bounded
def local_folder(
    source: str, revision: str | None = None, subfolder: str = "", file: str = "config.json"
) -> Path | None:
    """The folder of a checkpoint's files: the source itself, or its snapshot in the hub's cache.

    If the hub can be reached, it is asked for the newest state of the revision, as in loading the
    checkpoint; otherwise the cached one is used.

    Args:
        source: A folder or a hub name.
        revision: Branch, tag or commit on the hub; by default the main branch.
        subfolder: Folder within it.
        file: A file that tells whether the checkpoint is there; a folder is not searched for it.

    Returns:
        The folder; ``None`` for a hub name that is not in the cache yet.
    """
    if Path(source).is_dir():
        return Path(source) / subfolder
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    path = f"{subfolder}/{file}" if subfolder else file
    try:
        return Path(hf_hub_download(source, path, revision=revision)).parent
    except Exception:  # loading the checkpoint will report the cause
        found = try_to_load_from_cache(source, path, revision=revision)
        return Path(found).parent if isinstance(found, str) else None


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
