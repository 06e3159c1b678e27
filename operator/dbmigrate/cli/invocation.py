"""From a command's options to its exit code: read, resolve, run, tell."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dbmigrate.api.lint import LintLevel
from dbmigrate.cli.linting import NO_LIMIT, LintOptions, lint_policy
from dbmigrate.cli.options.merged import common_of
from dbmigrate.cli.settings.resolving import resolve
from dbmigrate.cli.stopping import StopFile
from dbmigrate.errors import RefusedError, UsageError
from dbmigrate.migrations.folder import read_source
from dbmigrate.postgres.rollback.options import ALL_KEPT, KEEP, KeepOptions, KeptRequest
from dbmigrate.redaction import by_position

if TYPE_CHECKING:
    import click

    from dbmigrate.api.checks import IntegrityCheck
    from dbmigrate.cli.app import App
    from dbmigrate.cli.options.merged import Common
    from dbmigrate.cli.settings.resolving import Settings
    from dbmigrate.migrations.amend import Amend
    from dbmigrate.migrations.source import Source
    from dbmigrate.migrations.version import Version
    from dbmigrate.postgres.linting import Linting


@dataclass(frozen=True, slots=True)
class Request:
    """What a command asks of the engine, besides the common options."""

    command: str
    target: Version | None = None
    expect_plan: str | None = None
    checks: Path | None = None
    needs_source: bool = True
    keep: KeepOptions = KEEP
    """What becomes of the data that rollbacks lose."""
    kept: KeptRequest = ALL_KEPT
    """What is asked of what earlier ones kept."""
    default_checks: bool = False
    """Without `checks`, the first source's ``checks.yaml`` is read."""
    amend: Amend | None = None
    """For the commands that record without running anything."""


def execute(ctx: click.Context, request: Request) -> int:
    """Run one command; its exit code.

    Raises:
        DbmigrateError: what ended it before the engine began.
        Interrupted: a signal came before the engine began.
    """
    app: App = ctx.obj
    common = common_of(ctx)
    with app.interruption.raising():
        source = read(app, request.command, common) if request.needs_source else None
        if source is None:
            app.use(request.command, common)
        settings = resolve(common, app.process)
        checks = _checks(request, common)
        linting = _linting(ctx, request, settings)
        from dbmigrate.postgres.options import RunOptions  # noqa: PLC0415 -- loads psycopg
        from dbmigrate.postgres.run import run  # noqa: PLC0415 -- loads psycopg
    for warning in (*settings.warnings, *(_emptiness(common, source) if source else ())):
        app.warn(warning)
    if common.verbose or request.command == "status":
        app.output.connected_to(by_position(settings.connection.place), settings.connection.origin)
    if settings.debug_queries:
        app.output.show_statements()
    options = RunOptions(
        command=request.command,
        environment=common.environment,
        history_schema=common.history_schema,
        target=request.target,
        applied_by=common.applied_by or default_applied_by(),
        git_commit=common.git_commit,
        expect_plan=request.expect_plan,
        resource_uid=common.resource_uid,
        resource_generation=common.resource_generation,
        wait_lock=common.wait_lock,
        lock_timeout=settings.lock_timeout,
        lock_retries=settings.lock_retries,
        lock_retry_timeout=settings.lock_retry_timeout,
        statement_timeout=settings.statement_timeout,
        settings=settings.server,
        connect_timeout=settings.connect_timeout,
        checks=checks,
        transaction=common.transaction,
        stop_reason=StopFile(common.stop_file),
        debug_queries=settings.debug_queries,
        rules=settings.rules,
        amend=request.amend,
        linting=linting,
        keep=request.keep,
        kept=request.kept,
    )
    result = run(settings.connection, source, options, app.output, app.interruption)
    migrations = source.migrations if source else ()
    return app.finish(result, {str(each.version): each.file for each in migrations})


def read(app: App, command: str, common: Common) -> Source:
    """Begin the invocation, and read its source.

    Raises:
        RefusedError, SourceError: there is none to work with.
    """
    app.use(command, common)
    source = read_source(common.source)
    app.source_digest = source.digest
    _require_source(common, source)
    return source


def _linting(ctx: click.Context, request: Request, settings: Settings) -> Linting | None:
    options = LintOptions.of(ctx)
    if request.command == "lint":
        return options.linting(lint_policy(options, settings.lint), NO_LIMIT)
    return options.linting(options.policy(settings.lint, LintLevel.REPORT))


def default_applied_by() -> str:
    """``user@host``; a user without a name (any uid may run in a container) is its number."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _require_source(common: Common, source: Source) -> None:
    if common.expect_source is not None and common.expect_source != source.digest:
        raise RefusedError(
            f"the source is another one than expected: its digest is {source.digest}, "
            f"expected is {common.expect_source}",
            code="SourceChanged",
            hint="the files have changed meanwhile; look again",
        )


def _emptiness(common: Common, source: Source) -> Iterator[str]:
    """A source without any migration is usable, but seldom what was meant."""
    if not source.migrations:
        folders = ", ".join(map(str, common.source))
        yield f"there is no migration in {folders}: their names are like v1.0.0_name.sql"


def _checks(request: Request, common: Common) -> tuple[IntegrityCheck, ...]:
    path = request.checks
    if path is None and request.default_checks:
        path = common.source[0] / "checks.yaml"
        if not path.exists():
            raise UsageError(
                f"there are no checks: {path} does not exist",
                code="NoChecks",
                hint="write them there, under the key integrityChecks, or name another file by "
                "--checks FILE; docs/integrity-checks.md tells what a check is",
            )
    if path is None:
        return ()
    from dbmigrate.migrations.checks import load_checks  # noqa: PLC0415 -- pydantic and YAML

    return tuple(load_checks(path))
