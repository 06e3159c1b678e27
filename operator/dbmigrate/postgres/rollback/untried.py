"""Rollbacks that cannot be tried, because they do not run in one transaction of ours.

What they lose is not known before it is lost, and cannot be kept together with their history
row. Only statements of which it is known that they lose nothing go through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dbmigrate.api.report.plan import Direction
from dbmigrate.errors import RefusedError
from dbmigrate.migrations.directives import TransactionMode
from dbmigrate.migrations.statements import Statement, StatementKind, classify
from dbmigrate.postgres.executing.failures import place

if TYPE_CHECKING:
    from dbmigrate.postgres.executing.prerequisites import Script
    from dbmigrate.postgres.rollback.options import KeepOptions


def require_triable(scripts: Sequence[Script], options: KeepOptions) -> list[str]:
    """Refuse rollbacks whose losses nobody can know.

    Returns:
        Warnings: those that run untried because a backup covers them.

    Raises:
        RefusedError: code RollbackUntried.
    """
    warnings = []
    for script in scripts:
        if script.file.direction is not Direction.ROLLBACK or script.mode is TransactionMode.FILE:
            continue
        doubtful = next((each for each in script.statements if not _loses_nothing(each)), None)
        if doubtful is None or not options.enabled:
            continue
        if options.backup is not None:
            warnings.append(
                f"{script.file.file}: it does not run in a transaction, so it was not tried, and "
                f"what it loses is not kept; the backup {options.backup} covers it"
            )
            continue
        where = place(script.file, doubtful)
        raise RefusedError(
            f"{where}: the file does not run in a transaction, so it cannot be tried first, and "
            "nobody knows what this statement loses",
            code="RollbackUntried",
            hint="put what must run outside a transaction into a migration of its own; or take a "
            "backup and name it by --backup-covers NAME",
            location=where,
        )
    return warnings


def _loses_nothing(statement: Statement) -> bool:
    """Indexes, VACUUM, settings of the server, subscriptions: no rows of ours."""
    kind, words = classify(statement)
    return kind is StatementKind.TRANSACTION_CONTROL or (
        kind is StatementKind.OUTSIDE_TRANSACTION and words != "DROP DATABASE"
    )
