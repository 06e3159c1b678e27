"""The commands that migrate: up, down, to.

The order is: lock, history, plan, prerequisites of all files, bookkeeping, each file in
its transaction, then the history once more as proof.
"""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING, Final

import psycopg

from dbmigrate.api.report import Direction
from dbmigrate.errors import (
    DbmigrateError,
    InterruptedRunError,
    MigrationFailedError,
    RefusedError,
    StoppedError,
)
from dbmigrate.migrations.directives import TransactionMode
from dbmigrate.postgres import blockers, bookkeeping, history, linting, lock
from dbmigrate.postgres.committing import CommitInDoubtError, Committed
from dbmigrate.postgres.connection import milliseconds
from dbmigrate.postgres.execution import Execution, Watch
from dbmigrate.postgres.failures import LOCK_STATES, connection_lost, overtaken
from dbmigrate.postgres.interruption import Interrupted
from dbmigrate.postgres.ledger import Ledger
from dbmigrate.postgres.own_transactions import OwnTransactions
from dbmigrate.postgres.parameters import require_parameters
from dbmigrate.postgres.planning import make_plan, require_generation
from dbmigrate.postgres.prerequisites import Script, check_kinds, check_syntax
from dbmigrate.postgres.proof import not_shown
from dbmigrate.postgres.retrying import RetryPolicy
from dbmigrate.postgres.rollback.untried import require_triable
from dbmigrate.postgres.run import tell_plan
from dbmigrate.postgres.session import SYNC, Batch, ConnectionLostError, Request, Session
from dbmigrate.postgres.stepwise import Stepwise

if TYPE_CHECKING:
    from dbmigrate.migrations.plan import Plan
    from dbmigrate.migrations.source import MigrationFile, Source
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.rollback.trial import Trial
    from dbmigrate.postgres.run import Context

_SETTLE_PATIENCE: Final = 60.0
"""Seconds for which the server is looked for after a lost answer to COMMIT."""


def migrate(context: Context) -> None:
    """Bring the database to the target.

    Raises:
        DbmigrateError: whatever prevents it; what was committed before stays.
    """
    source = context.require_source()
    session = context.connect()
    require_parameters(session, context.options.settings)
    _take_lock(context, session, context.options.wait_lock)
    found = bookkeeping.look(session, context.options.history_schema)
    context.found = found
    warning = bookkeeping.check_environment(found, context.options.environment)
    if warning:
        context.progress.warning(warning)
    require_generation(session, found, context.options)
    plan = context.plan = make_plan(session, found, source, context.options)
    tell_plan(context)
    scripts = [Script(file) for file in plan.steps]
    check_kinds(scripts)
    check_syntax(session, scripts)
    if plan.direction is Direction.FORWARD:
        linting.lint(context, plan.steps)
        linting.require_clean(context)
    else:
        for text in require_triable(scripts, context.options.keep):
            context.progress.warning(text)
    found = context.found = bookkeeping.bring_up_to_date(session, found)
    lock.write_row(session, found, _applied_by(context, found), context.options.command)
    bookkeeping.remember_environment(session, found, context.options.environment)
    _Migration(context, source, plan, found).run(scripts)
    _verify(context, found)
    if context.session is not None:
        lock.remove_row(context.session, found)
    _check(context)
    context.message = _message(plan)


def _take_lock(context: Context, session: Session, wait: float) -> None:
    schema = context.options.history_schema
    lock.acquire(session, schema, wait, context.progress.waiting_for_lock)


def _applied_by(context: Context, found: Bookkeeping) -> str:
    return context.options.applied_by or found.session_user


def _message(plan: Plan) -> str:
    if not plan.steps:
        return "nothing to do"
    number = len(plan.steps)
    files = "migration" if number == 1 else "migrations"
    if plan.direction is Direction.ROLLBACK:
        return f"{number} {files} rolled back, to {plan.to_version or 'the beginning'}"
    return f"{number} {files} applied, to {plan.to_version}"


class _Migration:
    """The files of one run, one after the other."""

    def __init__(
        self,
        context: Context,
        source: Source,
        plan: Plan,
        found: Bookkeeping,
    ) -> None:
        self.context = context
        self.source = source
        self.plan = plan
        self.found = found
        options = context.options
        run = history.Run(
            applied_by=_applied_by(context, found),
            environment=options.environment,
            git_commit=options.git_commit,
            # A run that goes on with an approved plan goes on under its hash.
            plan_hash=options.expect_plan or plan.hash,
            resource_uid=options.resource_uid,
            resource_generation=options.resource_generation,
        )
        self.writer = history.Writer(self.session, found, run)
        self._was_away = False
        limit = options.statement_timeout
        self.settings = dict(options.settings)
        if limit:
            self.settings["statement_timeout"] = milliseconds(limit)
        self.retry = RetryPolicy(
            options.lock_timeout, options.lock_retries, options.lock_retry_timeout
        )

    @property
    def session(self) -> Session:
        if self.context.session is None:
            raise ConnectionLostError("there is no session")
        return self.context.session

    def run(self, scripts: list[Script]) -> None:
        progress = self.context.progress
        for number, script in enumerate(scripts, 1):
            self.context.interruption.check()
            self._stop_if_asked(len(scripts) - number + 1)
            file = script.file
            statements = len(script.statements)
            progress.file_started(file, self.session.pid, number, len(scripts), statements)
            committed = self._run_file(script)
            record = self.writer.record(file, committed.milliseconds, committed.applied_at)
            self.context.done.append(record)
            progress.file_completed(record, number, len(scripts))
            self._require_undisturbed(script.file)

    def _require_undisturbed(self, file: MigrationFile) -> None:
        """The lock was free while nobody was connected: a plan of before then may be done."""
        was_away, self._was_away = self._was_away, False
        if was_away and not history.is_newest(self.session, self.found, file):
            raise overtaken(file)

    def _stop_if_asked(self, left: int) -> None:
        reason = self.context.options.stop_reason()
        if reason is not None:
            files = "file" if left == 1 else "files"
            raise StoppedError(
                f"stopped as asked, with {left} {files} left: {reason}",
                hint="run again to go on",
            )

    def _trial(self, script: Script) -> Trial | None:
        """What a rollback is run by, so that the data that it loses are kept."""
        options = self.context.options.keep
        is_triable = script.file.is_rollback and script.mode is TransactionMode.FILE
        if not is_triable or not options.enabled:
            return None
        from dbmigrate.postgres.rollback.trial import Trial  # noqa: PLC0415 -- for rollbacks alone

        quiet = self.context.progress.quiet
        return Trial(self.session, self.found, script.file, options, quiet)

    def _run_file(self, script: Script) -> Committed:
        """Run a file; try it again while it does not get a table's lock."""
        began = time.monotonic()
        tries = 0
        while True:
            tries += 1
            trial = self._trial(script)
            execution = self._execution(script, trial)
            self.context.touched = True
            try:
                return self._tell_kept(trial, execution.run())
            except CommitInDoubtError as error:
                return self._tell_kept(trial, self._settle_or_tell(script, execution, str(error)))
            except DbmigrateError as error:
                pause = self.retry.pause(
                    error,
                    tries=tries,
                    elapsed=time.monotonic() - began,
                    chance=random.random(),  # noqa: S311 -- no secret
                )
                self._explain(error)
                if pause is None:
                    self._record_failure(script, execution, error)
                    raise
                self._pause(error, tries, pause)

    def _tell_kept(self, trial: Trial | None, committed: Committed) -> Committed:
        for each in trial.kept if trial else ():
            self.context.kept.append(each)
            self.context.progress.kept(each)
        return committed

    def _execution(self, script: Script, trial: Trial | None) -> Execution | Stepwise:
        """What runs a file, by its mode."""
        file = script.file
        rollback = None if file.is_rollback else self.source.rollbacks.get(file.version)
        progress = self.context.progress
        mode = script.mode
        progress.notices.clear()  # an attempt before this one was undone

        def write(milliseconds: int) -> Request:
            return self.writer.completed(
                file, rollback, milliseconds, mode=mode.value, notices=progress.notices
            )

        watch = Watch(progress.statement, progress.silence)
        table = self.found.table(bookkeeping.HISTORY).as_string(self.session.connection)
        settings = {**self.settings, **script.directives.settings}
        if mode is TransactionMode.FILE:
            guard = trial.run if trial else None
            return Execution(self.session, script, write, watch, table, settings, guard)
        ledger = Ledger(self.session, self.found, file, self.writer.run.applied_by)
        kind = OwnTransactions if mode is TransactionMode.OWN else Stepwise
        return kind(self.session, script, ledger, write, watch, table, settings)

    def _pause(self, error: DbmigrateError, tries: int, seconds: float) -> None:
        """Let the traffic behind our lock request through."""
        self.context.progress.waiting_for_table(
            f"{error.message}; the file is undone and tried again in {seconds:.1f} s "
            f"(try {tries + 1} of {self.retry.retries + 1})",
            self.context.progress.blockers_seen,
        )
        self.context.interruption.sleep(seconds)

    def _explain(self, error: DbmigrateError) -> None:
        """Say who was in the way of a lock that was not to be had."""
        self.context.progress.idle()
        if not isinstance(error, MigrationFailedError) or error.sqlstate not in LOCK_STATES:
            return
        seen = self.context.progress.blockers_seen
        if not seen and self.session.is_alive:
            # Too quick to be seen, or at the history's row, where nobody looks.
            with contextlib.suppress(ConnectionLostError, psycopg.Error):
                seen = blockers.on_tables(self.session, self.found.schema, bookkeeping.TABLES)
        blockers.explain(error, seen)

    def _record_failure(
        self, script: Script, execution: Execution | Stepwise, error: DbmigrateError
    ) -> None:
        """Write the failure's row in its own transaction; it never hides the failure itself."""
        if not self.session.is_alive:
            return
        request = self.writer.failed(
            script.file,
            execution.milliseconds,
            error,
            mode=script.mode.value,
            notices=self.context.progress.notices,
        )
        requests = (
            Request("reset session authorization"),
            Request("reset role"),
            Request("begin"),
            self.session.restore,
            Request("set local search_path = pg_catalog"),
            request,
            Request("commit"),
            SYNC,
        )
        problem = ""
        try:
            for reply in self.session.run(requests, Batch(interruptible=False)):
                if reply.error is not None:
                    problem = reply.error.message
            if problem:
                self.session.query("rollback")
        except (ConnectionLostError, psycopg.Error) as lost:
            problem = problem or str(lost)
        if problem:
            self.context.progress.warning(f"the failure could not be recorded: {problem}")

    def _settle_or_tell(
        self, script: Script, execution: Execution | Stepwise, reason: str
    ) -> Committed:
        try:
            return self._settle(script, execution, reason)
        except Interrupted:
            number = self.context.interruption.signal_number or 15
            raise InterruptedRunError(
                f"{script.file.file}: interrupted by signal {number} after COMMIT was sent and "
                "before its answer came: it may be committed or undone",
                signal_number=number,
                hint="run again: the history in the database decides what is applied",
            ) from None

    def _settle(self, script: Script, execution: Execution | Stepwise, reason: str) -> Committed:
        """After a lost answer to COMMIT: wait until the old server process is gone, then look.

        The advisory lock, obtained again, proves that it is gone.
        """
        file = script.file
        took = execution.milliseconds
        self.context.progress.warning(
            f"{file.file}: the answer to COMMIT was lost ({reason}); the history decides"
        )
        self.session.close()
        session = self._reconnect(script, reason)
        self._was_away = True
        _take_lock(self.context, session, max(self.context.options.wait_lock, _SETTLE_PATIENCE))
        live = {each.version: each.checksum for each in history.read_applied(session, self.found)}
        if file.is_rollback:
            is_done = file.version not in live
        else:
            is_done = live.get(file.version) == file.checksum
        if not is_done:
            raise connection_lost(file, None, reason)
        lock.write_row(
            session, self.found, self.writer.run.applied_by, self.context.options.command
        )
        applied_at = history.read_applied_at(session, self.found, file)
        return Committed(took, applied_at)

    def _reconnect(self, script: Script, reason: str) -> Session:
        deadline = time.monotonic() + _SETTLE_PATIENCE
        while True:
            try:
                return self.context.connect()
            except (DbmigrateError, ConnectionLostError) as error:
                if time.monotonic() > deadline:
                    raise MigrationFailedError(
                        f"{script.file.file}: the answer to COMMIT was lost ({reason}), and the "
                        f"server does not come back: {error}",
                        code="CommitInDoubt",
                        hint="run again: the history in the database decides what is applied",
                        version=str(script.file.version),
                        transient=True,
                    ) from error
            self.context.interruption.sleep(0.5)


def _verify(context: Context, found: Bookkeeping) -> None:
    """Read the history again: what the run says it did must be there.

    Raises:
        RefusedError: code HistoryDisagrees.
    """
    if not context.done or context.session is None:
        return
    applied = history.read_applied(context.session, found)
    wrong = [record.version for record in not_shown(context.done, applied)]
    if wrong:
        raise RefusedError(
            f"the history does not show what this run committed: {', '.join(wrong)}",
            code="HistoryDisagrees",
            hint="somebody changed the history meanwhile: find out who before running again",
        )


def _check(context: Context) -> None:
    if context.options.checks:
        from dbmigrate.postgres.checking import check  # noqa: PLC0415 -- loads pydantic

        check(context)
