"""A file's path as a reader of reports knows it: from the repository's root."""

from __future__ import annotations

import os
from pathlib import Path


def relative(file: str, root: Path) -> str | None:
    """The path from the root, with slashes; None for a file that is not below it."""
    path = Path(os.path.abspath(file))  # noqa: PTH100 -- resolve() would follow links
    base = Path(os.path.abspath(root))  # noqa: PTH100 -- as above
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else None
