"""Zip archives of JSON, also compressed with Zstandard, which Python itself reads from 3.14 on."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from exleak.errors import DatasetError
from exleak.files import library
from exleak.logs.node import Node, whole

_ZSTANDARD = 93
#: A member's own header, whose last two numbers are the lengths of its name and extra field.
_HEADER = struct.Struct("<4s5H3I2H")


class Archive:
    """An open archive.

    Raises:
        DatasetError: It is damaged; so do the methods, for a member.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise DatasetError(
                f"{path}: a zip archive that is damaged or cut short ({error}); copy it again"
            ) from None

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    @property
    def names(self) -> Sequence[str]:
        """The names of the members; one that was written again is there once."""
        return list(dict.fromkeys(self._zip.namelist()))

    def read(self, name: str) -> Node:
        """The JSON object in a member, as it was last written."""
        where = f"{self._path}, {name}"
        info = self._zip.getinfo(name)
        try:
            text = self._bytes(info, where).decode("utf-8")
        except NotImplementedError:
            raise DatasetError(
                f"{where}: compressed by method {info.compress_type}, which is unknown here; write "
                "the log as JSON: inspect log convert LOG --to json --output-dir FOLDER"
            ) from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise DatasetError(f"{where}: damaged ({error}); copy the file again") from None
        return whole(text, where)

    def _bytes(self, info: zipfile.ZipInfo, where: str) -> bytes:
        try:
            return self._zip.read(info)
        except NotImplementedError:
            if info.compress_type != _ZSTANDARD:
                raise
        try:
            arrow = library("pyarrow", f"{where}, compressed with Zstandard,")
        except DatasetError as error:
            raise DatasetError(
                f"{error}, or write the log as JSON: inspect log convert LOG --to json "
                "--output-dir FOLDER"
            ) from None
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            *_, name, extra = _HEADER.unpack(file.read(_HEADER.size))
            file.seek(name + extra, 1)
            packed = file.read(info.compress_size)
        data: bytes = arrow.decompress(packed, info.file_size, "zstd", asbytes=True)
        if zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("its checksum is wrong")
        return data
