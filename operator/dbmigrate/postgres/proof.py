"""What a run believes that it did, held against what the database says; pure.

They differ when the server that committed is not the one that is asked: after a failover to
a standby that had not received the last transactions, or where somebody changed the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbmigrate.api.report.history import MigrationRecord
from dbmigrate.api.report.plan import Direction
from dbmigrate.errors import RefusedError
from dbmigrate.migrations.applied import AppliedMigration


def not_shown(
    done: Iterable[MigrationRecord], applied: Iterable[AppliedMigration]
) -> tuple[MigrationRecord, ...]:
    """What a run committed and the history does not show.

    Args:
        done: what the run committed, in its order.
        applied: the history, read afterwards.
    """
    live = {str(each.version): each.checksum for each in applied}
    return tuple(
        record
        for record in done
        if (record.type is Direction.FORWARD and live.get(record.version) != record.checksum)
        or (record.type is Direction.ROLLBACK and record.version in live)
    )


def require_shown(missing: Sequence[str], done: str) -> None:
    """Refuse to go on when the history lacks something of this run.

    Args:
        missing: versions.
        done: what the run did with them: ``committed`` or ``recorded``.

    Raises:
        RefusedError: code HistoryDisagrees.
    """
    if missing:
        raise RefusedError(
            f"the history does not show what this run {done}: {', '.join(missing)}",
            code="HistoryDisagrees",
            hint="somebody changed the history meanwhile: find out who before running again",
        )
