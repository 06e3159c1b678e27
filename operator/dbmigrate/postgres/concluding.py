"""The result of a run: from what the database says afterwards, not from what the run believes.

What the run claims to have committed and the database does not show is claimed no more.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg

from dbmigrate.api.failure import failure_of, outcome_of
from dbmigrate.api.report.history import FailedAttempt, MigrationRecord, UnfinishedFile
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.api.report.result import HISTORY_LIMIT, RunResult
from dbmigrate.errors import (
    DbmigrateError,
    SourceError,
    UnreachableError,
)
from dbmigrate.migrations.ahead import ahead_of, report_of
from dbmigrate.migrations.applied import AppliedMigration, newest, pending
from dbmigrate.migrations.repeatables import LastRun, due
from dbmigrate.postgres import bookkeeping, history
from dbmigrate.postgres.context import Context
from dbmigrate.postgres.executing.ledger import read_unfinished
from dbmigrate.postgres.proof import not_shown
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interrupted, Interruption
from dbmigrate.postgres.server.session import ConnectionLostError, Session
from dbmigrate.postgres.server.settings import CATALOG, SessionSettings

if TYPE_CHECKING:
    from dbmigrate.migrations.source import Source

_ASK_AFTERWARDS = 5.0
"""Seconds that asking the database after a failure may take for its connection."""


@dataclass(frozen=True, slots=True)
class State:
    """What the database says in the end."""

    applied: tuple[AppliedMigration, ...]
    newest: tuple[MigrationRecord, ...]
    last_failure: FailedAttempt | None
    unfinished: UnfinishedFile | None
    last_runs: Mapping[str, LastRun]


def observe(context: Context, error: DbmigrateError | None) -> State | None:
    """Ask the database once more; None when it does not answer, or may yet change its answer."""
    if context.in_doubt:
        return None
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


def disown(context: Context, state: State) -> None:
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
) -> State:
    return State(
        history.read_applied(session, found) if applied is None else applied,
        history.read_records(session, found, HISTORY_LIMIT),
        history.read_last_failure(session, found),
        read_unfinished(session, found),
        history.read_last_runs(session, found),
    )


def _due(source: Source, state: State) -> tuple[str, ...]:
    """Repeatable files that would run; none when their order cannot be made out."""
    try:
        return tuple(each.file for each in due(source.repeatables, state.last_runs))
    except SourceError:
        return ()


def result_of(
    context: Context, state: State | None, error: DbmigrateError | None, began: float
) -> RunResult:
    """The result.

    Args:
        context: what the run did.
        state: what the database says; None when it did not answer.
        error: what ended the run, unless it came to its end.
        began: by the monotonic clock.
    """
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
            unfinished=context.unfinished or state.unfinished,
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
