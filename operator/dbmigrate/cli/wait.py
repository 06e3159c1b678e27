"""``dbmigrate wait``: until a version is applied, by whomever.

An application's init container calls it. The database may not be there yet, its Secret
may still be mended, the version may be rolled back once more: all that is waited for,
and told. Only what no time can mend ends it early.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbmigrate.api.report.events import EventName
from dbmigrate.api.report.outcome import Failure, Outcome
from dbmigrate.api.report.result import RunResult
from dbmigrate.cli.options.merged import common_of
from dbmigrate.cli.results import now
from dbmigrate.cli.settings.resolving import resolve
from dbmigrate.durations import format_duration
from dbmigrate.errors import UnreachableError
from dbmigrate.redaction import by_position

if TYPE_CHECKING:
    import click

    from dbmigrate.cli.app import App, Output
    from dbmigrate.migrations.version import Version
    from dbmigrate.postgres.watch import HistoryWatch

INTERVAL = 1.0
"""Seconds between two questions."""
REPEAT = 30.0
"""Seconds after which an unchanged state is told again, where it is not shown all the time."""


@dataclass(slots=True)
class _Seen:
    """What the last question gave."""

    current: Version | None = None
    is_known: bool = False
    text: str = ""


def wait_for(ctx: click.Context, wanted: Version, timeout: float) -> int:
    """Wait; 0 when the version, or a later one, is applied, 1 when the time is over.

    Args:
        ctx: the command's.
        wanted: the version.
        timeout: seconds; 0 asks once.

    Raises:
        DbmigrateError: what no waiting can mend: no database is named, the history is
            not ours.
        Interrupted: a signal came.
    """
    app: App = ctx.obj
    common = common_of(ctx)
    app.use("wait", common)
    with app.interruption.raising():
        settings = resolve(common, app.process)
        from dbmigrate.postgres.server.settings import SessionSettings  # noqa: PLC0415 -- loads psycopg
        from dbmigrate.postgres.watch import HistoryWatch  # noqa: PLC0415 -- as above
    for warning in settings.warnings:
        app.warn(warning)
    if common.verbose:
        app.output.connected_to(by_position(settings.connection.place), settings.connection.origin)
    session = SessionSettings(
        command="wait",
        environment=common.environment,
        connect_timeout=settings.connect_timeout,
    )
    watch = HistoryWatch(settings.connection, session, common.history_schema, app.interruption)
    started = time.monotonic()
    try:
        seen = _poll(app, watch, wanted, started + timeout)
    finally:
        watch.close()
    return app.finish(_result(seen, wanted, common.environment, started))


def _poll(app: App, watch: HistoryWatch, wanted: Version, deadline: float) -> _Seen:
    told = _Told(app.output)
    while True:
        seen = _ask(watch)
        left = deadline - time.monotonic()
        if _is_there(seen, wanted) or left <= 0:
            return seen
        told.tell(f"waiting for {wanted}: {seen.text}")
        app.interruption.sleep(min(INTERVAL, left))


def _ask(watch: HistoryWatch) -> _Seen:
    try:
        current = watch.current()
    except UnreachableError as error:
        return _Seen(text=error.message)
    if current is None:
        return _Seen(is_known=True, text="nothing is applied yet")
    return _Seen(current, is_known=True, text=f"the database is at {current}")


def _is_there(seen: _Seen, wanted: Version) -> bool:
    return seen.current is not None and seen.current >= wanted


def _result(seen: _Seen, wanted: Version, environment: str | None, started: float) -> RunResult:
    took = time.monotonic() - started
    reached = _is_there(seen, wanted)
    if reached:
        message = f"{wanted} is there: {seen.text}"
    else:
        message = f"{wanted} is not applied after {format_duration(took)}: {seen.text}"
    return RunResult(
        command="wait",
        outcome=Outcome.SUCCEEDED if reached else Outcome.FAILED,
        exit_code=0 if reached else 1,
        finished_at=now(),
        message=message,
        environment=environment,
        current_version=None if seen.current is None else str(seen.current),
        database_known=seen.is_known,
        target_version=str(wanted),
        failure=None
        if reached
        else Failure(
            code="WaitTimeout",
            message=message,
            hint="look at who migrates this database; --timeout waits longer",
            transient=True,
        ),
        duration_ms=round(took * 1000),
    )


class _Told:
    """Tells a state when it changes, and now and then while it stays."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._text = ""
        self._at = 0.0

    def tell(self, text: str) -> None:
        """Tell it, unless it was told a moment ago."""
        at = time.monotonic()
        if text != self._text or at - self._at >= REPEAT:
            self._text, self._at = text, at
            self._output.emit(EventName.WAITING, reason="Version", message=text)
