"""A clean session: what our own statements need between, before and behind a file's.

Each file starts from a session in which nothing of another file is left, and our own
statements run as the role that logged in, in our own search_path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dbmigrate.migrations.sql.session_state import resets_all, resets_lock_timeout
from dbmigrate.migrations.statements import Statement
from dbmigrate.postgres.server.session import Request, Session

CLEAR: Final = tuple(
    Request(text)
    for text in (
        "close all",
        "unlisten *",
        "deallocate all",
        "discard temp",
        "discard sequences",
    )
)
"""What DISCARD ALL does (PostgreSQL manual), but for the advisory locks, and for the settings,
which `RESTORE` is for."""
RESTORE: Final = (
    Request("reset session authorization"),
    Request("reset role"),
    Request("reset all"),
)
"""Who we are and how the session is set, as when it began; then follows the session's own
`restore`."""
THEIR_PATH: Final = Request("set search_path to default")
"""The role's own, which a file expects; between files it is ours."""
OUR_PATH: Final = Request("set local search_path = pg_catalog")
OURS: Final = (
    Request("set local session authorization default"),
    Request("set local role none"),
    OUR_PATH,
)
"""For statements of ours within a transaction of the file's, and until its end."""
ALL_CHECKED: Final = Request("set constraints all immediate")
BEGIN: Final = Request("begin")
COMMIT: Final = Request("commit")
ROLLBACK: Final = Request("rollback")


def renewed(
    session: Session, statement: Statement, settings: tuple[Request, ...]
) -> tuple[Request, ...]:
    """What is set again behind a statement of a file that has taken it back, mostly nothing.

    RESET is meant for what the file has set, not for our lock_timeout, by which other sessions
    are spared.
    """
    if resets_all(statement):
        return (session.restore, THEIR_PATH, *settings)
    if resets_lock_timeout(statement):
        params = session.restore.params
        ours = dict(zip(params[::2], params[1::2], strict=True))
        for request in settings:
            ours.update(zip(request.params[::2], request.params[1::2], strict=True))
        value = ours.get("lock_timeout")
        return settings_of({"lock_timeout": value}, is_local=False) if value else ()
    return ()


def settings_of(values: Mapping[str, str], *, is_local: bool) -> tuple[Request, ...]:
    """Set run-time parameters: for the transaction, or for the session. None for no values."""
    if not values:
        return ()
    calls = ", ".join(
        f"pg_catalog.set_config(${number}, ${number + 1}, {str(is_local).lower()})"
        for number in range(1, 2 * len(values), 2)
    )
    return (Request(f"select {calls}", tuple(text for pair in values.items() for text in pair)),)
