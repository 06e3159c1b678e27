"""What becomes of the data that a rollback loses."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from dbmigrate.api.base import ApiModel
from dbmigrate.api.spec.fields import matching

SIZE = r"^[0-9]{1,9}(Ki|Mi|Gi|Ti)$"


class Rollback(ApiModel):
    """What becomes of the data that a rollback loses: tables, columns, rows."""

    keep_data: bool = True
    """Try each rollback first, and keep in the database (table rollback_data_log) what it loses."""

    keep_limit: Annotated[
        str,
        StringConstraints(max_length=11),
        matching(SIZE, "a size is written like 512Ki, 256Mi or 2Gi"),
    ] = "256Mi"
    """Refuse a rollback file that loses more than this, as stored on disk."""

    backup_covers: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=200),
            matching(r"[^ ]", "name the backup: it is written down"),
        ]
        | None
    ) = None
    """Name of a backup that has what is lost: above keepLimit it is then lost without being kept.
    The name is recorded with each such loss. Take it away when the rollback is done."""
