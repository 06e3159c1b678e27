"""What rollbacks kept, as people read it."""

from __future__ import annotations

from dbmigrate.api.report import KeptData
from dbmigrate.postgres.rollback.sizes import format_size


def describe_kept(kept: KeptData) -> str:
    """``column price of shop.article, 1,200 rows, 34 kB``."""
    rows = "1 row" if kept.rows == 1 else f"{kept.rows:,} rows"
    backup = f", covered by {kept.covered_by}" if kept.covered_by else ""
    return f"{title(kept)}, {rows}, {format_size(kept.size)}{backup}"


def title(kept: KeptData) -> str:
    """What it is: ``table public.t``."""
    name = f"{kept.schema}.{kept.table}"
    if kept.kind == "columns":
        noun = "column" if len(kept.columns) == 1 else "columns"
        return f"{noun} {', '.join(kept.columns)} of {name}"
    if kept.kind == "rows":
        return f"rows of {name}"
    return "large objects" if kept.kind == "largeObjects" else f"{kept.kind} {name}"
