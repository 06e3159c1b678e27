"""The files of one run: each by what its mode asks for, tried again, told of, recorded.

What is committed together is a unit: one file, or with ``--transaction all`` every file.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import psycopg

from dbmigrate.api.report.events import Notice
from dbmigrate.errors import DbmigrateError, MigrationFailedError, StoppedError
from dbmigrate.migrations.directives import TransactionMode
from dbmigrate.migrations.files import MigrationFile, SourceFile
from dbmigrate.migrations.parameters import seconds_of
from dbmigrate.postgres import bookkeeping, history
from dbmigrate.postgres.executing.advice import advice_for_lock
from dbmigrate.postgres.executing.committing import CommitInDoubtError, Committed
from dbmigrate.postgres.executing.execution import Execution, Watch
from dbmigrate.postgres.executing.failures import (
    LOCK_STATES,
    NothingRanError,
    overtaken,
    unfinished_alone,
)
from dbmigrate.postgres.executing.ledger import Ledger, read_unfinished
from dbmigrate.postgres.executing.own_transactions import OwnTransactions
from dbmigrate.postgres.executing.prerequisites import Script
from dbmigrate.postgres.executing.retrying import RetryPolicy
from dbmigrate.postgres.executing.settling import Unanswered, settle
from dbmigrate.postgres.executing.stepwise import Stepwise
from dbmigrate.postgres.executing.together import Following, Together
from dbmigrate.postgres.executing.verifying import verify
from dbmigrate.postgres.reporting import blockers
from dbmigrate.postgres.rollback.options import RollbackRefusedError
from dbmigrate.postgres.server.session import SYNC, Batch, ConnectionLostError, Request, Session
from dbmigrate.postgres.server.settings import milliseconds

if TYPE_CHECKING:
    from dbmigrate.migrations.plan import Plan
    from dbmigrate.migrations.source import Source
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context
    from dbmigrate.postgres.rollback.trial import Trial

ALL = "all"
"""The value of ``transaction_mode`` in the history when all files were one transaction."""


class _Part(Protocol):
    """What runs one file."""

    script: Script

    @property
    def milliseconds(self) -> int: ...


class _Runner(Protocol):
    """What runs a unit."""

    def run(self) -> tuple[Committed, ...]: ...

    @property
    def current(self) -> _Part: ...


class Applying:
    """The files of one run, one unit after the other."""

    def __init__(
        self,
        context: Context,
        source: Source,
        plan: Plan,
        found: Bookkeeping,
    ) -> None:
        self.context = context
        self.source = source
        self.found = found
        options = context.options
        run = history.Run(
            applied_by=options.applied_by or found.session_user,
            environment=options.environment,
            git_commit=options.git_commit,
            # A run that goes on with an approved plan goes on under its hash.
            plan_hash=options.expect_plan or plan.hash,
            resource_uid=options.resource_uid,
            resource_generation=options.resource_generation,
        )
        self.writer = history.Writer(self.session, found, run)
        self.settings = dict(options.settings)
        if options.statement_timeout:
            self.settings["statement_timeout"] = milliseconds(options.statement_timeout)
        self.retry = RetryPolicy(
            options.lock_timeout, options.lock_retries, options.lock_retry_timeout
        )
        self.verifies = plan.verifies
        self.unfinished = read_unfinished(self.session, found)
        self.last_runs = history.read_last_runs(self.session, found)
        self._notices: dict[str, list[Notice]] = {}
        self._trials: dict[str, Trial] = {}
        self._was_away = False
        self._of = 0

    @property
    def session(self) -> Session:
        """The run's session, which may have been made anew."""
        if self.context.session is None:
            raise ConnectionLostError("there is no session")
        return self.context.session

    def run(self, scripts: Sequence[Script]) -> None:
        """Run all files.

        Raises:
            DbmigrateError: the first failure; what was committed before stays.
            Interrupted: a signal came.
        """
        self._of = len(scripts)
        is_together = self.context.options.transaction == ALL and bool(scripts)
        if is_together and self._is_begun(scripts[0].file):
            raise unfinished_alone(scripts[0].file)
        units = [tuple(scripts)] if is_together else [(script,) for script in scripts]
        number = 1
        for unit in units:
            self.context.interruption.check()
            self._stop_if_asked(self._of - number + 1)
            committed = self._run_unit(unit, number)
            for script, each in zip(unit, committed, strict=True):
                record = self.writer.record(script.file, each.milliseconds, each.applied_at)
                self.context.done.append(record)
                self.context.progress.file_completed(record, number, self._of)
                self._tell_kept(script)
                number += 1
            self._require_undisturbed(unit[-1].file)

    def _tell_kept(self, script: Script) -> None:
        trial = self._trials.get(script.file.file)
        for each in trial.kept if trial else ():
            self.context.kept.append(each)
            self.context.progress.kept(each)

    def _require_undisturbed(self, file: SourceFile) -> None:
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

    def _run_unit(self, unit: Sequence[Script], number: int) -> tuple[Committed, ...]:
        """Run a unit; try it again while it does not get a table's lock."""
        began = time.monotonic()
        tries = 0
        self._begin(unit[0], number)
        while True:
            tries += 1
            runner = self._runner(unit, number)
            was_touched, self.context.touched = self.context.touched, True
            self.context.applied = None
            try:
                return runner.run()
            except CommitInDoubtError as error:
                took = [*(0 for _ in unit[1:]), runner.current.milliseconds]
                files = list(zip((script.file for script in unit), took, strict=True))
                self._was_away = True
                last = self.last_runs.get(unit[-1].file.file)
                unanswered = Unanswered(
                    files, self.writer.run.applied_by, str(error), last.id if last else 0
                )
                return settle(self.context, self.found, unanswered)
            except DbmigrateError as error:
                script = runner.current.script
                pause = self._patience(script).pause(
                    error,
                    tries=tries,
                    elapsed=time.monotonic() - began,
                    chance=random.random(),  # noqa: S311 -- no secret
                )
                self._explain(error, script)
                if isinstance(error, RollbackRefusedError) or (
                    isinstance(error, NothingRanError) and tries == 1
                ):
                    # It was only tried: no attempt that failed, and nothing to look into.
                    self.context.touched = was_touched
                    raise
                if pause is None:
                    self._record_failure(runner.current, error)
                    raise
                self._pause(error, tries, pause)
                self.context.progress.tried_again()

    def _patience(self, script: Script) -> RetryPolicy:
        """The run's, with the lock timeout that the file's header asks for."""
        told = script.directives.settings.get("lock_timeout")
        seconds = None if told is None else seconds_of(told)
        return self.retry if seconds is None else replace(self.retry, lock_timeout=seconds)

    def _begin(self, script: Script, number: int) -> None:
        """A file begins, for those who watch."""
        progress, file = self.context.progress, script.file
        statements = len(script.statements)
        patience = self._patience(script).lock_timeout
        progress.file_started(file, self.session.pid, number, self._of, statements, patience)
        self._notices[file.file] = progress.notices

    def _runner(self, unit: Sequence[Script], number: int) -> _Runner:
        """What runs a unit, by its mode."""
        if self.context.options.transaction == ALL:
            kinds = (Execution, *(Following for _ in unit[1:]))
            parts = [self._execution(each, kind) for each, kind in zip(unit, kinds, strict=True)]

            def begun(index: int) -> None:
                if index:
                    self._begin(unit[index], number + index)

            return Together(parts, begun)
        (script,) = unit
        if script.mode is TransactionMode.FILE and not self._is_begun(script.file):
            return self._execution(script, Execution)
        ledger = Ledger(self.session, self.found, script.file, self.writer.run.applied_by)
        kind = OwnTransactions if script.mode is TransactionMode.OWN else Stepwise
        return kind(
            self.session,
            script,
            ledger,
            self._writing(script),
            self._watch(),
            self._table(),
            self._settings(script),
            self._asking(script),
        )

    def _asking(self, script: Script) -> Callable[[], None] | None:
        """What asks whether a file has done what it should; None when nothing is asked."""
        if not script.verifies:
            return None
        watch, settings = self._watch(), self.settings
        return lambda: verify(self.session, script.verifies, watch, settings)

    def _trial(self, script: Script) -> Trial | None:
        """What a rollback is run by, so that the data that it loses are kept."""
        options = self.context.options.keep
        file = script.file
        if not isinstance(file, MigrationFile) or not file.is_rollback or not options.enabled:
            return None
        from dbmigrate.postgres.rollback.trial import Trial  # noqa: PLC0415 -- for rollbacks alone

        quiet = self.context.progress.quiet
        trial = Trial(self.session, self.found, file, options, quiet)
        self._trials[file.file] = trial
        return trial

    def _is_begun(self, file: SourceFile) -> bool:
        """Whether an earlier run has begun the file by statement.

        Then it is finished so, even if it would run as one transaction by now: what was run
        of it must not run again.
        """
        begun = self.unfinished
        return begun is not None and (begun.direction, begun.version or begun.file) == (
            file.direction,
            file.key,
        )

    def _execution(self, script: Script, kind: type[Execution]) -> Execution:
        trial = self._trial(script)
        return kind(
            self.session,
            script,
            self._writing(script),
            self._watch(),
            self._table(),
            self._settings(script),
            trial.run if trial else None,
            self._asking(script),
        )

    def _writing(self, script: Script) -> history.Write:
        file = script.file
        rollback = None
        if isinstance(file, MigrationFile) and not file.is_rollback:
            rollback = self.source.rollbacks.get(file.version)

        def write(took: int) -> Request:
            return self.writer.completed(
                file,
                rollback,
                took,
                mode=self._mode(script),
                notices=self._notices.get(file.file, ()),
            )

        return write

    def _mode(self, script: Script) -> str:
        is_all = self.context.options.transaction == ALL
        if is_all:
            return ALL
        if script.mode is TransactionMode.FILE and self._is_begun(script.file):
            return TransactionMode.STATEMENT.value
        return script.mode.value

    def _watch(self) -> Watch:
        progress = self.context.progress
        return Watch(progress.statement, progress.ending, progress.committed)

    def _table(self) -> str:
        return self.found.table(bookkeeping.HISTORY).as_string(self.session.connection)

    def _settings(self, script: Script) -> dict[str, str]:
        return {**self.settings, **script.directives.settings}

    def _pause(self, error: DbmigrateError, tries: int, seconds: float) -> None:
        """Let the traffic behind our lock request through."""
        self.context.progress.waiting_for_table(
            f"{error.message}; tried again in {seconds:.1f} s "
            f"(try {tries + 1} of {self.retry.retries + 1})",
            self.context.progress.blockers_seen,
        )
        self.context.interruption.sleep(seconds)

    def _explain(self, error: DbmigrateError, script: Script) -> None:
        """Say who was in the way of a lock that was not to be had."""
        self.context.progress.idle()
        if not isinstance(error, MigrationFailedError) or error.sqlstate not in LOCK_STATES:
            return
        if told := script.directives.settings.get("lock_timeout"):
            error.hint = advice_for_lock(error.sqlstate, told) or error.hint
        seen = self.context.progress.blockers_seen
        if not seen and self.session.is_alive:
            # Too quick to be seen, or at the history's row, where nobody looks.
            with contextlib.suppress(ConnectionLostError, psycopg.Error):
                seen = blockers.on_tables(self.session, self.found.schema, bookkeeping.TABLES)
        blockers.explain(error, seen)

    def _record_failure(self, part: _Part, error: DbmigrateError) -> None:
        """Write the failure's row in its own transaction; it never hides the failure itself."""
        if not self.session.is_alive:
            return
        request = self.writer.failed(
            part.script.file,
            part.milliseconds,
            error,
            mode=self._mode(part.script),
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
