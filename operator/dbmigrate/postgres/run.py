"""The engine's face: one command against one database, from connection to result.

What decides (history, plan, environment) is read after the advisory lock was obtained.
Nothing is raised for what happens to the database: the result says so, and is made from
what the database says afterwards, not from what the run believes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg

from dbmigrate.api.failure import failure_of, outcome_of
from dbmigrate.api.report.amendment import Amendment
from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.history import FailedAttempt, MigrationRecord, UnfinishedFile
from dbmigrate.api.report.integrity import IntegrityReport
from dbmigrate.api.report.kept import KeptData, RestoredData
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.result import HISTORY_LIMIT, RunResult
from dbmigrate.api.rules import PlanRules
from dbmigrate.errors import (
    DbmigrateError,
    SourceError,
    UnreachableError,
    UsageError,
)
from dbmigrate.migrations.ahead import ahead_of, report_of
from dbmigrate.migrations.amend import Amend
from dbmigrate.migrations.applied import AppliedMigration, newest, pending
from dbmigrate.migrations.plan import Plan
from dbmigrate.migrations.repeatables import LastRun, due
from dbmigrate.migrations.version import Version
from dbmigrate.postgres import bookkeeping, endings, history
from dbmigrate.postgres.commands import command_named
from dbmigrate.postgres.executing.ledger import read_unfinished
from dbmigrate.postgres.executing.retrying import LOCK_TIMEOUT, RETRIES, TIME_LIMIT
from dbmigrate.postgres.proof import not_shown
from dbmigrate.postgres.reporting.progress import Progress, Reporter
from dbmigrate.postgres.rollback.options import ALL_KEPT, KEEP, KeepOptions, KeptRequest
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interrupted, Interruption
from dbmigrate.postgres.server.session import ConnectionLostError, Session
from dbmigrate.postgres.server.settings import CATALOG, ConnectionSettings, SessionSettings

if TYPE_CHECKING:
    from dbmigrate.api.checks import IntegrityCheck
    from dbmigrate.api.lint import LintReport
    from dbmigrate.migrations.source import Source
    from dbmigrate.postgres.linting import Linting

__all__ = ["Reporter", "RunOptions", "run"]

_MIGRATING = ("up", "down", "to")
_AMENDING = ("baseline", "repair", "adopt", "pin", "resolve")
_READING = ("status", "plan", "validate", "lint", "kept")
_KEEPING = ("kept restore", "kept purge")
_ASK_AFTERWARDS = 5.0
"""Seconds that asking the database after a failure may take for its connection."""


def _never() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is asked to do. Durations are seconds; 0 means no limit."""

    command: str
    """``up``, ``down``, ``to``, ``status``, ``plan``, ``baseline`` …"""
    environment: str | None = None
    history_schema: str = "public"
    target: Version | None = None
    applied_by: str = ""
    git_commit: str | None = None
    expect_plan: str | None = None
    resource_uid: str | None = None
    resource_generation: int | None = None
    wait_lock: float = 60.0
    lock_timeout: float = LOCK_TIMEOUT
    lock_retries: int = RETRIES
    """How often a file is tried again that did not get a table's lock in that time."""
    lock_retry_timeout: float = TIME_LIMIT
    """From such a file's first try on, no try begins later."""
    statement_timeout: float = 0.0
    settings: Mapping[str, str] = field(default_factory=dict)
    """Run-time parameters of the server, for each file; its own header rules over them."""
    transaction: str = "file"
    """``file``: each file is committed by itself; ``all``: all files are, or none."""
    connect_timeout: float = 10.0
    checks: tuple[IntegrityCheck, ...] = ()
    stop_reason: Callable[[], str | None] = _never
    """Looked at between two files: a text ends the run there."""
    linting: Linting | None = None
    """None: nothing is linted."""
    debug_queries: bool = False
    rules: PlanRules = field(default_factory=PlanRules)
    amend: Amend | None = None
    """For the commands that record without running anything."""
    keep: KeepOptions = KEEP
    """How the data that a rollback loses are treated."""
    kept: KeptRequest = ALL_KEPT
    """What is asked of what was kept."""


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
    done: list[MigrationRecord] = field(default_factory=list)
    kept: list[KeptData] = field(default_factory=list)
    restored: list[RestoredData] = field(default_factory=list)
    integrity: IntegrityReport | None = None
    amendments: tuple[Amendment, ...] = ()
    lint: LintReport | None = None
    touched: bool = False
    """A statement of a migration was sent."""
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


def run(
    settings: ConnectionSettings,
    source: Source | None,
    options: RunOptions,
    reporter: Reporter,
    interruption: Interruption,
) -> RunResult:
    """Do what the options ask, and tell how it went.

    Never raises for what happens to the database, nor for a signal: see the result's
    `failure`, `outcome` and `exit_code`.
    """
    began = time.monotonic()

    def second_session() -> Session:
        owns = context.session is not None and context.session.owns_server
        wanted = SessionSettings(
            "watch", connect_timeout=2.0, search_path=CATALOG, owns_session=owns
        )
        # In a thread of its own, where no signal arrives.
        session = connect(settings, wanted, Interruption())
        if session.owns_server:  # else the setting would stay with a pooler's server
            session.query("set statement_timeout = '5s'")
        return session

    progress = Progress(
        reporter,
        second_session,
        lock_timeout=options.lock_timeout,
        tell_all=options.debug_queries,
    )
    context = Context(settings, source, options, progress, interruption)
    error: DbmigrateError | None = None
    try:
        command_named(options.command)(context)
    except DbmigrateError as caught:
        error = caught
    except Interrupted:
        error = endings.interrupted(interruption)
    except ConnectionLostError as caught:
        error = endings.lost(settings, str(caught))
    except psycopg.Error as caught:
        # An operational error without a code is libpq's own: the connection.
        is_lost = isinstance(caught, psycopg.OperationalError) and caught.sqlstate is None
        error = (
            endings.lost(settings, str(caught))
            if is_lost
            else endings.refused(context.session, options.history_schema, caught)
        )
    try:
        state = _observe(context, error)
        if state is None and error is None and options.command in _READING:
            error = endings.lost(settings, "the history could not be read to its end")
        if state is not None and error is not None:
            _disown(context, state)
    finally:
        progress.close()
        if context.session is not None:
            context.session.close()
    return _result(context, state, error, began)


@dataclass(frozen=True, slots=True)
class _State:
    """What the database says in the end."""

    applied: tuple[AppliedMigration, ...]
    newest: tuple[MigrationRecord, ...]
    last_failure: FailedAttempt | None
    unfinished: UnfinishedFile | None
    last_runs: Mapping[str, LastRun]


def _observe(context: Context, error: DbmigrateError | None) -> _State | None:
    """Ask the database once more; None when it does not answer."""
    if isinstance(error, UnreachableError) and context.session is None:
        return None
    if error is None and context.session is not None and context.found is not None:
        with contextlib.suppress(DbmigrateError, ConnectionLostError, psycopg.Error, Interrupted):
            return _read(context.session, context.found, context.applied)
    try:
        if context.session is not None:
            context.session.close()
        # A fresh one, and a fresh interruption: the signal that ended the run must not end this.
        wanted = SessionSettings(
            context.options.command,
            wants_primary=context.is_writing,
            connect_timeout=_ASK_AFTERWARDS,
            search_path=CATALOG,
        )
        context.session = connect(context.settings, wanted, Interruption())
        found = bookkeeping.look(context.session, context.options.history_schema)
        return _read(context.session, found)
    except (DbmigrateError, ConnectionLostError, psycopg.Error, Interrupted):
        return None


def _disown(context: Context, state: _State) -> None:
    """Claim nothing that the database does not show: a failover can lose what was committed."""
    lost = not_shown(context.done, state.applied)
    if lost:
        context.done = [record for record in context.done if record not in lost]
        versions = ", ".join(record.version for record in lost)
        context.progress.warning(
            f"{versions}: this run committed it, and the server that answers now does not have it: "
            "a standby took over that had not received it, or somebody changed the history"
        )


def _read(
    session: Session,
    found: bookkeeping.Bookkeeping,
    applied: tuple[AppliedMigration, ...] | None = None,
) -> _State:
    return _State(
        history.read_applied(session, found) if applied is None else applied,
        history.read_records(session, found, HISTORY_LIMIT),
        history.read_last_failure(session, found),
        read_unfinished(session, found),
        history.read_last_runs(session, found),
    )


def _due(source: Source, state: _State) -> tuple[str, ...]:
    """Repeatable files that would run; none when their order cannot be made out."""
    try:
        return tuple(each.file for each in due(source.repeatables, state.last_runs))
    except SourceError:
        return ()


def _result(
    context: Context, state: _State | None, error: DbmigrateError | None, began: float
) -> RunResult:
    options, source, plan = context.options, context.source, context.plan
    target = plan.to_version if plan is not None else options.target
    result = RunResult(
        command=options.command,
        outcome=Outcome.SUCCEEDED,
        exit_code=0,
        finished_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        message=context.message,
        environment=options.environment or (context.found.environment if context.found else None),
        target_version=None if target is None else str(target),
        source_digest=source.digest if source else "",
        plan=plan.report if plan else None,
        applied=tuple(context.done),
        kept=tuple(context.kept),
        restored=tuple(context.restored),
        integrity=context.integrity,
        amendments=context.amendments,
        dry_run=options.amend is not None and options.amend.dry_run,
        lint=context.lint,
        duration_ms=round((time.monotonic() - began) * 1000),
    )
    if state is not None:
        current = newest(state.applied)
        # A baseline's version is no target: what is newer is what `up` will run.
        until = None if options.command == "baseline" else options.target
        waiting = pending(source, state.applied, until) if source else ()
        result = replace(
            result,
            database_known=True,
            current_version=None if current is None else str(current),
            pending=len(waiting),
            pending_versions=tuple(str(each.version) for each in waiting),
            history=state.newest,
            history_total=len(state.applied),
            last_failure=state.last_failure,
            ahead=report_of(ahead_of(source, state.applied)) if source else (),
            unfinished=state.unfinished,
            repeatables_due=_due(source, state) if source else (),
        )
    if error is not None:
        return replace(
            result,
            outcome=outcome_of(error),
            exit_code=error.exit_code,
            message=error.message,
            failure=failure_of(error, touched=context.touched),
        )
    if context.integrity is not None and options.command == "check":
        return replace(result, exit_code=0 if context.integrity.healthy else 1)
    if context.lint is not None and options.command == "lint":
        return replace(result, exit_code=1 if context.lint.refusing else 0)
    return result


def tell_plan(context: Context) -> None:
    """Emit the run's plan, and what should be known before it runs."""
    if context.plan is not None:
        context.progress.reporter.emit(EventName.PLAN, plan=context.plan.report)
        for warning in context.plan.warnings:
            context.progress.warning(warning)
