"""How far the server is with a long statement, where it knows: pg_stat_progress_*.

What it does not count (a rewrite by ALTER TABLE, an UPDATE) has no percentage here, and
none is made up. A percentage is always that of the phase that is named, not of the whole
statement: the server does not know how the phases compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, LiteralString

_WHOLE: Final = 100

SELECT: Final[LiteralString] = """
    select p.pid, p.phase, p.done, p.total
    from (
        select i.pid,
            i.phase || case when i.partitions_total > 0 then pg_catalog.format(
                ', partition %%s of %%s', i.partitions_done + 1, i.partitions_total) else '' end,
            case
                when i.phase like 'waiting%%' then i.lockers_done
                when i.phase like '%%scanning%%' then i.blocks_done
                when i.phase like '%%loading tuples%%' then i.tuples_done
                when i.phase = 'building index' and i.tuples_total > 0 then i.tuples_done
                when i.phase = 'building index' then i.blocks_done
            end,
            case
                when i.phase like 'waiting%%' then i.lockers_total
                when i.phase like '%%scanning%%' then i.blocks_total
                when i.phase like '%%loading tuples%%' then i.tuples_total
                when i.phase = 'building index' and i.tuples_total > 0 then i.tuples_total
                when i.phase = 'building index' then i.blocks_total
            end
        from pg_catalog.pg_stat_progress_create_index as i
        union all
        select c.pid, c.phase,
            case c.phase
                when 'seq scanning heap' then c.heap_blks_scanned
                when 'writing new heap' then c.heap_tuples_written
            end,
            case c.phase
                when 'seq scanning heap' then c.heap_blks_total
                when 'writing new heap' then c.heap_tuples_scanned
            end
        from pg_catalog.pg_stat_progress_cluster as c
        union all
        select v.pid, v.phase,
            case v.phase
                when 'scanning heap' then v.heap_blks_scanned
                when 'vacuuming heap' then v.heap_blks_vacuumed
            end,
            v.heap_blks_total
        from pg_catalog.pg_stat_progress_vacuum as v
        union all
        select a.pid, a.phase, a.sample_blks_scanned,
            case when a.phase like 'acquiring%%' then a.sample_blks_total end
        from pg_catalog.pg_stat_progress_analyze as a
        union all
        select y.pid, 'copying', y.bytes_processed, y.bytes_total
        from pg_catalog.pg_stat_progress_copy as y
    ) as p (pid, phase, done, total)
    where p.pid = %s
"""
"""One process's row: a process reports one command at a time. The columns are those that
PostgreSQL 14 to 19 have (manual, section 28.4); 19's REPACK shows in the view of CLUSTER too."""


@dataclass(frozen=True, slots=True)
class StatementProgress:
    """What the server says about the statement that it is at."""

    phase: str
    """The server's own name of it, such as ``building index: scanning table``."""
    done: int | None = None
    total: int | None = None
    """Blocks, tuples, bytes or lock holders of this phase; None when the server counts none."""

    @property
    def percent(self) -> int | None:
        """How much of the phase is done, rounded down; None when the server does not know."""
        if self.done is None or not self.total:
            return None
        # A table may have grown since the server counted its blocks.
        return min(_WHOLE * self.done // self.total, _WHOLE)
