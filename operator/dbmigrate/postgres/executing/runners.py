"""Makes what runs a unit, by its mode; a unit is what is committed together.

That is one file, or with ``--transaction all`` every file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from dbmigrate.api.report.events import Notice
from dbmigrate.migrations.directives import TransactionMode
from dbmigrate.migrations.files import MigrationFile, SourceFile
from dbmigrate.postgres import bookkeeping, history
from dbmigrate.postgres.executing.assignment import Assignment, Watch
from dbmigrate.postgres.executing.committing import Committed
from dbmigrate.postgres.executing.execution import Execution, Follower
from dbmigrate.postgres.executing.ledger import Ledger, read_unfinished
from dbmigrate.postgres.executing.own_transactions import OwnTransactions
from dbmigrate.postgres.executing.prerequisites import Script
from dbmigrate.postgres.executing.stepwise import Stepwise
from dbmigrate.postgres.executing.together import Following, Together
from dbmigrate.postgres.executing.verifying import verify
from dbmigrate.postgres.options import ALL
from dbmigrate.postgres.server.session import ConnectionLostError, Request, Session
from dbmigrate.postgres.server.settings import milliseconds

if TYPE_CHECKING:
    from dbmigrate.migrations.source import Source
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context
    from dbmigrate.postgres.rollback.trial import Trial


class Part(Protocol):
    """What runs one file."""

    script: Script

    @property
    def milliseconds(self) -> int:
        """How long it has run by now."""


class Runner(Protocol):
    """What runs a unit."""

    def run(self) -> tuple[Committed, ...]:
        """Run and commit it."""

    @property
    def transaction(self) -> str:
        """Its number, in which the unit's rows are written; empty where nobody asked for it."""

    @property
    def current(self) -> Part:
        """What runs, or was the last to run."""


class Runners:
    """For one run; each attempt at a unit gets a runner of its own."""

    def __init__(
        self, context: Context, source: Source, found: Bookkeeping, writer: history.Writer
    ) -> None:
        self.context = context
        self.source = source
        self.found = found
        self.writer = writer
        options = context.options
        self.settings = dict(options.settings)
        if options.statement_timeout:
            self.settings["statement_timeout"] = milliseconds(options.statement_timeout)
        self.unfinished = read_unfinished(self.session, found)
        self.notices: dict[str, list[Notice]] = {}
        """What the server has said to each file's present attempt."""
        self.trials: dict[str, Trial] = {}
        """What each rollback was run by."""

    @property
    def session(self) -> Session:
        """The run's session, which may have been made anew."""
        if self.context.session is None:
            raise ConnectionLostError("there is no session")
        return self.context.session

    @property
    def is_together(self) -> bool:
        """All files are one unit."""
        return self.context.options.is_together

    def is_begun(self, file: SourceFile) -> bool:
        """Whether an earlier run has begun the file by statement.

        Then it is finished so, even if it would run as one transaction by now: what was run
        of it must not run again.
        """
        begun = self.unfinished
        return begun is not None and (begun.direction, begun.version or begun.file) == (
            file.direction,
            file.key,
        )

    def mode_of(self, script: Script) -> str:
        """How a file runs, as the history says it."""
        if self.is_together:
            return ALL
        if script.mode is TransactionMode.FILE and self.is_begun(script.file):
            return TransactionMode.STATEMENT.value
        return script.mode.value

    def of_all(self, unit: Sequence[Script], begun: Callable[[int], None]) -> Runner:
        """For all files together.

        Args:
            unit: the files.
            begun: is told the index of each file as it begins.
        """
        first, *others = (self._assignment(script) for script in unit)
        trials = map(self._trial, unit)
        kinds = (Execution, *(Following for _ in others))
        parts = [
            kind(task, trial.run if trial else None)
            for kind, task, trial in zip(kinds, (first, *others), trials, strict=True)
        ]
        return Together(parts, begun)

    def of(self, script: Script, follow: Callable[[], Follower | None]) -> Runner:
        """For one file.

        Args:
            script: the file.
            follow: what may begin together with its end, asked then.
        """
        if self._is_one_transaction(script):
            trial = self._trial(script)
            return Execution(self._assignment(script), trial.run if trial else None, follow)
        ledger = Ledger(self.session, self.found, script.file, self.writer.run.applied_by)
        kind = OwnTransactions if script.mode is TransactionMode.OWN else Stepwise
        return kind(self._assignment(script), ledger)

    def following(self, script: Script, follow: Callable[[], Follower | None]) -> Execution | None:
        """For a file that is sent together with the end of the one before it.

        None for one that is not a transaction of its own, or that is tried first.
        """
        if not self._is_one_transaction(script) or self._is_tried(script.file):
            return None
        return Execution(self._assignment(script), follow=follow)

    def _is_one_transaction(self, script: Script) -> bool:
        return script.mode is TransactionMode.FILE and not self.is_begun(script.file)

    def _assignment(self, script: Script) -> Assignment:
        return Assignment(
            self.session,
            script,
            self._writing(script),
            self._watch(),
            self.found.table(bookkeeping.HISTORY).as_string(self.session.connection),
            {**self.settings, **script.directives.settings},
            self._asking(script),
        )

    def _watch(self) -> Watch:
        progress = self.context.progress
        return Watch(progress.statement, progress.ending, progress.committed)

    def _asking(self, script: Script) -> Callable[[], None] | None:
        """What asks whether a file has done what it should; None when nothing is asked."""
        if not script.verifies:
            return None
        watch = self._watch()
        return lambda: verify(self.session, script.verifies, watch, self.settings)

    def _is_tried(self, file: SourceFile) -> bool:
        is_rollback = isinstance(file, MigrationFile) and file.is_rollback
        return is_rollback and self.context.options.keep.enabled

    def _trial(self, script: Script) -> Trial | None:
        """What a rollback is run by, so that the data that it loses are kept."""
        file = script.file
        if not isinstance(file, MigrationFile) or not self._is_tried(file):
            return None
        from dbmigrate.postgres.rollback.trial import Trial  # noqa: PLC0415 -- for rollbacks alone

        quiet = self.context.progress.quiet
        trial = Trial(self.session, self.found, file, self.context.options.keep, quiet)
        self.trials[file.file] = trial
        return trial

    def _writing(self, script: Script) -> history.Write:
        file = script.file
        rollback = None
        if isinstance(file, MigrationFile) and not file.is_rollback:
            rollback = self.source.rollbacks.get(file.version)

        def write(took: int) -> Request:
            notices = self.notices.get(file.file, ())
            mode = self.mode_of(script)
            return self.writer.completed(file, rollback, took, mode=mode, notices=notices)

        return write
