"""The commands about kept data: list, restore, purge."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dbmigrate.errors import UsageError
from dbmigrate.postgres import bookkeeping, lock
from dbmigrate.postgres.rollback import kept
from dbmigrate.postgres.rollback.restore import restore
from dbmigrate.postgres.rollback.sizes import format_size

if TYPE_CHECKING:
    from dbmigrate.postgres.bookkeeping import Bookkeeping
    from dbmigrate.postgres.context import Context
    from dbmigrate.postgres.server.session import Session


def _list(context: Context) -> None:
    session = context.connect()
    context.found = bookkeeping.look(session, context.options.history_schema)
    context.warn_of_standby()
    context.kept += kept.listed(session, context.found)
    size = sum(each.size for each in context.kept)
    context.message = (
        f"{_sets(len(context.kept))} of {format_size(size)}" if context.kept else "nothing is kept"
    )


def _restore(context: Context) -> None:
    session, found = _locked(context)
    context.restored += restore(session, found, context.options.kept, context.progress.warning)
    lock.remove_row(session, found)
    rows = sum(each.rows for each in context.restored)
    context.message = f"{rows:,} rows of {_sets(len(context.restored))} restored"


def _purge(context: Context) -> None:
    request = context.options.kept
    if request.older_than is None and request.set_id is None:
        raise UsageError("purge what? Give --older-than or --number", code="NothingToPurge")
    session, found = _locked(context)
    context.kept += kept.purge(session, found, request)
    lock.remove_row(session, found)
    context.message = f"{_sets(len(context.kept))} purged" if context.kept else "nothing to purge"


def _locked(context: Context) -> tuple[Session, Bookkeeping]:
    options = context.options
    session = context.connect()
    context.take_lock(session)
    found = context.look(session)
    if found.exists:
        lock.write_row(session, found, options.applied_by or found.session_user, options.command)
    return session, found


def _sets(number: int) -> str:
    return "1 set" if number == 1 else f"{number} sets"


COMMANDS: Final[dict[str, Callable[[Context], None]]] = {
    "kept": _list,
    "kept restore": _restore,
    "kept purge": _purge,
}
