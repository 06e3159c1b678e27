"""Asks the history for the current version, again and again, over one connection.

Read-only, and no transaction is open between two questions, so that nothing is held
back while somebody waits for a migration. What may pass by itself (no connection, no
history yet) is an `UnreachableError`; the next question connects anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from dbmigrate.errors import RefusedError, UnreachableError
from dbmigrate.migrations.applied import newest
from dbmigrate.migrations.version import Version
from dbmigrate.postgres.bookkeeping import look
from dbmigrate.postgres.history import read_applied
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.session import ConnectionLostError, Session
from dbmigrate.postgres.server.settings import ConnectionSettings, SessionSettings

_NOT_YET = frozenset({"HistorySchemaMissing", "SessionRefused"})


@dataclass(slots=True)
class HistoryWatch:
    """One watcher and its connection."""

    settings: ConnectionSettings
    wanted: SessionSettings
    history_schema: str
    interruption: Interruption
    _session: Session | None = None

    def current(self) -> Version | None:
        """The newest version that is applied now; None when none is.

        Raises:
            UnreachableError: not to be told now; may pass.
            RefusedError: the tables belong to someone else, or to a newer release.
            Interrupted: a signal came.
        """
        try:
            return self._ask()
        except (psycopg.Error, ConnectionLostError) as error:
            self.close()
            lines = str(error).strip().splitlines() or ["the connection was lost"]
            raise UnreachableError(lines[0], code="ConnectionLost") from None
        except RefusedError as error:
            if error.error_code not in _NOT_YET:
                raise
            raise UnreachableError(error.message, code=error.error_code, hint=error.hint) from None

    def _ask(self) -> Version | None:
        if self._session is None:
            self._session = connect(self.settings, self.wanted, self.interruption)
        found = look(self._session, self.history_schema)
        current = newest(read_applied(self._session, found))
        if not self._session.owns_server:
            self.close()  # behind a pooler it is one transaction, which must not stay open
        return current

    def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            self._session.close()
            self._session = None
