"""The command that says which environment a copied database is, and the text that explains it."""
# ruff: noqa: D301 -- a raw docstring would show click's mark instead of being it

from __future__ import annotations

from typing import Any

import click

from dbmigrate.cli.history_commands import HISTORY
from dbmigrate.cli.invocation import Request, execute
from dbmigrate.cli.options.common import common_options
from dbmigrate.cli.options.sections import SectionedCommand


@click.command(cls=SectionedCommand, section=HISTORY)
@common_options
@click.pass_context
def pin(ctx: click.Context, /, **_common: Any) -> int:
    """Pin a copied or moved database to the environment that --environment names.

    A database remembers its environment and its server, and refuses a run that claims
    another. After a copy was made on purpose (production restored for staging), this says
    so, once; it is written to system_events. Nothing else changes.

    \b
    Example:
      dbmigrate pin --environment staging
    """
    return execute(ctx, Request("pin", needs_source=False))
