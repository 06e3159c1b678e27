"""SIGTERM, SIGINT and SIGHUP: the first asks the run to end, the third ends the process.

Ending at once is safe for the database: the server undoes what was open and frees the
advisory lock when the connection is gone. It only costs the report of what happened.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from dbmigrate.postgres.server.interruption import Interruption

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LAST = 3
_STOPPING = b"\nstopping: waiting for the server to undo what is open (once more: leave at once)\n"


@contextlib.contextmanager
def handled(interruption: Interruption) -> Iterator[None]:
    """Within, signals go to the interruption; afterwards they are as they were before."""
    count = 0

    def receive(signum: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count == _LAST - 1:
            # A handler must not wait for a stream's lock, so not by print().
            with contextlib.suppress(OSError):
                os.write(2, _STOPPING)
        if count >= _LAST:
            os._exit(128 + signum)
        interruption.request(signum)

    # A process that was started with SIGHUP ignored (nohup) keeps ignoring it.
    taken = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, receive) for each in taken}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
