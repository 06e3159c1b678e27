"""Every error that a user can meet, in one hierarchy.

An error says what is wrong, where it is, and what to do next; it carries a
stable code (what machines and the documentation name it by) and the exit code
of the process that ends with it. It never carries a password: whoever raises
an error with text from a driver or a URI cleans it first.

The hierarchy::

    DbmigrateError
    ├── UsageError            2  the command line, a setting, an environment file
    ├── SourceError           2  the folder of migrations: names, encoding, syntax
    ├── RefusedError          3  a rule forbids the run; nothing was touched
    ├── LockNotObtainedError  4  another runner holds the advisory lock
    ├── UnreachableError      5  no usable connection to the database
    ├── StoppedError          6  asked to stop between two files; what ran is whole
    ├── InterruptedRunError 143  SIGTERM (130: SIGINT); the open transaction is undone
    ├── LinterFailedError     1  the linter cannot be run: nothing was looked at
    └── MigrationFailedError  1  a statement failed; its file left nothing behind

Exit codes 0 to 5 are those of the design; 6 tells a supervisor that stopped a
run that it was obeyed, and 128 + signal is the shell's own convention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file: line and column count from 1, columns in characters; 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0
    excerpt: str = ""
    """The line itself with a caret below, ready to print; empty when there is none."""

    def __str__(self) -> str:
        """``file:line:column``, as compilers and editors write it."""
        place = self.file
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        return place


class DbmigrateError(Exception):
    """What every error of this program is; only its subclasses are raised.

    Args:
        message: one sentence saying what is wrong.
        code: stable CamelCase name; the class's own when not given.
        hint: what to do next; may be empty.
        location: where in which file, when it is about a file.
    """

    code: ClassVar[str] = "Error"
    exit_code: int = 1

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        location: Location | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = code or self.code
        self.hint = hint
        self.location = location


class UsageError(DbmigrateError):
    """The command line, a setting or an environment file is not usable."""

    code = "Usage"
    exit_code = 2


class SourceError(DbmigrateError):
    """The migrations are not usable: a name, an encoding, a duplicate, a syntax error."""

    code = "InvalidSource"
    exit_code = 2


class RefusedError(DbmigrateError):
    """A rule forbids the run (an edited file, another plan). Nothing was touched."""

    code = "Refused"
    exit_code = 3


class LockNotObtainedError(DbmigrateError):
    """Another runner holds the advisory lock of this database for longer than we wait."""

    code = "LockNotObtained"
    exit_code = 4


class UnreachableError(DbmigrateError):
    """No usable connection: unknown host, refused, wrong password, a standby, starting up."""

    code = "Unreachable"
    exit_code = 5


class StoppedError(DbmigrateError):
    """The run was asked to stop, and stopped between two files; what it applied is whole."""

    code = "Stopped"
    exit_code = 6


class InterruptedRunError(DbmigrateError):
    """A signal ended the run: the statement was cancelled and its transaction undone."""

    code = "Interrupted"
    exit_code = 143

    def __init__(self, message: str, *, signal_number: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signal_number


class LinterFailedError(DbmigrateError):
    """The linter is missing or does not work: whether there are findings is not known."""

    code = "LinterFailed"
    exit_code = 1


class MigrationFailedError(DbmigrateError):
    """A statement of a migration failed; its file was undone and left nothing behind.

    Args:
        message: what failed, for people.
        version: the migration's version, ``X.Y.Z``.
        statement: the number of the statement in its file, from 1; 0 when unknown.
        sqlstate: the server's five-character code (PostgreSQL manual, appendix A), or empty.
        server_message: the server's primary message.
        detail: the server's DETAIL field.
        server_hint: the server's HINT field.
        transient: running the same again may well succeed (connection lost, lock
            timeout, deadlock, serialization failure, server shutting down).
    """

    code = "MigrationFailed"
    exit_code = 1

    def __init__(  # noqa: PLR0913 -- what a server says about a failure has this many parts
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        location: Location | None = None,
        version: str = "",
        statement: int = 0,
        sqlstate: str = "",
        server_message: str = "",
        detail: str = "",
        server_hint: str = "",
        transient: bool = False,
    ) -> None:
        super().__init__(message, code=code, hint=hint, location=location)
        self.version = version
        self.statement = statement
        self.sqlstate = sqlstate
        self.server_message = server_message
        self.detail = detail
        self.server_hint = server_hint
        self.transient = transient
