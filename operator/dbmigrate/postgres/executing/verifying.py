"""Asks the database whether a migration has done what it should, and undoes the asking.

Within the transaction that is to commit the migration, under a savepoint: an error in a
verification fails the migration, so that nothing of it is committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dbmigrate.postgres.executing.assignment import Assignment, Watch
from dbmigrate.postgres.executing.execution import Execution
from dbmigrate.postgres.server.session import Request, Session

if TYPE_CHECKING:
    from dbmigrate.postgres.executing.prerequisites import Script

_SAVEPOINT: Final = Request("savepoint dbmigrate_verify")


class _Verification(Execution):
    """One file of verification, which is no transaction of its own."""

    def _begin(self, behind: str = "") -> tuple[Request, ...]:
        del behind  # it is no transaction of its own
        return (_SAVEPOINT,)

    def ask(self) -> None:
        self.start()
        self.session.query("rollback to savepoint dbmigrate_verify")


def verify(
    session: Session, scripts: Sequence[Script], watch: Watch, settings: Mapping[str, str]
) -> None:
    """Run verifications in the open transaction, each by itself, and undo them.

    Raises:
        MigrationFailedError: code VerifyFailed: a statement of one failed.
        RefusedError: one has ended the transaction (TransactionEnded).
    """

    def nothing(_: int) -> Request:
        return Request("select")

    for script in scripts:
        own = {**settings, **script.directives.settings}
        _Verification(Assignment(session, script, nothing, watch, "", own)).ask()
