"""The files of one run: each unit of them tried again, told of, recorded, in order.

How a unit runs is its runner's matter (`runners`).
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg

from dbmigrate.errors import DbmigrateError, MigrationFailedError, StoppedError
from dbmigrate.migrations.files import SourceFile
from dbmigrate.migrations.parameters import seconds_of
from dbmigrate.postgres import bookkeeping, history
from dbmigrate.postgres.executing.advice import advice_for_lock
from dbmigrate.postgres.executing.committing import CommitInDoubtError, Committed
from dbmigrate.postgres.executing.execution import Follower
from dbmigrate.postgres.executing.failures import (
    LOCK_STATES,
    NothingRanError,
    overtaken,
    unfinished_alone,
)
from dbmigrate.postgres.executing.prerequisites import Script
from dbmigrate.postgres.executing.retrying import RetryPolicy
from dbmigrate.postgres.executing.runners import Part, Runner, Runners
from dbmigrate.postgres.executing.settling import Unanswered, settle
from dbmigrate.postgres.reporting import blockers
from dbmigrate.postgres.rollback.options import RollbackRefusedError
from dbmigrate.postgres.server.interruption import Interrupted
from dbmigrate.postgres.server.session import SYNC, Batch, ConnectionLostError, Request

if TYPE_CHECKING:
    from dbmigrate.migrations.plan import Plan
    from dbmigrate.migrations.source import Source
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context


class Applying:
    """The files of one run, one unit after the other."""

    def __init__(
        self,
        context: Context,
        source: Source,
        plan: Plan,
        found: Bookkeeping,
        scripts: Sequence[Script],
    ) -> None:
        self.context = context
        self.found = found
        self.scripts = scripts
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
        if context.session is None:
            raise ConnectionLostError("there is no session")
        self.writer = history.Writer(context.session, found, run)
        self.runners = Runners(context, source, found, self.writer)
        self.retry = RetryPolicy(
            options.lock_timeout, options.lock_retries, options.lock_retry_timeout
        )
        self.last_runs = history.read_last_runs(context.session, found)
        self._was_away = False
        self._ahead: Runner | None = None
        """The next unit's runner, when it was sent together with the end of the one before."""

    def run(self) -> None:
        """Run all files.

        Raises:
            DbmigrateError: the first failure; what was committed before stays.
            Interrupted: a signal came.
        """
        scripts = self.scripts
        if not scripts:
            return
        if self.runners.is_together:
            if self.runners.is_begun(scripts[0].file):
                raise unfinished_alone(scripts[0].file)
            self._require_wanted(1)
            self._begin(0)
            committed = self._run_unit(0, scripts)
            for number, (script, each) in enumerate(zip(scripts, committed, strict=True), start=1):
                self._committed(number, script, each)
            self._require_undisturbed(scripts[-1].file)
            return
        for index, script in enumerate(scripts):
            if self._ahead is None:
                self._require_wanted(index + 1)
                self._begin(index)
            (committed_,) = self._run_unit(index, (script,))
            if self._ahead is None:
                self._committed(index + 1, script, committed_)
            self._require_undisturbed(script.file)

    def _require_wanted(self, number: int) -> None:
        """Raise if the run is to end before that file."""
        self.context.interruption.check()
        reason = self.context.options.stop_reason()
        if reason is not None:
            left = len(self.scripts) - number + 1
            files = "file" if left == 1 else "files"
            raise StoppedError(
                f"stopped as asked, with {left} {files} left: {reason}",
                hint="run again to go on",
            )

    def _committed(self, number: int, script: Script, committed: Committed) -> None:
        """A file is in: it belongs to the result, and is told."""
        record = self.writer.record(script.file, committed.milliseconds, committed.applied_at)
        self.context.done.append(record)
        self.context.progress.file_completed(record, number, len(self.scripts))
        trial = self.runners.trials.get(script.file.file)
        for each in trial.kept if trial else ():
            self.context.kept.append(each)
            self.context.progress.kept(each)

    def _require_undisturbed(self, file: SourceFile) -> None:
        """The lock was free while nobody was connected: a plan of before then may be done."""
        was_away, self._was_away = self._was_away, False
        if was_away and not history.is_newest(self.runners.session, self.found, file):
            raise overtaken(file)

    def _run_unit(self, first: int, unit: Sequence[Script]) -> tuple[Committed, ...]:
        """Run a unit; try it again while it does not get a table's lock."""
        began = time.monotonic()
        tries = 0
        while True:
            tries += 1
            runner = self._runner(first, unit)
            was_touched, self.context.touched = self.context.touched, True
            self.context.applied = None
            try:
                return runner.run()
            except CommitInDoubtError as error:
                return self._settle(unit, runner, str(error))
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
                if self.runners.is_together:
                    self._begin(first)  # what is said from here on is the first file's again

    def _patience(self, script: Script) -> RetryPolicy:
        """The run's, with the lock timeout that the file's header asks for."""
        told = script.directives.settings.get("lock_timeout")
        seconds = None if told is None else seconds_of(told)
        return self.retry if seconds is None else replace(self.retry, lock_timeout=seconds)

    def _settle(self, unit: Sequence[Script], runner: Runner, reason: str) -> tuple[Committed, ...]:
        took = [*(0 for _ in unit[1:]), runner.current.milliseconds]
        files = list(zip((script.file for script in unit), took, strict=True))
        self._was_away = True
        last = self.last_runs.get(unit[-1].file.file)
        unanswered = Unanswered(
            files,
            self.writer.run.applied_by,
            reason,
            runner.transaction,
            last.id if last else 0,
        )
        return settle(self.context, self.found, unanswered)

    def _begin(self, index: int) -> None:
        """A file begins, for those who watch."""
        progress, script = self.context.progress, self.scripts[index]
        progress.file_started(
            script.file,
            self.runners.session.pid,
            index + 1,
            len(self.scripts),
            len(script.statements),
            self._patience(script).lock_timeout,
        )
        self.runners.notices[script.file.file] = progress.notices

    def _runner(self, first: int, unit: Sequence[Script]) -> Runner:
        """What runs a unit; its first attempt may have begun already."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        if self.runners.is_together:
            return self.runners.of_all(unit, lambda index: self._begin(index) if index else None)
        return self.runners.of(unit[0], lambda: self._follower(first))

    def _follower(self, index: int) -> Follower | None:
        """The next file, if it may begin together with the end of the one at that index."""
        if index + 1 == len(self.scripts):
            return None
        following = self.scripts[index + 1]
        execution = self.runners.following(following, lambda: self._follower(index + 1))
        if execution is None:
            return None
        try:
            self._require_wanted(index + 2)
        except (StoppedError, Interrupted):
            return None  # and asked again when this one is committed

        def begin(committed: Committed) -> None:
            self._ahead = execution
            self._committed(index + 1, self.scripts[index], committed)
            self._begin(index + 1)

        return Follower(execution, begin)

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
        session = self.runners.session
        if not seen and session.is_alive:
            # Too quick to be seen, or at the history's row, where nobody looks.
            with contextlib.suppress(ConnectionLostError, psycopg.Error):
                seen = blockers.on_tables(session, self.found.schema, bookkeeping.TABLES)
        blockers.explain(error, seen)

    def _record_failure(self, part: Part, error: DbmigrateError) -> None:
        """Write the failure's row in its own transaction; it never hides the failure itself."""
        session = self.runners.session
        if not session.is_alive:
            return
        request = self.writer.failed(
            part.script.file,
            part.milliseconds,
            error,
            mode=self.runners.mode_of(part.script),
            notices=self.context.progress.notices,
        )
        requests = (
            Request("reset session authorization"),
            Request("reset role"),
            Request("begin"),
            session.restore,
            Request("set local search_path = pg_catalog"),
            request,
            Request("commit"),
            SYNC,
        )
        problem = ""
        try:
            for reply in session.run(requests, Batch(interruptible=False)):
                if reply.error is not None:
                    problem = reply.error.message
            if problem:
                session.query("rollback")
        except (ConnectionLostError, psycopg.Error) as lost:
            problem = problem or str(lost)
        if problem:
            self.context.progress.warning(f"the failure could not be recorded: {problem}")
