from __future__ import annotations

import json

from dbmigrate.api.report.plan import Direction
from dbmigrate.controller.telling import is_same_statement, told_progress


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


WAITING = {
    "event": "waiting",
    "time": "2026-06-01T12:10:00.000Z",
    "reason": "TableLock",
    "message": "v1.1.0_users.sql:3 waits for the ACCESS EXCLUSIVE lock on public.users: process 41",
    "holders": [
        {
            "pid": 41,
            "user": "app",
            "application": "web",
            "client": "10.0.0.7",
            "state": "idle in transaction",
            "seconds": 600,
            "query": "select 1",
        },
        {"pid": 0, "prepared": "order 7", "state": "prepared transaction", "seconds": 5},
        {"pid": 42, "isHidden": True},
    ],
}


def test_whom_a_run_waits_for_is_told():
    """Who, what they do, and since when: an age would change the status all the time."""
    told = tell(STARTED, WAITING)
    assert told is not None
    assert [each.model_dump(exclude_none=True) for each in told.status.blockers or ()] == [
        {
            "pid": 41,
            "user": "app",
            "application": "web",
            "client": "10.0.0.7",
            "state": "idle in transaction",
            "since": "2026-06-01T12:00:00Z",
            "query": "select 1",
        },
        {
            "prepared": "order 7",
            "state": "prepared transaction",
            "since": "2026-06-01T12:09:55Z",
        },
        {"pid": 42},
    ]


def test_nobody_is_waited_for_any_more_when_the_statement_runs():
    """Its news ends the waiting."""
    told = tell(STARTED, WAITING, {"event": "statement", "number": 3, "of": 4})
    assert told is not None
    assert (told.waiting, told.status.message, told.status.blockers) == ("", None, None)


def test_odd_holders_do_no_harm():
    """Too many, of another shape, none."""
    for holders in ([{"pid": n} for n in range(1, 500)], [1, None, {"pid": "x"}], {}, None, "x"):
        told = tell({**WAITING, "holders": holders})
        assert told is not None
        assert len(told.status.blockers or ()) <= 5
    told = tell({**WAITING, "holders": [{"pid": 1, "seconds": 1e300, "query": "x" * 9999}]})
    assert told is not None
    (blocker,) = told.status.blockers or ()
    assert (blocker.since, len(blocker.query or "")) == (None, 200)


def statement(seconds, **data):
    """News of a long statement."""
    at = f"2026-06-01T12:00:{seconds:02}.500Z"
    return {"event": "statement", "time": at, "number": 3, "of": 4, "seconds": seconds, **data}


def test_a_long_statement_is_told_with_phase_and_per_cent():
    """And since when: the first word of it counts, so that the time does not waver."""
    told = tell(
        STARTED,
        statement(2, phase="building index: scanning table", percent=3),
        statement(31, phase="building index: loading tuples in tree", percent=50) | {"seconds": 30},
    )
    assert told is not None
    assert told.status.statement_started_at == "2026-06-01T12:00:00Z"
    assert told.status.phase == "building index: loading tuples in tree"
    assert told.status.percent == 50


def test_what_the_server_does_not_count_has_no_per_cent():
    """Nor has what cannot be one."""
    for data in ({}, {"percent": 101}, {"percent": "x"}, {"percent": True}):
        told = tell(STARTED, statement(2, phase="rebuilding index", **data))
        assert told is not None
        assert told.status.percent is None


def test_only_how_far_a_statement_is_waits_longer_for_the_status():
    """Everything else is news at once."""
    first = tell(STARTED, statement(2, phase="a", percent=3))
    assert first is not None
    later = told_progress(first, json.dumps(statement(4, phase="b", percent=5)))
    assert later is not None
    assert later != first
    assert is_same_statement(first, later)
    waiting = told_progress(first, json.dumps(WAITING))
    assert waiting is not None
    assert not is_same_statement(first, waiting)
    assert not is_same_statement(None, first)
