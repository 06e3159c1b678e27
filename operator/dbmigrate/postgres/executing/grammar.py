"""Whether the server's grammar accepts statements. Nothing is executed, looked up or locked.

Parsing a statement by itself would also judge it by the schema, which is not yet what it will
be when the statement runs. So statements are put into the body of a function that is parsed
and never made: ``BEGIN ATOMIC`` takes every statement (``routine_body_stmt`` in the server's
``gram.y``, PostgreSQL 14 and later), and a CREATE FUNCTION is not looked into before it runs.
Many fit into one message; the statements behind a wrong one are sent again.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from dbmigrate.errors import SourceError
from dbmigrate.migrations.files import SourceFile
from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres.executing.failures import place
from dbmigrate.postgres.server.session import SYNC, Mode, Request, ServerError, Session

_MOST: Final = 100
"""Errors after which no more are looked for: it is no SQL, or for another server."""
_BEFORE: Final = "create function pg_temp.f() begin atomic "
_BETWEEN: Final = ";\n"
_AFTER: Final = ";\nend"
_ALONE: Final = re.compile(r"(?:(?i:begin|end|return))(?![A-Za-z0-9_$\x80-\U0010ffff])")
"""These mean something else, or something at all, in a function's body."""
_CHARACTERS: Final = 1 << 16
_STATEMENTS: Final = 1000
_OURS: Final = ("42", "0A", "22")
"""Classes of what a grammar says: a syntax error, not implemented, an escape that is none. Others
(stack depth, memory) are left for the run."""


@dataclass(frozen=True, slots=True)
class _Member:
    number: int
    file: SourceFile
    statement: Statement


@dataclass(frozen=True)
class _Bundle:
    """Statements that are judged by one message."""

    members: Sequence[_Member]
    is_bare: bool = False
    """One statement as it stands."""

    @property
    def request(self) -> Request:
        texts = [each.statement.text for each in self.members]
        sql = texts[0] if self.is_bare else f"{_BEFORE}{_BETWEEN.join(texts)}{_AFTER}"
        return Request(sql, mode=Mode.PARSE)

    def at(self, position: int) -> tuple[int, int]:
        """Which member a character of the message belongs to, and which of its own it is.

        Args:
            position: from 1, as the server counts.
        """
        if self.is_bare:
            return 0, position
        sizes = (len(each.statement.text) + len(_BETWEEN) for each in self.members[:-1])
        starts = list(accumulate(sizes, initial=len(_BEFORE)))
        index = max(bisect_right(starts, position - 1) - 1, 0)
        return index, max(position - starts[index], 1)


def syntax_errors(
    session: Session, statements: Iterable[tuple[SourceFile, Statement]]
) -> list[SourceError]:
    """What the server's grammar does not accept, in order; a hundred at most.

    Args:
        session: outside of a transaction.
        statements: with their files; they are taken as they are sent.
    """
    found: dict[int, SourceError] = {}
    bundles: Iterable[_Bundle] = _bundles(statements)
    while bundles:
        bundles = _judge(session, bundles, found)
    return [found[number] for number in sorted(found)]


def _bundles(statements: Iterable[tuple[SourceFile, Statement]]) -> Iterator[_Bundle]:
    members: list[_Member] = []
    room = _CHARACTERS
    for number, (file, statement) in enumerate(statements):
        member = _Member(number, file, statement)
        if _ALONE.match(statement.text):
            yield _Bundle((member,), is_bare=True)
            continue
        members.append(member)
        room -= len(statement.text)
        if room <= 0 or len(members) == _STATEMENTS:
            yield _Bundle(members)
            members, room = [], _CHARACTERS
    if members:
        yield _Bundle(members)


def _judge(
    session: Session, bundles: Iterable[_Bundle], found: dict[int, SourceError]
) -> list[_Bundle]:
    """Put down the first error of each; what is to be judged again."""
    waiting: deque[_Bundle] = deque()
    again: list[_Bundle] = []

    def requests() -> Iterator[Request]:
        for bundle in bundles:
            if len(found) >= _MOST:
                return
            waiting.append(bundle)
            yield bundle.request
            yield SYNC

    for reply in session.run(requests()):
        bundle = waiting.popleft()
        if reply.error is not None:
            again += _settle(bundle, reply.error, found)
    return again


def _settle(bundle: _Bundle, error: ServerError, found: dict[int, SourceError]) -> list[_Bundle]:
    if not error.position and len(bundle.members) > 1:
        return [_Bundle((member,)) for member in bundle.members]
    index, position = bundle.at(error.position)
    member = bundle.members[index]
    if error.sqlstate.startswith(_OURS):
        found[member.number] = _syntax_error(member, position, error)
    rest = bundle.members[index + 1 :]
    return [_Bundle(rest)] if rest else []


def _syntax_error(member: _Member, position: int, error: ServerError) -> SourceError:
    where = place(member.file, member.statement, position)
    return SourceError(
        f"{where}: {error.message}",
        code="SyntaxError",
        hint=error.hint or "correct the statement; nothing was run",
        location=where,
    )
