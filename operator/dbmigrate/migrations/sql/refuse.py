"""What is said when a script cannot be read: where, why, and what to write instead."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from dbmigrate.migrations.sql.window import IncompleteError, Window

_COMMAND: Final = re.compile(r"\\(?:[A-Za-z_]+|.)?")
_FILES: Final = "put that file's statements here, or make it a migration of its own"
_CONNECTION: Final = "leave it out: the connection is chosen for the whole run"
_RESTRICT: Final = "write it as pg_dump does: on a line of its own, with its key"
_ADVICE: Final = {
    ".": "it ends the data of COPY … FROM stdin, and there is no such COPY before it",
    "c": _CONNECTION,
    "connect": _CONNECTION,
    "copy": "use COPY … FROM stdin with the data below it, ended by a line \\.",
    "echo": "use RAISE NOTICE in a DO block",
    "gexec": "use EXECUTE in a DO block",
    "i": _FILES,
    "if": "use IF in a DO block",
    "include": _FILES,
    "include_relative": _FILES,
    "ir": _FILES,
    "restrict": _RESTRICT,
    "set": "write the value itself: psql variables are not known here",
    "unrestrict": _RESTRICT,
}


def refuse(  # noqa: PLR0913 -- a place has three parts, and so has what is said about it
    script: str, filename: str, offset: int, message: str, *, code: str, hint: str
) -> NoReturn:
    """Raise a SourceError for the place at `offset` of a whole script."""
    Window(filename, script).refuse(offset, message, code=code, hint=hint)


def refuse_open(window: Window, offset: int, what: str) -> NoReturn:
    """Refuse what begins at `offset` and is never closed.

    Raises:
        IncompleteError: it may be closed behind the window.
    """
    if not window.is_last:
        raise IncompleteError
    window.refuse(
        offset,
        f"the {what} that begins here is never closed",
        code="Unterminated",
        hint="close it, or look for a quote too many before it",
    )


def refuse_command(window: Window, offset: int) -> NoReturn:
    """Refuse the backslash command at `offset`: psql would run it, the server does not know it."""
    match = _COMMAND.match(window.text, offset)
    command = (match[0] if match else "\\").rstrip()
    window.refuse(
        offset,
        f"{command} is a command of psql, not SQL",
        code="BackslashCommand",
        hint=_ADVICE.get(command[1:], "leave it out, or say it in SQL"),
    )
