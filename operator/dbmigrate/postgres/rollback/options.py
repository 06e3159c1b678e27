"""What a run may lose, and what is asked of the data that was kept. Values, and their error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from dbmigrate.errors import RefusedError

KEEP_LIMIT: Final = 256 << 20
"""Bytes that a rollback may lose and still be run without a word: some 10 s of copying."""


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """How a rollback's losses are treated."""

    enabled: bool = True
    """Try the rollback first and keep what it loses. Without, nothing is looked at or kept."""
    limit: int = KEEP_LIMIT
    """Bytes in one rollback, as stored in its tables; what is above is refused."""
    backup: str | None = None
    """A backup that covers what is lost: above the limit it is then lost without being kept."""


KEEP: Final = KeepOptions()
"""As it is when nothing is said."""


class RollbackRefusedError(RefusedError):
    """What a rollback loses may not be lost: it was only tried, and the trial was undone."""


class OnConflict(StrEnum):
    """What is done when a row or a value to be restored meets another one."""

    REFUSE = "refuse"
    """Nothing is restored."""
    SKIP = "skip"
    """What is there stays."""
    REPLACE = "replace"
    """What was kept replaces it."""


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """What is asked of the data that rollbacks kept."""

    version: str | None = None
    """Of the rollback, ``X.Y.Z``."""
    table: str | None = None
    """The name of a table, with or without its schema; None is all."""
    set_id: int | None = None
    into: str | None = None
    """A table to restore into, which is created unless it is there."""
    on_conflict: OnConflict = OnConflict.REFUSE
    older_than: timedelta | None = None


ALL_KEPT: Final = KeptRequest()
"""Whatever there is."""
