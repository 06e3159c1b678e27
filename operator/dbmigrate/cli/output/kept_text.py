"""What rollbacks kept, as people read it."""

from __future__ import annotations

from dbmigrate.api.report.kept import KeptData
from dbmigrate.api.report.result import RunResult
from dbmigrate.cli.output.terminal import Terminal
from dbmigrate.cli.output.wording import table_time
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


def write_kept(out: Terminal, result: RunResult) -> None:
    """A list of what is kept or was purged, or of what was restored."""
    if result.kept:
        out.table(
            ("SET", "VERSION", "WHAT", "ROWS", "SIZE", "AT (UTC)", "NOTE"),
            [
                (
                    "" if each.set_id is None else str(each.set_id),
                    each.version,
                    title(each),
                    f"{each.rows:,}",
                    format_size(each.size),
                    table_time(each.kept_at),
                    _note(each),
                )
                for each in result.kept
            ],
        )
    if result.restored:
        out.table(
            ("SET", "VERSION", "KIND", "INTO", "RESTORED", "LEFT OUT", "ROW IS GONE"),
            [
                (
                    str(each.set_id),
                    each.version,
                    each.kind,
                    each.into,
                    f"{each.rows:,}",
                    f"{each.skipped:,}",
                    f"{each.missing:,}",
                )
                for each in result.restored
            ],
        )
    out.line(result.message, "good")


def _note(kept: KeptData) -> str:
    if kept.covered_by:
        return f"not kept: in the backup {kept.covered_by}"
    return "written by a script" if kept.set_id is None else ""
