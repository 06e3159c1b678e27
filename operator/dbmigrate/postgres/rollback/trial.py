"""Runs a rollback's statements so that what they lose is known, kept, and proved to be kept.

First under a savepoint. When that loses nothing, it is the run. Else it is undone, what
would be lost is copied, and the statements run again; then it is compared what they have
lost with what was kept, and a difference begins anew. All of it is one transaction.

This calls the file's statements, and does not know how they are sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.sql import SQL

from dbmigrate.api.report.kept import KeptData
from dbmigrate.errors import MigrationFailedError
from dbmigrate.postgres.executing.failures import is_transient
from dbmigrate.postgres.rollback import storage
from dbmigrate.postgres.rollback.keep import Catch, Keeper, KeptSet
from dbmigrate.postgres.rollback.losses import Changes, Loss, LossKind, compare
from dbmigrate.postgres.rollback.measure import (
    Measure,
    Measured,
    contents_of,
    rewritten_columns,
)
from dbmigrate.postgres.rollback.options import RollbackRefusedError
from dbmigrate.postgres.rollback.sizes import format_size, sum_of
from dbmigrate.postgres.rollback.tables import canonical, execute
from dbmigrate.postgres.server.session import SYNC, Batch, Request, Session

if TYPE_CHECKING:
    from dbmigrate.migrations.source import MigrationFile
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.rollback.contents import Contents
    from dbmigrate.postgres.rollback.options import KeepOptions
    from dbmigrate.postgres.rollback.storage import Storage

_ROUNDS: Final = 3
_SHOWN: Final = 10
_PROGRAM_LIMIT: Final = "54000"
_SAVEPOINT: Final = SQL("savepoint dbmigrate_trial")
_UNDO: Final = SQL("rollback to savepoint dbmigrate_trial")
_RELEASE: Final = SQL("release savepoint dbmigrate_trial")

Quiet = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass
class _Held:
    """What is kept for one run of the statements."""

    contents: dict[int, Contents]
    """What is in rewritten tables before it."""
    whole: set[int] = field(default_factory=set)
    """Tables of which all rows are kept, or that are empty."""
    columns: dict[int, frozenset[int]] = field(default_factory=dict)
    """By table: columns whose values are kept, or that hold none."""
    catches: dict[int, tuple[Loss, Catch]] = field(default_factory=dict)
    sets: list[tuple[Loss, KeptSet]] = field(default_factory=list)


class Trial:
    """Guards the run of one rollback file; made anew for each attempt.

    Args:
        session: in the file's own transaction when called.
        found: where rollback_data_log is.
        file: the rollback.
        options: how much may be lost.
        quiet: while it is entered, the server's notices are not told a second time.
    """

    def __init__(
        self,
        session: Session,
        found: Bookkeeping,
        file: MigrationFile,
        options: KeepOptions,
        quiet: Quiet = contextlib.nullcontext,
    ) -> None:
        self.session = session
        self.found = found
        self.file = file
        self.options = options
        self.quiet = quiet
        self.keeper = Keeper(session, found, str(file.version))
        self.kept: tuple[KeptData, ...] = ()
        """What was kept, once it has run."""

    def run(self, statements: Callable[[], None]) -> None:
        """Run the statements; on return they have run once, and what they lost is kept.

        Raises:
            RollbackRefusedError: RollbackTooLarge, RollbackUnseen, RollbackUnsteady: more would
                be lost than may be.
            MigrationFailedError: what is lost could not be kept.
            Exception: what `statements` raises.
        """
        with self._telling():
            before = self._look()
            execute(self.session, _SAVEPOINT)
            self._leave()
        statements()
        with self._telling():
            after = self._look()
            self._require_counting(before, after)
            changes = compare(before, after)
            if not changes:
                execute(self.session, _RELEASE)
                self._leave()
                return
            contents = contents_of(self.session, changes.rewritten, before, after)
            execute(self.session, _UNDO)
            canonical(self.session)
        self._run_kept(statements, changes, contents)

    def _run_kept(
        self, statements: Callable[[], None], changes: Changes, contents: dict[int, Contents]
    ) -> None:
        by_whole: frozenset[int] = frozenset()
        for _ in range(_ROUNDS):
            with self._telling():
                measure = Measure(self.session, changes, contents, by_whole)
                measured = self._measure(measure)
                if self._is_covered([each.loss for each in measured]):
                    held = None
                    self.kept = tuple(self._note(each.loss) for each in measured)
                else:
                    held = self._keep(measure, measured)
                before = self._look()
                self._leave()
            with self.quiet():
                statements()
            with self._telling():
                if held is None:
                    execute(self.session, _RELEASE)
                    return
                after = self._look()
                again = compare(before, after)
                caught = self._end(held)
                unkept = self._unkept(again, held, caught, before, after)
                if not unkept:
                    self.kept = tuple(self._report(*each) for each in held.sets if each[1].rows)
                    execute(self.session, _RELEASE)
                    self._leave()
                    return
                contents = {**contents_of(self.session, again.rewritten, before, after), **contents}
                execute(self.session, _UNDO)
                canonical(self.session)
                by_whole |= unkept
                changes = changes.merged(again)
        raise RollbackRefusedError(
            f"{self.file.file}: each time it is run it loses other data, so it cannot be kept",
            code="RollbackUnsteady",
            hint="stop the application's writes, or make the rollback's statements definite; "
            "or take a backup and lose the data by --keep-data off",
        )

    def _look(self) -> Storage:
        canonical(self.session)
        return storage.look(self.session, self.found)

    def _leave(self) -> None:
        """Undo our settings: the file's statements, and what follows, have the session's own."""
        requests = (Request("reset all"), self.session.restore, SYNC)
        for reply in self.session.run(requests, Batch()):
            if reply.error is not None:
                raise MigrationFailedError(
                    f"{self.file.file}: the session's settings: {reply.error.message}",
                    sqlstate=reply.error.sqlstate,
                    version=str(self.file.version),
                )

    def _require_counting(self, before: Storage, after: Storage) -> None:
        if before.is_counting and after.is_counting:
            return
        if self.options.backup is None:
            raise RollbackRefusedError(
                f"{self.file.file}: the server does not count rows (track_counts is off), so it "
                "cannot be seen which rows this rollback removes or overwrites",
                code="RollbackUnseen",
                hint="set track_counts = on; or name the backup that covers what is lost by "
                "--backup-covers NAME",
            )

    def _measure(self, measure: Measure) -> list[Measured]:
        tables = measure.tables()
        changes = measure.changes
        altered = changes.dropped | changes.columns.keys() | changes.rewritten
        lockable = [table for oid, table in tables.items() if oid not in changes.sequences]
        self.keeper.lock(lockable, frozenset(altered))
        return measure.losses(tables)

    def _is_covered(self, losses: list[Loss]) -> bool:
        """Whether a backup must serve, since there is more than is kept.

        Raises:
            RollbackRefusedError: there is more, and no backup was named.
        """
        cannot = [each for each in losses if each.kind is LossKind.LARGE_OBJECTS]
        size = sum(each.size for each in losses)
        if not cannot and size <= self.options.limit:
            return False
        if self.options.backup is not None:
            return True
        listed = [f"- {sum_of(each)}" for each in losses[:_SHOWN]]
        if len(losses) > _SHOWN:
            listed.append(f"- and {len(losses) - _SHOWN} more")
        if cannot:
            reason = "it removes large objects, which cannot be kept"
        else:
            reason = (
                f"it would lose {format_size(size)}, and up to "
                f"{format_size(self.options.limit)} is kept"
            )
        raise RollbackRefusedError(
            f"{self.file.file}: {reason}:\n" + "\n".join(listed),
            code="RollbackTooLarge",
            hint="take a backup and name it by --backup-covers NAME, and this is lost without "
            "being kept; or raise --keep-limit",
        )

    def _keep(self, measure: Measure, measured: list[Measured]) -> _Held:
        changes = measure.changes
        held = _Held(measure.before, columns=dict(changes.columns))
        losing = {each.loss.oid for each in measured}
        # What is changed and has no loss is empty.
        held.whole |= (changes.dropped | (changes.touched.keys() - changes.rewritten)) - losing
        for each in measured:
            loss, table = each.loss, each.table
            if table is None:
                continue
            if loss.kind is LossKind.SEQUENCE:
                held.sets.append((loss, self.keeper.copy_sequence(loss, table)))
            elif not loss.whole:
                held.catches[loss.oid] = (loss, self.keeper.catch(loss, table))
            else:
                held.sets.append((loss, self.keeper.copy(loss, table)))
                if loss.kind is LossKind.COLUMNS:
                    numbers = (c.number for c in table.columns if c.name in loss.columns)
                    held.columns[loss.oid] = held.columns.get(loss.oid, frozenset()) | frozenset(
                        numbers
                    )
                else:
                    held.whole.add(loss.oid)
        return held

    @staticmethod
    def _end(held: _Held) -> dict[int, int]:
        """Take the triggers away; how many rows each has kept."""
        caught = {}
        for oid, (loss, catch) in held.catches.items():
            kept = catch.end()
            caught[oid] = kept.rows
            held.sets.append((loss, kept))
        return caught

    def _unkept(
        self,
        changes: Changes,
        held: _Held,
        caught: dict[int, int],
        before: Storage,
        after: Storage,
    ) -> frozenset[int]:
        """The tables of which more was lost than is kept."""
        wrong: set[int] = set()
        kept_sequences = {loss.oid for loss, _ in held.sets if loss.kind is LossKind.SEQUENCE}
        wrong |= changes.dropped - held.whole
        wrong |= changes.sequences - kept_sequences
        for oid, gone in changes.columns.items():
            if oid not in held.whole and gone - held.columns.get(oid, frozenset()):
                wrong.add(oid)
        for oid, touched in changes.touched.items():
            if oid in held.whole or oid in changes.rewritten:
                continue
            if touched.rows > caught.get(oid, 0):
                wrong.add(oid)
        now = contents_of(self.session, changes.rewritten - held.whole, before, after)
        for oid, found in now.items():
            if not self._is_kept(held.contents.get(oid), found, held.columns.get(oid)):
                wrong.add(oid)
        return frozenset(wrong)

    @staticmethod
    def _is_kept(was: Contents | None, now: Contents, kept: frozenset[int] | None) -> bool:
        """Whether all that a rewritten table does not hold any more is kept."""
        if was is None:
            return False
        changed = rewritten_columns(was, now)
        return was.rows == 0 or (changed is not None and changed <= (kept or frozenset()))

    def _note(self, loss: Loss) -> KeptData:
        backup = self.options.backup or ""
        self.keeper.note_covered(loss, backup)
        return KeptData(
            version=str(self.file.version), schema=loss.schema, table=loss.name,
            kind=loss.kind.value, columns=loss.columns, rows=loss.rows, size=loss.size,
            covered_by=backup,
        )  # fmt: skip

    def _report(self, loss: Loss, kept: KeptSet) -> KeptData:
        return KeptData(
            version=str(self.file.version), schema=loss.schema, table=loss.name,
            kind=loss.kind.value, columns=loss.columns, rows=kept.rows, size=kept.size,
            set_id=kept.set_id,
        )  # fmt: skip

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Around statements of ours: the server's refusal is a failure of this file."""
        try:
            yield
        except psycopg.Error as error:
            sqlstate = error.sqlstate or ""
            text = error.diag.message_primary or str(error)
            is_large = sqlstate == _PROGRAM_LIMIT
            raise MigrationFailedError(
                f"{self.file.file}: what it loses cannot be kept: {text}",
                code="RowTooLarge" if is_large else "KeepFailed",
                hint="the file was undone and left nothing behind; take a backup and run it "
                "by --keep-data off, or give the role that migrates the right to read the table",
                version=str(self.file.version),
                sqlstate=sqlstate,
                server_message=text,
                detail=error.diag.message_detail or "",
                transient=is_transient(sqlstate),
            ) from error
