"""Whether a file that did not get a lock is tried again, and after how long a pause.

Pure: told the time and a random number; it neither waits nor asks. What is tried again is
the whole transaction, which was undone, so a try leaves nothing behind for the next.

While a lock request waits, every later query of that table waits behind it, for as long
as ``lock_timeout``. So a pause is at least about as long as that: what has queued up
meanwhile must be through before the next try makes others wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dbmigrate.errors import DbmigrateError, MigrationFailedError
from dbmigrate.postgres.executing.failures import LOCK_STATES

LOCK_TIMEOUT: Final = 2.0
"""Seconds that a statement waits for a lock, unless told otherwise. Twice the server's own
``deadlock_timeout``: only after that does it cancel an autovacuum that is in the way
(PostgreSQL's proc.c), and with less a migration would never get the lock beside one."""
RETRIES: Final = 20
"""How often a file is tried again, unless told otherwise."""
TIME_LIMIT: Final = 300.0
"""Seconds from a file's first try within which its last one begins, unless told otherwise."""

_SHORTEST: Final = 0.5
_LONGEST: Final = 15.0
_GROWTH: Final = 1.5
_EVEN_TEN_GROWTHS_ARE_MORE: Final = 10
"""Than the longest pause: no higher power is needed."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a run is with other sessions' locks. Durations are seconds."""

    lock_timeout: float
    """How long one try made others wait; 0 when it would have waited without end."""
    retries: int = RETRIES
    """After the first try; 0 is one try alone."""
    time_limit: float = TIME_LIMIT
    """From the first try on; no try begins later. 0 is without limit."""

    def pause(
        self, error: DbmigrateError, *, tries: int, elapsed: float, chance: float
    ) -> float | None:
        """How long to wait before the file is tried again; None when it is not.

        Only a lock that was not to be had (55P03) and a deadlock (40P01) pass by
        themselves and say nothing against the file.

        Args:
            error: what ended the last try.
            tries: how many there were, that one included.
            elapsed: seconds since the first one began.
            chance: evenly from 0 to 1; two runs that collided must not meet again.
        """
        if not isinstance(error, MigrationFailedError) or error.sqlstate not in LOCK_STATES:
            return None
        if not error.transient:
            return None  # a part of it is committed
        if tries > self.retries:
            return None
        first = max(self.lock_timeout, _SHORTEST)
        growth = _GROWTH ** min(tries - 1, _EVEN_TEN_GROWTHS_ARE_MORE)
        seconds = min(first * growth, max(first, _LONGEST)) * (0.5 + chance)
        if self.time_limit and elapsed + seconds > self.time_limit:
            return None
        return seconds
