"""A scratch database: made beside the target on its server, like it in encoding and locale.

It is removed in the end, whatever happened. When the process is killed it stays; the next
one finds it by its name, its age and that nobody is connected, and removes it. The session
that watches over it keeps it from being taken for such a one.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from dbmigrate.errors import DbmigrateError, RefusedError
from dbmigrate.postgres.rollback import catalog
from dbmigrate.postgres.rollback.tables import execute
from dbmigrate.postgres.server.connection import connect
from dbmigrate.postgres.server.interruption import Interrupted, Interruption
from dbmigrate.postgres.server.session import ConnectionLostError, Session
from dbmigrate.postgres.server.settings import CATALOG, ConnectionSettings, SessionSettings

if TYPE_CHECKING:
    from dbmigrate.postgres.options import RunOptions

_PREFIX: Final = "dbmigrate_prove_"
_NAME: Final = re.compile(rf"{_PREFIX}(?P<made>[0-9a-f]{{8}})_[0-9a-f]{{8}}")
_STALE: Final = 600
"""Seconds after which one without connections is not about to be used."""

_LIKE_THIS: Final = """
    select pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
        pg_catalog.to_jsonb(d) ->> 'datlocprovider',
        coalesce(
            pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'
        ),
        pg_catalog.to_jsonb(d) ->> 'daticurules'
    from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database()
"""
_ABANDONED: Final = """
    select d.datname from pg_catalog.pg_database as d
    where pg_catalog.starts_with(d.datname, %s) and pg_catalog.pg_has_role(d.datdba, 'usage')
        and not exists (
            select from pg_catalog.pg_stat_activity as a where a.datid = d.oid
        )
"""


@dataclass
class Scratch:
    """The database, and a session in it."""

    settings: ConnectionSettings
    session: Session
    renew: Callable[[], None] | None
    """Makes it anew, empty; None when it was given and is not ours to drop."""

    @property
    def name(self) -> str:
        """Of the database."""
        return self.settings.params.get("dbname", "")


@contextlib.contextmanager
def made(
    server: ConnectionSettings,
    options: RunOptions,
    interruption: Interruption,
    warn: Callable[[str], None],
) -> Iterator[Scratch]:
    """A new one on that server, removed afterwards.

    Raises:
        RefusedError: ScratchDenied: the role may not make databases.
        UnreachableError, Interrupted: as connecting says.
    """
    wanted = SessionSettings(
        "prove", connect_timeout=options.connect_timeout, search_path=CATALOG, is_writing=True
    )
    admin = connect(server, wanted, interruption)
    try:
        _remove_abandoned(admin, warn)
        # Known before it is there: a signal in between must not leave it behind.
        name = f"{_PREFIX}{int(time.time()):08x}_{secrets.token_hex(4)}"
        settings = replace(server, params={**server.params, "dbname": name})
        scratch: Scratch | None = None
        try:
            like = _like(admin)
            _create(admin, name, like)
            scratch = Scratch(settings, connect(settings, wanted, interruption), None)
            _prepare(scratch.session, options)

            def renew() -> None:
                assert scratch is not None  # noqa: S101 -- for the type checker
                scratch.session.close()
                execute(admin, SQL("drop database {} with (force)").format(Identifier(name)))
                _create(admin, name, like)
                scratch.session = connect(settings, wanted, interruption)
                _prepare(scratch.session, options)

            scratch.renew = renew
            yield scratch
        finally:
            if scratch is not None:
                scratch.session.close()
            _drop(server, name, warn)
    finally:
        admin.close()


@contextlib.contextmanager
def given(
    settings: ConnectionSettings, options: RunOptions, interruption: Interruption
) -> Iterator[Scratch]:
    """One that the user made for it: it must be empty, and is left as it is in the end.

    Raises:
        RefusedError: code ScratchNotEmpty.
    """
    wanted = SessionSettings(
        "prove", connect_timeout=options.connect_timeout, search_path=CATALOG, is_writing=True
    )
    session = connect(settings, wanted, interruption)
    try:
        objects = catalog.take(session, options.history_schema)
        there = [key for key in objects if key.kind in _CONTENT]
        if there:
            raise RefusedError(
                f"the scratch database {settings.place} is not empty: it has {there[0]}",
                code="ScratchNotEmpty",
                hint="give an empty database; what is in it would be migrated up and down",
            )
        _prepare(session, options)
        yield Scratch(settings, session, None)
    finally:
        session.close()


_CONTENT: Final = frozenset(
    {"table", "view", "materialized view", "sequence", "function", "procedure", "type", "domain"}
)


def _prepare(session: Session, options: RunOptions) -> None:
    statement = SQL("create schema if not exists {}").format(Identifier(options.history_schema))
    execute(session, statement)


def _like(admin: Session) -> Composable:
    """The options of CREATE DATABASE for one like that of the session."""
    ((encoding, collate, ctype, provider, locale, rules),) = admin.query(_LIKE_THIS)
    values = [("encoding", encoding), ("lc_collate", collate), ("lc_ctype", ctype)]
    if provider == "i" and locale is not None:
        values += [("locale_provider", "icu"), ("icu_locale", locale)]
        if rules is not None:
            values.append(("icu_rules", rules))
    elif provider == "b" and locale is not None:
        values += [("locale_provider", "builtin"), ("builtin_locale", locale)]
    parts = (SQL("{} {}").format(Identifier(key), Literal(value)) for key, value in values)
    return SQL(" ").join(parts)


def _create(admin: Session, name: str, like: Composable) -> None:
    try:
        execute(
            admin,
            SQL("create database {} template template0 {}").format(Identifier(name), like),
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise RefusedError(
            "the role may not make a scratch database",
            code="ScratchDenied",
            hint="alter role … createdb; or give an empty database by --scratch URI",
        ) from error


def _drop(server: ConnectionSettings, name: str, warn: Callable[[str], None]) -> None:
    """Over a connection of its own: the signal that ended the run must not end this."""
    try:
        admin = connect(
            server, SessionSettings("prove", search_path=CATALOG, is_writing=True), Interruption()
        )
        try:
            execute(admin, SQL("drop database if exists {} with (force)").format(Identifier(name)))
        finally:
            admin.close()
    except (DbmigrateError, ConnectionLostError, Interrupted, psycopg.Error) as error:
        warn(
            f"the scratch database {name} could not be removed ({str(error).splitlines()[0]}): "
            "the next `dbmigrate prove` does it"
        )


def _remove_abandoned(admin: Session, warn: Callable[[str], None]) -> None:
    """Remove what killed runs have left."""
    for (name,) in admin.query(_ABANDONED, [_PREFIX]):
        match = _NAME.fullmatch(name)
        if match is None or time.time() - int(match["made"], 16) < _STALE:
            continue
        try:  # without FORCE: somebody may have come since
            execute(admin, SQL("drop database {}").format(Identifier(name)))
        except psycopg.Error as error:
            warn(f"the scratch database {name} of a killed run is still there: {error}")
        else:
            warn(f"removed the scratch database {name} of a killed run")
