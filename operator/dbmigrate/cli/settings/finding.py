"""Where the database is: one place that knows every source of a connection and their order.

The first that says anything is taken, and nothing is mixed from several:

1. ``--database`` or ``--database-secret`` (or their variables; both at once is an error)
2. ``DATABASE_URL``
3. the ``DB_*`` keys of ``config/environments/NAME.env``, by ``--environment NAME``
4. the ``DB_*`` keys of the process's environment
5. libpq's own ``PG*`` variables

Beside it the same source may name the server itself, without a connection pooler: see
`dbmigrate.cli.settings.direct`. What the taken source leaves open, libpq fills from its ``PG*``
variables, password file and defaults, as it does for psql. When nothing names a database
the run is refused: a guess could be the wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dbmigrate.cli.settings import direct
from dbmigrate.cli.settings.direct import Found
from dbmigrate.cli.settings.environment_file import require_environment
from dbmigrate.cli.settings.environment_keys import (
    CONNECTION_KEYS,
    DIRECT_KEYS,
    EnvironmentSettings,
    read_process,
)
from dbmigrate.errors import UsageError

if TYPE_CHECKING:
    from dbmigrate.cli.options.merged import Common

NAMING_VARIABLES = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGDATABASE")
"""Any of these libpq variables says which database is meant (PostgreSQL manual, 34.15)."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection of a run, and who named it."""

    params: dict[str, str]
    """libpq's keywords."""
    origin: str
    """Who named it, for people: of two that name the same database, both."""
    source: str
    """The one of the list above that was taken."""


def find(
    common: Common, process: Mapping[str, str], file_path: Path, file: EnvironmentSettings | None
) -> Connection:
    """Find the connection, by the order above.

    Args:
        common: the options.
        process: the process's environment variables.
        file_path: the environment's file, whether it is there or not.
        file: what it says.

    Raises:
        UsageError: as `dbmigrate.cli.settings.resolving.resolve`.
    """
    option = direct.by_option(common)
    found = (
        _by_option(common)
        or _by_url(process)
        or _by_file(file, file_path)
        or _by_process(common, process, file_path, is_needed=option is None)
    )
    if option is not None:
        params, origin = option
        return Connection(direct.merged(found.params, params), origin, found.origin)
    if found.direct:
        origin = f"{found.origin}, {found.direct_origin}"
        return Connection(direct.merged(found.params, found.direct), origin, found.origin)
    return Connection(dict(found.params), found.origin, found.origin)


def _by_file(file: EnvironmentSettings | None, path: Path) -> Found | None:
    if file is None or not file.params:
        return None
    return Found(file.params, str(path), file.direct, "DB_DIRECT_*")


def _by_option(common: Common) -> Found | None:
    if common.database is not None and common.database_secret is not None:
        raise UsageError(
            "both --database and --database-secret are given",
            hint="give one of them; their variables DBMIGRATE_DATABASE and "
            "DBMIGRATE_DATABASE_SECRET count too",
        )
    if common.database_secret is not None:
        from dbmigrate.cli.settings.secret import read_direct, read_secret  # noqa: PLC0415 -- if it is used

        folder = common.database_secret
        params = read_secret(folder)
        return Found(params, f"Secret folder {folder}", read_direct(folder), "key direct-uri")
    if common.database is None:
        return None
    return Found(
        *direct.option_uri(common.database, "--database", is_typed="database" in common.typed)
    )


def _by_url(process: Mapping[str, str]) -> Found | None:
    if not process.get("DATABASE_URL"):
        return None
    from dbmigrate.postgres.server.conninfo import parse_conninfo  # noqa: PLC0415 -- loads psycopg

    urls = {
        name: parse_conninfo(process[name], origin=name)
        for name in ("DATABASE_URL", "DIRECT_DATABASE_URL")
        if process.get(name)
    }
    return Found(
        urls["DATABASE_URL"],
        "DATABASE_URL",
        urls.get("DIRECT_DATABASE_URL"),
        "DIRECT_DATABASE_URL",
    )


def _by_process(
    common: Common, process: Mapping[str, str], file_path: Path, *, is_needed: bool
) -> Found:
    if common.environment is not None and not file_path.exists() and is_needed:
        require_environment(common, file_path)
    found = read_process(process, (*CONNECTION_KEYS, *DIRECT_KEYS))
    if found.params:
        return Found(found.params, "DB_* variables", found.direct, "DB_DIRECT_*")
    named = [name for name in NAMING_VARIABLES if process.get(name)]
    if not named and is_needed:
        raise UsageError(
            "no database is named",
            code="NoDatabase",
            hint="give --database, --database-secret, DATABASE_URL, --environment with its "
            "file, DB_HOST …, or PGHOST and PGDATABASE",
        )
    return Found({}, "PG* variables")
