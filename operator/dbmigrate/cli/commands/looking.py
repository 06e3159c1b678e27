"""The commands that only look, and change nothing."""
# ruff: noqa: D301 -- a raw docstring would show click's mark instead of being it

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from dbmigrate.cli.invocation import Request, execute
from dbmigrate.cli.linting import LintOptions, lint_options
from dbmigrate.cli.linting import lint as run_lint
from dbmigrate.cli.options.common import common_options
from dbmigrate.cli.options.parameters import FILE, Duration, VersionType, or_latest
from dbmigrate.cli.options.sections import LOOK, SectionedCommand, option

if TYPE_CHECKING:
    from dbmigrate.migrations.version import Version


@click.command(cls=SectionedCommand, section=LOOK)
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


@click.command(cls=SectionedCommand, section=LOOK)
@option(
    "--target",
    type=VersionType(zero=True, latest=True),
    callback=or_latest,
    metavar="VERSION|latest",
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


@click.command(cls=SectionedCommand, section=LOOK)
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


@click.command(cls=SectionedCommand, section=LOOK)
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


@click.command(cls=SectionedCommand, section=LOOK)
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


@click.command(cls=SectionedCommand, section=LOOK)
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


LOOKING_COMMANDS: Final = (status, plan, validate, lint, check, wait)
