"""What objects a database has, as text: to compare two moments, or two databases.

A snapshot maps each object, by kind and identity, to its definition as the server writes
it; the fingerprint is one hash over all of it. The SQL is in ``catalog.sql``. Data are not
part of it, nor is what dbmigrate keeps for itself. Nothing is changed here.
"""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.sql import Literal

from dbmigrate.postgres.bookkeeping import TABLES
from dbmigrate.postgres.rollback.tables import execute, verbatim

if TYPE_CHECKING:
    from dbmigrate.postgres.server.session import Session

_SCRIPT: Final = Path(__file__).with_name("catalog.sql")
COLUMN_ORDER: Final = "column order"
"""The one kind that a rollback often cannot bring back: a column that is added comes last."""
_DIFF_LINES: Final = 20


class ObjectId(NamedTuple):
    """Which object it is."""

    kind: str
    """``table``, ``column``, ``constraint``, ``function``, ``privileges`` … in the words of SQL."""
    identity: str
    """Its name with its schema; for what belongs to a table, with that."""

    def __str__(self) -> str:
        """For people."""
        return f"{self.kind} {self.identity}"


Catalog = dict[ObjectId, str]
"""Each object's definition."""


class Difference(StrEnum):
    """How an object differs."""

    MISSING = "missing"
    """It was there, and is not any more."""
    EXTRA = "extra"
    """It was not there, and is now."""
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class ObjectDifference:
    """One object that is not the same in two snapshots."""

    object: ObjectId
    difference: Difference
    diff: str = ""
    """The lines of its definition that differ, as in a unified diff."""


def take(session: Session, history_schema: str) -> Catalog:
    """A snapshot, in a transaction of its own or in the caller's.

    Args:
        session: any; its search_path is left as it was.
        history_schema: where the bookkeeping is, which is left out.
    """
    connection = session.connection
    text = _SCRIPT.read_text("utf-8")
    text = text.replace(":history", Literal(history_schema).as_string(connection))
    names = Literal(list(TABLES)).as_string(connection)
    text = text.replace(":tables", f"{names}::name[]")
    with session.guarding(), connection.transaction():
        session.query("set local search_path = pg_catalog")
        rows = execute(session, verbatim(text))
    return {ObjectId(kind, identity): definition for kind, identity, definition in rows}


def fingerprint(catalog: Catalog) -> str:
    """SHA-256 over all objects and their definitions, hexadecimal."""
    digest = hashlib.sha256()
    for key in sorted(catalog):
        for part in (*key, catalog[key]):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def compare(before: Catalog, after: Catalog) -> tuple[ObjectDifference, ...]:
    """The objects that are not the same, by name; what belongs to a missing one is not named."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        if key not in after:
            found.append(ObjectDifference(key, Difference.MISSING))
        elif key not in before:
            found.append(ObjectDifference(key, Difference.EXTRA))
        elif before[key] != after[key]:
            diff = _diff(before[key], after[key])
            found.append(ObjectDifference(key, Difference.CHANGED, diff))
    wholes = {(each.difference, str(each.object)) for each in found}
    return tuple(each for each in found if not _follows(each, wholes))


def _follows(each: ObjectDifference, wholes: set[tuple[Difference, str]]) -> bool:
    """Whether it is missing or extra only because its table, or another whole, is."""
    kind, identity = each.object
    if kind in ("owner", "privileges"):
        titles = [identity]
    elif kind == "comment":  # "column c of table s.t", "constraint c on table s.t"
        titles = [identity, identity.partition(" of ")[2], identity.partition(" on ")[2]]
    else:
        if kind == "column":
            whole = identity.rpartition(".")[0]
        elif kind == COLUMN_ORDER:
            whole = identity
        else:
            whole = identity.partition(" on ")[2]
        titles = [f"{each} {whole}" for each in _WHOLES]
    return any((each.difference, title) in wholes for title in titles)


_WHOLES: Final = ("table", "foreign table", "view", "materialized view", "type", "domain")


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    shown = [line for line in list(lines)[2:] if not line.startswith("@@")]
    if len(shown) > _DIFF_LINES:
        shown = [*shown[:_DIFF_LINES], f"… and {len(shown) - _DIFF_LINES} more lines"]
    return "\n".join(shown)
