"""What to do about an error of the server's, where more can be said than "correct the file".

By SQLSTATE (PostgreSQL manual, appendix A); by the message too where one state has many
causes. A server that speaks another language than English gives the state's own advice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from dbmigrate.postgres.server.session import ServerError

_BY_STATE: Final = {
    "55P03": "somebody uses the table: run again at a quieter time, or raise --lock-timeout",
    "40P01": "two sessions waited for each other: run again",
    "42501": "grant the right to the role that migrates, or connect as one that has it",
    "57014": "it was cancelled, or --statement-timeout was over",
    "57P01": "the server is shutting down, or the session was ended on purpose: run again",
    "25006": "the session is read-only: leave out what the file sets, or see who made it so "
    "(default_transaction_read_only of the role or the database, a failover)",
    "53100": "free space on the server's disk, or give the tablespace more, then run again",
    "53200": "the server is out of memory: lower work_mem or maintenance_work_mem by --set, "
    "or run at a quieter time",
    "53300": "free connections, or raise max_connections or the limit of the role or database",
    "53400": "raise the limit that it names (temp_file_limit …) by --set, or let the file do less "
    "at a time",
    "58P01": "the server misses a file of its own: install what it names on the server's machine",
    "58030": "the server's disk does not work as it should: look at the server's log first",
    "XX001": "data on the server's disk is damaged: stop here, and look at backups first",
    "XX002": "an index is damaged: REINDEX it, and look at the server's disk",
}


class _Case(NamedTuple):
    states: tuple[str, ...]
    pattern: str
    advice: str


_CASES: Final = (
    _Case(
        ("0A000", "58P01"),
        r'extension "(?P<name>[^"]+)" is not available|extension control file',
        "install the extension's package on the server's machine (pg_available_extensions lists "
        "what is there), then run again",
    ),
    _Case(
        ("42501",),
        r'permission denied to create extension "(?P<name>[^"]+)"',
        'let an administrator run CREATE EXTENSION "{name}" in this database, and write '
        "IF NOT EXISTS into the file",
    ),
    _Case(
        ("42501",),
        r"permission denied for schema (?P<name>.+)",
        "grant usage, create on schema {name} to the role that migrates",
    ),
    _Case(
        ("42501",),
        r"permission denied for database (?P<name>.+)",
        "grant create on database {name} to the role that migrates",
    ),
    _Case(
        ("42501",),
        r"must be owner of (?P<name>.+)",
        "only its owner may: connect as the owner of {name}, or make the role that migrates "
        "a member of that role",
    ),
    _Case(
        ("42501",),
        r'permission denied to set parameter "(?P<name>[^"]+)"',
        "grant set on parameter {name} to the role that migrates (PostgreSQL 15 and later)",
    ),
)


def advice_for(error: ServerError) -> str:
    """What to do; empty when nothing is known but what the server says."""
    for case in _CASES:
        found = re.search(case.pattern, error.message) if error.sqlstate in case.states else None
        if found:
            return case.advice.format_map({"name": "", **found.groupdict()})
    return _BY_STATE.get(error.sqlstate, "")


def advice_for_lock(sqlstate: str, lock_timeout: str) -> str:
    """What to do when a file did not get a lock that has a lock timeout of its own.

    Args:
        sqlstate: the server's.
        lock_timeout: as the file's header has it.

    Returns:
        Empty for other states than 55P03.
    """
    if sqlstate != "55P03":
        return ""
    return (
        "somebody uses the table: run again at a quieter time, or raise lock_timeout in the file's "
        f"header, where it is {lock_timeout}"
    )
