"""Liquibase's table ``databasechangelog``, and ``databasechangeloglock`` beside it.

Source: Liquibase's documentation, "DATABASECHANGELOG table"; tried with Liquibase 4.31. A
changeset is known by its file, id and author; one file may hold several. Of checksums of
version 9 (Liquibase 4.22 and later) for SQL, the way is known: MD5 of the text without its
white space, and MD5 of that once more. Older ones cannot be compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from psycopg import sql

from dbmigrate.migrations.foreign import Digests, ForeignHistory, ForeignMigration, version_of
from dbmigrate.migrations.source import MigrationFile
from dbmigrate.postgres.adoption.tool import LOCAL_TIME, Table, Tool, unfinished
from dbmigrate.postgres.server.session import Session

_QUERY = f"""
    select id, author, filename, exectype, md5sum, description, {LOCAL_TIME.format("dateexecuted")}
    from {{}} order by orderexecuted, dateexecuted
"""  # noqa: S608 -- our constants
_LOCK = "select lockedby from {} where locked"
_HAS_LOCK = "select pg_catalog.to_regclass(%s) is not null"
_RAN = frozenset({"EXECUTED", "RERAN", "MARK_RAN"})

_FORMATTED = re.compile(r"\s*--\s*liquibase\s+formatted\s+sql\b.*", re.IGNORECASE)
_CHANGESET = re.compile(r"\s*--\s*changeset\s+(?P<name>\"[^\"]+\"|\S+).*", re.IGNORECASE)
_REMARK = re.compile(
    r"\s*--\s*(rollback|preconditions|precondition-\S+|comment:|property|validchecksum:?|"
    r"ignorelines|labels|context)\b.*",
    re.IGNORECASE,
)
_VERSION = "9:"
_WHITE = re.compile(r"[ \n\r\t]")


def read(session: Session, table: Table) -> ForeignHistory:
    """The changesets that are applied now.

    Raises:
        RefusedError: a run holds Liquibase's lock (AdoptionUnfinished).
    """
    lock = f"{table.name}lock"
    name = table.beside(lock).as_string(session.connection)
    if session.query(_HAS_LOCK, [name])[0][0]:
        held = session.compose(sql.SQL(_LOCK).format(table.beside(lock)))
        if held:
            raise unfinished(
                "liquibase",
                f"its lock is held by {held[0][0]}",
                "wait for that run; one that died is freed by `liquibase release-locks`",
            )
    rows = session.compose(sql.SQL(_QUERY).format(table.identifier))
    ran = [row for row in rows if row[3] in _RAN]
    ids = [row[0] for row in ran]
    notes = [
        f"{file}::{id_}::{author}: not adopted, since it did not run ({kind.lower()})"
        for id_, author, file, kind, *_ in rows
        if kind not in _RAN
    ]
    migrations = tuple(
        ForeignMigration(
            key=f"{file}::{id_}::{author}",
            label=f"{file}::{id_}::{author}",
            version=version_of(id_) if ids.count(id_) == 1 else None,
            name=_name_of(file),
            group=file,
            digest=_comparable(md5sum, description),
            part=f"{id_}::{author}",
            applied_at=when,
            applied_by=author,
        )
        for id_, author, file, _, md5sum, description, when in ran
    )
    return ForeignHistory("liquibase", str(table), migrations, notes=tuple(notes))


def _comparable(md5sum: str | None, description: str | None) -> str:
    """The checksum, if it is one that a file of SQL can have; else nothing."""
    is_sql = (description or "").startswith(("sql", "sqlFile"))
    return md5sum if md5sum and is_sql and md5sum.startswith(_VERSION) else ""


def _name_of(file: str) -> str:
    """What a changelog's file is named, without its folder, number and end."""
    base = file.rpartition("/")[2].partition(".")[0]
    return re.sub(r"^[vV]?[0-9][0-9._-]*", "", base)


def digests(file: MigrationFile) -> Digests:
    """Those of its changesets, when it is formatted SQL; else of the whole, as if it were one."""
    text = file.data.decode("utf-8-sig")
    sections = {name: checksum(part) for name, part in _sections(text)}
    return sections or {"": checksum(text)}


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """The changesets of formatted SQL: ``id::author`` and the text; none in any other file."""
    name, lines = "", list[str]()
    for line in text.splitlines(keepends=True):
        begins = _CHANGESET.fullmatch(line.rstrip("\r\n"))
        if begins:
            if name:
                yield name, "".join(lines)
            author, _, id_ = begins["name"].strip('"').partition(":")
            name, lines = f"{id_}::{author}", []
        elif name and not _REMARK.fullmatch(line.rstrip("\r\n")):
            lines.append(line)
    if name:
        yield name, "".join(lines)


def checksum(text: str) -> str:
    """Liquibase's checksum, version 9, of a changeset that is this SQL."""
    lines = [line for line in text.splitlines() if not _FORMATTED.fullmatch(line)]
    of_text = hashlib.md5(_WHITE.sub("", "\n".join(lines)).encode(), usedforsecurity=False)
    of_change = f"{_VERSION}{of_text.hexdigest()}:"
    of_changeset = hashlib.md5(of_change.encode(), usedforsecurity=False)
    return f"{_VERSION}{of_changeset.hexdigest()}"


LIQUIBASE = Tool(
    "liquibase",
    ("databasechangelog",),
    frozenset({"id", "author", "filename", "dateexecuted", "orderexecuted", "exectype", "md5sum"}),
    read,
    digests,
)
