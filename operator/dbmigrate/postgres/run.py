"""The engine's face: one command against one database, from connection to result.

What decides (history, plan, environment) is read after the advisory lock was obtained.
Nothing is raised for what happens to the database: the result says so, and is made from
what the database says afterwards, not from what the run believes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg

from dbmigrate.api.report.result import RunResult
from dbmigrate.errors import DbmigrateError
from dbmigrate.postgres import endings
from dbmigrate.postgres.commands import command_named
from dbmigrate.postgres.concluding import disown, observe, result_of
from dbmigrate.postgres.context import Context
from dbmigrate.postgres.options import RunOptions
from dbmigrate.postgres.reporting.progress import Progress, Reporter
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interrupted, Interruption
from dbmigrate.postgres.server.session import ConnectionLostError, Session
from dbmigrate.postgres.server.settings import CATALOG, ConnectionSettings, SessionSettings

if TYPE_CHECKING:
    from dbmigrate.migrations.source import Source

_READING = ("status", "plan", "validate", "lint", "kept")


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
            else endings.refused(
                context.session, options.history_schema, caught, touched=context.touched
            )
        )
    try:
        state = observe(context, error)
        if state is None and error is None and options.command in _READING:
            error = endings.lost(settings, "the history could not be read to its end")
        if state is not None and error is not None:
            disown(context, state)
    finally:
        progress.close()
        if context.session is not None:
            context.session.close()
    return result_of(context, state, error, began)
