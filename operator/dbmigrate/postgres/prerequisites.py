"""What must hold of every file before the first one runs.

Its statements go with how it runs, the server knows the settings that it asks for, and the
server's grammar accepts each statement. Nothing is executed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from dbmigrate.errors import DbmigrateError, Location, SourceError
from dbmigrate.migrations.directives import Directives, TransactionMode, read_directives
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.migrations.statements import Statement, Statements
from dbmigrate.postgres.clearing import THEIR_PATH, settings_of
from dbmigrate.postgres.failures import place
from dbmigrate.postgres.modes import ModeFinder
from dbmigrate.postgres.session import SYNC, Batch, Mode, Request, ServerError, Session

_GRAMMAR: Final = frozenset({"42601"})
"""syntax_error. What the server finds in its catalog (a missing table) is not the grammar's."""
_SHOWN: Final = 20
_MOST: Final = 1000
"""Errors after which no more are looked for: it is no SQL, or another program's."""

# Parsing a SELECT takes a lock on its tables; it must not wait for one.
_NO_WAITING: Final = Request("set lock_timeout = '20ms'")
_OPENING: Final = 2
"""Requests that are answered before those of the first statement."""


@dataclass(frozen=True)
class Script:
    """A file with its statements."""

    file: MigrationFile

    @cached_property
    def statements(self) -> Statements | tuple[Statement, ...]:
        """As psql would split it: those of a small file are kept, else each pass reads it again.

        Raises:
            SourceError: it cannot be split; for a large file, only when they are iterated.
        """
        statements = Statements(self.file.content, self.file.shown)
        return tuple(statements) if self.file.content.is_held else statements

    @cached_property
    def directives(self) -> Directives:
        """What its header asks for.

        Raises:
            SourceError: the header is not valid.
        """
        return read_directives(self.file.head, self.file.shown)

    @cached_property
    def modes(self) -> ModeFinder:
        """How it can run."""
        modes = ModeFinder(self.file, self.directives)
        for statement in self.statements:
            modes.see(statement)
        return modes

    @property
    def mode(self) -> TransactionMode:
        """How it runs."""
        return self.modes.mode


def check_kinds(scripts: Sequence[Script], *, together: bool = False) -> None:
    """Refuse what does not go with how its file runs.

    Args:
        scripts: the files.
        together: they are to be one transaction.

    Raises:
        RefusedError: see `ModeFinder.problems`.
        SourceError: a file cannot be split into statements, or its header is not valid.
    """
    problems = [
        problem for script in scripts for problem in script.modes.problems(together=together)
    ]
    if problems:
        raise _all_of(problems)


def check_syntax(session: Session, scripts: Sequence[Script]) -> None:
    """Let the server parse each statement; nothing is executed, no lock waited for.

    Args:
        session: outside of a transaction.
        scripts: the files.

    Raises:
        SourceError: code SyntaxError; all that were found are in its message.
    """
    _check_settings(session, scripts)
    problems: list[DbmigrateError] = []
    waiting: deque[tuple[Script, Statement]] = deque()

    def requests() -> Iterator[Request]:
        yield from (_NO_WAITING, THEIR_PATH, SYNC)
        for script in scripts:
            for statement in script.statements:
                if len(problems) >= _MOST:
                    break
                waiting.append((script, statement))
                yield Request(statement.text, mode=Mode.PARSE)
                yield SYNC
        yield from (session.restore, SYNC)

    for reply in session.run(requests(), Batch()):
        if reply.number < _OPENING or not waiting:
            continue
        script, statement = waiting.popleft()
        if reply.error is not None and reply.error.sqlstate in _GRAMMAR:
            problems.append(_syntax_error(script.file, statement, reply.error))
    if problems:
        raise _all_of(problems)


def _check_settings(session: Session, scripts: Sequence[Script]) -> None:
    """Let the server judge the parameters that files set for themselves."""
    for script in scripts:
        for name, value in script.directives.settings.items():
            requests = [Request("begin"), *settings_of({name: value}, is_local=True)]
            replies = list(session.run((*requests, Request("rollback"), SYNC)))
            session.query("rollback")
            error = next((reply.error for reply in replies if reply.error), None)
            if error is not None:
                shown = script.file.path or script.file.file
                where = Location(shown, script.directives.line)
                raise SourceError(
                    f"{where}: {name}={value} in the file's header: {error.message}",
                    code="InvalidDirective",
                    hint=error.hint or "known are transaction, after, and the server's parameters",
                    location=where,
                )


def _syntax_error(file: MigrationFile, statement: Statement, error: ServerError) -> SourceError:
    where = place(file, statement, error.position)
    return SourceError(
        f"{where}: {error.message}",
        code="SyntaxError",
        hint=error.hint or "correct the statement; nothing was run",
        location=where,
    )


def _all_of(problems: Sequence[DbmigrateError]) -> DbmigrateError:
    first = problems[0]
    if len(problems) == 1:
        return first
    lines = [f"- {each.message}" for each in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"- and {len(problems) - _SHOWN} more")
    return type(first)(
        f"{len(problems)} statements cannot run:\n" + "\n".join(lines),
        code=first.error_code,
        hint=first.hint,
        location=first.location,
    )
