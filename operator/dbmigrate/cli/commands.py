"""The commands, and the texts that explain them. What they do is `invocation`'s matter.

In their docstrings the character ``\\b`` on a line of its own tells click to keep the
lines of that paragraph as they are.
"""
# ruff: noqa: D301 -- a raw docstring would show click's mark instead of being it

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import dbmigrate
from dbmigrate.cli.invocation import Request, execute
from dbmigrate.cli.linting import LintOptions, lint_options
from dbmigrate.cli.linting import lint as run_lint
from dbmigrate.cli.options.common import common_options
from dbmigrate.cli.options.keeping import keep_of, keep_options
from dbmigrate.cli.options.parameters import FILE, Duration, VersionType
from dbmigrate.cli.options.sections import SectionedCommand, SectionedGroup, option

if TYPE_CHECKING:
    from dbmigrate.migrations.version import Version

CHANGE = "Commands that change the database"
LOOK = "Commands that only look"

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


@click.group(cls=SectionedGroup, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
@click.version_option(dbmigrate.__version__, prog_name="dbmigrate")
def dbmigrate_group(**_common: Any) -> None:
    """PostgreSQL schema migrations that a team can trust in production.

    Migrations are files vMAJOR.MINOR.PATCH_name.sql in a folder; the way back from
    each is rollbacks/vMAJOR.MINOR.PATCH_rollback.sql. Each runs in one transaction
    together with its row in the history, under an advisory lock.

    \b
    Example:
      export DATABASE_URL=postgresql://me:secret@localhost/exams
      dbmigrate status
      dbmigrate up
    """


@dbmigrate_group.command(cls=SectionedCommand, section=CHANGE)
@option(
    "--target",
    type=VersionType(),
    metavar="VERSION",
    help="Stop after this version.  [default: the newest]",
)
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


@dbmigrate_group.command(cls=SectionedCommand, section=CHANGE)
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


@dbmigrate_group.command(cls=SectionedCommand, section=CHANGE)
@click.argument("version", type=VersionType(zero=True))
@_expect_plan
@_checks
@lint_options
@keep_options
@common_options
@click.pass_context
def to(
    ctx: click.Context,
    /,
    version: Version,
    expect_plan: str | None,
    checks: Path | None,
    **_common: Any,
) -> int:
    """Bring the database to VERSION, forward or back, whichever leads there.

    \b
    Example:
      dbmigrate to 1.5.0
    """
    keep = keep_of(ctx)
    return execute(
        ctx, Request("to", target=version, expect_plan=expect_plan, checks=checks, keep=keep)
    )


@dbmigrate_group.command(cls=SectionedCommand, section=LOOK)
@common_options
@click.pass_context
def status(ctx: click.Context, /, **_common: Any) -> int:
    """Show what is applied, what is pending, and the current version.

    Reads the history; changes and creates nothing.

    \b
    Examples:
      dbmigrate status
      dbmigrate status --output json
    """
    return execute(ctx, Request("status"))


@dbmigrate_group.command(cls=SectionedCommand, section=LOOK)
@option(
    "--target",
    type=VersionType(zero=True),
    metavar="VERSION",
    help="Plan the way to this version, forward or back.  [default: the newest]",
)
@lint_options
@common_options
@click.pass_context
def plan(ctx: click.Context, /, target: Version | None, **_common: Any) -> int:
    """Show what would run, and the plan's hash.

    The hash covers the direction, both versions and each file's checksum. `dbmigrate up
    --expect-plan HASH` runs that plan and no other. Changes and creates nothing.

    \b
    Examples:
      dbmigrate plan
      dbmigrate plan --target 1.3.0 --output json
    """
    return execute(ctx, Request("plan", target=target))


@dbmigrate_group.command(cls=SectionedCommand, section=LOOK)
@lint_options
@common_options
@click.pass_context
def validate(ctx: click.Context, /, **_common: Any) -> int:
    """Check the files: names, encoding, checksums against the history, syntax, lint.

    The server parses each statement that is still to run; nothing is executed. A table
    that does not exist yet is no syntax error. The linter's findings are told, or refuse.

    \b
    Example:
      dbmigrate validate
    """
    return execute(ctx, Request("validate"))


@dbmigrate_group.command(cls=SectionedCommand, section=LOOK)
@click.argument("files", nargs=-1, type=FILE)
@option(
    "--pending",
    is_flag=True,
    help="Only what the database does not have yet.  [default where a database is named]",
)
@option(
    "--all",
    "every",
    is_flag=True,
    envvar="DBMIGRATE_ALL",
    help="All files, without a database.  [default where no database is named]",
)
@lint_options
@common_options
@click.pass_context
def lint(
    ctx: click.Context,
    /,
    files: tuple[Path, ...],
    pending: bool,  # noqa: FBT001 -- click names it
    every: bool,  # noqa: FBT001 -- as above
    **_common: Any,
) -> int:
    """Find what is valid SQL and does harm: long locks, rewrites, lost data.

    Exits with 1 when a finding refuses; at the level report, none does. A comment
    `-- squawk-ignore RULE` on the line before one silences it.

    \b
    Examples:
      dbmigrate lint
      dbmigrate lint --all --output sarif > lint.sarif
      dbmigrate lint migrations/v1.7.0_add_index.sql --output github
    """
    options = LintOptions.of(ctx)
    return run_lint(ctx, files, pending=pending, every=every, options=options)


@dbmigrate_group.command(cls=SectionedCommand, section=LOOK)
@option(
    "--checks",
    type=FILE,
    metavar="FILE",
    help="The list of checks (YAML or JSON).  [default: checks.yaml in the first source]",
)
@common_options
@click.pass_context
def check(ctx: click.Context, /, checks: Path | None, **_common: Any) -> int:
    """Run the integrity checks: do the data keep the rules?

    Read-only, in one snapshot. Exits with 1 when the database is not healthy.

    \b
    Example:
      dbmigrate check --checks migrations/checks.yaml
    """
    return execute(ctx, Request("check", checks=checks, default_checks=True))


@dbmigrate_group.command(cls=SectionedCommand, section=LOOK)
@option(
    "--version",
    "wanted",
    type=VersionType(),
    required=True,
    envvar="DBMIGRATE_VERSION",
    metavar="VERSION",
    help="The version that is needed; a later one serves too.",
)
@option(
    "--timeout",
    type=Duration(),
    default="5m",
    show_default=True,
    help="How long to wait.",
)
@common_options
@click.pass_context
def wait(ctx: click.Context, /, wanted: Version, timeout: float, **_common: Any) -> int:
    """Wait until VERSION, or a later one, is applied.

    For an application's init container. A database that cannot be reached yet, or has
    no history yet, is waited for too. Exits with 1 when the time is over.

    \b
    Example:
      dbmigrate wait --version 1.6.0 --timeout 2m
    """
    from dbmigrate.cli.wait import wait_for  # noqa: PLC0415 -- loads psycopg

    return wait_for(ctx, wanted, timeout)
