"""The reader of SQL scripts, as the rest of the program sees it.

A script is decoded, split into statements as psql would split it, and each statement
told apart by what it means for the file's transaction. It is for reading only: nothing
here changes a statement's text, because what was checked is what must run. How it is
done is in `dbmigrate.migrations.sql`.
"""

from dbmigrate.migrations.sql.kinds import StatementKind, classify, is_copy_from_stdin, kind_of
from dbmigrate.migrations.sql.split import Statement, split
from dbmigrate.migrations.sql.text import decode, excerpt, position

__all__ = [
    "Statement",
    "StatementKind",
    "classify",
    "decode",
    "excerpt",
    "is_copy_from_stdin",
    "kind_of",
    "position",
    "split",
]
