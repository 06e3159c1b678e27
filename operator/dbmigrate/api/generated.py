"""Files that are generated from the models: printed, written, or held against what lies there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(text: str, places: Sequence[Path], *, description: str | None) -> int:
    """Print, write or check the files; the exit code says whether they are up to date.

    Args:
        text: what the files should be.
        places: where they lie, below the repository's root.
        description: for the command line's help.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=Path(), help="the repository's root")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--write", action="store_true", help="write the generated files")
    choice.add_argument("--check", action="store_true", help="fail when they are out of date")
    options = parser.parse_args()
    if not (options.write or options.check):
        sys.stdout.write(text)
        return 0
    stale = [
        place
        for place in places
        if not (options.root / place).is_file()
        or (options.root / place).read_text(encoding="utf-8") != text
    ]
    if options.check:
        for place in stale:
            sys.stderr.write(f"{place} is not what the models make: run `make generate`\n")
        return 1 if stale else 0
    for place in stale:
        (options.root / place).parent.mkdir(parents=True, exist_ok=True)
        (options.root / place).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {place}\n")
    return 0
