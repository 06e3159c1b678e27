"""The kinds of integrity checks: what each may say, named after dbt's data tests where dbt has one.

How a kind looks for rows that offend is said by `dbmigrate.postgres.integrity.kinds`.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    model_validator,
)

from dbmigrate.api.base import ApiModel, cel

_MAX_VALUE = 256
_SAME_LENGTH = "both sides must name the same number of columns"
_MIN_OR_MAX = "give min, max or both"


def _short(value: int | str) -> int | str:
    if len(str(value)) > _MAX_VALUE:
        raise ValueError(f"a value may have {_MAX_VALUE} characters")
    return value


Table = Annotated[
    str,
    StringConstraints(min_length=1, max_length=127, pattern=r'^([^."]{1,63}\.)?[^."]{1,63}$'),
]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r'^[^"]+$')]
Columns = Annotated[
    tuple[Identifier, ...],
    Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]
Value = Annotated[
    StrictInt | str,
    AfterValidator(_short),
    Field(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": _MAX_VALUE}),
]


class ReferencedColumns(ApiModel):
    """Columns of a table."""

    table: Table
    """Table or view, such as `shop.users`; without a schema it is looked up by the connection's
    search_path. Names are taken as they are written: no folding to lower case, no quotes."""

    columns: Columns
    """Columns, in the order in which they pair with those of the other side."""


class Relationship(ApiModel):
    """Rows whose referenced row does not exist (orphans), declared as foreign key or not.

    A row with NULL in one of the columns refers to nothing and is no orphan.
    """

    model_config = ConfigDict(
        json_schema_extra=cel({"size(self.columns) == size(self.references.columns)": _SAME_LENGTH})
    )

    table: Table
    """Table whose rows refer to another, such as `shop.orders`."""

    columns: Columns
    """Columns that hold the reference."""

    references: ReferencedColumns
    """What they refer to."""

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if len(self.columns) != len(self.references.columns):
            raise ValueError(_SAME_LENGTH)
        return self


class ForeignKeys(ApiModel):
    """Every foreign key that is declared, verified row by row.

    Also those that are NOT VALID, and those whose triggers were disabled during a bulk load. A
    check that finds no foreign key at all is an ERROR. Without schemas and tables all schemas but
    PostgreSQL's own are looked at.
    """

    schemas: Annotated[
        tuple[Identifier, ...],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Schemas whose tables' foreign keys are verified."""

    tables: Annotated[
        tuple[Table, ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Tables whose foreign keys are verified."""


class StoredCount(ApiModel):
    """Rows whose stored count differs from the number of rows that it counts."""

    model_config = ConfigDict(
        json_schema_extra=cel({"size(self.key) == size(self.counts.columns)": _SAME_LENGTH})
    )

    table: Table
    """Table that holds the count, such as `shop.customers`."""

    column: Identifier
    """Column that holds the count. NULL is a difference."""

    key: Columns
    """Columns that the counted rows refer to, such as the primary key."""

    counts: ReferencedColumns
    """The counted rows' table, and its columns that refer to the key."""

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if len(self.key) != len(self.counts.columns):
            raise ValueError(_SAME_LENGTH)
        return self


class Unique(ApiModel):
    """Rows that share a key. NULL equals nothing: a row with NULL in the key is no duplicate."""

    table: Table
    """Table whose rows are compared."""

    columns: Columns
    """The key that must differ from row to row."""


class AcceptedValues(ApiModel):
    """Rows whose column holds another value than those listed. NULL passes."""

    table: Table
    """Table whose rows are looked at."""

    column: Identifier
    """Column that is compared, as text."""

    values: Annotated[
        tuple[Value, ...],
        Field(min_length=1, max_length=256, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    """All values that are allowed."""


class Pattern(ApiModel):
    """Rows whose column does not match a regular expression. NULL passes."""

    table: Table
    """Table whose rows are looked at."""

    column: Identifier
    """Column that is matched, as text."""

    regex: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """POSIX regular expression as PostgreSQL's operator `~` takes it; begin with ^ and end with $
    to match the whole value."""


class Range(ApiModel):
    """Rows whose column lies outside of the bounds. NULL passes."""

    model_config = ConfigDict(
        json_schema_extra=cel({"has(self.min) || has(self.max)": _MIN_OR_MAX})
    )

    table: Table
    """Table whose rows are looked at."""

    column: Identifier
    """Column that is compared: a number, a date, a time."""

    min: Value | None = None
    """Smallest value that is allowed; a fraction or a date as text, such as "0.5"."""

    max: Value | None = None
    """Greatest value that is allowed."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError(_MIN_OR_MAX)
        return self


class Query(ApiModel):
    """Whatever the other kinds cannot say: a query that returns the rows that are wrong."""

    sql: Annotated[str, StringConstraints(min_length=1, max_length=16384)]
    """One SELECT (or WITH, VALUES, TABLE) that returns the offending rows; no row means PASS. Its
    first columns are shown: put the key first. It runs in a read-only transaction."""
