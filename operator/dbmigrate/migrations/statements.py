"""The reader of SQL scripts, as the rest of the program sees it.

A script is decoded, split into statements as psql would split it, and each statement
told apart by what it means for the file's transaction. It is for reading only: nothing
here changes a statement's text, because what was checked is what must run. How it is
done is in `dbmigrate.migrations.sql`.
"""

from dbmigrate.migrations.sql.kinds import (
    StatementKind,
    classify,
    kind_of,
    sends_to_client,
)
from dbmigrate.migrations.sql.split import Statement, Statements, split
from dbmigrate.migrations.sql.text import Decoder, decode, excerpt, excerpt_of, position

__all__ = [
    "Decoder",
    "Statement",
    "StatementKind",
    "Statements",
    "classify",
    "decode",
    "excerpt",
    "excerpt_of",
    "kind_of",
    "position",
    "sends_to_client",
    "split",
]
