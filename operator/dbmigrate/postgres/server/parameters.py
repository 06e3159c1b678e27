"""Asks the server whether the parameters that are set for all migrations can be set at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dbmigrate.errors import UsageError
from dbmigrate.postgres.server.session import SYNC, Request

if TYPE_CHECKING:
    from dbmigrate.postgres.server.session import Session


def require_parameters(session: Session, settings: Mapping[str, str]) -> None:
    """Refuse a name or a value that the server does not accept; nothing stays set.

    Raises:
        UsageError: code InvalidServerSetting; all that were found are in its message.
    """
    if not settings:
        return
    names = list(settings)
    problems = [
        f"{names[reply.number // _EACH]}={settings[names[reply.number // _EACH]]}: "
        f"{reply.error.message}"
        for reply in session.run(_requests(settings))
        if reply.error is not None
    ]
    if problems:
        raise UsageError(
            f"the server does not accept {'; '.join(problems)}",
            code="InvalidServerSetting",
            hint="correct --set, DBMIGRATE_SET or MIGRATION_SETTINGS; nothing was run",
        )


_EACH = 2
"""Requests for each parameter."""


def _requests(settings: Mapping[str, str]) -> Iterator[Request]:
    # The statement and its SYNC are a transaction, and with it ends what it set.
    for name, value in settings.items():
        yield Request("select pg_catalog.set_config($1, $2, true)", (name, value))
        yield SYNC
