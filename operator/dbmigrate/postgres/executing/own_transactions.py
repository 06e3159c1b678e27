"""One file that has BEGIN and COMMIT of its own, as its header asks for.

The promise is weaker than a file's usual one: each of its own transactions is applied once,
and whole; the file as such may stop between two of them. Their entries in the ledger are
written within them, right before COMMIT. What is outside of them runs as in `Stepwise`.
A procedure or DO block that commits by itself is the one thing that can be left in doubt.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from dbmigrate.errors import MigrationFailedError
from dbmigrate.migrations.sql.tokens import tokens
from dbmigrate.migrations.statements import Statement, StatementKind, classify
from dbmigrate.postgres import lock
from dbmigrate.postgres.executing.clearing import ALL_CHECKED, COMMIT, OURS
from dbmigrate.postgres.executing.committing import LOCK
from dbmigrate.postgres.executing.failures import BLOCK_UNDONE, transaction_left_open
from dbmigrate.postgres.executing.stepwise import BEGIN, Stepwise
from dbmigrate.postgres.executing.targets import Action, Target
from dbmigrate.postgres.server.session import Request

_INVALID_TERMINATION: Final = "2D000"
"""invalid_transaction_termination: COMMIT within a procedure that was called in a transaction."""
_TAKE_AGAIN: Final = Request(lock.TAKE_AGAIN)
_ENDS: Final = frozenset({"COMMIT", "END"})
_UNDOES: Final = frozenset({"ROLLBACK", "ABORT"})


class OwnTransactions(Stepwise):
    """As `Stepwise`; the file's own transaction blocks are obeyed."""

    _block: list[Statement] | None = None
    """The statements of the block that is open."""
    _is_locked = False
    """The block has the lock to its end."""

    def _one(self, statement: Statement, done: Container[int]) -> None:
        kind, words = classify(statement)
        is_control = kind is StatementKind.TRANSACTION_CONTROL
        if statement.number in done and is_control:
            # Said again as SET is: what a block that was undone has set was undone with it,
            # and behind COMMIT AND CHAIN the next block is open.
            self._ask(statement, (Request(statement.text),), theirs=(0,))
            self._block = [] if self.session.in_transaction else None
            self._is_locked = False
            return
        if statement.number in done or (self._block is None and not is_control):
            super()._one(statement, done)
            return
        block = [*(self._block or ()), statement]
        opening = self._opening(statement, words)
        if words in _ENDS and self.session.in_transaction:
            entries = (self.ledger.done(each) for each in block)
            self._ask(statement, (LOCK, ALL_CHECKED, *OURS, *entries), theirs=(1,))
        if statement.copy_data is None:
            text = Request(statement.text, at_once=True)
            self._ask(statement, (*opening, text), theirs=(len(opening),))
            self._renew(statement)
        else:
            if opening:
                self._ask(statement, opening)
            self._copy(statement)
        if words in _UNDOES and not self.session.in_transaction:
            entries = (self.ledger.done(each) for each in block)
            self._ask(statement, (BEGIN, LOCK, *OURS, *entries, COMMIT))
        is_end = words in _ENDS or not self.session.in_transaction
        if is_end:
            self.task.watch.on_commit()
        self._block = block if not is_end else [] if self.session.in_transaction else None
        self._is_locked = bool(self._block) and (self._is_locked or bool(opening))

    def _opening(self, statement: Statement, words: str) -> tuple[Request, ...]:
        """What a statement of a block needs before it.

        The first one needs the lock, which the block keeps whatever it drops. SET may come
        before that: what it says of the transaction must precede any query. When the block is
        over, the session must have the lock again.
        """
        if self._block is None or next(tokens(statement.text), "") == "set":
            return ()
        return (LOCK,) * (not self._is_locked) + (_TAKE_AGAIN,) * (words in _UNDOES)

    @property
    def _advice(self) -> str:
        return super()._advice if self._block is None else BLOCK_UNDONE

    def _in_transaction(self, statement: Statement) -> None:
        try:
            super()._in_transaction(statement)
        except MigrationFailedError as error:
            if error.sqlstate != _INVALID_TERMINATION:
                raise
            self.session.query("rollback")
            self._outside(statement, Target(Action.COMMITS), waits=False)

    def _leave(self) -> None:
        if self.session.in_transaction:
            raise transaction_left_open(self.file)
        super()._leave()
