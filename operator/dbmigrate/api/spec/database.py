"""Which database is migrated, and where in it the history is."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from dbmigrate.api.base import ApiModel
from dbmigrate.api.spec.fields import LocalReference, matching


class Database(ApiModel):
    """The database to migrate."""

    secret_ref: LocalReference
    """Secret that tells how to connect: one key `uri`, or `host`, `port`, `dbname` (or
    `database`), `user` (or `username`), `password`, `sslmode` and libpq's other keywords, as
    CloudNativePG and the Service Binding specification write them. Only the Job's pod reads it;
    the operator never does."""

    history_schema: Annotated[
        str,
        StringConstraints(min_length=1, max_length=63),
        matching(
            r"^[a-z_][a-z0-9_]*$",
            "a schema's name has lower-case letters, digits and '_', and begins with no digit",
            {
                "self == oldSelf": "historySchema cannot be changed: another schema has another "
                "history, and every migration would run again",
                "!self.startsWith('pg_')": "a schema whose name begins with pg_ is PostgreSQL's "
                "own",
            },
        ),
    ] = "public"
    """Schema of the database that holds the history table `schema_migrations` and the other
    bookkeeping. It must exist. It cannot be changed later."""
