"""The program as a whole, with all of its commands, in the order that its help shows them."""
# ruff: noqa: D301 -- a raw docstring would show click's mark instead of being it

from __future__ import annotations

from typing import Any

import click

import dbmigrate
from dbmigrate.cli.commands.history import HISTORY_COMMANDS
from dbmigrate.cli.commands.looking import LOOKING_COMMANDS
from dbmigrate.cli.commands.migrating import MIGRATING_COMMANDS
from dbmigrate.cli.commands.rollbacks import ROLLBACK_COMMANDS
from dbmigrate.cli.options.common import common_options
from dbmigrate.cli.options.sections import SectionedGroup


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


for _command in (*MIGRATING_COMMANDS, *LOOKING_COMMANDS, *HISTORY_COMMANDS, *ROLLBACK_COMMANDS):
    dbmigrate_group.add_command(_command)
