"""Versions of migrations: ``MAJOR.MINOR.PATCH``, with SemVer's order.

Source: Semantic Versioning 2.0.0, sections 2 and 11. Pre-release and build parts
are not part of a migration's name, so they are not accepted.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple, Self

_PATTERN = re.compile(r"v?(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,9})", re.ASCII)


class Version(NamedTuple):
    """A migration's version; compares number by number, so 1.10.0 comes after 1.9.0.

    A tuple, because ten thousand of them are made, hashed and sorted to find nothing to do.
    """

    major: int
    minor: int
    patch: int

    @classmethod
    @cache  # the same one stands in a file's name, in the history and in its report
    def parse(cls, text: str) -> Self:
        """Read ``1.2.3`` or ``v1.2.3``.

        Raises:
            ValueError: it is no such version.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a version: expected MAJOR.MINOR.PATCH, such as 1.4.0"
            )
        major, minor, patch = (int(part) for part in match.groups())
        return cls(major, minor, patch)

    def __str__(self) -> str:
        """``1.2.3``: how history, status and reports write it (file names add a ``v``)."""
        return f"{self.major}.{self.minor}.{self.patch}"
