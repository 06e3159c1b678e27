"""The database itself, where the usual connection goes through a connection pooler.

Applications are given a pooled address; migrating needs the server's own. Whoever names
the one may name the other beside it, and it is then used by every command:

- ``--direct-database`` (or ``DBMIGRATE_DIRECT_DATABASE``), beside any source;
- ``direct-uri`` in a Secret's folder; ``DIRECT_DATABASE_URL`` beside ``DATABASE_URL``;
  ``DB_DIRECT_HOST`` and ``DB_DIRECT_PORT`` beside ``DB_HOST``.

Both are the same database. So what the direct one leaves open (user, password, name …) is
the pooled one's; and one that comes from elsewhere than the pooled one is never taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbmigrate.errors import UsageError

if TYPE_CHECKING:
    from dbmigrate.cli.options.merged import Common

_ADDRESS = frozenset({"host", "hostaddr", "port"})


@dataclass(frozen=True, slots=True)
class Found:
    """A connection, and who named it."""

    params: Mapping[str, str]
    """libpq's keywords."""
    origin: str
    direct: Mapping[str, str] | None = None
    """What the same source says of the server itself."""
    direct_origin: str = ""


def by_option(common: Common) -> tuple[dict[str, str], str] | None:
    """What ``--direct-database`` or its variable says.

    Raises:
        UsageError: it cannot be read, or holds a password that was typed.
    """
    if common.direct_database is None:
        return None
    return option_uri(
        common.direct_database, "--direct-database", is_typed="direct_database" in common.typed
    )


def option_uri(text: str, option: str, *, is_typed: bool) -> tuple[dict[str, str], str]:
    """The connection that an option or its variable holds, and the name of the one that did.

    Raises:
        UsageError: code InvalidDatabaseUri, or PasswordOnCommandLine.
    """
    from dbmigrate.postgres.server.conninfo import parse_conninfo  # noqa: PLC0415 -- loads psycopg
    from dbmigrate.postgres.server.unreachable import SECRETS  # noqa: PLC0415 -- as above

    variable = "DBMIGRATE_" + option.removeprefix("--").replace("-", "_").upper()
    origin = option if is_typed else variable
    params = parse_conninfo(text, origin=origin)
    if is_typed and params.keys() & SECRETS:
        raise UsageError(
            f"{option} holds a password, which every user of this machine can read there",
            code="PasswordOnCommandLine",
            hint="leave it out, and give it by PGPASSWORD, a password file (~/.pgpass or "
            "PGPASSFILE), DATABASE_URL, or a Secret's folder (--database-secret)",
        )
    return params, origin


def merged(pooled: Mapping[str, str], direct: Mapping[str, str]) -> dict[str, str]:
    """The direct connection; what it leaves open is the pooled one's, but never its address."""
    given = {key: value for key, value in pooled.items() if key not in _ADDRESS}
    return {**given, **direct}
