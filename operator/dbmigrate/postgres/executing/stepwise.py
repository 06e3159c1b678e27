"""One file that runs by statement, because a statement of it cannot run in a transaction.

Each statement that may is one transaction with its entry in the ledger: both or neither. One
that may not is written down as begun, runs, and is written down as done; cut off between, it
is looked at by the next run. So a run that was cut off anywhere is taken up at the right
statement. What changes the session alone (SET) is said again each time.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Container, Iterable, Iterator
from itertools import islice, pairwise
from typing import Final, Self

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import Composed

from dbmigrate.errors import MigrationFailedError, RefusedError
from dbmigrate.migrations.sql.session_state import is_session_only
from dbmigrate.migrations.sql.tokens import tokens
from dbmigrate.migrations.statements import Statement, StatementKind, classify
from dbmigrate.postgres import lock
from dbmigrate.postgres.executing import doubt
from dbmigrate.postgres.executing.assignment import Assignment
from dbmigrate.postgres.executing.clearing import (
    ALL_CHECKED,
    CLEAR,
    COMMIT,
    OUR_PATH,
    OURS,
    RESTORE,
    ROLLBACK,
    THEIR_PATH,
    renewed,
    settings_of,
)
from dbmigrate.postgres.executing.committing import LOCK, Committed, Ending, commit
from dbmigrate.postgres.executing.continuing import require_fit
from dbmigrate.postgres.executing.failures import (
    CONNECTION_LOST,
    DIVISION_BY_ZERO,
    KEEPS,
    ROW_MISSING,
    UNVERIFIED,
    UNVERIFIED_KEEPS,
    cut_off,
    ledger_taken,
    lock_lost,
    not_prepared_again,
    partly_committed,
    statement_failed,
    statement_in_doubt,
)
from dbmigrate.postgres.executing.ledger import Entry, Ledger, checksum_of
from dbmigrate.postgres.executing.targets import Action, Target, target_of
from dbmigrate.postgres.server.session import (
    SYNC,
    ConnectionLostError,
    Reply,
    Request,
    ServerError,
)

BEGIN: Final = Request("begin read write")  # whatever the file has made the default
_HOLD: Final = Request(
    f"select 1 operator(pg_catalog./) pg_catalog.int4(pg_catalog.pg_try_advisory_lock({lock.KEY}))"
)
"""Divides by zero unless this session has the lock, whatever the file dropped."""
_IDENTITY: Final = "select pg_catalog.to_regclass($1)::pg_catalog.oid::pg_catalog.text"
_SAME_HISTORY: Final = (
    "select 1 / pg_catalog.int4(pg_catalog.to_regclass($1)::oid::text = $2), "
    f"pg_catalog.pg_try_advisory_lock({lock.KEY})"
)
_CONCURRENTLY: Final = "CONCURRENTLY"
_ACTIVE_TRANSACTION: Final = "25001"
"""active_sql_transaction: the statement cannot run inside one."""


class Stepwise:
    """Runs one file; made anew for each attempt, and goes on where the ledger says.

    Args:
        task: the file, and what belongs to it.
        ledger: the file's.
    """

    def __init__(self, task: Assignment, ledger: Ledger) -> None:
        self.task = task
        self.session = task.session
        self.script = task.script
        self.file = task.script.file
        self.ledger = ledger
        self.settings = settings_of(task.settings, is_local=False)
        self.began = time.monotonic()
        self.identity = ""
        self._last_done = 0
        """Number of the last statement that an earlier run has done."""
        self._unprepared: dict[str, MigrationFailedError] = {}
        """Why what was prepared once could not be prepared again, by name."""

    @property
    def _advice(self) -> str:
        """What became of the statements before the one that failed, and what to do."""
        return KEEPS

    @property
    def transaction(self) -> str:
        """The last one's number, which nobody asks for."""
        return ""

    @property
    def current(self) -> Self:
        """What runs: this file."""
        return self

    @property
    def milliseconds(self) -> int:
        """How long it has run by now, earlier runs left out."""
        return round((time.monotonic() - self.began) * 1000)

    def run(self) -> tuple[Committed, ...]:
        """Run what is left of the file, and write its history row.

        Raises:
            MigrationFailedError: a statement failed or the connection broke; the statements
                before it are done, and stay.
            RefusedError: the file does not fit the ledger (LedgerDiffers), a statement is in
                doubt (StatementInDoubt), an index is of no use (InvalidIndex) or being
                built (IndexBeingBuilt), or the lock was lost (LockLost).
            CommitInDoubtError: the answer to the last COMMIT did not come.
            Interrupted: a signal came; the statement was cancelled.
        """
        try:
            done = self._taken_up()
            self._last_done = max(done, default=0)
            self._prepare()
            for statement in self.script.statements:
                self.task.watch.on_statement(statement)
                self._one(statement, done)
            self._leave()
            self._verify()
            return self._commit()
        except (MigrationFailedError, RefusedError):
            self._clean()
            raise

    def _one(self, statement: Statement, done: Container[int]) -> None:
        """The next statement, which may have been run already."""
        if is_session_only(statement):
            self._say(statement)
            return
        if statement.number in done:
            return
        self._require_prepared(statement)
        kind, words = classify(statement)
        if kind is StatementKind.OUTSIDE_TRANSACTION:
            self._outside(statement, target_of(statement), waits=_CONCURRENTLY in words)
        else:
            self._in_transaction(statement)
        self.task.watch.on_commit()

    def _say(self, statement: Statement) -> None:
        """What changes the session alone: said again by each run."""
        verb, *names = islice(tokens(statement.text), 3)
        if verb == "deallocate" and names and names[-1] in self._unprepared:
            del self._unprepared[names[-1]]
            return
        try:
            # DISCARD ALL drops the session's lock: nobody else may come in between.
            self._ask(statement, (Request(statement.text), _HOLD), theirs=(0,))
        except MigrationFailedError as error:
            # What it names may be gone by a statement that was done behind it. That matters
            # only to an EXECUTE which is still to come.
            is_resumed = verb == "prepare" and statement.number < self._last_done
            if not is_resumed or not error.sqlstate or self.session.in_transaction:
                raise
            self._unprepared[names[0]] = error
        self._renew(statement)

    def _require_prepared(self, statement: Statement) -> None:
        """Refuse an EXECUTE of what could not be prepared again."""
        if not self._unprepared:
            return
        for word, name in pairwise(tokens(statement.text)):
            if word == "execute" and (error := self._unprepared.get(name)):
                raise not_prepared_again(self.file, statement, name, error)

    def _renew(self, statement: Statement) -> None:
        if again := renewed(self.session, statement, self.settings):
            self._ask(statement, again)

    # -- what the ledger says

    def _taken_up(self) -> set[int]:
        """The numbers of the statements that earlier runs have done."""
        entries = self.ledger.read()
        if not entries:
            return set()
        require_fit(self.file, self.script.statements, entries)
        return {number for number, entry in entries.items() if self._is_done(entry)}

    def _is_done(self, entry: Entry) -> bool:
        """Whether a statement of an earlier run is done; one that is in doubt is looked at."""
        if entry.is_done:
            return True
        if entry.is_again:
            return self._begin_again(entry)
        statement = next(s for s in self.script.statements if s.number == entry.number)
        finding = self._look(entry, statement, target_of(statement))
        if finding.has_run is None:
            raise statement_in_doubt(self.file, statement, finding.why)
        if finding.has_run:
            self._write(statement, self.ledger.done(statement))
        return finding.has_run

    def _look(self, entry: Entry, statement: Statement | None, target: Target) -> doubt.Finding:
        with self._psycopg(statement):
            put_away = functools.partial(self._put_away, statement)
            return doubt.look(self.session, target, entry.facts, put_away)

    def _begin_again(self, entry: Entry) -> bool:
        """Put away what a statement has left that is to run once more, as a person decided.

        It may have been changed since, or stand there no more. A detachment is put away by
        finishing it: then it is done.
        """
        texts = (s for s in self.script.statements if s.number == entry.number)
        statement = next((s for s in texts if checksum_of(s) == entry.checksum), None)
        target = doubt.target_in(entry.facts)
        if target is None and statement is not None:
            target = target_of(statement)
        if target is not None:
            finding = self._look(entry, statement, target)
            if finding.has_run and statement and target.action is Action.DETACH:
                self._write(statement, self.ledger.done(statement))
                return True
        self._write(statement, self.ledger.forget(entry.number))
        return False

    def _write(self, statement: Statement | None, entry: Request) -> None:
        """Write an entry in a transaction of its own."""
        self._ask(statement, (BEGIN, LOCK, *OURS, entry, COMMIT))

    def _put_away(self, statement: Statement | None, leftover: Composed) -> None:
        """Drop what a statement left half-done; it waits without end, as CONCURRENTLY does."""
        text = leftover.as_string(self.session.connection)
        self._ask(statement, settings_of({"lock_timeout": "0"}, is_local=False))
        self._ask(statement, (Request(text, at_once=True),))
        self._ask(statement, (self.session.restore,))

    # -- one statement

    def _in_transaction(self, statement: Statement) -> None:
        """The statement and its entry: both or neither."""
        ending = (ALL_CHECKED, *OURS, self.ledger.done(statement), COMMIT)
        if statement.copy_data is None:
            text = Request(statement.text, at_once=True)
            try:
                self._ask(statement, (BEGIN, LOCK, text, *ending), theirs=(2, 3))
            except MigrationFailedError as error:
                # REINDEX and CLUSTER of a table that only the server knows to be partitioned.
                if error.sqlstate != _ACTIVE_TRANSACTION:
                    raise
                self.session.query("rollback")
                self._outside(statement, target_of(statement), waits=False)
            return
        self._ask(statement, (BEGIN, LOCK))
        self._copy(statement)
        self._ask(statement, ending, theirs=(0,))

    def _copy(self, statement: Statement) -> None:
        try:
            error = self.session.copy_in(statement.text, statement.copy_data or ())
        except ConnectionLostError as lost:
            raise cut_off(self.file, statement, str(lost)) from lost
        if error is not None:
            raise statement_failed(self.file, statement, error, advice=self._advice)

    def _outside(self, statement: Statement, target: Target, *, waits: bool) -> None:
        """A statement that PostgreSQL refuses inside a transaction.

        Args:
            statement: it.
            target: what it works on.
            waits: it blocks nobody while it waits (CONCURRENTLY), so it may wait for as long
                as it takes; given up, it would leave an INVALID index.
        """
        with self._psycopg(statement):
            facts = doubt.facts_before(self.session, target)
            limit = self.session.query("select pg_catalog.current_setting('lock_timeout')")[0][0]
        begun = self.ledger.begun(statement, facts)
        self._ask(statement, (BEGIN, LOCK, *OURS, begun, COMMIT, _HOLD))
        if waits:
            self._ask(statement, settings_of({"lock_timeout": "0"}, is_local=False))
        try:
            self._ask(statement, (Request(statement.text, at_once=True),), theirs=(0,))
        except MigrationFailedError as error:
            if error.sqlstate and target.action is Action.COMMITS:
                raise partly_committed(self.file, statement, error) from error
            if error.sqlstate:
                self._give_up(statement, target, facts)
            raise
        if waits:
            self._ask(statement, settings_of({"lock_timeout": limit}, is_local=False))
        with self._psycopg(statement):
            doubt.require_valid(self.session, target, self.file.file)
        self._write(statement, self.ledger.done(statement))

    def _give_up(self, statement: Statement, target: Target, facts: doubt.Facts) -> None:
        """After the server's own no: nothing is in doubt.

        What cannot be put away within the lock timeout stays written down as begun: the
        next run looks at it.
        """
        with contextlib.suppress(
            MigrationFailedError, RefusedError, ConnectionLostError, psycopg.Error
        ):
            self._clean()
            finding = doubt.look(self.session, target, facts, self.session.compose)
            if finding.has_run is None and target.action is Action.CREATE_INDEX:
                return  # it may have left an index that cannot be known for sure
            # A detachment is put away by finishing it: then there is nothing to do again.
            is_done = finding.has_run and target.action is Action.DETACH
            number = statement.number
            entry = self.ledger.done(statement) if is_done else self.ledger.forget(number)
            self._write(statement, entry)

    # -- the session

    def _prepare(self) -> None:
        """A clean session, set as the file expects it; between statements it stays so."""
        identify = Request(_IDENTITY, (self.task.history,), keep_rows=True)
        replies = self._ask(
            None, (*CLEAR, identify, *RESTORE, self.session.restore, THEIR_PATH, *self.settings)
        )
        self.identity = replies[len(CLEAR)].rows[0][0] or ""

    def _leave(self) -> None:
        """The session as our own statements need it."""
        self._ask(None, (*RESTORE, self.session.restore))

    def _verify(self) -> None:
        """Ask, in a transaction that is undone, whether the file has done what it should."""
        if self.task.asking is not None:
            self._ask(None, (BEGIN, LOCK))
            try:
                self.task.asking()
            except MigrationFailedError as error:
                if error.error_code == CONNECTION_LOST:
                    raise cut_off(self.file, None, str(error.__cause__)) from error
                if error.hint == UNVERIFIED:
                    error.hint = UNVERIFIED_KEEPS
                raise
            self._ask(None, (ROLLBACK,))

    def _clean(self) -> None:
        """After a failure: nothing open, and the session our own."""
        pgconn = self.session.connection.pgconn
        with contextlib.suppress(ConnectionLostError, psycopg.Error):
            if self.session.is_alive:
                if pgconn.transaction_status != TransactionStatus.IDLE:
                    self.session.query("rollback")
                list(self.session.run((*RESTORE, self.session.restore, SYNC)))

    # -- talking to the server

    def _ask(
        self,
        statement: Statement | None,
        requests: Iterable[Request],
        theirs: tuple[int, ...] = (),
    ) -> list[Reply]:
        """Send requests in one message; their replies.

        Args:
            statement: what they are for, for messages.
            requests: without SYNC.
            theirs: the numbers of those whose failure is the statement's own.

        Raises:
            MigrationFailedError, RefusedError: one of them failed, or the connection broke.
        """
        told = list(requests)

        try:
            replies = list(self.session.run([*told, SYNC]))
        except ConnectionLostError as lost:
            raise cut_off(self.file, statement, str(lost)) from lost
        for reply in replies:
            if reply.error is None:
                continue
            if reply.error.sqlstate == DIVISION_BY_ZERO and reply.number not in theirs:
                request = told[reply.number]
                is_lock = request is LOCK or request is _HOLD
                raise lock_lost(self.file) if is_lock else ledger_taken(self.file)
            raise statement_failed(self.file, statement, reply.error, advice=self._advice)
        return replies

    @contextlib.contextmanager
    def _psycopg(self, statement: Statement | None) -> Iterator[None]:
        """Around queries of our own beside a statement."""
        try:
            yield
        except ConnectionLostError as lost:
            raise cut_off(self.file, statement, str(lost)) from lost
        except psycopg.Error as error:
            said = ServerError(error.sqlstate or "", error.diag.message_primary or str(error))
            raise statement_failed(self.file, statement, said, advice=self._advice) from error

    def _commit(self) -> tuple[Committed, ...]:
        took = self.milliseconds
        self.task.watch.on_end()
        ending = Ending(
            self.file,
            opening=(BEGIN, LOCK, OUR_PATH),
            proof=Request(_SAME_HISTORY, (self.task.history, self.identity)),
            rows=(self.task.write(took),),
            closing=(self.ledger.close(),),
            advice=ROW_MISSING,
        )
        return (Committed(took, *commit(self.session, ending)),)
