"""The steps that make the tables, one SQL file each, in the order of their numbers.

A step that was released is never changed: a database that was made by an older release
runs the steps that it has not had. A number that a database has and this release has
not is a newer release's, and refused when looking.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).with_name("steps")
_NAME: Final = re.compile(r"(?P<number>[0-9]{4})_[a-z_]+\.sql")

STEPS: Final = {
    int(match["number"]): path
    for path in sorted(_FOLDER.iterdir())
    if (match := _NAME.fullmatch(path.name))
}
"""Each step's file by its number, from 1."""
VERSION: Final = max(STEPS)
"""Of the tables that this release makes."""
