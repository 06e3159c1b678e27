"""psycopg's connection, with an end to its patience.

What makes the connection says who is asked about a long silence (see `watchdog`); both ways of
waiting obey: psycopg's own, and that of batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar, cast

import psycopg

RV = TypeVar("RV")
Wait = Generator[Any, Any, RV]


class Connection(psycopg.Connection[Any]):
    """psycopg's, which does not wait for ever for an answer that was lost on its way."""

    doubt: Callable[[], str | None] | None = None
    """Tells why no answer can be expected any more; None while one can."""
    doubt_after: float = 60.0
    """Seconds of silence after which `doubt` is asked, and again after each such time."""

    def wait(self, gen: Wait[RV], *args: Any, **options: Any) -> RV:
        """Run psycopg's own waiting, looked at in between."""
        return super().wait(self._doubting(gen), *args, **options)

    def _doubting(self, gen: Wait[RV]) -> Wait[RV]:
        since = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                now = time.monotonic()
                if ready:
                    since = now
                elif self.doubt and now - since >= self.doubt_after:
                    since = now
                    self.give_up(self.doubt())
                wanted = gen.send(ready)
        except StopIteration as end:
            return cast("RV", end.value)

    def give_up(self, reason: str | None) -> None:
        """Break the connection when there is a reason to wait no more.

        Raises:
            psycopg.OperationalError: there is.
        """
        if reason is not None:
            self.pgconn.finish()
            raise psycopg.OperationalError(reason)
