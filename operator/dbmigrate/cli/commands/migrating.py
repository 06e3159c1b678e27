"""The commands that bring the database to another version: up, down, to."""
# ruff: noqa: D301 -- a raw docstring would show click's mark instead of being it

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from dbmigrate.cli.invocation import Request, execute
from dbmigrate.cli.linting import lint_options
from dbmigrate.cli.options.common import common_options
from dbmigrate.cli.options.keeping import keep_of, keep_options
from dbmigrate.cli.options.parameters import FILE, VersionType, or_latest
from dbmigrate.cli.options.sections import CHANGE, SectionedCommand, option
from dbmigrate.cli.options.target import stop_after

if TYPE_CHECKING:
    from dbmigrate.migrations.version import Version

_checks = option(
    "--checks",
    type=FILE,
    metavar="FILE",
    help="Integrity checks (YAML or JSON) to run after the migrations.",
)
_expect_plan = option(
    "--expect-plan",
    metavar="HASH",
    help="Refuse to run unless the plan has this hash, as `dbmigrate plan` printed it.",
)


@click.command(cls=SectionedCommand, section=CHANGE)
@stop_after
@_expect_plan
@_checks
@lint_options
@common_options
@click.pass_context
def up(
    ctx: click.Context,
    /,
    target: Version | None,
    expect_plan: str | None,
    checks: Path | None,
    **_common: Any,
) -> int:
    """Apply all pending migrations, oldest first.

    Each file runs in a transaction of its own. When one fails, it leaves nothing
    behind, the ones before it stay, and the ones after it are not begun. An applied
    file that was edited since stops everything before it begins.

    \b
    Examples:
      dbmigrate up
      dbmigrate up --target 1.4.0
    """
    return execute(ctx, Request("up", target=target, expect_plan=expect_plan, checks=checks))


@click.command(cls=SectionedCommand, section=CHANGE)
@click.argument("version", type=VersionType(zero=True))
@_expect_plan
@_checks
@keep_options
@common_options
@click.pass_context
def down(
    ctx: click.Context,
    /,
    version: Version,
    expect_plan: str | None,
    checks: Path | None,
    **_common: Any,
) -> int:
    """Roll back every migration after VERSION, newest first; 0 rolls back all.

    What a rollback file loses (tables, columns, rows, also by a DO block) is found by
    trying it, and kept in the database: see `dbmigrate kept`. More than --keep-limit is
    refused. When the source has no rollback for a version, the one that was kept in the
    database serves. When one is missing altogether, nothing is begun.

    \b
    Examples:
      dbmigrate down 1.4.0
      dbmigrate down 0
      dbmigrate down 1.4.0 --backup-covers base-2026-07-01
    """
    keep = keep_of(ctx)
    return execute(
        ctx, Request("down", target=version, expect_plan=expect_plan, checks=checks, keep=keep)
    )


@click.command(cls=SectionedCommand, section=CHANGE)
@click.argument("version", type=VersionType(zero=True, latest=True), callback=or_latest)
@_expect_plan
@_checks
@lint_options
@keep_options
@common_options
@click.pass_context
def to(
    ctx: click.Context,
    /,
    version: Version | None,
    expect_plan: str | None,
    checks: Path | None,
    **_common: Any,
) -> int:
    """Bring the database to VERSION, forward or back, whichever leads there.

    `latest` is the newest version of the source.

    \b
    Example:
      dbmigrate to 1.5.0
    """
    keep = keep_of(ctx)
    return execute(
        ctx, Request("to", target=version, expect_plan=expect_plan, checks=checks, keep=keep)
    )


MIGRATING_COMMANDS: Final = (up, down, to)
