"""The stop file: a supervisor's word that a run shall stop after the file that it is at."""

from __future__ import annotations

from pathlib import Path

from dbmigrate.cli.textfile import read_text
from dbmigrate.errors import UsageError

_LONGEST = 500


class StopFile:
    """Asks the file, each time anew.

    A file that is there but cannot be read stops the run too: stopping between two files
    harms nothing, and going on against someone's word may.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __call__(self) -> str | None:
        """The reason to stop, or None."""
        if self._path is None or not self._path.exists():
            return None
        try:
            text = read_text(self._path, what="the stop file")
        except UsageError as error:
            return error.message
        return text.strip()[:_LONGEST] or None
