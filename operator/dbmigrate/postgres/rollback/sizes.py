"""Sizes for people: bytes, and what a loss amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbmigrate.postgres.rollback.losses import Loss

_STEP = 1024


def format_size(size: int) -> str:
    """As PostgreSQL's pg_size_pretty: ``300 bytes``, ``12 kB``, ``1.4 GB``."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < _STEP:
            shown = f"{value:.0f}" if unit == "bytes" or value >= 10 else f"{value:.1f}"  # noqa: PLR2004
            return f"{shown} {unit}"
        value /= _STEP
    return f"{value:.1f} TB"


def sum_of(loss: Loss) -> str:
    """``table public.t: about 1,200 rows, 4.5 MB``."""
    about = "about " if loss.is_estimate else ""
    rows = "1 row" if loss.rows == 1 else f"{loss.rows:,} rows"
    return f"{loss.title}: {about}{rows}, {format_size(loss.size)}"
