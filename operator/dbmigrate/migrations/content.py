"""What is in a file: held in memory when it is small, read again block by block when it is large.

What is hashed is what runs. A small file's bytes are read once and kept. Of a large one only
digests are kept: the first reading makes its checksums and a digest of each block, and a later
one gives no byte of a block before the block has been compared with its digest. Its descriptor
stays open, so that a file which is replaced by another under its name is read on as it was.

Nothing here knows SQL, or how a file is named.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, Protocol

from dbmigrate.errors import Location, RefusedError
from dbmigrate.migrations.sql.text import Decoder

BLOCK: Final = 1 << 18
"""Bytes of a large file that are read, and compared with their digest, at a time."""
LARGE: Final = 1 << 20
"""Bytes from which on a file is not held in memory."""


class Content(Protocol):
    """The bytes of a file."""

    @property
    def is_held(self) -> bool:
        """Whether they are in memory."""

    @property
    def size(self) -> int:
        """How many bytes."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the bytes, hexadecimal: equal to what ``sha256sum`` prints."""

    @property
    def text_checksum(self) -> str:
        """SHA-256 with line ends normalised and no byte order mark.

        A checkout under Windows has another `checksum` but the same `text_checksum`:
        it is not a changed migration.
        """

    def read_from(self, offset: int) -> Iterator[bytes]:
        """The bytes from there to the end, in blocks.

        Raises:
            RefusedError: code SourceChanged: they are not those that were hashed.
        """


@dataclass(frozen=True)
class HeldContent:
    """Bytes in memory."""

    data: bytes
    block: int = BLOCK
    is_held: ClassVar[bool] = True

    @property
    def size(self) -> int:
        """How many bytes."""
        return len(self.data)

    @cached_property
    def checksum(self) -> str:
        """See `Content`."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def text_checksum(self) -> str:
        """See `Content`."""
        text = self.data.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
        return hashlib.sha256(text).hexdigest()

    def read_from(self, offset: int) -> Iterator[bytes]:
        """See `Content`."""
        for start in range(offset, self.size, self.block):
            yield self.data[start : start + self.block]


class LargeContent:
    """Bytes in a file that was read once, and is read again when they are needed.

    Args:
        descriptor: open for reading; it is closed with this object.
        shown: the file's name for messages.
        look: is given the text as it is first read, piece by piece.
        block: bytes that are read at a time; at least 3, the length of a byte order mark.

    Raises:
        SourceError: code ``NotUtf8``.
        OSError: it cannot be read.
    """

    is_held: ClassVar[bool] = False

    def __init__(
        self,
        descriptor: int,
        shown: str,
        look: Callable[[str], None] = lambda _: None,
        block: int = BLOCK,
    ) -> None:
        self.shown = shown
        self.block = block
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        decoder = Decoder(shown)
        checksums = _Checksums()
        self._digests: list[bytes] = []
        self.size = 0
        while data := _read(descriptor, self.size, block):
            checksums.update(data, is_first=not self._digests)
            self._digests.append(hashlib.sha256(data).digest())
            self.size += len(data)
            look(decoder.decode(data))
        look(decoder.decode(b"", is_last=True))
        self.checksum, self.text_checksum = checksums.finish()

    def read_from(self, offset: int) -> Iterator[bytes]:
        """See `Content`."""
        first = offset // self.block
        for number in range(first, len(self._digests)):
            data = self._verified(number)
            yield data if number > first else data[offset - first * self.block :]

    def _verified(self, number: int) -> bytes:
        try:
            data = _read(self._descriptor, number * self.block, self.block)
        except OSError as error:
            raise self._changed(f"cannot be read again: {error.strerror}") from error
        if hashlib.sha256(data).digest() != self._digests[number]:
            raise self._changed("was changed while it was in use")
        return data

    def _changed(self, what: str) -> RefusedError:
        return RefusedError(
            f"{self.shown}: the file {what}",
            code="SourceChanged",
            hint="run again when nothing writes to the source any more",
            location=Location(self.shown),
        )


class _Checksums:
    """Both checksums in one reading; the second costs nothing while nothing is normalised."""

    def __init__(self) -> None:
        self.bytes = hashlib.sha256()
        self.text = self.bytes
        self.rest = b""
        """A carriage return whose line feed may come with the next block."""

    def update(self, data: bytes, *, is_first: bool) -> None:
        text = data.removeprefix(codecs.BOM_UTF8) if is_first else data
        if self.text is self.bytes and (b"\r" in data or len(text) < len(data)):
            self.text = self.bytes.copy()
        self.bytes.update(data)
        if self.text is not self.bytes:
            text = self.rest + text
            self.rest = text[-1:] if text.endswith(b"\r") else b""
            self.text.update(text.removesuffix(b"\r").replace(b"\r\n", b"\n"))

    def finish(self) -> tuple[str, str]:
        if self.rest:
            self.text.update(self.rest)
        return self.bytes.hexdigest(), self.text.hexdigest()


def read_content(path: str | Path, shown: str, large: int = LARGE) -> tuple[Content, bool]:
    """Read a file, and say whether it is empty but for whitespace.

    Args:
        path: the file.
        shown: its name for messages.
        large: bytes from which on it is not held.

    Raises:
        SourceError: code ``NotUtf8``.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = _read(descriptor, 0, large)
    except BaseException:
        os.close(descriptor)
        raise
    if len(data) < large:
        os.close(descriptor)
        return HeldContent(data), not Decoder(shown).decode(data, is_last=True).strip()
    is_empty = True

    def look(text: str) -> None:
        nonlocal is_empty
        is_empty = is_empty and not text.strip()

    return LargeContent(descriptor, shown, look), is_empty


def _read(descriptor: int, offset: int, length: int) -> bytes:
    """That many bytes, or fewer at the end of the file."""
    data = os.pread(descriptor, length, offset)
    while 0 < len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
