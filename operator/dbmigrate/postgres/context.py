"""What one run works with, and what it has found and done so far: handed from step to step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dbmigrate.api.report.amendment import Amendment
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.history import MigrationRecord, UnfinishedFile
from dbmigrate.api.report.integrity import IntegrityReport
from dbmigrate.api.report.kept import KeptData, RestoredData
from dbmigrate.errors import UsageError
from dbmigrate.migrations.applied import AppliedMigration
from dbmigrate.migrations.plan import Plan
from dbmigrate.postgres import bookkeeping, history, lock
from dbmigrate.postgres.options import RunOptions
from dbmigrate.postgres.reporting.progress import Progress
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interruption
from dbmigrate.postgres.server.session import ConnectionLostError, Session
from dbmigrate.postgres.server.settings import CATALOG, ConnectionSettings, SessionSettings

if TYPE_CHECKING:
    from dbmigrate.api.lint import LintReport
    from dbmigrate.migrations.source import Source

_MIGRATING = ("up", "down", "to")
_AMENDING = ("baseline", "repair", "adopt", "pin", "resolve")
_KEEPING = ("kept restore", "kept purge")


@dataclass(slots=True)
class Context:
    """One run's parts, handed to the commands."""

    settings: ConnectionSettings
    source: Source | None
    options: RunOptions
    progress: Progress
    interruption: Interruption
    session: Session | None = None
    found: bookkeeping.Bookkeeping | None = None
    applied: tuple[AppliedMigration, ...] | None = None
    """What the history said when it was last read; None when it may say another thing now."""
    plan: Plan | None = None
    unfinished: UnfinishedFile | None = None
    """A file that is applied in part, with where it goes on: asked for by what only looks."""
    done: list[MigrationRecord] = field(default_factory=list)
    kept: list[KeptData] = field(default_factory=list)
    restored: list[RestoredData] = field(default_factory=list)
    integrity: IntegrityReport | None = None
    amendments: tuple[Amendment, ...] = ()
    lint: LintReport | None = None
    touched: bool = False
    """A statement of a migration was sent."""
    in_doubt: bool = False
    """An answer to COMMIT was lost, and what became of it is not known: the history may change."""
    message: str = ""

    @property
    def is_writing(self) -> bool:
        """Whether the command may change the database's schema or its history."""
        return self.options.command in (*_MIGRATING, *_AMENDING, *_KEEPING)

    def wanted(self) -> SessionSettings:
        """How the run's sessions are set up."""
        options = self.options
        return SessionSettings(
            command=options.command,
            environment=options.environment,
            is_writing=self.is_writing,
            search_path=CATALOG,
            connect_timeout=options.connect_timeout,
            lock_timeout=options.lock_timeout,
        )

    def connect(self) -> Session:
        """A new session that works for the run, in place of the one before.

        Raises:
            UnreachableError, RefusedError, Interrupted: see `connect`.
        """
        self.session = connect(self.settings, self.wanted(), self.interruption)
        self.session.connection.add_notice_handler(self.progress.notice)
        if self.session.is_pooled and not self.session.owns_server:
            self.progress.warning(
                f"{self.settings.place} is a connection pooler; migrating needs the server itself, "
                "or a pool in session mode"
            )
        return self.session

    def take_lock(self, session: Session) -> None:
        """Take the advisory lock for this session, waiting for it as long as was asked.

        Raises:
            LockNotObtainedError: another runner has it for longer.
            ConnectionLostError, Interrupted: as any statement.
        """
        options = self.options
        lock.acquire(
            session, options.history_schema, options.wait_lock, self.progress.waiting_for_lock
        )

    def look(self, session: Session) -> bookkeeping.Bookkeeping:
        """Look at the bookkeeping, and whether the database is of the environment that is named.

        Raises:
            RefusedError: it is another's, or as `bookkeeping.look`.
        """
        self.found = bookkeeping.look(session, self.options.history_schema)
        warning = bookkeeping.check_environment(self.found, self.options.environment)
        if warning:
            self.progress.warning(warning)
        return self.found

    def read_applied(self) -> tuple[AppliedMigration, ...]:
        """Read what is applied now; the result uses it too if nothing is changed afterwards.

        Raises:
            ConnectionLostError: there is no session, or it broke.
            RefusedError: code HistoryDamaged.
        """
        if self.session is None or self.found is None:
            raise ConnectionLostError("there is no session")
        self.applied = history.read_applied(self.session, self.found)
        return self.applied

    def warn_of_standby(self) -> None:
        """Say that a standby answers, if it does."""
        if self.found is not None and self.found.is_recovering:
            self.progress.warning(
                f"{self.settings.place} is a standby: what the primary committed last may be "
                "missing"
            )

    def tell_plan(self) -> None:
        """Tell the plan, and what should be known before it runs."""
        if self.plan is not None:
            self.progress.reporter.emit(EventName.PLAN, plan=self.plan.report)
            for warning in self.plan.warnings:
                self.progress.warning(warning)

    def require_source(self) -> Source:
        """The source.

        Raises:
            UsageError: there is none, and the command needs one.
        """
        if self.source is None:
            raise UsageError(
                f"`{self.options.command}` needs migrations",
                code="NoSource",
                hint="give their folder by --source DIR",
            )
        return self.source
