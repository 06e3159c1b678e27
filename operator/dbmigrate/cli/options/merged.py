"""The values of the common options, from wherever they were given.

What stands after the command rules over what stands before it, and both rule over the
environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource


@dataclass(frozen=True, slots=True)
class Common:
    """The values of the common options, merged."""

    source: tuple[Path, ...]
    database: str | None
    typed: frozenset[str]
    """Which of these were arguments, where every user of the machine reads them."""
    direct_database: str | None
    database_secret: Path | None
    environment: str | None
    config: Path
    history_schema: str
    wait_lock: float
    lock_timeout: float | None
    lock_retries: int | None
    lock_retry_timeout: float | None
    statement_timeout: float | None
    set: tuple[tuple[str, str], ...]
    """Parameters of the server, by name; none twice."""
    connect_timeout: float | None
    git_commit: str | None
    applied_by: str | None
    resource_uid: str | None
    resource_generation: int | None
    out_of_order: str | None
    database_ahead: str | None
    foreign_history: str | None
    expect_source: str | None
    transaction: str
    stop_file: Path | None
    termination_message: Path | None
    output: str
    verbose: bool


def common_of(ctx: click.Context) -> Common:
    """The common options' values: the command's, else the group's, else the environment's."""
    values: dict[str, Any] = {}
    on_command_line: set[str] = set()
    for name in Common.__dataclass_fields__:
        if name == "typed":
            continue
        chosen = ctx
        for each in _outwards(ctx):
            if each.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                on_command_line.add(name)
                chosen = each
                break
        values[name] = chosen.params[name]
    # Of two ways to name the database, the one that was typed rules over the environment's.
    for typed, other in (("database", "database_secret"), ("database_secret", "database")):
        if typed in on_command_line and other not in on_command_line:
            values[other] = None
    # A direct address from the environment belongs to the environment's database.
    if (
        on_command_line & {"database", "database_secret"}
        and "direct_database" not in on_command_line
    ):
        values["direct_database"] = None
    return Common(typed=frozenset(on_command_line), **values)


def _outwards(ctx: click.Context) -> Iterator[click.Context]:
    """The command's context, then those of the groups that it stands in."""
    inner: click.Context | None = ctx
    while inner is not None:
        yield inner
        inner = inner.parent
