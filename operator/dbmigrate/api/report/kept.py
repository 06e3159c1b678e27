"""The data that rollbacks lose: what was kept of them, and what was put back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptData:
    """What a rollback loses of one table, and whether it was kept."""

    version: str
    schema: str
    table: str
    kind: str
    """``table``, ``columns``, ``rows``, ``sequence`` or ``largeObjects``."""
    columns: tuple[str, ...] = ()
    """The columns that are lost, where it is not the whole table."""
    rows: int = 0
    size: int = 0
    """Bytes, before compression."""
    set_id: int | None = None
    """Its number in rollback_data_log; None when it was not kept."""
    covered_by: str = ""
    """The backup that was named in place of keeping it."""
    kept_at: str = ""


@dataclass(frozen=True, slots=True)
class RestoredData:
    """What was put back of one kept set."""

    set_id: int
    version: str
    kind: str
    into: str
    """The table or sequence, with its schema."""
    rows: int = 0
    """Rows that were inserted or got their values back."""
    skipped: int = 0
    """Kept rows that stayed out, because another row or value is there."""
    missing: int = 0
    """Kept values whose rows are not there any more."""
