"""What holds for every layer of tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Take back the signals that a background job is started without.

    A shell starts `make test &` with SIGINT ignored, `nohup` with SIGHUP ignored, and every process
    that a test starts would inherit that: a runner that is sent one would rightly not hear it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
