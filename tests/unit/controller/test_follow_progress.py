from __future__ import annotations

import json

from dbmigrate.api.report import Direction
from dbmigrate.controller.follow import told_progress


def tell(*events):
    """The progress after these lines."""
    progress = None
    for event in events:
        progress = told_progress(progress, json.dumps(event)) or progress
    return progress


STARTED = {
    "event": "migrationStarted",
    "time": "2026-06-01T12:00:00.000Z",
    "version": "1.1.0",
    "file": "v1.1.0_users.sql",
    "direction": "forward",
    "number": 2,
    "of": 7,
}


def test_file_is_told():
    """Which file, when begun, the how manieth of how many."""
    told = tell(STARTED)
    assert told is not None
    assert told.status.model_dump(exclude_none=True) == {
        "version": "1.1.0",
        "file": "v1.1.0_users.sql",
        "number": 2,
        "of": 7,
        "started_at": "2026-06-01T12:00:00.000Z",
    }


def test_waiting_is_told_until_it_is_over():
    """Who is waited for, and no longer than that."""
    waiting = {"event": "waiting", "reason": "AdvisoryLock", "message": "held by shop/other"}
    told = tell(waiting)
    assert told is not None
    assert told.waiting == told.status.message == "held by shop/other"
    told = tell(waiting, {"event": "plan", "plan": {"direction": "rollback"}})
    assert told is not None
    assert (told.waiting, told.status.message) == ("", None)
    assert told.direction is Direction.ROLLBACK


def test_statement_is_told_within_its_file():
    """The statement's number is added to what is known of the file."""
    told = tell(STARTED, {"event": "statement", "statement": "SELECT 1", "number": 3, "of": 4})
    assert told is not None
    assert (told.status.file, told.status.statement) == ("v1.1.0_users.sql", 3)


def test_other_lines_are_no_progress():
    """Notices, broken lines and foreign output change nothing."""
    for line in ("", "Traceback", "[1]", '{"event": "notice"}', '{"event": "statement"', "{}"):
        assert told_progress(None, line) is None


def test_odd_values_do_no_harm():
    """A newer runner may write what we do not know."""
    told = tell({"event": "migrationStarted", "number": True, "of": "x", "file": 1})
    assert told is not None
    assert told.status.model_dump(exclude_none=True) == {}
