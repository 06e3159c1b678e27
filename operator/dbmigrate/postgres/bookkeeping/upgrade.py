"""Makes the tables, or brings an older release's to this one's version, in one transaction.

The caller holds the advisory lock. Each step runs with search_path set to the history
schema alone, so its file names tables without a schema. Killed anywhere, the tables are
as they were.
"""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
from psycopg import sql

from dbmigrate import __version__
from dbmigrate.errors import RefusedError
from dbmigrate.postgres.bookkeeping.steps import STEPS, VERSION
from dbmigrate.postgres.bookkeeping.tables import DENIED, TABLES, Bookkeeping, denied
from dbmigrate.postgres.server.session import Session


def bring_up_to_date(session: Session, found: Bookkeeping) -> Bookkeeping:
    """Run the steps that the tables have not had; nothing when they have had all.

    Raises:
        RefusedError: the role may not (BookkeepingDenied), or something of such a name
            is in the way (ForeignHistory).
    """
    missing = [path for number, path in STEPS.items() if number > found.version]
    if not missing:
        return found
    connection = session.connection
    marker = json.dumps({"version": VERSION, "by": __version__})
    try:
        with session.guarding(), connection.transaction():
            schema = sql.Identifier(found.schema)
            connection.execute(sql.SQL("set local search_path = {}").format(schema))
            for path in missing:
                connection.execute(path.read_bytes())
            connection.execute(
                "insert into migration_settings (key, value) values ('bookkeeping', %s) "
                "on conflict (key) do update set value = excluded.value, updated_at = now()",
                [marker],
            )
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName) as error:
        if found.exists:
            raise _not_owner(session, found, str(error)) from None
        # A schema that the role may not use is, for search_path, not there.
        raise denied(found.schema, str(error)) from None
    except (psycopg.errors.DuplicateTable, psycopg.errors.DuplicateFunction) as error:
        first = str(error).splitlines()[0]
        raise RefusedError(
            f"in the schema {found.schema} something has the name of ours: {first}",
            code="ForeignHistory",
            hint="keep our history apart: give a schema of its own by --history-schema",
        ) from None
    return replace(found, exists=True, version=VERSION)


_OWNERS = """
    select pg_catalog.string_agg(distinct pg_catalog.pg_get_userbyid(c.relowner)::text, ', ')
    from pg_catalog.pg_class as c
    where c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(schema)s))
        and c.relname = any(%(tables)s::name[])
"""


def _not_owner(session: Session, found: Bookkeeping, reason: str) -> RefusedError:
    """The tables are of an older release, and only their owner may change them."""
    parameters = {"schema": found.schema, "tables": list(TABLES)}
    owner = session.query(_OWNERS, parameters)[0][0]
    user = found.session_user
    return RefusedError(
        f"the history in the schema {found.schema} is of an older release, and the role {user} "
        f"may not bring it up to date: {reason.splitlines()[0]}",
        code=DENIED,
        hint=f"run `dbmigrate up` once as the owner, {owner}; or make {user} a member: "
        f"grant {owner} to {user}; it also needs create on the schema {found.schema}",
    )
