"""What must hold of every file before the first one runs.

No statement begins or ends a transaction, none needs to run outside of one, and the
server's grammar accepts each. Nothing is executed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from dbmigrate.errors import DbmigrateError, RefusedError, SourceError
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.migrations.statements import Statement, StatementKind, classify, split
from dbmigrate.postgres.failures import place
from dbmigrate.postgres.session import SYNC, Batch, Mode, Reply, Request, ServerError, Session

_GRAMMAR: Final = frozenset({"42601"})
"""syntax_error. What the server finds in its catalog (a missing table) is not the grammar's."""
_SHOWN: Final = 20

# Parsing a SELECT takes a lock on its tables; it must not wait for one.
_NO_WAITING: Final = Request("set lock_timeout = '20ms'")
THEIR_PATH: Final = Request("set search_path to default")
"""The role's own, which a file expects; between files it is ours."""


@dataclass(frozen=True)
class Script:
    """A file with its statements, read once."""

    file: MigrationFile

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """As psql would split it.

        Raises:
            SourceError: it cannot be split.
        """
        return tuple(split(self.file.sql, self.file.path or self.file.file))


def check_kinds(scripts: Sequence[Script]) -> None:
    """Refuse what cannot run inside the one transaction of its file.

    Raises:
        RefusedError: code TransactionControl, NotInTransaction or NothingInFile.
        SourceError: a file cannot be split into statements.
    """
    problems = [problem for script in scripts for problem in _kinds(script)]
    if problems:
        raise _all_of(problems)


def _kinds(script: Script) -> Iterator[RefusedError]:
    for statement in script.statements:
        kind, words = classify(statement)
        if kind is StatementKind.ORDINARY:
            continue
        where = place(script.file, statement)
        if kind is StatementKind.TRANSACTION_CONTROL:
            yield RefusedError(
                f"{where}: {words} in a migration, which is one transaction as a whole",
                code="TransactionControl",
                hint="leave it out: each file is committed as a whole, together with its history",
                location=where,
            )
        else:
            yield RefusedError(
                f"{where}: {words} cannot run inside a transaction",
                code="NotInTransaction",
                hint="files that run outside a transaction are not supported in this release; "
                "for an index, leave out CONCURRENTLY where its lock is acceptable",
                location=where,
            )


def check_syntax(session: Session, scripts: Sequence[Script]) -> None:
    """Let the server parse each statement; nothing is executed, no lock waited for.

    Args:
        session: outside of a transaction.
        scripts: the files.

    Raises:
        SourceError: code SyntaxError; all that were found are in its message.
    """
    statements = [(script, each) for script in scripts for each in script.statements]
    requests: list[Request] = [_NO_WAITING, THEIR_PATH, SYNC]
    for _, statement in statements:
        requests += (Request(statement.text, mode=Mode.PARSE), SYNC)
    requests += (session.restore, SYNC)
    problems: list[DbmigrateError] = []
    for reply in session.run(requests, Batch()):
        if reply.error is not None and reply.error.sqlstate in _GRAMMAR:
            script, statement = statements[_index(reply)]
            problems.append(_syntax_error(script.file, statement, reply.error))
    if problems:
        raise _all_of(problems)


def _index(reply: Reply) -> int:
    return (reply.number - 3) // 2


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
