"""How a file runs: in one transaction, by statement, or in transactions of its own.

The header decides; without one, the statements do. What does not go together is refused
with its place, before anything runs. Nothing here speaks to the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dbmigrate.errors import SourceError
from dbmigrate.migrations.directives import Directives, TransactionMode
from dbmigrate.migrations.files import SourceFile, VerifyFile
from dbmigrate.migrations.sql.session_state import holds_for_its_transaction, makes_temporary
from dbmigrate.migrations.statements import Statement, StatementKind, classify, sends_to_client
from dbmigrate.postgres.executing.failures import place

_DISCARD_ALL: Final = "DISCARD ALL"
_PREPARED: Final = frozenset({"PREPARE TRANSACTION", "COMMIT PREPARED", "ROLLBACK PREPARED"})


@dataclass
class ModeFinder:
    """Is shown each statement of a file, and knows the file's mode in the end."""

    file: SourceFile
    directives: Directives
    _outside: list[tuple[Statement, str]] = field(default_factory=list)
    _control: list[tuple[Statement, str]] = field(default_factory=list)
    _temporary: list[Statement] = field(default_factory=list)
    _to_client: list[Statement] = field(default_factory=list)
    _local: list[tuple[Statement, str]] = field(default_factory=list)

    def see(self, statement: Statement) -> None:
        """The next statement."""
        kind, words = classify(statement)
        if kind is StatementKind.OUTSIDE_TRANSACTION:
            self._outside.append((statement, words))
        elif kind is StatementKind.TRANSACTION_CONTROL:
            self._control.append((statement, words))
        elif makes_temporary(statement):
            self._temporary.append(statement)
        elif sends_to_client(statement):
            self._to_client.append(statement)
        elif words := holds_for_its_transaction(statement):
            self._local.append((statement, words))

    @property
    def mode(self) -> TransactionMode:
        """How the file runs, if nothing is refused."""
        if self.directives.transaction is not None:
            return self.directives.transaction
        if any(words != _DISCARD_ALL for _, words in self._outside):
            return TransactionMode.STATEMENT
        return TransactionMode.FILE

    def problems(self, within: str = "") -> Iterator[SourceError]:
        """What does not go together, each with its place.

        Args:
            within: why the file must be part of a transaction, if it must.
        """
        mode = self.mode
        if within and mode is not TransactionMode.FILE:
            yield self._not_within(mode, within)
        for statement, words in self._control:
            if mode is TransactionMode.FILE and statement.is_bracket:
                continue
            if mode is not TransactionMode.OWN and words not in _PREPARED:
                yield self._refused(
                    statement,
                    f"{words} in a migration"
                    + (", which is one transaction as a whole" if mode.value == "file" else ""),
                    "TransactionControl",
                    "leave it out: dbmigrate begins and commits; or let the file manage its "
                    "transactions itself by a first line `-- dbmigrate: transaction=own`, which "
                    "gives up that the file is applied as a whole or not at all",
                )
            elif words in _PREPARED:
                yield self._refused(
                    statement,
                    f"{words} in a migration",
                    "TransactionControl",
                    "leave it out: a prepared transaction keeps its locks when the run is over",
                )
        for statement in self._to_client:
            yield self._refused(
                statement,
                "COPY to the client in a migration",
                "CopyToClient",
                "leave it out: nobody reads what it would send",
            )
        if mode is TransactionMode.FILE:
            for statement, words in self._outside:
                yield self._refused(
                    statement,
                    f"{words} cannot run inside a transaction",
                    "NotInTransaction",
                    "leave it out: each file starts from a clean session"
                    if words == _DISCARD_ALL
                    else "leave out transaction=file in the file's header, so that it runs by "
                    "statement",
                )
            return
        yield from self._lost(mode)

    def _lost(self, mode: TransactionMode) -> Iterator[SourceError]:
        """What a file that is no transaction would lose between its statements."""
        for statement in self._temporary:
            yield self._refused(
                statement,
                "a temporary table in a file that runs by statement",
                "TemporaryTable",
                "a run that is taken up again would miss it: make an ordinary table and drop it, "
                "or put what must run outside a transaction into a file of its own",
            )

        for statement, words in self._local if mode is TransactionMode.STATEMENT else ():
            yield self._refused(
                statement,
                f"{words} in a file that runs by statement",
                "TransactionLocal",
                "it would be over before the next statement begins: write SET without LOCAL; put "
                "what needs one transaction into a file of its own, or into BEGIN … COMMIT with "
                "`-- dbmigrate: transaction=own`",
            )

    def _not_within(self, mode: TransactionMode, within: str) -> SourceError:
        if self._outside:
            statement, words = self._outside[0]
            where, why = place(self.file, statement), f"{words} cannot run inside a transaction"
        else:
            where = place(self.file, None)
            why = f"its header asks for transaction={mode.value}"
        return SourceError(
            f"{where}: {why}, and {within}",
            code="NotInTransaction",
            hint="leave it out: what is asked there is undone in any case"
            if isinstance(self.file, VerifyFile)
            else "run without --transaction all; or up to the version before it by --target, and "
            "on from it without",
            location=where,
        )

    def _refused(self, statement: Statement, what: str, code: str, hint: str) -> SourceError:
        where = place(self.file, statement)
        return SourceError(f"{where}: {what}", code=code, hint=hint, location=where)
