"""The integrity checks of a run, on a connection of their own, and their report's record."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.integrity import IntegrityResult
from dbmigrate.postgres import bookkeeping
from dbmigrate.postgres.integrity.checks import run_checks
from dbmigrate.postgres.integrity.events import record_report
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.settings import SessionSettings

if TYPE_CHECKING:
    from dbmigrate.postgres.context import Context

TIMEOUT = timedelta(minutes=5)
"""For each check, when the run itself has no statement timeout."""


def check(context: Context) -> None:
    """Run the checks, tell each result, and record the report where there is bookkeeping.

    Raises:
        UnreachableError, RefusedError: they could not be run.
    """
    options = context.options
    timeout = timedelta(seconds=options.statement_timeout) or TIMEOUT

    def tell(result: IntegrityResult) -> None:
        context.progress.reporter.emit(EventName.CHECK, check=result)

    wanted = SessionSettings(
        options.command,
        environment=options.environment,
        is_writing=True,
        connect_timeout=options.connect_timeout,
        lock_timeout=options.lock_timeout,
    )
    session = connect(context.settings, wanted, context.interruption)
    with contextlib.closing(session):
        found = bookkeeping.look(session, options.history_schema)
        bookkeeping.check_environment(found, options.environment)
        with context.interruption.raising():
            report = run_checks(
                session.connection, options.checks, statement_timeout=timeout, progress=tell
            )
        context.integrity = report
        context.found = context.found or found
        if found.exists:
            names = {"command": options.command, "resource_uid": options.resource_uid}
            known = {key: value for key, value in names.items() if value}
            try:
                record_report(
                    session.connection,
                    options.history_schema,
                    report,
                    environment=options.environment or found.environment,
                    context=known,
                )
            except psycopg.Error as error:
                first = str(error).splitlines()[0]
                context.progress.warning(f"the report could not be recorded: {first}")
    if options.command == "check":
        context.message = f"integrity: {report.summary}"
