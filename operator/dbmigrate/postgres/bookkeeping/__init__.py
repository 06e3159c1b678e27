"""The tables in which the database remembers its migrations: there, missing, or not ours.

Looking creates nothing. Commands that write bring the tables up to date under the advisory
lock, in one transaction. Tables of another tool, or of a newer release of this one, are
refused. What the tables say is read and written by `dbmigrate.postgres.history` and its like.
"""

from dbmigrate.postgres.bookkeeping.environment import check_environment, remember_environment
from dbmigrate.postgres.bookkeeping.steps import VERSION
from dbmigrate.postgres.bookkeeping.tables import (
    HISTORY,
    REPAIRS,
    TABLES,
    Bookkeeping,
    denied_tables,
    look,
)
from dbmigrate.postgres.bookkeeping.upgrade import bring_up_to_date

__all__ = [
    "HISTORY",
    "REPAIRS",
    "TABLES",
    "VERSION",
    "Bookkeeping",
    "bring_up_to_date",
    "check_environment",
    "denied_tables",
    "look",
    "remember_environment",
]
