"""What is in a table, as sums that do not depend on the rows' order: to compare two moments.

A table that was rewritten (TRUNCATE, ALTER COLUMN … TYPE, SET LOGGED) may hold the same as
before: then nothing is lost. Values are compared as their texts, so that an integer that
became a bigint is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.sql import SQL, Composable, Composed, Literal

from dbmigrate.postgres.rollback.tables import Table, as_text, execute

if TYPE_CHECKING:
    from dbmigrate.postgres.server.session import Session


@dataclass(frozen=True, slots=True)
class Contents:
    """The sums of one table at one moment."""

    rows: int
    whole: tuple[int, ...]
    """Of its rows as a whole."""
    columns: dict[int, tuple[int, ...]]
    """Of each column, by its number."""


def contents(session: Session, table: Table, numbers: tuple[int, ...]) -> Contents:
    """Read the table and sum up what is in these columns."""
    names = {each.number: each.name for each in table.columns}
    values = SQL(", ").join(as_text(names[number]) for number in numbers)
    sums: list[Composable] = [SQL("count(*)"), *_sums(SQL("pg_catalog.concat(v)"))]
    for place in range(1, len(numbers) + 1):
        value = SQL("v[{}]").format(Literal(place))
        sums += [SQL("count({})").format(value), *_sums(value)]
    query = SQL("select {} from (select array[{}]::pg_catalog.text[] as v from only {}) as t")
    ((rows, *found),) = execute(
        session, query.format(SQL(", ").join(sums), values, table.identifier)
    )
    columns = {
        number: tuple(found[2 + 3 * place : 5 + 3 * place]) for place, number in enumerate(numbers)
    }
    return Contents(rows, tuple(found[:2]), columns)


def _sums(value: Composable) -> list[Composed]:
    """Two independent sums of 64-bit hashes: the collision of one is not the other's."""
    return [
        SQL('coalesce(sum(pg_catalog.hashtextextended({} collate "C", {})), 0)').format(
            value, Literal(seed)
        )
        for seed in (0, 1)
    ]
