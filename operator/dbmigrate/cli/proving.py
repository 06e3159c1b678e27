"""`dbmigrate prove`: from its options to the engine's proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbmigrate.cli.invocation import read
from dbmigrate.cli.options.merged import common_of
from dbmigrate.cli.settings.resolving import resolve

if TYPE_CHECKING:
    import click

    from dbmigrate.cli.app import App
    from dbmigrate.migrations.version import Version


def prove_rollbacks(
    ctx: click.Context, target: Version | None, *, pending: bool, scratch: str | None
) -> int:
    """Run the command; its exit code.

    Raises:
        DbmigrateError: what ended it before the engine began.
        Interrupted: a signal came before the engine began.
    """
    app: App = ctx.obj
    common = common_of(ctx)
    with app.interruption.raising():
        source = read(app, "prove", common)
        settings = resolve(common, app.process)
        from dbmigrate.postgres.options import RunOptions  # noqa: PLC0415 -- psycopg
        from dbmigrate.postgres.rollback.prove import ProveRequest, prove  # noqa: PLC0415
        from dbmigrate.postgres.server.conninfo import parse_conninfo  # noqa: PLC0415 -- psycopg
        from dbmigrate.postgres.server.settings import ConnectionSettings  # noqa: PLC0415 -- psycopg
    for warning in settings.warnings:
        app.warn(warning)
    options = RunOptions(
        command="prove",
        environment=common.environment,
        history_schema=common.history_schema,
        statement_timeout=settings.statement_timeout,
        settings=settings.server,
        connect_timeout=settings.connect_timeout,
    )
    place = None
    if scratch is not None:
        origin = "--scratch"
        place = ConnectionSettings(parse_conninfo(scratch, origin=origin), origin)
    request = ProveRequest(target=target, only_pending=pending, scratch=place)
    result = prove(settings.connection, source, options, request, app.output, app.interruption)
    return app.finish(result)
