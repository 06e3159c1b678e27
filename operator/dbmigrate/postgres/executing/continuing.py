"""Where a file that was begun by statement goes on: the ledger compared with its text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dbmigrate.migrations.files import SourceFile
from dbmigrate.migrations.sql.session_state import is_session_only
from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres.executing.failures import ledger_differs
from dbmigrate.postgres.executing.ledger import Entry, checksum_of


def require_fit(
    file: SourceFile, statements: Iterable[Statement], entries: Mapping[int, Entry]
) -> None:
    """What was run of a file must still be what stands there.

    A statement that a person has decided to run again may be changed, or taken out.

    Raises:
        NothingRanError: it is not (LedgerDiffers).
    """
    left = {number: entry for number, entry in entries.items() if not entry.is_again}
    if not left:
        return
    for statement in statements:
        entry = left.pop(statement.number, None)
        if entry is not None and entry.checksum != checksum_of(statement):
            raise ledger_differs(file, statement.number, statement)
    if left:
        raise ledger_differs(file, min(left), None)


def next_statement(
    statements: Iterable[Statement], entries: Mapping[int, Entry]
) -> Statement | None:
    """The first statement that is not done; None when only the history's row is missing.

    What changes the session alone is said again in any case, and does not count.
    """
    for statement in statements:
        entry = entries.get(statement.number)
        if not (entry and entry.is_done) and not is_session_only(statement):
            return statement
    return None
