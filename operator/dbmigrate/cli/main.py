"""The entry point ``dbmigrate``: from the process's arguments to its exit code.

click parses; it does not end the process, since its way of doing so knows neither our
exit codes nor JSON. Everything that can go wrong ends in `App`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from dbmigrate.cli.app import App
from dbmigrate.cli.commands.group import dbmigrate_group
from dbmigrate.cli.signals import handled
from dbmigrate.errors import DbmigrateError, UsageError
from dbmigrate.postgres.server.interruption import Interrupted

PROGRAM = "dbmigrate"


def main() -> int:
    """The process's own invocation; its exit code."""
    if "_DBMIGRATE_COMPLETE" in os.environ:  # a shell asks for completions: click's own matter
        dbmigrate_group.main(prog_name=PROGRAM)
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    """One invocation; its exit code."""
    app = App(arguments, os.environ)
    with handled(app.interruption):
        try:
            return _invoke(app, arguments)
        except DbmigrateError as error:
            return app.fail(error)
        except (Interrupted, KeyboardInterrupt):
            return app.interrupted()
        except Exception as error:  # noqa: BLE001 -- no traceback ever reaches a user
            return app.crash(error)


def _invoke(app: App, arguments: Sequence[str]) -> int:
    try:
        with dbmigrate_group.make_context(PROGRAM, list(arguments), obj=app) as ctx:
            return int(dbmigrate_group.invoke(ctx))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return UsageError.exit_code
    except click.exceptions.Exit as end:  # --help, --version
        return end.exit_code
    except click.ClickException as error:
        failed = getattr(error, "ctx", None)
        if failed is not None and failed.parent is not None:
            app.command = failed.info_name or ""
        raise UsageError(error.format_message().rstrip("."), hint=_hint(failed)) from None
    except BrokenPipeError:  # of help that nobody reads to its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _hint(ctx: click.Context | None) -> str:
    return f"`{ctx.command_path if ctx else PROGRAM} --help` explains the options"
