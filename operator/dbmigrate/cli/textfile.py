"""Small files of settings, read with limits: an environment file, a Secret's key, a stop file.

Whatever lies at a path is not to be trusted: it may be a folder, a device, gigabytes
or no text. Errors name the file and never show its content.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dbmigrate.errors import Location, UsageError

LIMIT = 1024 * 1024
"""Bytes; the size of a whole Kubernetes Secret (its manual) is at most this."""


def read_text(path: Path, *, what: str) -> str:
    """The text of a small regular file, without a byte order mark.

    Args:
        path: the file; links are followed.
        what: what the file is, for messages: ``the environment file``.

    Raises:
        UsageError: it is missing or unreadable (UnreadableFile), no regular file, too
            large, or not UTF-8 (BadEncoding, with line and column).
    """
    place = Location(str(path))
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(
            f"{path}: {what} cannot be read: {error.strerror}",
            code="UnreadableFile",
            location=place,
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(
                f"{path}: {what} is not a regular file", code="UnreadableFile", location=place
            )
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(data) > LIMIT:
        raise UsageError(
            f"{path}: {what} is larger than {LIMIT} bytes", code="UnreadableFile", location=place
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        raise UsageError(
            f"{path}: {what} is not UTF-8 text",
            code="BadEncoding",
            hint="save it as UTF-8",
            location=Location(str(path), line, column),
        ) from None  # the exception's own text shows the bytes
